"""PAP as authenticator, RFC 1334: the password crosses the link in clear, inside IPsec only."""

from __future__ import annotations

from collections.abc import Callable

from l2tp.ppp.auth import (
    MAX_TRANSMIT,
    RETRANSMIT,
    AuthAccepted,
    AuthAnswer,
    Outcome,
    PapRequest,
    text_of,
)
from l2tp.wire.authentication import build_pap_answer, parse_pap_credentials
from l2tp.wire.enums import PapCode, Protocol
from l2tp.wire.ppp import ControlPacket, build_packet


class PapAuthenticator:
    """PAP of one link; the first request counts, later ones get its answer again."""

    def __init__(self, send: Callable[[Protocol, bytes], None]) -> None:
        self.deadline: float | None = None
        self._send = send
        self._identifier = 0
        self._asked = False
        self._verdict: tuple[PapCode, str] | None = None

    def start(self, now: float) -> None:
        """Wait for the peer, who speaks first."""
        self._asked = False
        self._verdict = None
        self.deadline = now + RETRANSMIT * MAX_TRANSMIT

    def receive(self, packet: ControlPacket, now: float) -> PapRequest | None:
        """Take an Authenticate-Request; RFC 1334 section 2.2.1 wants repeated ones answered."""
        if packet.code != PapCode.REQUEST:
            return None
        credentials = parse_pap_credentials(packet.data)
        self._identifier = packet.identifier
        if self._verdict is not None:
            self.repeat()
            return None
        if self._asked:
            return None
        self._asked = True
        self.deadline = None
        return PapRequest(text_of(credentials.user), credentials.password)

    def answer(self, answer: AuthAnswer, now: float) -> Outcome:
        """Send Ack or Nak."""
        accepted = isinstance(answer, AuthAccepted)
        self._verdict = (
            (PapCode.ACK, "Welcome") if accepted else (PapCode.NAK, "Authentication failed")
        )
        self.repeat()
        return Outcome.ACCEPTED if accepted else Outcome.REJECTED

    def repeat(self) -> None:
        """Send Ack or Nak again, if there was one."""
        if self._verdict is None:
            return
        code, text = self._verdict
        packet = ControlPacket(code, self._identifier, build_pap_answer(text))
        self._send(Protocol.PAP, build_packet(packet))

    def advance(self, now: float) -> bool:
        """Whether the peer never asked."""
        if self.deadline is None or now < self.deadline:
            return False
        self.deadline = None
        return True
