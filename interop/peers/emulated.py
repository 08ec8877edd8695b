"""An emulated client on a lab machine: its sockets, its SAs in the machine's kernel, its TUN.

IKE runs over UDP 500 and 4500 of the machine, L2TP over a socket of its own inside the kernel's
ESP, PPP in this process; the inner address is that of a TUN interface, so that any program of the
machine can use the link.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from ipaddress import ip_address
from typing import TypeVar

from interop.certificates import Identity
from interop.client_sas import ClientSas
from interop.clients.model import Client
from interop.emulation.complaints import Complaint
from interop.emulation.effects import (
    Down,
    Effect,
    InstallSas,
    Packet,
    Rekeyed,
    Remark,
    RemoveSas,
    SendL2tp,
    Stopped,
    Up,
)
from interop.emulation.engine import EmulatedClient
from interop.emulation.secrets import Life, Secrets
from interop.errors import LabError
from interop.initiator.effects import Send
from interop.initiator.session import ClientPath
from interop.netns import Host
from interop.peers.xl2tpd import Link
from interop.ppp.login import Account
from interop.tun import Tun
from interop.wait import until

IKE_PORT, FLOATED_PORT = 500, 4500
INTERFACE = "vpn0"
MTU = 1280
"""What Apple's pppd sets; it fits everywhere."""
CONNECT_LIMIT = 60.0
"""Seconds, as for the real clients."""

_UDP_ENCAP, _UDP_ENCAP_ESPINUDP = 100, 2  # uapi linux/udp.h
_MAX_DATAGRAM = 65535
_LONGEST_SLEEP = 1.0


T = TypeVar("T")


class ClientStoppedError(LabError):
    """The client has given up; the text is its complaint."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint


class EmulatedMachine:
    """``client`` on ``host``, which dials ``server``. A thread carries its packets."""

    def __init__(
        self,
        host: Host,
        client: Client,
        server: str,
        *,
        psk: str,
        user: str,
        password: str,
        certificate: Identity | None = None,
    ) -> None:
        self.host = host
        self.client = client
        self._server = server
        self._secrets = Secrets(psk.encode(), Account(user, password), certificate)
        self._inner = host.interfaces()["wan0"][0]
        self._sas = ClientSas(host, self._inner, server)
        self._lock = threading.RLock()
        self._told: list[Effect] = []
        self._engine: EmulatedClient | None = None
        self._before: Life | None = None
        self._sockets: dict[bool, socket.socket] = {}
        self._l2tp: socket.socket | None = None
        self._tun: Tun | None = None
        self._wake: tuple[int, int] | None = None
        self._pool = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self._stopping = False

    # --- what a user does ------------------------------------------------------------------------

    def dial_in(self) -> Link:
        """Connect, and wait for the link. Raises `ClientStoppedError`, `StillWaitingError`."""
        self._open()
        self._do(lambda engine, now: engine.dial(now))
        up = until(lambda: self._first(Up), f"{self.client.name} to connect", CONNECT_LIMIT)
        assert up is not None  # until does not return before
        dns = tuple(str(address) for address in up.dns)
        return Link(INTERFACE, str(up.address), str(up.server or ""), dns)

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        self.host.run("ip", "route", "replace", network, "dev", link.interface)

    def rekey_esp(self) -> None:
        """Replace the ESP SAs by a new Quick Mode, and wait until that is done."""
        self._rekey(2, lambda engine, now: engine.rekey_phase2(now))

    def rekey_ike(self) -> None:
        """Replace the ISAKMP SA by a new Main Mode, and wait until that is done."""
        self._rekey(1, lambda engine, now: engine.rekey_phase1(now))

    def hang_up(self) -> None:
        """End PPP, L2TP and IPsec as this client does."""
        self._do(lambda engine, now: engine.hang_up(now))
        until(lambda: self._first(Down), f"{self.client.name} to hang up", CONNECT_LIMIT)
        self.stop()

    def vanish(self) -> None:
        """Lose power: nobody is told, and nothing is left but the memory of the next start."""
        with self._lock:
            assert self._engine is not None
            self._before = self._engine.life
        self.stop()

    def stop(self) -> None:
        """Close everything at once; the machine is free for another client."""
        running, self._running = self._running, None
        if running is None:
            return
        self._stopping = True
        self._poke()
        wait([running])
        for sock in (*self._sockets.values(), self._l2tp):
            if sock is not None:
                sock.close()
        self._sockets.clear()
        if self._tun is not None:
            self._tun.close()
        if self._wake is not None:
            for descriptor in self._wake:
                os.close(descriptor)
        self._sas.clear()

    @property
    def remarks(self) -> list[Complaint]:
        """The broken rules that this client does not mind."""
        with self._lock:
            return [effect.complaint for effect in self._told if isinstance(effect, Remark)]

    # --- inside ----------------------------------------------------------------------------------

    def _open(self) -> None:
        self.stop()
        self._told = []
        for floated, port in ((False, IKE_PORT), (True, FLOATED_PORT)):
            sock = self._bound(port)
            if floated:
                sock.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _UDP_ENCAP_ESPINUDP)
            self._sockets[floated] = sock
        self._l2tp = self._bound(self.client.l2tp.profile.port)
        self._tun = Tun(self.host, INTERFACE)
        self._wake = os.pipe()
        path = ClientPath(ip_address(self._inner), ip_address(self._server))
        self._engine = EmulatedClient(
            self.client,
            self._secrets,
            replace(path, l2tp_port=self._l2tp.getsockname()[1]),
            os.urandom,
            before=self._before,
        )
        self._stopping = False
        self._running = self._pool.submit(self._run)

    def _bound(self, port: int) -> socket.socket:
        sock = self.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((self._inner, port))
        return sock

    def _do(self, action: Callable[[EmulatedClient, float], list[Effect]]) -> None:
        with self._lock:
            assert self._engine is not None  # it has dialled
            self._carry_out(action(self._engine, time.monotonic()))
        self._poke()

    def _rekey(self, phase: int, action: Callable[[EmulatedClient, float], list[Effect]]) -> None:
        before = self._count(phase)
        self._do(action)
        until(lambda: self._count(phase) > before, f"phase {phase} to be new", CONNECT_LIMIT)

    def _count(self, phase: int) -> int:
        self._first(Rekeyed)
        with self._lock:
            return sum(isinstance(it, Rekeyed) and it.phase == phase for it in self._told)

    def _first(self, kind: type[T]) -> T | None:
        """The first that was told of a kind. Raises `ClientStoppedError`, and what `_run` did."""
        if self._running is not None and self._running.done():
            self._running.result()
        with self._lock:
            for effect in self._told:
                if isinstance(effect, Stopped):
                    raise ClientStoppedError(effect.complaint)
            return next((effect for effect in self._told if isinstance(effect, kind)), None)

    def _poke(self) -> None:
        assert self._wake is not None
        os.write(self._wake[1], b"\0")

    def _run(self) -> None:
        """Carry packets and run the timers until `stop`."""
        assert self._engine is not None
        assert self._l2tp is not None
        assert self._tun is not None
        assert self._wake is not None
        poll = select.poll()
        readers: dict[int, Callable[[], None]] = {
            self._sockets[False].fileno(): lambda: self._ike_readable(False),
            self._sockets[True].fileno(): lambda: self._ike_readable(True),
            self._l2tp.fileno(): self._l2tp_readable,
            self._tun.file: self._tun_readable,
            self._wake[0]: self._woken,
        }
        for descriptor in readers:
            poll.register(descriptor, select.POLLIN)
        while not self._stopping:
            with self._lock:
                deadline = self._engine.next_deadline()
            sleep = _LONGEST_SLEEP if deadline is None else deadline - time.monotonic()
            ready = poll.poll(1000 * min(max(0.0, sleep), _LONGEST_SLEEP))
            with self._lock:
                for descriptor, _ in ready:
                    readers[descriptor]()
                self._carry_out(self._engine.advance(time.monotonic()))

    def _woken(self) -> None:
        assert self._wake is not None
        os.read(self._wake[0], _MAX_DATAGRAM)

    def _ike_readable(self, floated: bool) -> None:
        assert self._engine is not None
        for datagram, _ in _received(self._sockets[floated]):
            self._carry_out(self._engine.receive_ike(datagram, floated, time.monotonic()))

    def _l2tp_readable(self) -> None:
        assert self._engine is not None
        assert self._l2tp is not None
        for datagram, port in _received(self._l2tp):
            self._carry_out(self._engine.receive_l2tp(datagram, port, time.monotonic()))

    def _tun_readable(self) -> None:
        assert self._engine is not None
        assert self._tun is not None
        while (packet := self._tun.read()) is not None:
            if packet[0] >> 4 == 4:  # the kernel looks for IPv6 routers on any interface
                self._carry_out(self._engine.send_packet(packet))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    port = FLOATED_PORT if floated else IKE_PORT
                    _send(self._sockets[floated], datagram, (self._server, port))
                case SendL2tp(datagram, port):
                    assert self._l2tp is not None
                    _send(self._l2tp, datagram, (self._server, port))
                case Packet(packet):
                    assert self._tun is not None
                    self._tun.write(packet)
                case InstallSas():
                    self._sas.install(effect)
                case RemoveSas(sas):
                    self._sas.remove(sas)
                case Up(address):
                    assert self._tun is not None
                    self._tun.configure(str(address), MTU)
                    self._told.append(effect)
                case _:
                    self._told.append(effect)


def _received(sock: socket.socket) -> list[tuple[bytes, int]]:
    """What has come, with the ports it came from."""
    received: list[tuple[bytes, int]] = []
    while True:
        try:
            datagram, source = sock.recvfrom(_MAX_DATAGRAM)
        except BlockingIOError:
            return received
        except ConnectionRefusedError:  # the ICMP error of an earlier datagram
            continue
        received.append((datagram, source[1]))


def _send(sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
    """What cannot be sent is lost like any other datagram: a full buffer, no SA, an ICMP error."""
    try:
        sock.sendto(datagram, to)
    except OSError:
        return
