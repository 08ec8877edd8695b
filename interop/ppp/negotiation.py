"""Configure-Requests of LCP or a network control protocol, from one who always wants it up.

RFC 1661 section 4, without the states that only a passive or an administratively closed side has.
"""

import enum
from collections.abc import Callable

from interop.findings import BrokenRuleError, Rule
from interop.lac.profiles import Backoff
from l2tp.wire.enums import Code, Protocol
from l2tp.wire.ppp import ControlPacket, Option, build_options, parse_options

MAX_CHANGES = 10
"""Naks and Rejects before a negotiation counts as endless; pppd's maxfail."""


class Verdict(enum.Enum):
    """What a peer makes of one option of the server's."""

    TAKE = enum.auto()
    REJECT = enum.auto()


Judge = Callable[[Option], Verdict | Option]
"""Takes or rejects an option, or tells another value for it."""


class Negotiation:
    """Both directions of one protocol."""

    def __init__(
        self,
        protocol: Protocol,
        wanted: tuple[Option, ...],
        judge: Judge,
        restart: Backoff,
        identifier: int = 1,
    ) -> None:
        self.protocol = protocol
        self.wanted = list(wanted)
        self.server_options: tuple[Option, ...] = ()
        self.acknowledged = False
        """Whether the server takes what we want."""
        self.agreed = False
        """Whether we take what the server wants."""
        self.resend_at: float | None = None
        self._judge = judge
        self._restart = restart
        self._identifier = (identifier - 1) % 256
        self._tries = 0
        self._changes = 0

    @property
    def is_open(self) -> bool:
        """Whether both sides agree."""
        return self.acknowledged and self.agreed

    def request(self, now: float) -> ControlPacket:
        """Ask with a new identifier."""
        self._identifier = (self._identifier + 1) % 256
        self._tries = 0
        return self._ask(now)

    def advance(self, now: float) -> ControlPacket | None:
        """Ask again if that is due. Raises BrokenRuleError after the last try."""
        if self.resend_at is None or now < self.resend_at:
            return None
        self._tries += 1
        if self._tries >= self._restart.tries:
            self.resend_at = None
            raise BrokenRuleError(Rule.SILENCE, f"no answer to {self.protocol} Configure-Request")
        return self._ask(now)

    def stop(self) -> None:
        """Ask no more."""
        self.resend_at = None

    def receive(self, packet: ControlPacket, now: float) -> list[ControlPacket]:
        """Take a Configure packet. Raises BrokenRuleError, and ProtocolError."""
        if packet.code == Code.CONFIGURE_REQUEST:
            return self._requested(packet, now)
        if packet.identifier != self._identifier or self.acknowledged:
            return []
        if packet.code == Code.CONFIGURE_ACK:
            if packet.data != build_options(tuple(self.wanted)):
                raise BrokenRuleError(Rule.ACK_DIFFERS, f"{self.protocol} Configure-Ack")
            self.acknowledged = True
            self.resend_at = None
            return []
        self._changes += 1
        if self._changes > MAX_CHANGES:
            raise BrokenRuleError(Rule.DOES_NOT_CONVERGE, str(self.protocol))
        options = parse_options(packet.data)
        if packet.code == Code.CONFIGURE_REJECT:
            self._rejected(options)
        else:
            self._proposed(options)
        return [self.request(now)]

    def _ask(self, now: float) -> ControlPacket:
        self.acknowledged = False
        self.resend_at = now + self._restart.base
        body = build_options(tuple(self.wanted))
        return ControlPacket(Code.CONFIGURE_REQUEST, self._identifier, body)

    def _requested(self, packet: ControlPacket, now: float) -> list[ControlPacket]:
        options = parse_options(packet.data)
        answers: list[ControlPacket] = []
        if self.is_open:
            # RFC 1661 section 4.1: the layer goes down, and both sides begin again.
            answers.append(self.request(now))
        verdicts = [(option, self._judge(option)) for option in options]
        rejected = tuple(option for option, verdict in verdicts if verdict is Verdict.REJECT)
        proposed = tuple(verdict for _, verdict in verdicts if isinstance(verdict, Option))
        if rejected:
            code, body = Code.CONFIGURE_REJECT, build_options(rejected)
        elif proposed:
            code, body = Code.CONFIGURE_NAK, build_options(proposed)
        else:
            code, body = Code.CONFIGURE_ACK, packet.data
            self.server_options = options
        self.agreed = code == Code.CONFIGURE_ACK
        return [*answers, ControlPacket(code, packet.identifier, body)]

    def _rejected(self, options: tuple[Option, ...]) -> None:
        """What is rejected must be what was asked for, as it was, in its order (section 5.4)."""
        rest = iter(self.wanted)
        if not all(option in rest for option in options):
            raise BrokenRuleError(Rule.REJECT_DIFFERS, f"{self.protocol} Configure-Reject")
        self.wanted = [option for option in self.wanted if option not in options]

    def _proposed(self, options: tuple[Option, ...]) -> None:
        proposals = {option.type: option for option in options}
        self.wanted = [proposals.get(option.type, option) for option in self.wanted]
