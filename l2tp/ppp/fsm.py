"""The option negotiation automaton of RFC 1661 section 4, shared by LCP and IPCP.

The transition table is in ``l2tp.ppp.fsm_table``; here are its actions and the packets.

Two deliberate differences, both because L2TP data messages may be doubled or overtake each other,
which a serial line never does. A Configure-Request that was answered already gets the same answer
again and changes nothing, and a second Configure-Ack to one request is ignored; RFC 1661 would
tear an open link down and start again. And the number of requests in one negotiation is
bounded, so that two ends that never agree stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from l2tp.ppp.fsm_table import TABLE, Event, State
from l2tp.wire.enums import Code, Protocol
from l2tp.wire.ppp import (
    ControlPacket,
    Option,
    build_options,
    build_packet,
    parse_options,
    parse_packet,
)

# RFC 1661 section 4.6.
RESTART_TIMER = 3.0
MAX_TERMINATE = 2
MAX_CONFIGURE = 10
MAX_FAILURE = 5
# Each round settles at least one option, and no known client needs more than five rounds.
MAX_REQUESTS = 30
# A peer that goes on with codes we do not know is not worth an answer each time.
MAX_CODE_REJECTS = 10
# How much of a rejected packet goes back: enough to recognise it, and fits any MRU we accept.
REJECT_COPY = 120


# The restart timer runs in these states only.
_TIMED = frozenset({State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT})
_NEGOTIATING = frozenset({State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT, State.OPENED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Our answer to a Configure-Request: Ack, Nak or Reject, with the options it holds."""

    code: Code
    options: tuple[Option, ...]


class Automaton:
    """One LCP or NCP. Subclasses say what the options mean and what a layer change does.

    ``send`` takes the octets of a packet of ``protocol``. ``failure`` holds the reason once the
    negotiation has ended against our will; ``hung_up`` says that the peer asked to end it.
    """

    protocol: Protocol
    codes: frozenset[int] = frozenset(range(Code.CONFIGURE_REQUEST, Code.CODE_REJECT + 1))

    def __init__(self, send: Callable[[Protocol, bytes], None]) -> None:
        self.state = State.INITIAL
        self.deadline: float | None = None
        self.failure = ""
        self.hung_up = False
        self._send = send
        self._identifier = 0
        self._restarts = 0
        self._unanswered = False
        self._requested: tuple[Option, ...] = ()
        self._requests_sent = 0
        self._naks_sent = 0
        self._code_rejects = 0
        self._answered: dict[bytes, ControlPacket] = {}
        self._received = ControlPacket(0, 0)
        self._verdict = Verdict(Code.CONFIGURE_ACK, ())

    # What a subclass gives.

    def request_options(self) -> tuple[Option, ...]:
        """Options of our next Configure-Request."""
        raise NotImplementedError

    def judge(self, options: tuple[Option, ...]) -> Verdict:
        """Decide on the peer's Configure-Request."""
        raise NotImplementedError

    def accept_request(self, options: tuple[Option, ...]) -> None:
        """The peer's options are acknowledged: take them over."""
        raise NotImplementedError

    def refused(self, code: Code, options: tuple[Option, ...]) -> None:
        """The peer answered our request with Nak or Reject: change the next request."""
        raise NotImplementedError

    def extra_code(self, packet: ControlPacket, now: float) -> None:
        """Handle a code of ``codes`` beyond Code-Reject."""
        raise NotImplementedError

    def layer_up(self, now: float) -> None:
        """This-Layer-Up."""

    def layer_down(self, now: float) -> None:
        """This-Layer-Down."""

    def layer_finished(self, now: float) -> None:
        """This-Layer-Finished."""

    # Entry points.

    def open(self, now: float) -> None:
        """The layer is wanted: negotiate as soon as the lower one is up."""
        self._feed(Event.OPEN, now)

    def up(self, now: float) -> None:
        """The lower layer is up."""
        self._feed(Event.UP, now)

    def close(self, now: float) -> None:
        """Administrative close: terminate the link."""
        self._feed(Event.CLOSE, now)

    def fail(self, reason: str, now: float) -> None:
        """End the link because it cannot come to be; the first reason is kept."""
        self.failure = self.failure or reason
        self._feed(Event.CLOSE, now)

    def advance(self, now: float) -> None:
        """Run the restart timer if it is due."""
        if self.deadline is None or now < self.deadline:
            return
        if self._restarts > 0:
            self._feed(Event.TIMEOUT, now)
            return
        if self.state in _NEGOTIATING:
            self.failure = self.failure or f"no answer to {self.protocol} Configure-Request"
        self._feed(Event.TIMEOUT_LAST, now)

    def receive(self, octets: bytes, now: float) -> None:
        """Take one packet of this protocol; raises ProtocolError, and then nothing changed."""
        packet = parse_packet(octets)
        if self.state in (State.INITIAL, State.STARTING):
            return
        self._received = packet
        if packet.code not in self.codes:
            self._feed(Event.UNKNOWN_CODE, now)
        elif packet.code > Code.CODE_REJECT:
            self.extra_code(packet, now)
        else:
            _RECEIVERS[packet.code](self, packet, now)

    def reject(self, now: float) -> None:
        """The peer rejected the whole protocol."""
        self.failure = self.failure or f"peer rejected {self.protocol}"
        self._feed(Event.REJECT_FATAL, now)

    # Receiving.

    def _receive_request(self, packet: ControlPacket, now: float) -> None:
        options = parse_options(packet.data)
        answered = self._answered.get(bytes((packet.identifier,)) + packet.data)
        if answered is not None and self._is_stale(answered):
            self._transmit(answered)
            return
        if len(self._answered) >= MAX_REQUESTS:
            self.fail(f"{self.protocol} negotiation does not converge", now)
            return
        self._verdict = self._bounded(self.judge(options))
        if self.failure:
            self._feed(Event.CLOSE, now)
            return
        good = self._verdict.code is Code.CONFIGURE_ACK
        self._feed(Event.REQUEST_GOOD if good else Event.REQUEST_BAD, now)

    def _is_stale(self, answer: ControlPacket) -> bool:
        """Whether a request that got ``answer`` before can only be a copy from the network."""
        if self.state in (State.ACK_SENT, State.OPENED):
            return True
        return self.state in _NEGOTIATING and answer.code != Code.CONFIGURE_ACK

    def _bounded(self, verdict: Verdict) -> Verdict:
        """After Max-Failure Naks a further one becomes a Reject, RFC 1661 section 4.6."""
        if verdict.code is Code.CONFIGURE_NAK and self._naks_sent >= MAX_FAILURE:
            asked = {option.type for option in parse_options(self._received.data)}
            refused = tuple(option for option in verdict.options if option.type in asked)
            if refused:
                return Verdict(Code.CONFIGURE_REJECT, refused)
        return verdict

    def _receive_ack(self, packet: ControlPacket, now: float) -> None:
        if self.state in _NEGOTIATING:
            if not self._is_answer(packet) or packet.data != build_options(self._requested):
                return
            self._unanswered = False
        self._feed(Event.ACK, now)

    def _receive_refusal(self, packet: ControlPacket, now: float) -> None:
        options = parse_options(packet.data)
        if self.state in _NEGOTIATING:
            if not self._is_answer(packet):
                return
            self._unanswered = False
            self.refused(Code(packet.code), options)
        self._feed(Event.CLOSE if self.failure else Event.NAK, now)

    def _is_answer(self, packet: ControlPacket) -> bool:
        return self._unanswered and packet.identifier == self._identifier

    def _receive_terminate(self, packet: ControlPacket, now: float) -> None:
        self.hung_up = True
        self._feed(Event.TERMINATE, now)

    def _receive_terminated(self, packet: ControlPacket, now: float) -> None:
        self._feed(Event.TERMINATED, now)

    def _receive_code_reject(self, packet: ControlPacket, now: float) -> None:
        needed = packet.data[:1] and packet.data[0] <= Code.CODE_REJECT
        if needed:
            self.failure = self.failure or f"peer does not know {self.protocol} code"
        self._feed(Event.REJECT_FATAL if needed else Event.REJECT_HARMLESS, now)

    # The table at work.

    def _feed(self, event: Event, now: float) -> None:
        row = TABLE.get((self.state, event))
        if row is None:
            return
        actions, state = row
        self.state = state
        for action in actions:
            _ACTIONS[action](self, now)
            if self.state is not state:
                return  # an action gave up and closed the link
        if state not in _TIMED:
            self.deadline = None

    def _initialize_restarts(self, now: float) -> None:
        """Set the restart counter for what is being sent (irc)."""
        terminating = self.state in (State.CLOSING, State.STOPPING)
        self._restarts = MAX_TERMINATE if terminating else MAX_CONFIGURE
        self.deadline = now + RESTART_TIMER

    def _zero_restarts(self, now: float) -> None:
        """Leave the peer time to see our Terminate-Ack (zrc)."""
        self._restarts = 0
        self.deadline = now + RESTART_TIMER

    def _send_request(self, now: float) -> None:
        """Send our Configure-Request (scr).

        Repeated unchanged it keeps its identifier, so that a late Ack still counts.
        """
        if self._requests_sent >= MAX_REQUESTS:
            self.fail(f"{self.protocol} negotiation does not converge", now)
            return
        options = self.request_options()
        if not self._unanswered or options != self._requested:
            self._identifier = (self._identifier + 1) & 0xFF
        self._requested = options
        self._unanswered = True
        self._requests_sent += 1
        self._restarts -= 1
        self.deadline = now + RESTART_TIMER
        self._transmit(
            ControlPacket(Code.CONFIGURE_REQUEST, self._identifier, build_options(options))
        )

    def _send_verdict(self, now: float) -> None:
        """Answer the Configure-Request in hand (sca, scn)."""
        received, verdict = self._received, self._verdict
        if verdict.code is Code.CONFIGURE_ACK:
            self._naks_sent = 0
            self.accept_request(verdict.options)
        else:
            self._naks_sent += 1
        data = (
            received.data if verdict.code is Code.CONFIGURE_ACK else build_options(verdict.options)
        )
        answer = ControlPacket(verdict.code, received.identifier, data)
        self._answered[bytes((received.identifier,)) + received.data] = answer
        self._transmit(answer)

    def _send_terminate(self, now: float) -> None:
        """Ask the peer to end (str)."""
        self._identifier = (self._identifier + 1) & 0xFF
        self._unanswered = False
        self._restarts -= 1
        self.deadline = now + RESTART_TIMER
        self._transmit(
            ControlPacket(Code.TERMINATE_REQUEST, self._identifier, self.failure.encode())
        )

    def _send_terminated(self, now: float) -> None:
        """Agree to the end (sta)."""
        self._transmit(ControlPacket(Code.TERMINATE_ACK, self._received.identifier))

    def _send_code_reject(self, now: float) -> None:
        """Send a Code-Reject (scj), a bounded number of times."""
        if self._code_rejects >= MAX_CODE_REJECTS:
            return
        self._code_rejects += 1
        self._identifier = (self._identifier + 1) & 0xFF
        self._transmit(
            ControlPacket(
                Code.CODE_REJECT, self._identifier, build_packet(self._received)[:REJECT_COPY]
            )
        )

    def _layer_up(self, now: float) -> None:
        self._requests_sent = 0
        self._naks_sent = 0
        self.layer_up(now)

    def _layer_down(self, now: float) -> None:
        self._answered.clear()
        self.layer_down(now)

    def _layer_finished(self, now: float) -> None:
        self.deadline = None
        self.layer_finished(now)

    def _transmit(self, packet: ControlPacket) -> None:
        self._send(self.protocol, build_packet(packet))


def _nothing(automaton: Automaton, now: float) -> None:
    """This-Layer-Started (tls): whoever opens an automaton brings the lower layer up too."""


_ACTIONS: dict[str, Callable[[Automaton, float], None]] = {
    "irc": Automaton._initialize_restarts,
    "zrc": Automaton._zero_restarts,
    "scr": Automaton._send_request,
    "sca": Automaton._send_verdict,
    "scn": Automaton._send_verdict,
    "str": Automaton._send_terminate,
    "sta": Automaton._send_terminated,
    "scj": Automaton._send_code_reject,
    "tlu": Automaton._layer_up,
    "tld": Automaton._layer_down,
    "tlf": Automaton._layer_finished,
    "tls": _nothing,
}

_RECEIVERS: dict[int, Callable[[Automaton, ControlPacket, float], None]] = {
    Code.CONFIGURE_REQUEST: Automaton._receive_request,
    Code.CONFIGURE_ACK: Automaton._receive_ack,
    Code.CONFIGURE_NAK: Automaton._receive_refusal,
    Code.CONFIGURE_REJECT: Automaton._receive_refusal,
    Code.TERMINATE_REQUEST: Automaton._receive_terminate,
    Code.TERMINATE_ACK: Automaton._receive_terminated,
    Code.CODE_REJECT: Automaton._receive_code_reject,
}
