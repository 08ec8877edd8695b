"""The client's end of a PPP link: LCP, the login, IPCP, then IP packets. Sans-IO."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from interop import ip
from interop.findings import BrokenRuleError, Finding, Rule
from interop.ppp import dhcp
from interop.ppp.login import AUTHENTICATION, Account, Authenticator
from interop.ppp.negotiation import Negotiation, Verdict
from interop.ppp.others import Others
from interop.ppp.profiles import Login, PppProfile
from l2tp.errors import ProtocolError
from l2tp.wire.enums import Code, IpcpOption, LcpOption, Protocol
from l2tp.wire.ppp import (
    ControlPacket,
    Frame,
    Option,
    build_frame,
    build_packet,
    ip_packet,
    parse_frame,
    parse_packet,
)

TERMINATE_LIMIT = 3.0
"""Seconds for the Terminate-Ack; pppd's lcp-restart."""

_MAGIC_SIZE = 4
_NO_ADDRESS = bytes(4)
_LCP_TAKES = frozenset(
    (LcpOption.MRU, LcpOption.ACCM, LcpOption.MAGIC, LcpOption.PFC, LcpOption.ACFC)
)
_NAME_SERVERS = (IpcpOption.PRIMARY_DNS, IpcpOption.SECONDARY_DNS)
_CONFIGURE = range(Code.CONFIGURE_REQUEST, Code.CONFIGURE_REJECT + 1)


class Phase(enum.Enum):
    """RFC 1661 section 3.2."""

    DEAD = "dead"
    ESTABLISH = "LCP"
    AUTHENTICATE = "login"
    NETWORK = "IPCP"
    UP = "up"
    TERMINATE = "terminate"


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send a PPP frame."""

    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkUp:
    """IPCP is open."""

    address: IPv4Address
    server: IPv4Address | None
    dns: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class PacketReceived:
    """An IPv4 packet for this client."""

    packet: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link has ended; `by_server` with what it told."""

    by_server: str = ""


Effect = SendFrame | LinkUp | PacketReceived | LinkDown | Finding


class PppPeer:
    """One link."""

    def __init__(
        self, profile: PppProfile, account: Account, random: Callable[[int], bytes]
    ) -> None:
        self.phase = Phase.DEAD
        self._profile = profile
        self._magic = random(_MAGIC_SIZE)
        wanted = tuple(
            Option(option.type, self._magic) if option.type == LcpOption.MAGIC else option
            for option in profile.lcp
        )
        self._lcp = Negotiation(
            Protocol.LCP, wanted, self._judge_lcp, profile.restart, profile.first_identifier
        )
        self._ipcp = Negotiation(Protocol.IPCP, profile.ipcp, _judge_ipcp, profile.restart)
        self._others = Others(profile.asks_for, profile.restart)
        self._login: Login | None = None
        self._authenticator = Authenticator(account, random)
        self._address: IPv4Address | None = None
        self._identified = False
        self._identifier = 100
        self._echo_at: float | None = None
        self._echoes = 0
        self._terminate_at: float | None = None
        self._inform_at: float | None = None
        self._informs = 0

    def start(self, now: float) -> list[Effect]:
        """Begin LCP."""
        self.phase = Phase.ESTABLISH
        return [self._send(Protocol.LCP, self._lcp.request(now))]

    def send_packet(self, packet: bytes) -> list[Effect]:
        """Send an IPv4 packet; nothing while the link is not up."""
        if self.phase is not Phase.UP:
            return []
        return [self._frame(Protocol.IP, packet)]

    def hang_up(self, now: float) -> list[Effect]:
        """Send a Terminate-Request, if this client does, and wait for its answer."""
        if self.phase in (Phase.DEAD, Phase.TERMINATE):
            return []
        if not self._profile.terminates:
            return self._end()
        self._quiet()
        self.phase = Phase.TERMINATE
        self._terminate_at = now + TERMINATE_LIMIT
        return [self._send(Protocol.LCP, ControlPacket(Code.TERMINATE_REQUEST, self._next()))]

    def receive(self, octets: bytes, now: float) -> list[Effect]:
        """Take a frame."""
        if self.phase is Phase.DEAD:
            return []
        packet = ip_packet(octets)
        if packet is not None:
            return self._packet(packet)
        try:
            frame = parse_frame(octets)
            return self._dispatch(frame, now)
        except ProtocolError as error:
            return [Finding(Rule.MALFORMED, str(error), fatal=False)]
        except BrokenRuleError as error:
            return [*self._end(), error.finding]

    def advance(self, now: float) -> list[Effect]:
        """Repeat, send an echo, or give up."""
        effects: list[Effect] = []
        if self._terminate_at is not None and now >= self._terminate_at:
            return self._end()
        try:
            for negotiation in (self._lcp, self._ipcp):
                packet = negotiation.advance(now)
                if packet is not None:
                    effects.append(self._send(negotiation.protocol, packet))
            effects += [
                self._send(Protocol.PAP, packet) for packet in self._authenticator.advance(now)
            ]
        except BrokenRuleError as error:
            return [*effects, *self._end(), error.finding]
        effects += [
            it if isinstance(it, Finding) else self._send(*it) for it in self._others.advance(now)
        ]
        if self._echo_at is not None and now >= self._echo_at:
            effects += self._echo(now)
        if self._inform_at is not None and now >= self._inform_at:
            effects += self._inform(now)
        return effects

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        times = (
            self._lcp.resend_at,
            self._ipcp.resend_at,
            self._authenticator.resend_at,
            self._others.resend_at,
            self._echo_at,
            self._terminate_at,
            self._inform_at,
        )
        return min((time for time in times if time is not None), default=None)

    # --- frames ----------------------------------------------------------------------------------

    def _dispatch(self, frame: Frame, now: float) -> list[Effect]:
        if frame.protocol == Protocol.LCP:
            return self._receive_lcp(parse_packet(frame.information), now)
        if self.phase is Phase.TERMINATE:
            return []
        if self.phase is Phase.ESTABLISH:
            return [Finding(Rule.TOO_EARLY, f"{frame.protocol} before LCP is open", fatal=False)]
        if frame.protocol in (Protocol.PAP, Protocol.CHAP):
            return self._receive_login(frame.protocol, parse_packet(frame.information), now)
        if self.phase is Phase.AUTHENTICATE:
            return [Finding(Rule.TOO_EARLY, f"{frame.protocol} before the login", fatal=False)]
        if frame.protocol == Protocol.IPCP:
            return self._receive_ipcp(parse_packet(frame.information), now)
        if frame.protocol in self._others:
            answers = self._others.receive(frame.protocol, parse_packet(frame.information))
            return [self._send(*answer) for answer in answers]
        body = frame.protocol.to_bytes(2) + frame.information
        return [self._send(Protocol.LCP, ControlPacket(Code.PROTOCOL_REJECT, self._next(), body))]

    def _receive_lcp(self, packet: ControlPacket, now: float) -> list[Effect]:
        code = packet.code
        if code in _CONFIGURE:
            if self.phase is Phase.TERMINATE:
                return []
            was_open = self._lcp.is_open
            answers = self._lcp.receive(packet, now)
            effects = [self._send(Protocol.LCP, answer) for answer in answers]
            return [*effects, *self._lcp_changed(was_open, now)]
        if code == Code.TERMINATE_REQUEST:
            reply = self._send(Protocol.LCP, ControlPacket(Code.TERMINATE_ACK, packet.identifier))
            if self.phase is Phase.TERMINATE:
                return [reply]
            return [reply, *self._end(packet.data.decode(errors="replace") or "Terminate-Request")]
        if code == Code.TERMINATE_ACK:
            return self._end() if self.phase is Phase.TERMINATE else []
        if code == Code.CODE_REJECT:
            return [Finding(Rule.CODE_REJECT, f"of code {packet.data[:1].hex()}", fatal=False)]
        if code == Code.PROTOCOL_REJECT:
            if packet.data[:2] == Protocol.IPCP.to_bytes(2):
                raise BrokenRuleError(Rule.TERMINATED, "IPCP is rejected")
            self._others.rejected(int.from_bytes(packet.data[:2]))
            return []
        if code == Code.ECHO_REQUEST and self._lcp.is_open:
            reply_packet = ControlPacket(
                Code.ECHO_REPLY, packet.identifier, self._magic + packet.data[_MAGIC_SIZE:]
            )
            return [self._send(Protocol.LCP, reply_packet)]
        if code == Code.ECHO_REPLY:
            self._echoes = 0
        return []

    def _lcp_changed(self, was_open: bool, now: float) -> list[Effect]:
        if was_open and not self._lcp.is_open:
            self._ipcp.stop()
            self._others.stop()
            self._ipcp.acknowledged = self._ipcp.agreed = False
            self.phase = Phase.ESTABLISH
        if was_open or not self._lcp.is_open:
            return []
        self.phase = Phase.AUTHENTICATE
        if self._profile.echo is not None:
            self._echo_at = now + self._profile.echo
        if self._login is None:
            return self._network(now)
        packets = self._authenticator.begin(self._login, now)
        return [self._send(Protocol.PAP, packet) for packet in packets]

    def _judge_lcp(self, option: Option) -> Verdict | Option:
        if option.type != LcpOption.AUTHENTICATION:
            return Verdict.TAKE if option.type in _LCP_TAKES else Verdict.REJECT
        for login in self._profile.logins:
            if option == AUTHENTICATION[login]:
                self._login = login
                return Verdict.TAKE
        return AUTHENTICATION[self._profile.logins[0]]

    def _receive_login(self, protocol: Protocol, packet: ControlPacket, now: float) -> list[Effect]:
        was_done = self._authenticator.done
        if protocol == Protocol.PAP:
            answers = self._authenticator.pap(packet)
        else:
            answers = self._authenticator.chap(packet)
        effects: list[Effect] = []
        if answers and not self._identified:
            self._identified = True
            effects += self._identify()
        effects += [self._send(protocol, answer) for answer in answers]
        if self._authenticator.done and not was_done:
            effects += self._network(now)
        return effects

    def _identify(self) -> list[Effect]:
        """RFC 1570 section 2.1."""
        return [
            self._send(
                Protocol.LCP,
                ControlPacket(Code.IDENTIFICATION, self._next(), self._magic + message),
            )
            for message in self._profile.identifications
        ]

    def _network(self, now: float) -> list[Effect]:
        self.phase = Phase.NETWORK
        ipcp = self._send(Protocol.IPCP, self._ipcp.request(now))
        others = [self._send(*asked) for asked in self._others.begin(now)]
        return [*others, ipcp] if self._profile.ipcp_last else [ipcp, *others]

    def _receive_ipcp(self, packet: ControlPacket, now: float) -> list[Effect]:
        if packet.code == Code.TERMINATE_REQUEST:
            answer = ControlPacket(Code.TERMINATE_ACK, packet.identifier)
            return [self._send(Protocol.IPCP, answer), *self._end("IPCP Terminate-Request")]
        if packet.code not in _CONFIGURE:
            return []
        was_open = self._ipcp.is_open
        answers = self._ipcp.receive(packet, now)
        effects: list[Effect] = [self._send(Protocol.IPCP, answer) for answer in answers]
        if self._ipcp.is_open and not was_open:
            effects += self._up(now)
        return effects

    def _up(self, now: float) -> list[Effect]:
        ours = {option.type: option.value for option in self._ipcp.wanted}
        address = ours.get(IpcpOption.ADDRESS, _NO_ADDRESS)
        if address == _NO_ADDRESS:
            raise BrokenRuleError(Rule.NO_ADDRESS, "the server gave none")
        self.phase = Phase.UP
        self._address = IPv4Address(address)
        if self._profile.dhcpinform is not None and not self._informs:
            self._inform_at = now
        theirs = {option.type: option.value for option in self._ipcp.server_options}
        server = theirs.get(IpcpOption.ADDRESS)
        wanted = any(option.type in _NAME_SERVERS for option in self._profile.ipcp)
        named = [value for kind in _NAME_SERVERS if (value := ours.get(kind, b"")).strip(b"\0")]
        up = LinkUp(
            self._address,
            None if server is None else IPv4Address(server),
            tuple(IPv4Address(value) for value in named),
        )
        if wanted and not named:
            return [Finding(Rule.NO_NAME_SERVERS, "it asks for some", fatal=False), up]
        return [up]

    def _packet(self, packet: bytes) -> list[Effect]:
        if self.phase is not Phase.UP:
            return []
        if self._inform_at is not None:
            parsed = ip.parse(packet)
            fields = ip.udp_fields(parsed.payload) if parsed and parsed.protocol == ip.UDP else None
            ports = (dhcp.SERVER_PORT, dhcp.CLIENT_PORT)
            if fields and fields[:2] == ports and dhcp.acknowledged(fields[2]):
                self._inform_at = None
        return [PacketReceived(packet)]

    # --- timers ----------------------------------------------------------------------------------

    def _echo(self, now: float) -> list[Effect]:
        assert self._profile.echo is not None  # there is a time for it
        if self._echoes >= self._profile.echo_failures:
            finding = Finding(Rule.ECHO, f"{self._echoes} LCP echoes without an answer")
            return [*self._end(), finding]
        self._echoes += 1
        self._echo_at = now + self._profile.echo
        return [
            self._send(Protocol.LCP, ControlPacket(Code.ECHO_REQUEST, self._next(), self._magic))
        ]

    def _inform(self, now: float) -> list[Effect]:
        profile = self._profile.dhcpinform
        assert profile is not None  # there is a time for it
        assert self._address is not None
        self._informs += 1
        self._inform_at = now + profile.interval if self._informs < profile.tries else None
        return self.send_packet(dhcp.inform(profile, self._address, self._informs))

    def _quiet(self) -> None:
        self._lcp.stop()
        self._ipcp.stop()
        self._others.stop()
        self._authenticator.stop()
        self._echo_at = self._terminate_at = self._inform_at = None

    def _end(self, told: str = "") -> list[Effect]:
        self._quiet()
        self.phase = Phase.DEAD
        return [LinkDown(told)]

    def _next(self) -> int:
        self._identifier = (self._identifier + 1) % 256
        return self._identifier

    def _send(self, protocol: Protocol, packet: ControlPacket) -> SendFrame:
        return self._frame(protocol, build_packet(packet))

    def _frame(self, protocol: Protocol, information: bytes) -> SendFrame:
        return SendFrame(build_frame(Frame(protocol, information, address_control=True)))


def _judge_ipcp(option: Option) -> Verdict:
    return Verdict.TAKE if option.type == IpcpOption.ADDRESS else Verdict.REJECT
