"""One tunnel with one call, from the client's side. Sans-IO.

SCCRQ  -->
            <--  SCCRP
SCCCN  -->
ICRQ   -->
            <--  ICRP
ICCN   -->
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from interop.findings import BrokenRuleError, Finding, Rule
from interop.lac.profiles import L2TP_PORT, AvpLine, Drawn, L2tpProfile
from interop.lac.transport import ControlChannel
from l2tp.errors import ProtocolError
from l2tp.wire.attributes import Attributes, read_attributes
from l2tp.wire.avp import Avp, build_avps, make_avp
from l2tp.wire.enums import AvpType, MessageType
from l2tp.wire.packet import ControlMessage, DataMessage, build, parse

VERSION = 0x0100
GOODBYE_LIMIT = 5.0
"""Seconds for the last messages to be acknowledged."""


class State(enum.Enum):
    """What is waited for."""

    IDLE = "nothing"
    SCCRP = "SCCRP"
    TUNNEL_ZLB = "an empty message for SCCCN"
    ICRP = "ICRP"
    CALL_ZLB = "an empty message for ICCN"
    UP = "an end"
    CLOSING = "the last acknowledgement"
    CLOSED = "nothing any more"


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Send a datagram from the client's L2TP port to the server's `port`, inside ESP."""

    datagram: bytes = field(repr=False)
    port: int


@dataclass(frozen=True, slots=True)
class CallUp:
    """PPP may begin."""


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A PPP frame, as it came."""

    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Closed:
    """The tunnel is gone; `by_server` with what it told."""

    by_server: str = ""


Effect = SendDatagram | CallUp | FrameReceived | Closed | Finding


def tunnel_id(datagram: bytes) -> int | None:
    """Which tunnel a datagram is for; None if it is no L2TP."""
    try:
        return parse(datagram).tunnel_id
    except ProtocolError:
        return None


class Lac:
    """An access concentrator that makes one call."""

    def __init__(self, profile: L2tpProfile, random: Callable[[int], bytes]) -> None:
        self.state = State.IDLE
        self._profile = profile
        self._channel = ControlChannel(profile)
        self._drawn = {
            Drawn.TUNNEL_ID: int.from_bytes(random(2)) or 1,
            Drawn.SESSION_ID: int.from_bytes(random(2)) or 1,
            Drawn.SERIAL: int.from_bytes(random(4)),
        }
        self._peer_session = 0
        self._peer_port = L2TP_PORT
        self._hello_at: float | None = None
        self._close_at: float | None = None

    @property
    def tunnel_id(self) -> int:
        """Ours."""
        return self._drawn[Drawn.TUNNEL_ID]

    @property
    def session_id(self) -> int:
        """Ours."""
        return self._drawn[Drawn.SESSION_ID]

    def start(self, now: float) -> list[Effect]:
        """Send SCCRQ."""
        hello = build_avps((make_avp(AvpType.MESSAGE_TYPE, MessageType.HELLO),))
        stray = build(ControlMessage(0, 0, 0, 0, hello))
        self.state = State.SCCRP
        sccrq = self._message(MessageType.SCCRQ, self._profile.sccrq)
        return self._out([stray] * self._profile.stray_hellos + self._channel.send(0, sccrq, now))

    def send_frame(self, frame: bytes) -> SendDatagram:
        """Send a PPP frame, address and control included."""
        message = DataMessage(
            self._channel.peer_tunnel,
            self._peer_session,
            frame,
            has_length=self._profile.length_bit,
        )
        return SendDatagram(build(message), self._peer_port)

    def hang_up(self, now: float) -> list[Effect]:
        """Send CDN and StopCCN as this client does."""
        if self.state in (State.IDLE, State.SCCRP):
            return self._close()
        if self.state in (State.CLOSING, State.CLOSED):
            return []
        datagrams: list[bytes] = []
        for kind in self._profile.hang_up:
            if kind == MessageType.CDN and self._peer_session:
                cdn = self._message(kind, self._profile.cdn)
                datagrams += self._channel.send(self._peer_session, cdn, now)
            elif kind == MessageType.STOPCCN:
                stopccn = self._message(kind, self._profile.stopccn)
                datagrams += self._channel.send(0, stopccn, now)
        self.state = State.CLOSING
        self._hello_at = None
        self._close_at = now + GOODBYE_LIMIT
        return self._out(datagrams)

    def receive(self, datagram: bytes, port: int, now: float) -> list[Effect]:
        """Take a datagram from the server's `port`."""
        if self.state in (State.IDLE, State.CLOSED):
            return []
        try:
            message = parse(datagram)
            if isinstance(message, DataMessage):
                return self._data(message)
            return self._control(message, port, now)
        except ProtocolError as error:
            return [Finding(Rule.MALFORMED, str(error), fatal=False)]
        except BrokenRuleError as error:
            return [*self._close(), error.finding]

    def advance(self, now: float) -> list[Effect]:
        """Repeat, send a Hello, or give up."""
        if self._close_at is not None and now >= self._close_at:
            return self._close()
        datagrams = self._channel.advance(now)
        if self._channel.given_up:
            return self._give_up()
        if self._hello_at is not None and now >= self._hello_at:
            self._hello_at = now + (self._profile.hello or 0.0)
            datagrams += self._channel.send(0, self._message(MessageType.HELLO, ()), now)
        return self._out(datagrams)

    def next_deadline(self) -> float | None:
        """When `advance` has something to do."""
        times = (self._channel.resend_at, self._hello_at, self._close_at)
        return min((time for time in times if time is not None), default=None)

    def _give_up(self) -> list[Effect]:
        closing = self.state is State.CLOSING
        waiting = self.state
        effects = self._close()
        if closing:
            return effects
        rule = Rule.NO_ZLB if waiting in (State.TUNNEL_ZLB, State.CALL_ZLB) else Rule.SILENCE
        return [*effects, Finding(rule, f"it waits for {waiting.value}")]

    def _close(self, told: str = "") -> list[Effect]:
        self.state = State.CLOSED
        self._channel.stop()
        self._hello_at = self._close_at = None
        return [Closed(told)]

    def _data(self, message: DataMessage) -> list[Effect]:
        if message.tunnel_id != self.tunnel_id or self.state not in (State.UP, State.CALL_ZLB):
            return []
        if message.session_id != self._drawn[Drawn.SESSION_ID]:
            return [Finding(Rule.SESSION_ID, f"{message.session_id} in data", fatal=False)]
        if self.state is State.CALL_ZLB:
            return []
        return [FrameReceived(message.payload)]

    def _control(self, message: ControlMessage, port: int, now: float) -> list[Effect]:
        if self._profile.strict_header and (message.reserved or message.trailing):
            raise BrokenRuleError(Rule.HEADER, "reserved bits, or octets behind the message")
        if message.tunnel_id != self.tunnel_id:
            return []
        if self._hello_at is not None:
            self._hello_at = now + (self._profile.hello or 0.0)
        datagrams = self._channel.acknowledged(message.nr, now)
        if not message.payload:
            return [*self._out(datagrams), *self._acknowledged(now)]
        if not self._channel.is_next(message.ns):
            return self._out([*datagrams, self._channel.acknowledgement()])
        attributes = read_attributes(message.payload)
        if attributes.fault is not None:
            raise BrokenRuleError(Rule.UNKNOWN_AVP, str(attributes.fault))
        if self._profile.strict_header and not attributes.message_mandatory:
            raise BrokenRuleError(Rule.HEADER, "a Message Type without the M bit")
        effects = self._dispatch(attributes, message, port, now)
        if self.state is not State.CLOSED and not any(
            isinstance(effect, SendDatagram) for effect in effects
        ):
            datagrams.append(self._channel.acknowledgement())
        return [*self._out(datagrams), *effects]

    def _dispatch(
        self, attributes: Attributes, message: ControlMessage, port: int, now: float
    ) -> list[Effect]:
        kind = attributes.message_type
        for number in self._profile.requires.get(kind, ()):
            if number not in attributes:
                raise BrokenRuleError(Rule.MISSING_AVP, f"{kind} without {number}")
        if kind == MessageType.SCCRP and self.state is State.SCCRP:
            return self._connected(attributes, port, now)
        if kind == MessageType.ICRP and self.state is State.ICRP:
            return self._answered(attributes, message.session_id, now)
        if kind in (MessageType.STOPCCN, MessageType.CDN):
            acknowledgement = self._out([self._channel.acknowledgement()])
            told = f"{kind}: {attributes.get(AvpType.RESULT_CODE)}"
            if self.state is State.CLOSING:
                return [*acknowledgement, *self._close()]
            return [*acknowledgement, *self._close(told)]
        if kind == MessageType.HELLO:
            return self._acknowledged(now)
        return []

    def _connected(self, attributes: Attributes, port: int, now: float) -> list[Effect]:
        version = attributes.get(AvpType.PROTOCOL_VERSION)
        if version != VERSION:
            raise BrokenRuleError(Rule.MISSING_AVP, f"SCCRP with version {version}")
        self._channel.peer_tunnel = attributes.require(AvpType.ASSIGNED_TUNNEL_ID)
        self._peer_port = port
        self._hello_at = None if self._profile.hello is None else now + self._profile.hello
        effects: list[Effect] = []
        if AvpType.CHALLENGE in attributes:
            effects.append(Finding(Rule.CHALLENGE, "no client has a secret for it", fatal=False))
        scccn = self._message(MessageType.SCCCN, self._profile.scccn)
        effects += self._out(self._channel.send(0, scccn, now))
        if self._profile.waits_for_zlb:
            self.state = State.TUNNEL_ZLB
            return effects
        return [*effects, *self._call(now)]

    def _call(self, now: float) -> list[Effect]:
        self.state = State.ICRP
        icrq = self._message(MessageType.ICRQ, self._profile.icrq)
        return self._out(self._channel.send(0, icrq, now))

    def _answered(self, attributes: Attributes, session: int, now: float) -> list[Effect]:
        if session != self._drawn[Drawn.SESSION_ID]:
            raise BrokenRuleError(Rule.SESSION_ID, f"ICRP for session {session}")
        self._peer_session = attributes.require(AvpType.ASSIGNED_SESSION_ID)
        iccn = self._message(MessageType.ICCN, self._profile.iccn)
        effects = self._out(self._channel.send(self._peer_session, iccn, now))
        if self._profile.waits_for_zlb:
            self.state = State.CALL_ZLB
            return effects
        self.state = State.UP
        return [*effects, CallUp()]

    def _acknowledged(self, now: float) -> list[Effect]:
        """An empty message or a Hello has come: what may follow it."""
        if not self._channel.idle:
            return []
        if self.state is State.TUNNEL_ZLB:
            return self._call(now)
        if self.state is State.CALL_ZLB:
            self.state = State.UP
            return [CallUp()]
        return self._close() if self.state is State.CLOSING else []

    def _message(self, kind: MessageType, lines: tuple[AvpLine, ...]) -> bytes:
        avps = [make_avp(AvpType.MESSAGE_TYPE, kind)]
        for line in lines:
            if isinstance(line.value, bytes):
                avps.append(Avp(line.type, line.value, mandatory=line.mandatory))
                continue
            value = self._drawn[line.value] if isinstance(line.value, Drawn) else line.value
            avps.append(make_avp(line.type, value, mandatory=line.mandatory))
        return build_avps(tuple(avps))

    def _out(self, datagrams: list[bytes]) -> list[Effect]:
        return [SendDatagram(datagram, self._peer_port) for datagram in datagrams]
