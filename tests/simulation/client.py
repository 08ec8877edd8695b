"""A client of the simulation: an IKE initiator, its ESP SAs, L2TP and PPP, and the user's data.

Both protocol halves are engines that the gateway's code had no hand in (`interop.initiator`,
`tests.support.l2tp_client`). What the client does when, and what it puts up with, is in
`behaviour.py`.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address

from ikev1.core.quirks import MS_INITIAL_CONTACT
from ikev1.wire.enums import ExchangeType, Flag, NotifyType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import parse_payloads
from ikev1.wire.payloads import Notification
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.effects import Closed, Effect, EspDeleted, EspSas, Failed, Phase1Up, Send
from interop.initiator.engine import Initiator
from interop.initiator.profiles import Profile
from interop.initiator.session import NON_ESP_MARKER, ClientPath
from interop.initiator.signatures import Signer
from tests.simulation.clock import VirtualLoop
from tests.simulation.network import GATEWAY, Link
from tests.simulation.packets import Esp, Inner, Packet
from tests.simulation.trace import Trace
from tests.support.l2tp_client import ClientProfile, L2tpClient, data

OFFICE = IPv4Address("192.168.1.77").packed
KEEPALIVE = b"\xff"
IP = b"\xff\x03\x00\x21"
ANSWER_WITHIN = 60.0
"""Seconds for a Main Mode of the gateway."""
TELL_AGAIN = 5.0
"""Seconds between two Deletes of an SA that the gateway goes on to use."""
_HINTS = (NotifyType.INVALID_COOKIE, NotifyType.INVALID_SPI)
REMEMBERED = 4096
"""Sequence numbers of an SA kept against repetition."""


@functools.cache
def _shared_key(group: int) -> DhKey:
    return dh_key(group, random.Random(group).randbytes)


def make_dh(group: int, _: Callable[[int], bytes]) -> DhKey:
    """One key pair for all clients: the exchanges differ by their nonces."""
    return _shared_key(group)


class MistakeError(AssertionError):
    """The gateway did what no client survives, or what it must never do."""


@dataclass(eq=False, slots=True)
class Phase1:
    """An ISAKMP SA of the client, from its first message on."""

    initiator: Initiator
    by_gateway: bool
    """Whether the gateway has begun it."""
    since: float
    """When that was, and once it is up, since when it is."""
    up: bool = False
    timer: asyncio.TimerHandle | None = None


@dataclass(eq=False, slots=True)
class Pair:
    """A pair of ESP SAs of the client."""

    sas: EspSas
    since: float
    encapsulated: bool
    sent: int = 0
    seen: set[int] = field(default_factory=set)

    @property
    def gateway_spi(self) -> int:
        """Of the SA towards the gateway."""
        return int.from_bytes(self.sas.outbound_spi)


@dataclass(frozen=True, slots=True)
class Kind:
    """Which device it is, and how it was set up."""

    ike: Profile
    l2tp: ClientProfile
    psk: bytes
    user: str
    password: str
    lets_server_rekey: bool = False
    """Whether it leaves new ESP SAs to the gateway, and takes them from it."""
    is_kept: bool = False
    """Whether the gateway refuses it while it is connected (`same_identity = "keep"`)."""
    signer: Signer | None = None
    """Its certificate, in place of the preshared key."""
    nap: float = 10.0
    """Seconds that it may sleep any time: less than the gateway's patience with it."""
    gone_within: float = 600.0
    """Seconds after which nothing is left of it when it has gone: dead peer detection
    (60 + 180), for those that do not know it LCP echo (90 + 3 * 90), and the time without a tunnel
    (60); other times where its connection has others."""


class Client:
    """One device. The hooks at the end are for whoever drives it."""

    def __init__(
        self, number: int, kind: Kind, loop: VirtualLoop, dice: random.Random, trace: Trace
    ) -> None:
        self.number = number
        self.kind = kind
        self.loop = loop
        self.dice = dice
        self.trace = trace
        self.link: Link | None = None
        self.inner = ""
        self.awake = True
        self.awake_since = 0.0
        self.phases: list[Phase1] = []
        """The newest last."""
        self.pairs: list[Pair] = []
        """The newest last: it is the one to send through."""
        self._deleted: dict[bytes, float] = {}
        """When it has told the gateway of SAs that it has no more, by its SPI."""
        self.l2tp: L2tpClient | None = None
        self.l2tp_port = 1701
        self.answered: set[int] = set()
        self._l2tp_timer: asyncio.TimerHandle | None = None

    def __str__(self) -> str:
        return f"client {self.number}"

    def note(self, what: str) -> None:
        """A line in the trace."""
        self.trace.note(str(self), what)

    # --- its line --------------------------------------------------------------------------------

    def connect(self, link: Link, address: str) -> None:
        """Be at an address, behind a NAT or not."""
        if self.link is not None:
            self.link.unplug(self.inner)
        self.link, self.inner = link, address
        link.plug(address, self)

    def keeps_alive(self, port: int) -> bool:
        """Whether keepalives go to a port of the gateway."""
        return self.awake and port == 4500 and any(pair.encapsulated for pair in self.pairs)

    def arrive(self, packet: Packet) -> None:
        """A packet for it."""
        if not self.awake:
            return
        if isinstance(packet.payload, Esp):
            self._esp(packet.payload)
        elif packet.payload != KEEPALIVE:
            message = packet.payload.removeprefix(NON_ESP_MARKER)
            if _is_hint(message):
                self.on_hint()
            if self.kind.lets_server_rekey and self.pairs:
                self._be_asked(message)
            for phase in tuple(self.phases):
                now = self.loop.time()
                receive = phase.initiator.receive
                self.told(phase, receive(packet.payload, packet.sport == 4500, now))

    def has_only_since(self, moment: float) -> bool:
        """Whether none of its SAs, if it has any, is older."""
        up = *(phase.since for phase in self.phases if phase.up), *(it.since for it in self.pairs)
        return all(since >= moment for since in up)

    def _transmit(self, payload: bytes | Esp, port: int) -> None:
        assert self.link is not None
        if not self.awake:
            return
        own = port and (4500 if port == 4500 else 500)
        self.link.up(Packet(self.inner, own, GATEWAY, port, payload), self)

    def holds(self, name: int | bytes) -> bool:
        """Whether it is awake and has an SA of this name: cookie pair, or SPI of the gateway."""
        return self.awake and (
            any(phase.initiator.cookies == name for phase in self.phases)
            or any(pair.gateway_spi == name for pair in self.pairs)
        )

    def fall_asleep(self) -> None:
        """Send nothing any more, and hear nothing; the NAT has heard of it until now."""
        self._keep_alive()
        self.awake = False

    def wake(self) -> None:
        """Be there again; a keepalive renews the mapping of a NAT, or finds it gone."""
        self._keep_alive()
        self.awake, self.awake_since = True, self.loop.time()

    def _keep_alive(self) -> None:
        assert self.link is not None
        if any(pair.encapsulated for pair in self.pairs):
            self.link.up(Packet(self.inner, 4500, GATEWAY, 4500, KEEPALIVE), self)

    # --- IKE -------------------------------------------------------------------------------------

    def _be_asked(self, message: bytes) -> None:
        """Have an answer to a Main Mode that the gateway begins."""
        header = parse_header(message)
        new = header.exchange_type == ExchangeType.IDENTITY_PROTECTION
        known = (phase.initiator.cookies[:8] for phase in self.phases)
        cookie = header.initiator_cookie
        if new and header.responder_cookie == bytes(8) and cookie not in known:
            phase = self._new_phase(begun_by_server=cookie)
            self.loop.call_later(ANSWER_WITHIN, self._drop_unless_up, phase)

    def _drop_unless_up(self, phase: Phase1) -> None:
        if not phase.up:
            self._drop_phase(phase)

    def main_mode(self) -> Phase1:
        """Begin a Phase 1."""
        phase = self._new_phase()
        self.told(phase, phase.initiator.start(self.loop.time()))
        return phase

    def _new_phase(self, begun_by_server: bytes = b"") -> Phase1:
        """Who has a Phase 1 does not say INITIAL-CONTACT, nor its vendor ID."""
        profile, known = self.kind.ike, self.usable
        if known is not None:
            named = tuple(data for data in profile.vendor_ids if data != MS_INITIAL_CONTACT)
            profile = replace(profile, vendor_ids=named)
        floated = any(pair.encapsulated for pair in self.pairs)
        port = 4500 if floated else 500
        path = ClientPath(
            ip_address(self.inner), ip_address(GATEWAY), port, port, l2tp_port=self.l2tp_port
        )
        random_octets = random.Random(self.dice.random()).randbytes
        initiator = Initiator(
            profile,
            self.kind.psk,
            path,
            random_octets,
            make_dh=make_dh,
            first_contact=known is None and not self.pairs,
            floated=floated,
            lets_server_rekey=self.kind.lets_server_rekey,
            signer=self.kind.signer,
            begun_by_server=begun_by_server,
        )
        phase = Phase1(initiator, bool(begun_by_server), self.loop.time())
        self.phases.append(phase)
        return phase

    def told(self, phase: Phase1, effects: Iterable[Effect]) -> None:
        """Do what an initiator wants."""
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    self._transmit(datagram, 4500 if floated else 500)
                case Phase1Up():
                    phase.up, phase.since = True, self.loop.time()
                    if phase.by_gateway:
                        self.trace.count("Phase 1 renewed by the gateway")
                    phase.initiator.adopt(pair.sas for pair in self.pairs)
                    self.on_phase1(phase)
                case EspSas():
                    pair = Pair(effect, self.loop.time(), phase.initiator.behind_nat)
                    self.pairs.append(pair)
                    self.on_pair(pair)
                case EspDeleted(spi):
                    self._esp_deleted(spi)
                case Closed(by_server=True):
                    self._drop_phase(phase)
                    self.on_closed(phase)
                case Failed(cause, detail):
                    self._drop_phase(phase)
                    self.on_failed(phase, str(cause), detail)
        self._set_ike_timer(phase)

    def _set_ike_timer(self, phase: Phase1) -> None:
        due = phase.initiator.next_deadline()
        if phase.timer is not None:
            if phase.timer.when() == due:
                return
            phase.timer.cancel()
            phase.timer = None
        if due is not None and phase in self.phases:
            phase.timer = self.loop.call_at(due, self._ike_timer, phase)

    def _ike_timer(self, phase: Phase1) -> None:
        phase.timer = None
        self.told(phase, phase.initiator.advance(self.loop.time()))

    def _drop_phase(self, phase: Phase1) -> None:
        if phase in self.phases:
            self.phases.remove(phase)
        if phase.timer is not None:
            phase.timer.cancel()
            phase.timer = None

    def _esp_deleted(self, spi: bytes) -> None:
        for pair in self.pairs:
            if pair.sas.outbound_spi == spi:
                self.pairs.remove(pair)
                self.on_pair_deleted(pair)
                return

    @property
    def usable(self) -> Phase1 | None:
        """The newest Phase 1 that is up."""
        return next((phase for phase in reversed(self.phases) if phase.up), None)

    def quick_mode(self) -> None:
        """Begin a Quick Mode in the newest Phase 1."""
        phase = self.usable
        if phase is not None:
            self.told(phase, phase.initiator.quick_mode(self.loop.time()))

    def delete_pair(self, pair: Pair, *, tell: int = 1) -> None:
        """Have a pair no more, and say so as often as `tell`."""
        if pair in self.pairs:
            self.pairs.remove(pair)
        phase = self.usable
        for _ in range(tell if phase else 0):
            assert phase is not None
            self._deleted[pair.sas.inbound_spi] = self.loop.time()
            self.told(phase, phase.initiator.delete_esp(pair.sas.inbound_spi))

    def _delete_again(self, spi: bytes) -> None:
        """The gateway uses an SA that it has been told to forget: docs/simulation.md, limits."""
        told, phase = self._deleted.get(spi), self.usable
        if told is not None and phase is not None and self.loop.time() > told + TELL_AGAIN:
            self._deleted[spi] = self.loop.time()
            self.told(phase, phase.initiator.delete_esp(spi))

    def delete_phase(self, phase: Phase1, *, tell: bool = True) -> None:
        """Have a Phase 1 no more."""
        if tell and phase.up:
            self.told(phase, phase.initiator.delete_isakmp())
        self._drop_phase(phase)

    def forget(self) -> None:
        """Have nothing any more, without a word: a crash, or no network for too long."""
        for phase in tuple(self.phases):
            self._drop_phase(phase)
        self.pairs.clear()
        self._deleted.clear()
        self._end_l2tp()

    # --- ESP -------------------------------------------------------------------------------------

    def _esp(self, esp: Esp) -> None:
        spi = esp.spi.to_bytes(4)
        pair = next((pair for pair in self.pairs if pair.sas.inbound_spi == spi), None)
        if pair is None or pair.sas.inbound_keys != esp.keys:
            self.trace.count("ESP that the client cannot open")
            self._delete_again(spi)
            return
        if esp.sequence in pair.seen:
            self.trace.count("ESP twice")
            return
        pair.seen.add(esp.sequence)
        if len(pair.seen) > REMEMBERED:
            pair.seen.remove(min(pair.seen))
        if esp.inner.dport == self.l2tp_port:
            self._l2tp_arrived(esp.inner.payload)

    def send_l2tp(self, datagrams: Iterable[bytes]) -> None:
        """Through the newest SA."""
        for payload in datagrams:
            if not self.pairs:
                return
            pair = self.pairs[-1]
            pair.sent += 1
            inner = Inner(self.l2tp_port, 1701, payload)
            esp = Esp(pair.gateway_spi, pair.sent, pair.sas.outbound_keys, inner)
            self._transmit(esp, 4500 if pair.encapsulated else 0)

    # --- L2TP and PPP ----------------------------------------------------------------------------

    def dial_l2tp(self) -> None:
        """Begin a tunnel."""
        self.l2tp = L2tpClient(
            self.kind.l2tp,
            self.kind.user.encode(),
            self.kind.password,
            random.Random(self.dice.random()).randbytes,
            tunnel_id=self.dice.randint(1, 0xFFFF),
            session_id=self.dice.randint(1, 0xFFFF),
        )
        self._l2tp_out(self.l2tp.start(self.loop.time()))

    def hang_up_l2tp(self) -> None:
        """Terminate-Request, CDN, StopCCN."""
        if self.l2tp is not None:
            self._l2tp_out(self.l2tp.hang_up(self.loop.time()))

    def ping(self, number: int) -> None:
        """Send a packet to the office; its answer will be in `answered`."""
        assert self.l2tp is not None
        payload = self.number.to_bytes(4) + number.to_bytes(8)
        header = b"\x45\0" + (20 + len(payload)).to_bytes(2) + bytes(5) + b"\x11" + bytes(2)
        packet = header + self.l2tp.address + OFFICE + payload
        l2tp = self.l2tp
        length = self.kind.l2tp.data_length_bit
        self.send_l2tp([data(l2tp.peer_tunnel, l2tp.peer_session, IP + packet, length=length)])

    def _l2tp_arrived(self, payload: bytes) -> None:
        if self.l2tp is None:
            return
        if not payload[0] & 0x80 and IP in payload[:16]:
            self._packet(payload.partition(IP)[2])
            return
        self._l2tp_out(self.l2tp.receive(payload, self.loop.time()))

    def _packet(self, packet: bytes) -> None:
        if packet[12:16] != OFFICE or packet[20:24] != self.number.to_bytes(4):
            raise MistakeError(f"{self} got a packet of another: {packet.hex()}")
        assert self.l2tp is not None
        if packet[16:20] == self.l2tp.address:
            self.answered.add(int.from_bytes(packet[24:32]))
            self.on_answer()

    def _l2tp_out(self, datagrams: Iterable[bytes]) -> None:
        self.send_l2tp(datagrams)
        l2tp = self.l2tp
        if l2tp is None:
            return
        self._set_l2tp_timer(l2tp)
        self.on_l2tp(l2tp)

    def _set_l2tp_timer(self, l2tp: L2tpClient) -> None:
        due = l2tp.deadline()
        if self._l2tp_timer is not None:
            if self._l2tp_timer.when() == due:
                return
            self._l2tp_timer.cancel()
            self._l2tp_timer = None
        if due is not None:
            self._l2tp_timer = self.loop.call_at(due, self._l2tp_due)

    def _l2tp_due(self) -> None:
        self._l2tp_timer = None
        if self.l2tp is not None:
            self._l2tp_out(self.l2tp.advance(self.loop.time()))

    def _end_l2tp(self) -> None:
        self.l2tp = None
        if self._l2tp_timer is not None:
            self._l2tp_timer.cancel()
            self._l2tp_timer = None

    # --- what the driver does about it -----------------------------------------------------------

    def on_phase1(self, phase: Phase1) -> None:
        """A Phase 1 is up."""

    def on_pair(self, pair: Pair) -> None:
        """A pair of ESP SAs is up."""

    def on_pair_deleted(self, pair: Pair) -> None:
        """The gateway has deleted it."""

    def on_closed(self, phase: Phase1) -> None:
        """The gateway has deleted it."""

    def on_failed(self, phase: Phase1, cause: str, detail: str) -> None:
        """An exchange has failed, and its Phase 1 with it."""

    def on_l2tp(self, l2tp: L2tpClient) -> None:
        """Something has happened in L2TP or PPP."""

    def on_hint(self) -> None:
        """Somebody, as the gateway it seems, knows nothing of one of its SAs."""

    def on_answer(self) -> None:
        """The office has answered."""


def _is_hint(datagram: bytes) -> bool:
    """Whether it is an INVALID-COOKIE or INVALID-SPI in clear."""
    header = parse_header(datagram)
    if header.exchange_type != ExchangeType.INFORMATIONAL or header.flags & Flag.ENCRYPTION:
        return False
    payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
    return any(item.notify_type in _HINTS for item in payloads.all(Notification))
