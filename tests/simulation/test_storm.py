"""A crowd that comes all at once to a gateway whose work takes time, as on a slow machine.

The engine and the clients' initiators are real. The clock is a number, and so is what each piece of
work costs the gateway, which does one at a time, in the order of an event loop with two sockets.
What has no turn yet waits in its socket, as in Linux, until that is full.
"""

from __future__ import annotations

import functools
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cli.ikev1d.udp import AT_ONCE
from ikev1.core.effects import ComputeDh, Path
from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import STRONGSWAN
from interop.initiator.derivation import dh_key
from interop.initiator.effects import Failed, Phase1Up, Send
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import GATEWAY, Dialin, Sent
from tests.support.ike_host import IkeHost, deterministic, settings

PROFILE = only(
    STRONGSWAN, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)
"""Repeats message 1 after 4, 7, 13, 23 and 42 s, and gives up after 165."""
SOCKET = 5000
"""Datagrams that a socket has room for."""
STEP = 0.2
"""The part of a Main Mode's work that each of its three messages takes; the rest is DH."""
GLANCE = 0.02
"""The same for a datagram that nothing follows from."""
BEGINNING = 1.0
"""Seconds within which all of them dial."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What a storm is like: times in seconds.

    `work` is what one Main Mode costs the gateway, `round_trip` what a client takes to answer.
    `forged` first messages a second come from addresses where nobody answers.
    """

    clients: int
    work: float
    round_trip: float = 0.1
    forged: float = 0.0


class Storm:
    """Clients and gateway; `up` and `failed` are the clients' ends, by when."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.host = IkeHost(settings(), hold=(ComputeDh,))
        self.up: list[float] = []
        self.failed: list[float] = []
        self.begun: set[bytes] = set()
        """Cookie pairs of the Main Modes with clients that exist."""
        self.worked = 0.0
        """Seconds of the gateway's work."""
        self._sockets: tuple[deque[tuple[bytes, Path]], ...] = (deque(), deque())
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        make_dh = functools.cache(dh_key)
        draw = deterministic("clients")
        self._clients: dict[str, Dialin] = {}
        (first,) = Dialin(self.host, PROFILE).initiator.start(0.0)
        assert isinstance(first, Send)
        self._message_1 = first.datagram
        for number in range(weather.clients):
            inner = f"10.1.{number >> 8}.{number & 255}"
            self._clients[inner] = Dialin(
                self.host,
                PROFILE,
                inner=inner,
                seed=inner,
                make_dh=lambda group, _: make_dh(group, draw),
            )

    def run(self, seconds: float) -> None:
        """Let it rage until all have come to an end, or for so long."""
        weather = self.weather
        for number, client in enumerate(self._clients.values()):
            self._at(BEGINNING * number / weather.clients, functools.partial(self._dial, client))
        for number in range(int(weather.forged * seconds)):
            self._at(number / weather.forged, functools.partial(self._forge, number))
        while self.host.now < seconds and len(self.up) + len(self.failed) < weather.clients:
            self._arrivals()
            if not self._turn():
                due = self.host.engine.next_deadline()
                times = [self._later[0][0]] if self._later else [seconds]
                self.host.now = max(self.host.now, min(times if due is None else [*times, due]))

    # --- the gateway -----------------------------------------------------------------------------

    def _turn(self) -> bool:
        """Go round the event loop once; whether there was anything to do."""
        worked, now = self.worked, self.host.now
        for socket in self._sockets:
            for _ in range(min(len(socket), AT_ONCE)):
                if self._serve(functools.partial(self.host.receive, *socket.popleft())):
                    break
        for _ in range(len(self.host.held)):
            self._spend(1 - 3 * STEP, self.host.answer())
        due = self.host.engine.next_deadline()
        if due is not None and due <= now:
            self._serve(functools.partial(self.host.advance, self.host.now))
        return self.worked > worked

    def _serve(self, action: Callable[[], Sent]) -> bool:
        """Do something; whether it was work."""
        asked = len(self.host.held)
        sent = action()
        work = bool(sent) or len(self.host.held) > asked
        self._spend(STEP if work else GLANCE, sent)
        return work

    def _spend(self, part: float, sent: Sent) -> None:
        """Work, at the end of which something is sent."""
        self.worked += part * self.weather.work
        self.host.now += part * self.weather.work
        for path, datagram in sent:
            client = self._clients.get(path.remote)
            if client is not None:
                if not path.encapsulated:
                    self.begun.add(datagram[:16])
                take = functools.partial(self._take, client, datagram, path.encapsulated)
                self._at(self.host.now + self.weather.round_trip, take)

    # --- everybody else --------------------------------------------------------------------------

    def _at(self, moment: float, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._later, (moment, self._number, action))

    def _arrivals(self) -> None:
        while self._later and self._later[0][0] <= self.host.now:
            heapq.heappop(self._later)[2]()

    def _dial(self, client: Dialin) -> None:
        self._go_on(client, client.note(client.initiator.start(self.host.now)))

    def _take(self, client: Dialin, datagram: bytes, floated: bool) -> None:
        before = len(client.told)
        self._go_on(client, client.take(datagram, floated))
        for event in client.told[before:]:
            if isinstance(event, Phase1Up):
                self.up.append(self.host.now)

    def _advance(self, client: Dialin) -> None:
        due = client.initiator.next_deadline()
        if due is not None and due <= self.host.now:
            self._go_on(client, client.note(client.initiator.advance(self.host.now)))
            if client.told_of(Failed):
                self.failed.append(self.host.now)

    def _go_on(self, client: Dialin, sends: list[Send]) -> None:
        for send in sends:
            self._arrive(send.datagram, client.path(send.floated))
        due = client.initiator.next_deadline()
        if sends and due is not None:
            self._at(due, functools.partial(self._advance, client))

    def _forge(self, number: int) -> None:
        """Message 1 of somebody else, under another cookie."""
        source = f"10.2.{number >> 8 & 255}.{number & 255}"
        path = Path(GATEWAY, 500, source, 1024 + (number >> 16))
        self._arrive((number + 1).to_bytes(8) + self._message_1[8:], path)

    def _arrive(self, datagram: bytes, path: Path) -> None:
        socket = self._sockets[path.encapsulated]
        if len(socket) < SOCKET:
            socket.append((datagram, path))


def rage(weather: Weather, seconds: float) -> Storm:
    """Let a storm rage."""
    storm = Storm(weather)
    storm.run(seconds)
    return storm


def test_on_a_slow_machine_all_get_in_and_none_in_vain() -> None:
    """Were all begun at once, each would take 40 s, and fail after 30."""
    storm = rage(Weather(clients=400, work=0.1), 165.0)
    assert len(storm.up) == len(storm.begun) == 400
    assert max(storm.up) < 1.5 * 400 * 0.1  # what they repeat while they wait is work too


def test_on_a_fast_machine_nobody_waits_for_anything_but_work() -> None:
    storm = rage(Weather(clients=500, work=0.003), 165.0)
    assert len(storm.up) == len(storm.begun) == 500
    assert max(storm.up) < 1.2 * 500 * 0.003


def test_a_crowd_that_is_slow_to_answer_is_not_taken_for_a_flood() -> None:
    storm = rage(Weather(clients=300, work=0.01, round_trip=5.0), 165.0)
    assert len(storm.up) == len(storm.begun) == 300
    assert "half-open-limit" not in storm.host.drops()


def test_a_flood_delays_a_crowd_and_keeps_nobody_out() -> None:
    """To answer all that is forged would take two thirds of the gateway's time."""
    storm = rage(Weather(clients=300, work=0.02, forged=160.0), 165.0)
    assert len(storm.up) == 300
