"""Many clients and one gateway over a network that loses, doubles, delays and reorders.

One process, one queue of events, a clock that is a number: a run depends on nothing but the fates
of its datagrams.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ikev1.core.clients import Child
from ikev1.core.effects import (
    AgreeDh,
    ChildDown,
    ChildUp,
    ClientDown,
    ComputeDh,
    Continued,
    GenerateDh,
    IkeSaUp,
    InstallInbound,
    InstallOutbound,
    Path,
)
from ikev1.core.exchange import Exchange
from ikev1.wire.enums import ExchangeType
from interop.initiator.effects import Closed, Phase1Up, Send
from interop.initiator.profiles import Profile
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_host import IkeHost

Fate = Callable[[], Sequence[float]]
"""The delays of the copies of the next datagram, in seconds; none is a loss."""

EVERY_QUESTION = (ComputeDh, GenerateDh, AgreeDh, InstallInbound, InstallOutbound)
TYPE = 18
"""Where the exchange type stands in a header."""


@dataclass
class NetworkClient:
    """One client: what it does, and what has become of it."""

    dialin: Dialin
    quick_modes: int = 1
    """How many it runs, one after the other."""
    closes: bool = False
    """Whether it says goodbye after them."""
    begun: int = 0
    """Quick Modes so far."""
    state: str = "dialling"
    """Then "up", or "closed", or "failed"."""
    line: list[bytes] = field(default_factory=list)
    """All that has been sent on its line, both ways."""
    _timer: float | None = None
    _seen: set[bytes] = field(default_factory=set)

    def is_repeated(self, datagram: bytes, floated: bool) -> bool:
        """Whether a message of Main Mode has come before: a client takes each of them once."""
        message = datagram[4:] if floated else datagram
        if message[TYPE] != ExchangeType.IDENTITY_PROTECTION:
            return False
        known = message in self._seen
        self._seen.add(message)
        return known


class Network:
    """The simulation."""

    def __init__(self, fate: Fate, host: IkeHost | None = None) -> None:
        self.host = host or IkeHost(hold=EVERY_QUESTION)
        self.clients: list[NetworkClient] = []
        self._fate = fate
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.host.now

    def add(
        self, profile: Profile, *, nat: bool = True, quick_modes: int = 1, closes: bool = False
    ) -> NetworkClient:
        """A client of its own; those behind a NAT are all behind the same one."""
        number = len(self.clients)
        if nat:
            dialin = Dialin.behind_nat(
                self.host,
                profile,
                inner=f"192.168.1.{number + 1}",
                ports=(1000 + number, 5000 + number),
                seed=f"client{number}",
            )
        else:
            dialin = Dialin(
                self.host, profile, inner=f"198.51.100.{number + 1}", seed=f"client{number}"
            )
        client = NetworkClient(dialin, quick_modes, closes)
        self.clients.append(client)
        return client

    def dial(self, client: NetworkClient, when: float = 0.0) -> None:
        """Let a client begin at a moment."""

        def start() -> None:
            self._of_client(client, client.dialin.note(client.dialin.initiator.start(self.now)))

        self.at(when, start)

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do something at a moment."""
        self._number += 1
        heapq.heappush(self._events, (when, self._number, action))

    def run(self, until: float) -> None:
        """Go on until a moment, and check after each step what must always be true."""
        self._watch_gateway()
        while self._events and self._events[0][0] <= until:
            when, _, action = heapq.heappop(self._events)
            self.host.now = max(self.host.now, when)
            action()
            check_always(self.host)
        self.host.now = until

    # --- datagrams -------------------------------------------------------------------------------

    def inject(self, datagram: bytes, path: Path) -> None:
        """Give the gateway a datagram, without the network's doing."""
        self._of_gateway(self.host.receive(datagram, path))

    def _of_client(self, client: NetworkClient, sends: list[Send]) -> None:
        """Carry what a client sends, and see to what it has told."""
        for send in sends:
            client.line.append(send.datagram)
            arrive = partial(self.inject, send.datagram, client.dialin.path(send.floated))
            for delay in self._fate():
                self.at(self.now + delay, arrive)
        self._follow(client)
        self._watch_client(client)

    def _of_gateway(self, sent: list[tuple[Path, bytes]]) -> None:
        """Carry what the gateway sends, and see to the answers it waits for."""
        for path, datagram in sent:
            for client in self.clients:
                if path == client.dialin.path(path.encapsulated):
                    client.line.append(datagram)
                    arrive = partial(self._arrive, client, datagram, path.encapsulated)
                    for delay in self._fate():
                        self.at(self.now + delay, arrive)
        while self.host.held:
            ticket, result = self.host.held.popleft()
            delays = self._fate() or (0.001,)
            self.at(self.now + delays[0], partial(self._answer, ticket, result))
        self._watch_gateway()

    def _arrive(self, client: NetworkClient, datagram: bytes, floated: bool) -> None:
        if not client.is_repeated(datagram, floated):
            self._of_client(client, client.dialin.take(datagram, floated))

    def _answer(self, ticket: int, result: object) -> None:
        self._of_gateway(self.host.give(ticket, result))

    # --- what a client does next -----------------------------------------------------------------

    def _follow(self, client: NetworkClient) -> None:
        """Take the client a step further, if it has come to one."""
        dialin = client.dialin
        if dialin.failures:
            client.state = "failed"
        elif dialin.told_of(Closed):
            client.state = "closed"
        elif client.state == "dialling" and dialin.told_of(Phase1Up):
            self._next(client)

    def _next(self, client: NetworkClient) -> None:
        dialin = client.dialin
        if len(dialin.sas) < client.begun:
            return
        if client.begun < client.quick_modes:
            client.begun += 1
            self._of_client(client, dialin.note(dialin.initiator.quick_mode(self.now)))
        elif client.closes:
            self._of_client(client, dialin.note(dialin.initiator.close(self.now)))
        else:
            client.state = "up"

    # --- timers ----------------------------------------------------------------------------------

    def _watch_client(self, client: NetworkClient) -> None:
        due = client.dialin.initiator.next_deadline()
        if due is None or due == client._timer:
            return
        client._timer = due

        def advance() -> None:
            client._timer = None
            dialin = client.dialin
            self._of_client(client, dialin.note(dialin.initiator.advance(self.now)))

        self.at(due, advance)

    def _watch_gateway(self) -> None:
        due = self.host.engine.next_deadline()
        if due is not None:
            self.at(due, lambda: self._of_gateway(self.host.advance(self.now)))


def check_agreed(client: NetworkClient) -> None:
    """Both sides have the client's last SAs, and the kernel uses them."""
    dialin = client.dialin
    child = dialin.child()
    assert agree(dialin.sas[-1], child)
    assert dialin.host.inbound[child.inbound_spi] == child
    assert dialin.host.outbound[child.inbound_spi] == child


def check_always(host: IkeHost) -> None:
    """What must be true of the engine and the kernel at every moment."""
    clients = list(host.engine.clients)
    children = {child.sa.inbound_spi: child.sa for client in clients for child in client.children}
    assert host.inbound.items() <= children.items(), "an inbound SA without an owner"
    for client in clients:
        assert client.phase1 or client.children, "an empty client"
        assert {child.sa.mark for child in client.children} <= {client.mark}
        for cookies in client.phase1:
            sa = host.engine._context.ike_sas[cookies]
            assert sa.established
            assert sa.client == client.id
        ours = [exchange for cookies in client.phase1 for exchange in quick_modes(host, cookies)]
        assert not (ours and host.engine._renewal.is_under_way(client)), "ours of both kinds"
        if not host.is_installing:
            outbound = [spi for spi, sa in host.outbound.items() if sa.mark == client.mark]
            carrying = [client.carrying.sa.inbound_spi] if client.carrying else []
            assert outbound == carrying, "other outbound SAs than the one in use"
            assert sum(child.outbound for child in client.children) == len(carrying)
            complete = [child for child in client.children if child.up]
            assert client.carrying in complete or not complete, "none carries"
            newer = complete[complete.index(client.carrying) + 1 :] if client.carrying else []
            assert all(is_to_carry(host, child) for child in newer), "an older one carries"
    marks = [client.mark for client in clients]
    assert len(set(marks)) == len(marks)
    assert {sa.mark for sa in host.outbound.values()} <= set(marks)
    ike_sas = host.engine._context.ike_sas.values()
    assert host.engine.half_open == sum(not sa.established for sa in ike_sas)
    assert sum(sa.established for sa in ike_sas) == sum(len(client.phase1) for client in clients)
    up = sum(child.up for client in clients for child in client.children)
    assert len(host.told_of(ChildUp)) - len(host.told_of(ChildDown)) == up
    begun = sum(event.replaces is None for event in host.told_of(IkeSaUp))
    ended = len(host.told_of(ClientDown)) + len(host.told_of(Continued))
    assert begun - ended == len(clients)


def quick_modes(host: IkeHost, cookies: bytes) -> list[Exchange]:
    """The Quick Modes of ours that are under way under a Phase 1 SA."""
    under_way = host.engine._context.ike_sas[cookies].under_way()
    return [exchange for exchange in under_way if exchange.renews is not None]


def is_to_carry(host: IkeHost, child: Child) -> bool:
    """Whether it is of a Quick Mode of ours, which goes on while the client gets ready."""
    cookies, message_id = child.quick_mode
    sa = host.engine._context.ike_sas.get(cookies)
    return sa is None or sa.exchanges[message_id].renews is not None


def check_forgotten(host: IkeHost) -> None:
    """Nothing of anybody is left anywhere."""
    engine = host.engine
    assert host.inbound == host.outbound == {}
    assert len(engine.clients) == 0
    assert engine._context.ike_sas == {}
    assert engine._phase1.half_open.is_empty()
    assert engine._runner._tickets == {}
    assert engine._rekeying._looks == {}
    assert engine.next_deadline() is None
