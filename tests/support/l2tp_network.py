"""An LNS with a host around it, clients, and a network between them, in simulated time."""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, TypeVar

from l2tp.core.effects import (
    Authenticate,
    CloseDataPath,
    DataPathFailed,
    DataPathOpened,
    Effect,
    OpenDataPath,
    Peer,
    Send,
    SendFrame,
)
from l2tp.core.lns import Lns
from l2tp.core.settings import HELLO_INTERVAL, PATIENCE, ClientSettings, LnsSettings
from l2tp.pool import AddressPool
from l2tp.ppp.settings import ECHO_FAILURES, ECHO_INTERVAL, EchoSettings, PppSettings
from l2tp.ppp.users import User, verify
from tests.support.l2tp_client import ClientProfile, L2tpClient, data

Kind = TypeVar("Kind")

LOCAL = IPv4Address("10.9.0.1")
DNS = (IPv4Address("10.0.0.53"), IPv4Address("10.0.0.54"))
USERS = {
    "alice": User("alice", "secret"),
    "bob": User("bob", "builder", IPv4Address("10.9.0.99")),
}


def make_settings(pool: str = "10.9.0.10-10.9.0.12", **lns: Any) -> LnsSettings:
    """LNS settings; keywords that PppSettings knows go there, and times to every client's."""
    echo = EchoSettings(
        lns.pop("echo_interval", ECHO_INTERVAL), lns.pop("echo_failures", ECHO_FAILURES)
    )
    client = ClientSettings(
        lns.pop("hello_interval", HELLO_INTERVAL), lns.pop("patience", PATIENCE), echo
    )
    names = PppSettings.__dataclass_fields__
    ppp_part = {key: lns.pop(key) for key in list(lns) if key in names}
    ppp_all: dict[str, Any] = {"local_address": LOCAL, "dns": DNS} | ppp_part
    ppp = PppSettings(**ppp_all)
    addresses = AddressPool([pool], [LOCAL, IPv4Address("10.9.0.99")])
    return LnsSettings(ppp=ppp, pool=addresses, of_client=lambda mark: client, **lns)


def peer(mark: int = 1, port: int = 1701) -> Peer:
    """A client's endpoint."""
    return Peer(mark, "192.0.2.1", "198.51.100.7", port)


@dataclass
class Path:
    """What the kernel would hold of a session."""

    peer: Peer
    peer_tunnel_id: int
    peer_session_id: int


@dataclass
class Gateway:
    """The LNS, its users and its data paths; ``events`` is all it ever said."""

    lns: Lns
    users: dict[str, User] = field(default_factory=lambda: dict(USERS))
    events: list[Effect] = field(default_factory=list)
    paths: dict[int, Path] = field(default_factory=dict)
    outbox: list[tuple[Peer, bytes]] = field(default_factory=list)
    failing_paths: bool = False
    in_user_space: bool = False
    """Where data paths are opened from now on."""

    def receive(self, datagram: bytes, sender: Peer, now: float) -> None:
        """Take a datagram, as the kernel would: data of an open path never reaches the socket."""
        flags = struct.unpack(">H", datagram[:2])[0] if len(datagram) >= 8 else 0x8000
        if not flags & 0x8000:
            offset = 4 if flags & 0x4000 else 2
            _, session = struct.unpack(">HH", datagram[offset : offset + 4])
            if session in self.paths and not self.in_user_space:
                frame = datagram[offset + 4 :].removeprefix(b"\xff\x03")
                self.carry_out(self.lns.frame_received(session, frame, now), now)
                return
        self.carry_out(self.lns.receive(datagram, sender, now), now)

    def carry_out(self, effects: Iterable[Effect], now: float) -> None:
        """Do what the LNS asks."""
        for effect in effects:
            self.events.append(effect)
            match effect:
                case Send():
                    self.outbox.append((effect.peer, effect.datagram))
                case Authenticate():
                    answer = verify(effect.request, self.users)
                    self.carry_out(self.lns.complete(effect.ticket, answer, now), now)
                case OpenDataPath():
                    self._open(effect, now)
                case SendFrame():
                    path = self.paths[effect.session_id]
                    frame = b"\xff\x03" + effect.frame
                    datagram = data(path.peer_tunnel_id, path.peer_session_id, frame, length=False)
                    self.outbox.append((path.peer, datagram))
                case CloseDataPath():
                    del self.paths[effect.session_id]

    def _open(self, effect: OpenDataPath, now: float) -> None:
        if self.failing_paths:
            answer: DataPathOpened | DataPathFailed = DataPathFailed("no kernel support")
        else:
            answer = DataPathOpened(in_user_space=self.in_user_space)
            self.paths[effect.session_id] = Path(
                effect.peer, effect.peer_tunnel_id, effect.peer_session_id
            )
        self.carry_out(self.lns.complete(effect.ticket, answer, now), now)

    def of_type(self, kind: type[Kind]) -> list[Kind]:
        """Events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


# What the network does to one datagram: the delays after which copies of it arrive.
Fate = Callable[[bytes], list[float]]


def perfect(datagram: bytes) -> list[float]:
    """Every datagram arrives once, at once."""
    return [0.001]


class Simulation:
    """Clients under one mark each, from 1 on, and the gateway, in simulated time."""

    def __init__(
        self, settings: LnsSettings | None = None, fate: Fate = perfect, seed: int = 1
    ) -> None:
        self.random = random.Random(seed).randbytes
        self.now = 0.0
        settings = settings or make_settings()
        self.pool = settings.pool
        self.gateway = Gateway(Lns(settings, self.random))
        self.clients: dict[int, L2tpClient] = {}
        self.fate = fate
        self._wire: list[tuple[float, int, int, bytes, bool]] = []
        self._count = 0

    @property
    def lns(self) -> Lns:
        """The engine."""
        return self.gateway.lns

    def dial(
        self,
        profile: ClientProfile | None = None,
        user: bytes = b"alice",
        password: str = "secret",
    ) -> L2tpClient:
        """Start a client."""
        mark = len(self.clients) + 1
        client = L2tpClient(profile or ClientProfile(), user, password, self.random)
        self.clients[mark] = client
        self.send_up(mark, client.start(self.now))
        return client

    def send_up(self, mark: int, datagrams: Iterable[bytes]) -> None:
        """Datagrams leave a client."""
        for datagram in datagrams:
            self._put(mark, datagram, upward=True)

    def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what an entry point of the engine returned."""
        self.gateway.carry_out(effects, self.now)
        self._send_down()

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, up to ``seconds`` or until something is true."""
        end = self.now + seconds
        while not until():
            due = self._next_due()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self._step()

    def dial_until_up(self, profile: ClientProfile | None = None, **login: Any) -> L2tpClient:
        """A client that is connected."""
        client = self.dial(profile, **login)
        self.run(30, lambda: client.state == "up")
        assert client.state == "up", client.failure
        self.run(0.1)
        return client

    def _next_due(self) -> float | None:
        times = [client.deadline() for client in self.clients.values()]
        times.append(self.lns.next_deadline())
        times.append(self._wire[0][0] if self._wire else None)
        return min((time for time in times if time is not None), default=None)

    def _step(self) -> None:
        if self._wire and self._wire[0][0] <= self.now:
            _, _, mark, datagram, upward = heapq.heappop(self._wire)
            if upward:
                self.gateway.receive(datagram, peer(mark), self.now)
            elif mark in self.clients:
                self.send_up(mark, self.clients[mark].receive(datagram, self.now))
        for mark, client in self.clients.items():
            due = client.deadline()
            if due is not None and due <= self.now:
                self.send_up(mark, client.advance(self.now))
        due = self.lns.next_deadline()
        if due is not None and due <= self.now:
            self.gateway.carry_out(self.lns.advance(self.now), self.now)
        self._send_down()

    def _send_down(self) -> None:
        sent, self.gateway.outbox = self.gateway.outbox, []
        for to, datagram in sent:
            self._put(to.mark, datagram, upward=False)

    def _put(self, mark: int, datagram: bytes, *, upward: bool) -> None:
        for delay in self.fate(datagram):
            self._count += 1
            entry = (self.now + delay, self._count, mark, datagram, upward)
            heapq.heappush(self._wire, entry)
