"""Emulated clients and the gateway's engines in memory, with real ESP between them.

The gateway here is its responder and its LNS with hosts around them, an in-memory kernel that opens
and seals ESP with the keys it was given, and an office that echoes. The clock is a number.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address, ip_address
from typing import Any, TypeVar

from ikev1.core.effects import ChildSa, ClientDown, Path, SessionsLost
from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop import ip
from interop.certificates import Identity
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
from interop.esp import EspSa
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.effects import EspSas, Send
from interop.initiator.session import ClientPath
from interop.ppp.login import Account
from l2tp.core.effects import DeliverPacket, Peer
from l2tp.core.lns import Lns
from tests.support.ike_host import PSK, IkeHost, deterministic
from tests.support.l2tp_network import Gateway as LnsHost
from tests.support.l2tp_network import make_settings

GATEWAY = "203.0.113.1"
PUBLIC = "198.51.100.7"
PRIVATE = "192.168.1.2"
NAT = "198.51.100.99"
OFFICE = IPv4Address("10.0.0.80")
DELAY = 0.01
"""Seconds that a datagram takes."""
EPHEMERAL_PORT = 51515

Kind = TypeVar("Kind")

_AUTH = {
    "hmac-md5-96": AuthAlgorithm.HMAC_MD5,
    "hmac-sha1-96": AuthAlgorithm.HMAC_SHA1,
    "hmac-sha2-256-128": AuthAlgorithm.HMAC_SHA2_256,
    "hmac-sha2-384-192": AuthAlgorithm.HMAC_SHA2_384,
    "hmac-sha2-512-256": AuthAlgorithm.HMAC_SHA2_512,
}


@dataclass
class Machine:
    """A client's machine: its engine, its SAs, and all that it was told."""

    client: Client
    engine: EmulatedClient
    nat: bool
    told: list[Effect] = field(default_factory=list)
    inbound: dict[bytes, EspSa] = field(default_factory=dict)
    outbound: list[tuple[EspSas, EspSa, bool]] = field(default_factory=list)
    line: list[tuple[bool, bytes]] = field(default_factory=list)
    """What it has sent over IKE: whether to port 4500, and the datagram."""

    def of(self, kind: type[Kind]) -> list[Kind]:
        """What it was told of a kind."""
        return [effect for effect in self.told if isinstance(effect, kind)]

    @property
    def complaints(self) -> list[Complaint]:
        """Why it stopped, and its remarks."""
        return [effect.complaint for effect in self.told if isinstance(effect, Stopped | Remark)]

    @property
    def address(self) -> IPv4Address | None:
        """Its inner address, once it has one."""
        ups = self.of(Up)
        return ups[-1].address if ups else None


class DialledGateway:
    """One gateway and the clients that dial it."""

    def __init__(self, host: IkeHost | None = None, **lns: Any) -> None:
        self.now = 0.0
        self.host = host or IkeHost()
        settings = make_settings(**lns)
        self.lns = LnsHost(Lns(settings, deterministic("lns")), in_user_space=True)
        self.machines: list[Machine] = []
        self.to_client: Callable[[bytes], bytes | None] = lambda datagram: datagram
        """What becomes of the gateway's L2TP datagrams, inside ESP; None is a loss."""
        self.ike_to_client: Callable[[bytes], bytes | None] = lambda datagram: datagram
        """What becomes of the gateway's IKE datagrams; None is a loss."""
        self.chosen: Callable[[list[ChildSa]], ChildSa] = lambda children: children[-1]
        """Under which of a client's SAs, in the order in which they were made, the kernel sends."""
        self.loses: Callable[[], bool] = lambda: False
        """Whether the network loses the next datagram."""
        self.installed: Callable[[ChildSa], ChildSa] = lambda child: child
        """What the kernel makes of an SA that it is given."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._delivered = 0
        self._cleared = 0
        self._added = 0
        self._sequences: dict[int, EspSa] = {}

    # --- clients ---------------------------------------------------------------------------------

    def add(
        self,
        client: Client,
        *,
        nat: bool = True,
        user: str = "alice",
        password: str = "secret",
        psk: bytes = PSK,
        before: Life | None = None,
        certificate: Identity | None = None,
        dialled: str = "",
        lets_server_rekey: bool = False,
        make_dh: Callable[[int, Callable[[int], bytes]], DhKey] = dh_key,
    ) -> Machine:
        """A client's machine; behind a NAT all have the private address that homes have."""
        self._added += 1
        inner = ip_address(PRIVATE if nat else PUBLIC)
        port = client.l2tp.profile.port or EPHEMERAL_PORT
        engine = EmulatedClient(
            client,
            Secrets(psk, Account(user, password), certificate),
            ClientPath(inner, ip_address(GATEWAY), l2tp_port=port),
            deterministic(f"{client.name}/{self._added}"),
            make_dh=make_dh,
            before=before,
            dialled=dialled,
            lets_server_rekey=lets_server_rekey,
        )
        machine = Machine(client, engine, nat)
        self.machines.append(machine)
        return machine

    def dial(self, client: Client, **how: Any) -> Machine:
        """A client that has dialled, and is connected or has given up."""
        machine = self.add(client, **how)
        self.do(machine, machine.engine.dial(self.now))
        self.run(120.0, lambda: bool(machine.of(Up) or machine.of(Stopped)))
        self.run(0.5)
        return machine

    def hang_up(self, machine: Machine) -> None:
        """Let a client hang up, and see it through."""
        self.do(machine, machine.engine.hang_up(self.now))
        self.run(20.0, lambda: bool(machine.of(Down)))
        self.run(0.5)

    def vanish(self, machine: Machine) -> Life:
        """Switch a client's machine off."""
        self.machines.remove(machine)
        return machine.engine.life

    def ping(self, machine: Machine, data: bytes) -> bool:
        """Whether the office echoes through the link, octet by octet."""
        assert machine.address is not None
        before = len(machine.of(Packet))
        packet = ip.echo_request(machine.address, OFFICE, 1, data)
        self.do(machine, machine.engine.send_packet(packet))
        self.run(1.0, lambda: len(machine.of(Packet)) > before)
        received = [ip.parse(effect.packet) for effect in machine.of(Packet)[before:]]
        return [ip.echoed(answer) for answer in received if answer] == [data]

    # --- time ------------------------------------------------------------------------------------

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, up to `seconds` or until something is true."""
        end = self.now + seconds
        while not until():
            due = self._next_due()
            if due is None or due > end:
                self._set(end)
                return
            self._set(max(self.now, due))
            self._step()

    def _next_due(self) -> float | None:
        times = [machine.engine.next_deadline() for machine in self.machines]
        times += [self.host.engine.next_deadline(), self.lns.lns.next_deadline()]
        times.append(self._events[0][0] if self._events else None)
        return min((time for time in times if time is not None), default=None)

    def _set(self, now: float) -> None:
        self.now = self.host.now = now

    def _step(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()
        for machine in tuple(self.machines):
            due = machine.engine.next_deadline()
            if due is not None and due <= self.now:
                self.do(machine, machine.engine.advance(self.now))
        self._of_host(self.host.advance(self.now))
        due = self.lns.lns.next_deadline()
        if due is not None and due <= self.now:
            self.lns.carry_out(self.lns.lns.advance(self.now), self.now)
        self._of_lns()

    def _later(self, action: Callable[[], None]) -> None:
        """Let a datagram arrive, unless the network loses it."""
        if self.loses():
            return
        self._count += 1
        heapq.heappush(self._events, (self.now + DELAY, self._count, action))

    # --- from a client ---------------------------------------------------------------------------

    def do(self, machine: Machine, effects: Iterable[Effect]) -> None:
        """Carry out what a client's engine asks for."""
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    machine.line.append((floated, datagram))
                    path = self._path(machine, floated)
                    self._later(partial(self._ike_reaches_host, datagram, path))
                case SendL2tp():
                    self._send_esp(machine, effect)
                    continue
                case InstallSas(sas, encapsulated):
                    self._install(machine, sas, encapsulated=encapsulated)
                case RemoveSas(sas):
                    machine.inbound.pop(sas.inbound_spi, None)
                    machine.outbound = [entry for entry in machine.outbound if entry[0] != sas]
                case _:
                    pass
            machine.told.append(effect)

    def _install(self, machine: Machine, sas: EspSas, *, encapsulated: bool) -> None:
        assert sas.auth is not None
        random = deterministic(f"iv {sas.inbound_spi.hex()}")
        inbound = EspSa(sas.inbound_spi, sas.transform, sas.auth, sas.inbound_keys, random)
        outbound = EspSa(sas.outbound_spi, sas.transform, sas.auth, sas.outbound_keys, random)
        machine.inbound[sas.inbound_spi] = inbound
        machine.outbound.append((sas, outbound, encapsulated))

    def _send_esp(self, machine: Machine, send: SendL2tp) -> None:
        if not machine.outbound:
            return
        _, sa, encapsulated = machine.outbound[-1]
        port = machine.engine.path.l2tp_port
        packet = sa.seal(ip.udp_datagram(port, send.port, send.datagram), ip.UDP)
        # A NAT lets ESP through in UDP alone.
        if encapsulated or not machine.nat:
            path = self._path(machine, encapsulated)
            self._later(partial(self._esp_arrives, packet, path))

    def _path(self, machine: Machine, floated: bool) -> Path:
        number = self.machines.index(machine) if machine in self.machines else 0
        port = 4500 if floated else 500
        if not machine.nat:
            return Path(GATEWAY, port, PUBLIC, port, floated)
        return Path(GATEWAY, port, NAT, 10000 + 1000 * floated + number, floated)

    # --- the gateway's kernel --------------------------------------------------------------------

    def _esp_arrives(self, packet: bytes, path: Path) -> None:
        child = self.host.inbound.get(int.from_bytes(packet[:4]))
        if child is None or child.encapsulated != path.encapsulated:
            return
        child = self.installed(child)
        keys = child.inbound_encryption_key + child.inbound_integrity_key
        opened = _sa(child, child.inbound_spi, keys).open(packet)
        fields = ip.udp_fields(opened[0]) if opened and opened[1] == ip.UDP else None
        if fields is None or fields[1] != 1701 or child.client_port not in (0, fields[0]):
            return
        sender = Peer(child.mark, GATEWAY, path.remote, fields[0])
        self.host.received[child.mark] = self.host.received.get(child.mark, 0) + len(packet)
        self.lns.receive(fields[2], sender, self.now)
        self._of_lns()

    def _ike_reaches_host(self, datagram: bytes, path: Path) -> None:
        self._of_host(self.host.receive(datagram, path))

    def _of_host(self, sent: list[tuple[Path, bytes]]) -> None:
        for path, datagram in sent:
            self._later(partial(self._ike_reaches_client, path, datagram))
        new, self._cleared = self.host.told[self._cleared :], len(self.host.told)
        for event in new:
            if isinstance(event, ClientDown | SessionsLost):
                self.lns.carry_out(self.lns.lns.client_gone(event.mark, self.now, "gone"), self.now)
        self._of_lns()

    def _ike_reaches_client(self, path: Path, datagram: bytes) -> None:
        for machine in tuple(self.machines):
            if self._path(machine, path.encapsulated) == path:
                arriving = self.ike_to_client(datagram)
                if arriving is None:
                    continue
                effects = machine.engine.receive_ike(arriving, path.encapsulated, self.now)
                self.do(machine, effects)

    def _of_lns(self) -> None:
        self._office()
        sent, self.lns.outbox = self.lns.outbox, []
        for peer, datagram in sent:
            children = [sa for sa in self.host.outbound.values() if sa.mark == peer.mark]
            if not children:
                continue
            changed = self.to_client(datagram)
            if changed is None:
                continue
            child = self.installed(self.chosen(children))
            keys = child.outbound_encryption_key + child.outbound_integrity_key
            sa = self._sequences.setdefault(
                child.outbound_spi, _sa(child, child.outbound_spi, keys)
            )
            body = ip.udp_datagram(1701, peer.port, changed)
            packet = sa.seal(body, ip.UDP)
            self._later(partial(self._esp_reaches_client, packet, child))

    def _esp_reaches_client(self, packet: bytes, child: ChildSa) -> None:
        for machine in tuple(self.machines):
            if self._path(machine, child.encapsulated) != child.path and machine.nat:
                continue
            sa = machine.inbound.get(packet[:4])
            opened = None if sa is None else sa.open(packet)
            fields = None if opened is None else ip.udp_fields(opened[0])
            if fields is None:
                effects = machine.engine.esp_not_opened(packet[:4], self.now)
            else:
                effects = machine.engine.receive_l2tp(fields[2], fields[0], self.now)
            self.do(machine, effects)

    def _office(self) -> None:
        """Answer the pings that have come through."""
        new, self._delivered = self.lns.events[self._delivered :], len(self.lns.events)
        for event in new:
            if not isinstance(event, DeliverPacket):
                continue
            packet = ip.parse(event.packet)
            reply = None if packet is None else ip.echo_reply(packet)
            if reply is not None and packet is not None and packet.destination == OFFICE:
                answers = self.lns.lns.packet_sent(event.session_id, reply)
                self.lns.carry_out(answers, self.now)


def _sa(child: ChildSa, spi: int, keys: bytes) -> EspSa:
    assert child.suite.integrity is not None
    transform = EspTransform.TRIPLE_DES if "des" in child.suite.encryption else EspTransform.AES_CBC
    auth = _AUTH[child.suite.integrity]
    return EspSa(spi.to_bytes(4), transform, auth, keys, deterministic(f"gateway iv {spi}"))


def rekeyed(machine: Machine, phase: int) -> int:
    """How often a client has rekeyed a phase."""
    return sum(effect.phase == phase for effect in machine.of(Rekeyed))
