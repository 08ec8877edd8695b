"""Authentication of the peer: PAP (RFC 1334), CHAP (RFC 1994), MS-CHAPv2 (RFC 2759)."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from interop.findings import BrokenRuleError, Rule
from interop.ppp.mschapv2 import response, server_proof
from interop.ppp.profiles import Login
from l2tp.wire.authentication import (
    ChapValue,
    MsChapV2Response,
    PapCredentials,
    build_chap_value,
    build_mschapv2_response,
    build_pap_credentials,
    parse_chap_value,
)
from l2tp.wire.enums import ChapAlgorithm, ChapCode, LcpOption, PapCode, Protocol
from l2tp.wire.ppp import ControlPacket, Option

PAP_RETRY = 3.0
"""Seconds; pppd's pap-restart."""
PAP_TRIES = 10

_CHALLENGE_SIZE = 16
AUTHENTICATION: dict[Login, Option] = {
    Login.MSCHAPV2: Option(
        LcpOption.AUTHENTICATION, Protocol.CHAP.to_bytes(2) + bytes((ChapAlgorithm.MSCHAPV2,))
    ),
    Login.CHAP_MD5: Option(
        LcpOption.AUTHENTICATION, Protocol.CHAP.to_bytes(2) + bytes((ChapAlgorithm.MD5,))
    ),
    Login.PAP: Option(LcpOption.AUTHENTICATION, Protocol.PAP.to_bytes(2)),
}
"""The LCP option that asks for each."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in."""

    user: str
    password: str = field(repr=False)


class Authenticator:
    """The login of one link; `done` when the server is satisfied and has shown what it must."""

    def __init__(self, account: Account, random: Callable[[int], bytes]) -> None:
        self.done = False
        self.resend_at: float | None = None
        self._account = account
        self._random = random
        self._login: Login | None = None
        self._tries = 0
        self._expected = b""

    def begin(self, login: Login, now: float) -> list[ControlPacket]:
        """LCP is open: PAP speaks first, with CHAP the server does."""
        self._login = login
        return [self._pap(now)] if login is Login.PAP else []

    def advance(self, now: float) -> list[ControlPacket]:
        """Repeat a PAP request. Raises BrokenRuleError."""
        if self.resend_at is None or now < self.resend_at:
            return []
        self._tries += 1
        if self._tries >= PAP_TRIES:
            self.resend_at = None
            raise BrokenRuleError(Rule.SILENCE, "no answer to PAP Authenticate-Request")
        return [self._pap(now)]

    def stop(self) -> None:
        """Repeat nothing any more."""
        self.resend_at = None

    def pap(self, packet: ControlPacket) -> list[ControlPacket]:
        """Take a PAP answer. Raises BrokenRuleError."""
        self.resend_at = None
        if packet.code == PapCode.NAK:
            raise BrokenRuleError(Rule.LOGIN_REFUSED, "PAP")
        self.done = self.done or packet.code == PapCode.ACK
        return []

    def chap(self, packet: ControlPacket) -> list[ControlPacket]:
        """Take a CHAP packet. Raises BrokenRuleError, ProtocolError."""
        if packet.code == ChapCode.CHALLENGE:
            challenge = parse_chap_value(packet.data).value
            value = ChapValue(self._value(packet.identifier, challenge), self._name)
            body = build_chap_value(value)
            return [ControlPacket(ChapCode.RESPONSE, packet.identifier, body)]
        if packet.code == ChapCode.FAILURE:
            raise BrokenRuleError(Rule.LOGIN_REFUSED, packet.data.decode(errors="replace"))
        if packet.code == ChapCode.SUCCESS and not self.done:
            proof = packet.data[: len(self._expected)]
            if not hmac.compare_digest(proof, self._expected):
                raise BrokenRuleError(Rule.SERVER_PROOF, "in CHAP Success")
            self.done = True
        return []

    @property
    def _name(self) -> bytes:
        return self._account.user.encode()

    def _value(self, identifier: int, challenge: bytes) -> bytes:
        password = self._account.password
        if self._login is not Login.MSCHAPV2:
            seed = bytes((identifier,)) + password.encode() + challenge
            return hashlib.md5(seed, usedforsecurity=False).digest()
        peer = self._random(_CHALLENGE_SIZE)
        nt_response = response(password, self._name, challenge, peer)
        self._expected = server_proof(password, self._name, challenge, peer, nt_response)
        return build_mschapv2_response(MsChapV2Response(peer, nt_response))

    def _pap(self, now: float) -> ControlPacket:
        self.resend_at = now + PAP_RETRY
        credentials = PapCredentials(self._name, self._account.password.encode())
        return ControlPacket(PapCode.REQUEST, 1, build_pap_credentials(credentials))
