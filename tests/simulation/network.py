"""The internet, and the NATs before clients: what loses, delays, doubles and rewrites packets."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.simulation.clock import VirtualLoop
from tests.simulation.packets import Packet
from tests.simulation.trace import Trace

GATEWAY = "203.0.113.1"
FIRST_PORT, LAST_PORT = 1024, 65535
KEEPALIVE_INTERVAL = 20.0
"""Seconds between a client's keepalives."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What the network does to a packet: chances, and delays in seconds."""

    loss: float = 0.02
    doubled: float = 0.02
    straggler: float = 0.02
    """Comes long after those that were sent later."""
    delay: float = 0.02
    jitter: float = 0.02
    straggles: float = 1.5


FAIR = Weather(loss=0.0, doubled=0.0, straggler=0.0)
"""Everything arrives."""


class Host(Protocol):
    """Somebody with a line: a client."""

    def arrive(self, packet: Packet) -> None:
        """Take a packet."""

    def keeps_alive(self, port: int) -> bool:
        """Whether it sends keepalives to a port of the gateway."""


class Link(Protocol):
    """What a client or a NAT is connected to."""

    def up(self, packet: Packet, host: Host) -> None:
        """Take a packet for the gateway, which `host` has sent."""

    def plug(self, address: str, below: Host | Nat) -> None:
        """Connect somebody at an address."""

    def unplug(self, address: str) -> None:
        """The line is cut."""


class Internet:
    """Between the gateway and everybody. `to_gateway` takes what arrives there."""

    def __init__(self, loop: VirtualLoop, dice: random.Random, trace: Trace) -> None:
        self.weather = Weather()
        self.to_gateway: Callable[[Packet], None] = lambda packet: None
        self.packets = 0
        self._loop = loop
        self._dice = dice
        self._trace = trace
        self._plugged: dict[str, Host | Nat] = {}

    def plug(self, address: str, below: Host | Nat) -> None:
        """Connect a client or a NAT at a public address."""
        assert address not in self._plugged, f"{address} is somebody else's"
        self._plugged[address] = below

    def unplug(self, address: str) -> None:
        """Nobody is there any more."""
        del self._plugged[address]

    def up(self, packet: Packet, host: Host) -> None:
        """To the gateway."""
        for delay in self._fate():
            self._loop.call_later(delay, self.to_gateway, packet)

    def down(self, packet: Packet) -> None:
        """From the gateway; who is there is found out on arrival."""
        for delay in self._fate():
            self._loop.call_later(delay, self._arrive, packet)

    def _arrive(self, packet: Packet) -> None:
        below = self._plugged.get(packet.dst)
        if below is None:
            self._trace.count("nobody at that address")
        else:
            below.arrive(packet)

    def _fate(self) -> tuple[float, ...]:
        """The delays of the copies that arrive."""
        weather, dice = self.weather, self._dice
        self.packets += 1
        if dice.random() < weather.loss:
            self._trace.count("lost")
            return ()
        delay = weather.delay + dice.random() * weather.jitter
        if dice.random() < weather.straggler:
            delay += dice.random() * weather.straggles
        if dice.random() < weather.doubled:
            return (delay, delay + dice.random() * weather.straggles)
        return (delay,)


@dataclass(eq=False, slots=True)
class _Mapping:
    key: tuple[str, int, int]
    """The inside's address and port, and the gateway's port where the NAT keeps those apart."""
    port: int
    used: float
    host: Host
    to: int
    """The gateway's port."""


class Nat:
    """A masquerading router. Its outside is the internet or another NAT."""

    def __init__(
        self,
        loop: VirtualLoop,
        dice: random.Random,
        outside: Link,
        address: str,
        *,
        timeout: float,
        symmetric: bool,
        keeps_ports: bool,
    ) -> None:
        self.address = address
        self.outside = outside
        self.name = f"NAT {address}"
        self.cut = False
        """Whether nothing goes through for now."""
        self._loop = loop
        self._dice = dice
        self._timeout = timeout
        self._symmetric = symmetric
        self._keeps_ports = keeps_ports
        self._inside: dict[str, Host | Nat] = {}
        self._by_key: dict[tuple[str, int, int], _Mapping] = {}
        self._by_port: dict[int, _Mapping] = {}
        outside.plug(address, self)

    def plug(self, address: str, below: Host | Nat) -> None:
        """Connect a client or another NAT inside."""
        assert address not in self._inside, f"{address} is taken inside {self.name}"
        self._inside[address] = below

    def unplug(self, address: str) -> None:
        """The mappings stay until they time out."""
        del self._inside[address]

    def is_free(self, address: str) -> bool:
        """Whether nobody inside has this address."""
        return address not in self._inside

    def up(self, packet: Packet, host: Host) -> None:
        """Outwards. Bare ESP does not get through."""
        if self.cut or not packet.sport:
            return
        key = (packet.src, packet.sport, packet.dport if self._symmetric else 0)
        mapping = self._by_key.get(key)
        if mapping is not None and self._is_over(mapping):
            self._forget(mapping)
            mapping = None
        if mapping is None:
            port = self._free_port(packet.sport)
            mapping = _Mapping(key, port, 0.0, host, packet.dport)
            self._by_key[key] = self._by_port[port] = mapping
        mapping.used, mapping.host = self._loop.time(), host
        self.outside.up(packet._replace(src=self.address, sport=mapping.port), host)

    def arrive(self, packet: Packet) -> None:
        """Inwards."""
        mapping = self._by_port.get(packet.dport)
        if self.cut or mapping is None or self._is_over(mapping):
            return
        below = self._inside.get(mapping.key[0])
        if below is not None:
            below.arrive(packet._replace(dst=mapping.key[0], dport=mapping.key[1]))

    def reboot(self) -> None:
        """Every mapping is forgotten."""
        self._by_key.clear()
        self._by_port.clear()

    def move(self, address: str) -> None:
        """The provider gives it another address, in the middle of everything."""
        self.outside.unplug(self.address)
        self.address = address
        self.outside.plug(address, self)

    def _is_over(self, mapping: _Mapping) -> bool:
        now = self._loop.time()
        if mapping.host.keeps_alive(mapping.to):
            mapping.used = max(mapping.used, now - KEEPALIVE_INTERVAL)
        return now - mapping.used > self._timeout

    def _forget(self, mapping: _Mapping) -> None:
        del self._by_key[mapping.key]
        if self._by_port.get(mapping.port) is mapping:
            del self._by_port[mapping.port]

    def _free_port(self, wanted: int) -> int:
        if self._keeps_ports and self._is_free_port(wanted):
            return wanted
        while True:
            port = self._dice.randint(FIRST_PORT, LAST_PORT)
            if self._is_free_port(port):
                return port

    def _is_free_port(self, port: int) -> bool:
        mapping = self._by_port.get(port)
        if mapping is not None and self._is_over(mapping):
            self._forget(mapping)
            return True
        return mapping is None
