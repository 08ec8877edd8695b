"""CHAP as authenticator: RFC 1994 with MD5, and MS-CHAPv2 of RFC 2759.

The state is the pair (challenge in force, answer given). A Response counts once, for the
identifier of the challenge in force; a repeated one gets the same Success or Failure again, as the
first may have been lost, and is not verified again.
"""

from __future__ import annotations

from collections.abc import Callable

from l2tp.ppp.auth import (
    ERROR_AUTHENTICATION_FAILURE,
    MAX_TRANSMIT,
    RETRANSMIT,
    RETRY_TIMEOUT,
    AuthAccepted,
    AuthAnswer,
    AuthRejected,
    AuthRequest,
    ChapMd5Request,
    MsChapV2Request,
    Outcome,
    text_of,
)
from l2tp.wire.authentication import (
    ChapValue,
    build_chap_value,
    parse_chap_value,
    parse_mschapv2_response,
)
from l2tp.wire.enums import ChapCode, Protocol
from l2tp.wire.ppp import ControlPacket, build_packet

CHALLENGE_SIZE = 16


class ChapAuthenticator:
    """CHAP of one link; ``microsoft`` selects MS-CHAPv2."""

    def __init__(
        self,
        name: str,
        random: Callable[[int], bytes],
        send: Callable[[Protocol, bytes], None],
        *,
        microsoft: bool,
        retries: int = 0,
    ) -> None:
        self.deadline: float | None = None
        self._name = name.encode()
        self._random = random
        self._send = send
        self._microsoft = microsoft
        self._retries = retries if microsoft else 0
        self._identifier = random(1)[0]
        self._accepted_identifiers: frozenset[int] = frozenset()
        self._challenge = b""
        self._transmissions = 0
        self._response: ControlPacket | None = None
        self._verdict: ControlPacket | None = None

    def start(self, now: float) -> None:
        """Send a fresh Challenge."""
        self._identifier = (self._identifier + 1) & 0xFF
        self._accepted_identifiers = frozenset((self._identifier,))
        self._challenge = self._random(CHALLENGE_SIZE)
        self._response = self._verdict = None
        self._transmissions = 0
        self._send_challenge(now)

    def receive(self, packet: ControlPacket, now: float) -> AuthRequest | None:
        """Take a Response; all else, and Responses to no challenge of ours, is discarded."""
        if packet.code != ChapCode.RESPONSE:
            return None
        if packet == self._response:
            self.repeat()
            return None
        if packet.identifier not in self._accepted_identifiers:
            return None
        request = self._read_response(packet)
        self._response = packet
        self._verdict = None
        self._accepted_identifiers = frozenset()
        self.deadline = None
        return request

    def answer(self, answer: AuthAnswer, now: float) -> Outcome:
        """Send Success or Failure for the Response in hand."""
        if self._response is None:
            raise ValueError("no CHAP Response to answer")
        identifier = self._response.identifier
        if isinstance(answer, AuthAccepted):
            self._conclude(ChapCode.SUCCESS, identifier, self._success_text(answer))
            return Outcome.ACCEPTED
        retry = self._retries > 0 and answer.error == ERROR_AUTHENTICATION_FAILURE
        if retry:
            self._retries -= 1
            self._challenge = self._random(CHALLENGE_SIZE)
            # RFC 2759 leaves open which identifier the new Response takes: clients use either.
            self._accepted_identifiers = frozenset((identifier, (identifier + 1) & 0xFF))
            self.deadline = now + RETRY_TIMEOUT
        self._conclude(ChapCode.FAILURE, identifier, self._failure_text(answer, retry=retry))
        return Outcome.RETRY if retry else Outcome.REJECTED

    def repeat(self) -> None:
        """Send Success or Failure again, if there was one."""
        if self._verdict is not None:
            self._transmit(self._verdict)

    def advance(self, now: float) -> bool:
        """Repeat the Challenge; True once it was sent often enough or a retry did not come."""
        if self.deadline is None or now < self.deadline:
            return False
        if self._response is not None or self._transmissions >= MAX_TRANSMIT:
            self.deadline = None
            return True
        self._send_challenge(now)
        return False

    def _read_response(self, packet: ControlPacket) -> AuthRequest:
        value = parse_chap_value(packet.data)
        user = text_of(value.name)
        if not self._microsoft:
            return ChapMd5Request(user, packet.identifier, self._challenge, value.value)
        response = parse_mschapv2_response(value.value)
        return MsChapV2Request(
            user, self._challenge, response.peer_challenge, response.response, response.flags
        )

    def _success_text(self, answer: AuthAccepted) -> str:
        if self._microsoft:
            return f"{answer.authenticator_response} M=Welcome"
        return "Welcome"

    def _failure_text(self, answer: AuthRejected, *, retry: bool) -> str:
        if not self._microsoft:
            return "Authentication failed"
        challenge = self._challenge.hex().upper()
        return f"E={answer.error} R={retry:d} C={challenge} V=3 M=Authentication failed"

    def _conclude(self, code: ChapCode, identifier: int, text: str) -> None:
        self._verdict = ControlPacket(code, identifier, text.encode())
        self._transmit(self._verdict)

    def _send_challenge(self, now: float) -> None:
        self._transmissions += 1
        self.deadline = now + RETRANSMIT
        value = ChapValue(self._challenge, self._name)
        self._transmit(ControlPacket(ChapCode.CHALLENGE, self._identifier, build_chap_value(value)))

    def _transmit(self, packet: ControlPacket) -> None:
        self._send(Protocol.CHAP, build_packet(packet))
