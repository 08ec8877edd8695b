"""A whole client on two UDP sockets: IKE, ESP in UDP, L2TP and PPP, with no kernel of its own.

It needs no SAs, no TUN and no machine for itself, so that one process has room for thousands. What
it sends inside its link, and what comes for it, is nobody's business here.
"""

import asyncio
import contextlib
import os
import socket
import time

from interop import ip
from interop.clients.model import Client
from interop.emulation.effects import (
    Down,
    Effect,
    InstallSas,
    Rekeyed,
    RemoveSas,
    SendL2tp,
    Stopped,
    Up,
)
from interop.emulation.engine import EmulatedClient
from interop.emulation.secrets import Secrets
from interop.esp import HEADER, EspSa
from interop.initiator.effects import EspSas, Send
from interop.initiator.report import Failure, Outcome
from interop.initiator.session import NON_ESP_MARKER, ClientPath
from interop.initiator.udp import MAX_DATAGRAM, Plan

NON_IKE_MARKER = bytes(8)
"""Before ESP between the ports 500, in draft-ietf-ipsec-udp-encaps-00."""
EPHEMERAL_PORT = 51515
"""Of the L2TP socket, where a client has no fixed one."""


class WholeClient:
    """One client of one user. Of `plan` it takes paths, `keep` and `stay`."""

    def __init__(
        self, client: Client, secrets: Secrets, plan: Plan, number: int, *, dialled: str = ""
    ) -> None:
        assert plan.inner is not None
        self._plan = plan
        self._sockets = {floated: self._socket(floated=floated) for floated in (False, True)}
        path = ClientPath(
            plan.inner[number + 1],
            plan.target,
            l2tp_port=client.l2tp.profile.port or EPHEMERAL_PORT,
        )
        self._engine = EmulatedClient(
            client, secrets, path, os.urandom, make_dh=plan.make_dh, dialled=dialled
        )
        self._inbound: dict[bytes, EspSa] = {}
        self._outbound: list[tuple[EspSas, EspSa]] = []
        self._floated = True
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._waits_for: type[Up | Rekeyed | Down] = Up
        self._failure: Failure | None = None

    async def run(self) -> Outcome:
        """Dial, and hang up if it is to stay neither here nor at the gateway."""
        begun = time.monotonic()
        await self._until(Up, self._engine.dial(begun))
        setup = time.monotonic() - begun
        failed = self._failure
        if failed is None and not (self._plan.keep or self._plan.stay):
            await self._until(Down, self._engine.hang_up(time.monotonic()))
        if failed is not None or not self._plan.stay:
            self.leave()
        return Outcome(None, (), failed, (), None if failed else setup)

    async def rekey(self) -> Outcome:
        """Replace the ESP SAs."""
        begun = time.monotonic()
        await self._until(Rekeyed, self._engine.rekey_phase2(begun))
        took = () if self._failure else (time.monotonic() - begun,)
        return Outcome(None, took, self._failure, ())

    @property
    def lost(self) -> Failure | None:
        """Why it has given up."""
        return self._failure

    def leave(self) -> None:
        """Vanish."""
        if self._timer is not None:
            self._timer.cancel()
        for sock in self._sockets.values():
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()

    async def _until(self, event: type[Up | Rekeyed | Down], effects: list[Effect]) -> None:
        """Carry these out, and wait until the engine tells of something, or has stopped."""
        self._waiting, self._waits_for = asyncio.get_running_loop().create_future(), event
        self._carry_out(effects)
        await self._waiting

    def _socket(self, *, floated: bool) -> socket.socket:
        plan = self._plan
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((str(plan.source or ""), 0))
        sock.connect((str(plan.target), plan.floated_port if floated else plan.port))
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, sock, floated)
        return sock

    def _readable(self, sock: socket.socket, floated: bool) -> None:
        while floated in self._sockets:
            try:
                datagram = sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                # The ICMP error of an earlier datagram; the timers decide what follows.
                continue
            self._carry_out(self._received(datagram, floated=floated))

    def _received(self, datagram: bytes, *, floated: bool) -> list[Effect]:
        now = time.monotonic()
        if not floated and datagram.startswith(NON_IKE_MARKER):
            return self._esp(datagram[len(NON_IKE_MARKER) :], now)
        if not floated or datagram.startswith(NON_ESP_MARKER):
            return self._engine.receive_ike(datagram, floated, now)
        return self._esp(datagram, now)

    def _esp(self, packet: bytes, now: float) -> list[Effect]:
        if len(packet) < HEADER:
            return []  # a NAT keepalive
        sa = self._inbound.get(packet[:4])
        opened = None if sa is None else sa.open(packet)
        fields = None if opened is None else ip.udp_fields(opened[0])
        if fields is None:
            return self._engine.esp_not_opened(packet[:4], now)
        return self._engine.receive_l2tp(fields[2], fields[0], now)

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    self._send(datagram, floated=floated)
                case SendL2tp(datagram, port):
                    self._send_esp(ip.udp_datagram(self._engine.path.l2tp_port, port, datagram))
                case InstallSas(sas):
                    self._install(sas)
                    self._floated = effect.floated
                case RemoveSas(sas):
                    self._inbound.pop(sas.inbound_spi, None)
                    self._outbound = [pair for pair in self._outbound if pair[0] != sas]
                case Stopped(complaint):
                    self._failure = (complaint.rule, str(complaint))
                    self._tell()
                case Up() | Rekeyed() | Down():
                    if isinstance(effect, self._waits_for):
                        self._tell()
                case _:
                    pass
        self._set_timer()

    def _tell(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_deadline()
        if due is not None and self._sockets:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - time.monotonic()), self._advance)

    def _advance(self) -> None:
        self._carry_out(self._engine.advance(time.monotonic()))

    def _install(self, sas: EspSas) -> None:
        assert sas.auth is not None  # no client of ours offers a combined mode
        shared = (sas.transform, sas.auth)
        self._inbound[sas.inbound_spi] = EspSa(
            sas.inbound_spi, *shared, sas.inbound_keys, os.urandom
        )
        outbound = EspSa(sas.outbound_spi, *shared, sas.outbound_keys, os.urandom)
        self._outbound.append((sas, outbound))

    def _send_esp(self, datagram: bytes) -> None:
        if self._outbound:
            packet = self._outbound[-1][1].seal(datagram, ip.UDP)
            marker = b"" if self._floated else NON_IKE_MARKER
            self._send(marker + packet, floated=self._floated)

    def _send(self, datagram: bytes, *, floated: bool) -> None:
        # A full socket buffer and an earlier ICMP error are both losses like any other.
        if floated in self._sockets:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                self._sockets[floated].send(datagram)
