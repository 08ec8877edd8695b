"""Questions and answers of authentication, and what PAP and CHAP have in common.

An authenticator turns packets into one ``AuthRequest`` at a time; the host answers it from its own
users (``l2tp.ppp.users``) or a server, and the authenticator tells the peer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address
from typing import Protocol as Interface

from l2tp.wire.ppp import ControlPacket

# Error codes of MS-CHAPv2 Failure messages, RFC 2759 section 6.
ERROR_AUTHENTICATION_FAILURE = 691

# RFC 1994 section 4.1 leaves the repetition of the Challenge open; LCP's figures serve.
RETRANSMIT = 3.0
MAX_TRANSMIT = 10
# A person types the password again.
RETRY_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class PapRequest:
    """A name and password sent in clear."""

    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChapMd5Request:
    """A CHAP Response with MD5."""

    user: str
    identifier: int
    challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MsChapV2Request:
    """An MS-CHAPv2 Response."""

    user: str
    challenge: bytes = field(repr=False)
    peer_challenge: bytes = field(repr=False)
    response: bytes = field(repr=False)
    flags: int = 0


AuthRequest = PapRequest | ChapMd5Request | MsChapV2Request


@dataclass(frozen=True, slots=True)
class AuthAccepted:
    """The peer is ``user``; ``address`` is set when it has one of its own.

    ``authenticator_response`` is the "S=..." of MS-CHAPv2, which proves that we know the secret.
    """

    user: str
    address: IPv4Address | None = None
    authenticator_response: str = ""


@dataclass(frozen=True, slots=True)
class AuthRejected:
    """The peer is refused: why, what the operator can do, and the code for MS-CHAPv2."""

    reason: str
    remedy: str = ""
    error: int = ERROR_AUTHENTICATION_FAILURE


AuthAnswer = AuthAccepted | AuthRejected


class Outcome(Enum):
    """Where an answer leaves the peer."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RETRY = "retry"


class Authenticator(Interface):
    """One authentication protocol, as the side that asks."""

    deadline: float | None

    def start(self, now: float) -> None:
        """Begin, once LCP is open."""

    def receive(self, packet: ControlPacket, now: float) -> AuthRequest | None:
        """Take a packet; what it returns is to be verified. Raises ProtocolError."""

    def answer(self, answer: AuthAnswer, now: float) -> Outcome:
        """Tell the peer the answer to the request that ``receive`` returned."""

    def repeat(self) -> None:
        """Tell the peer the answer again, as the first one may have been lost."""

    def advance(self, now: float) -> bool:
        """Run the timer; True once the peer has had its time."""


def text_of(name: bytes) -> str:
    """A name as text that keeps every octet, for hashing it again."""
    return name.decode("utf-8", "surrogateescape")


def octets_of(name: str) -> bytes:
    """The inverse of ``text_of``."""
    return name.encode("utf-8", "surrogateescape")
