"""Runs initiators over UDP sockets, many in one process."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address

from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey
from interop.initiator.effects import Closed, Effect, EspSas, Failed, Phase1Up, Send
from interop.initiator.engine import Initiator
from interop.initiator.profiles import Profile
from interop.initiator.report import Failure, Outcome, Report, summarize
from interop.initiator.session import Address, ClientPath
from interop.initiator.signatures import Signer

MAX_DATAGRAM = 65535


@dataclass(frozen=True, slots=True)
class Plan:
    """What the clients have in common.

    `inner` gives client number n the n-th address of a network that the server does not see, and so
    a NAT; without it a client tells its real address and port. `source_port` is the first client's,
    each client takes two in a row (towards 500 and towards 4500); 0 lets the kernel choose.
    """

    profile: Profile
    psk: bytes
    target: Address
    port: int
    floated_port: int
    make_dh: Callable[[int, Callable[[int], bytes]], DhKey]
    tolerated: frozenset[Cause] = frozenset()
    source: Address | None = None
    source_port: int = 0
    inner: IPv4Network | None = None
    quick_modes: int = 1
    signer: Signer | None = None
    """In place of the preshared key."""
    keep: bool = False
    """Leave the SAs to the server instead of deleting them."""
    stay: bool = False
    """Keep the SAs and the last socket until `Client.leave`, and answer the server."""


class Client:
    """One initiator and its sockets."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self._number = number
        self._sockets: dict[bool, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._over = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._quick_modes_left = plan.quick_modes
        self._main_mode: float | None = None
        self._quick_modes: list[float] = []
        self._failure: Failure | None = None
        self._sas: EspSas | None = None
        near = self._socket(floated=False)
        local_address, local_port = near.getsockname()[:2]
        if plan.inner is None:
            inner, inner_port = ip_address(local_address), local_port
        else:
            inner, inner_port = plan.inner[number + 1], 500
        self._engine = Initiator(
            plan.profile,
            plan.psk,
            ClientPath(inner, plan.target, inner_port, plan.port),
            os.urandom,
            tolerated=plan.tolerated,
            make_dh=plan.make_dh,
            signer=plan.signer,
        )

    async def run(self) -> Outcome:
        """Do Main Mode and the Quick Modes, one after the other."""
        begun = self._started = time.monotonic()
        try:
            self._carry_out(self._engine.start(begun))
            await self._over
        finally:
            if not self._plan.stay or self._failure is not None:
                self.leave()
        return Outcome(
            self._main_mode,
            tuple(self._quick_modes),
            self._failure,
            self._engine.findings,
            None if self._failure else self._started - begun,
        )

    async def rekey(self) -> Outcome:
        """Replace the ESP SAs of one that stays by a new Quick Mode."""
        old, self._started, self._over = self._sas, time.monotonic(), self._loop.create_future()
        before = len(self._quick_modes)
        self._carry_out(self._engine.quick_mode(self._started))
        await self._over
        if self._failure is None and old is not None:
            self._carry_out(self._engine.delete_esp(old.inbound_spi))
        return Outcome(None, tuple(self._quick_modes[before:]), self._failure, ())

    @property
    def lost(self) -> Failure | None:
        """Why one that stays has no SAs any more."""
        return self._failure

    def leave(self) -> None:
        """Vanish."""
        self._set_timer(None)
        for sock in self._sockets.values():
            self._close(sock)
        self._sockets.clear()

    def _advance(self) -> None:
        self._timer = None
        self._carry_out(self._engine.advance(time.monotonic()))

    def _set_timer(self, deadline: float | None) -> None:
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._advance)

    def _end(self) -> None:
        """All is done, or nothing can be done any more."""
        if not self._over.done():
            self._over.set_result(None)

    def _readable(self, sock: socket.socket, floated: bool) -> None:
        while floated in self._sockets:
            try:
                datagram = sock.recv(MAX_DATAGRAM)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                # The ICMP error of an earlier datagram; the timers decide what follows.
                continue
            self._carry_out(self._engine.receive(datagram, floated, time.monotonic()))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    self._send(datagram, floated)
                case Phase1Up():
                    self._main_mode = self._lap()
                    self._next()
                case EspSas():
                    self._sas = effect
                    self._quick_modes.append(self._lap())
                    self._next()
                case Failed(cause, detail):
                    self._failure = (cause, detail)
                    self._end()
                case Closed(by_server=True):
                    self._failure = (Cause.REFUSED, "the server deleted the ISAKMP SA")
                    self._end()
        self._set_timer(self._engine.next_deadline() if self._sockets else None)

    def _next(self) -> None:
        """Another Quick Mode, or the end."""
        if self._quick_modes_left:
            self._quick_modes_left -= 1
            self._carry_out(self._engine.quick_mode(time.monotonic()))
            return
        if not self._plan.keep and not self._plan.stay:
            self._carry_out(self._engine.close(time.monotonic()))
        self._end()

    def _lap(self) -> float:
        """The time since the start or since the last call."""
        now = time.monotonic()
        lap, self._started = now - self._started, now
        return lap

    def _send(self, datagram: bytes, floated: bool) -> None:
        # A full socket buffer and an earlier ICMP error are both losses like any other.
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            self._socket(floated).send(datagram)

    def _socket(self, floated: bool) -> socket.socket:
        if floated in self._sockets:
            return self._sockets[floated]
        plan = self._plan
        family = socket.AF_INET if plan.target.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        if plan.source is not None or plan.source_port:
            port = plan.source_port + 2 * self._number + floated if plan.source_port else 0
            sock.bind((str(plan.source or ""), port))
        sock.connect((str(plan.target), plan.floated_port if floated else plan.port))
        self._loop.add_reader(sock.fileno(), self._readable, sock, floated)
        self._sockets[floated] = sock
        if floated and plan.stay:
            # The server has followed, and of thousands that stay each is to take one file.
            self._close(self._sockets.pop(False))
        return sock

    def _close(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock.fileno())
        sock.close()


async def run(plan: Plan, count: int, concurrency: int) -> Report:
    """Run `count` clients, at most `concurrency` of them at a time."""
    numbers = iter(range(count))
    outcomes: list[Outcome] = []

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            outcomes.append(await Client(plan, number).run())  # noqa: PERF401

    elapsed, cpu = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(count, concurrency)):
            tasks.create_task(work(numbers))
    return summarize(outcomes, time.monotonic() - elapsed, time.process_time() - cpu)
