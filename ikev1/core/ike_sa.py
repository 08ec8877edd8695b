"""A Phase 1 SA: its keys, and the protection of the messages under it (RFC 2409 sections 4, 5)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ikev1.core.credentials import CertificateCredential, PresharedKey
from ikev1.core.effects import MessageSeen, Path
from ikev1.core.exchange import Exchange
from ikev1.core.natt import NatSituation, Variant
from ikev1.core.proposals import IkeChoice
from ikev1.core.quirks import UNKNOWN, Implementation
from ikev1.crypto import keymat
from ikev1.crypto.cipher import CipherError, decrypt, encrypt
from ikev1.crypto.signatures import proof_hash
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag, NotifyType
from ikev1.wire.header import HEADER_LENGTH, VERSION_1_0, Header, build_header, parse_header
from ikev1.wire.message import (
    Payloads,
    build_message,
    build_payloads,
    parse_message,
    parse_payloads,
)
from ikev1.wire.payloads import Hash, Identification, Payload
from ikev1.x509.certificate import Certificate

REMEMBERED_MESSAGE_IDS = 16_384
"""Message IDs kept against replay: a DPD probe each 10 s for two days."""


@dataclass(slots=True, eq=False)
class IkeSa:
    """One Phase 1 SA, from its first message to its end."""

    cookies: bytes
    """Initiator cookie | responder cookie, the SA's key."""
    path: Path
    client: str
    """The client's identifier in logs: that of the lineage, once it is known."""
    created: float
    origin: tuple[bytes, str, int]
    """Initiator cookie, remote address and port of message 1: its key while half open."""
    main_mode: Exchange | None = None
    suspect: bool = False
    """Whether a message 5 has failed, which the operator has been told."""
    established: bool = False
    expires: float = 0.0
    choice: IkeChoice | None = None
    variant: Variant | None = None
    nat: NatSituation = field(default_factory=NatSituation)
    implementation: Implementation = UNKNOWN
    takes_fragments: bool = False
    """Whether large messages are sent in fragments."""
    keys: keymat.Phase1Keys | None = None
    last_block: bytes = b""
    """Last CBC block of Phase 1, which every Phase 2 IV starts from."""
    identity: Identification | None = None
    connection: str = ""
    credential: PresharedKey | CertificateCredential | None = None
    """Our side of what the client has proved itself with."""
    chain: tuple[Certificate, ...] = ()
    """The client's certificate, and those that lead from it to a trusted authority."""
    we_began: bool = False
    """Whether we are its initiator."""
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    """Phase 2 exchanges under way or just done, by message ID."""
    seen: dict[int, None] = field(default_factory=dict)
    """Message IDs used, oldest first: RFC 2409 section 5.5 lets none be used twice."""

    last_word: bytes = b""
    """The Delete of this SA itself, sealed in advance for a crash of ours; b"" until then."""

    watch: Callable[[MessageSeen], None] | None = None
    """Who is told of its messages in clear, if anybody is."""

    @property
    def initiator_cookie(self) -> bytes:
        """CKY-I."""
        return self.cookies[:8]

    @property
    def responder_cookie(self) -> bytes:
        """CKY-R."""
        return self.cookies[8:]

    @property
    def hash(self) -> int:
        """The negotiated hash, which is the PRF too."""
        assert self.choice is not None
        return self.choice.hash

    @property
    def psk(self) -> PresharedKey | None:
        """The key that the client has proved to have, None where it proved itself otherwise."""
        return self.credential if isinstance(self.credential, PresharedKey) else None

    def under_way(self) -> list[Exchange]:
        """The Quick Modes that have not come to their end."""
        return [exchange for exchange in self.exchanges.values() if not exchange.done]

    @property
    def proof_hash(self) -> int:
        """The hash that HASH_I and HASH_R are made with."""
        assert self.choice is not None
        return proof_hash(self.choice.method, self.choice.hash)

    @property
    def floats(self) -> bool:
        """Whether a NAT has it go on on port 4500, where ESP in UDP goes too."""
        return self.nat.detected and (self.variant is None or self.variant.floats)

    def remember(self, message_id: int) -> None:
        """Note that a message ID has been used."""
        self.seen[message_id] = None
        if len(self.seen) > REMEMBERED_MESSAGE_IDS:
            del self.seen[next(iter(self.seen))]

    def saw(self, header: Header, payloads: Sequence[Payload], *, sent: bool = False) -> None:
        """Tell who watches of a message."""
        if self.watch is not None:
            self.watch(MessageSeen(self.client, self.path, sent, header, tuple(payloads)))

    def saw_received(self, header: Header, payloads: Payloads) -> None:
        """Tell who watches of a message that has come."""
        if self.watch is not None:
            self.saw(header, payloads.values)

    def saw_reply(self, message: bytes) -> None:
        """Tell who watches of a reply of ours, if it is in clear; `seal` has told of the others."""
        if self.watch is not None and not parse_header(message).flags & Flag.ENCRYPTION:
            header, payloads = parse_message(message)
            self.saw(header, payloads.values, sent=True)

    def clear(
        self, exchange: ExchangeType, values: Sequence[Payload], message_id: int = 0
    ) -> bytes:
        """An unprotected message."""
        return build_message(self.cookies, exchange, message_id, values)

    def seal(
        self,
        exchange: ExchangeType,
        message_id: int,
        values: Sequence[Payload],
        iv: bytes,
    ) -> tuple[bytes, bytes]:
        """An encrypted message, and the next IV of its exchange."""
        return self._seal(exchange, message_id, values, build_payloads(values), iv)

    def _seal(
        self,
        exchange: ExchangeType,
        message_id: int,
        values: Sequence[Payload],
        built: tuple[int, bytes],
        iv: bytes,
    ) -> tuple[bytes, bytes]:
        assert self.choice is not None
        assert self.keys is not None
        first, body = built
        sealed, next_iv = encrypt(self.choice.encryption, self.keys.cipher_key, iv, body)
        header = Header(
            initiator_cookie=self.initiator_cookie,
            responder_cookie=self.responder_cookie,
            next_payload=first,
            version=VERSION_1_0,
            exchange_type=exchange,
            flags=Flag.ENCRYPTION,
            message_id=message_id,
            length=HEADER_LENGTH + len(sealed),
        )
        if exchange != ExchangeType.INFORMATIONAL:  # which is made in advance too
            self.saw(header, values, sent=True)
        return build_header(header) + sealed, next_iv

    def seal_hashed(
        self,
        exchange: ExchangeType,
        message_id: int,
        values: Sequence[Payload],
        iv: bytes,
        nonce: bytes = b"",
    ) -> tuple[bytes, bytes]:
        """An encrypted message that begins with HASH(1), or HASH(2) where `nonce` is Ni_b."""
        assert self.keys is not None
        covered = build_payloads(values)
        digest = keymat.hash_2(self.hash, self.keys.skeyid_a, message_id, nonce, covered[1])
        proof = Hash(digest)
        built = build_payloads((proof,), covered)
        return self._seal(exchange, message_id, (proof, *values), built, iv)

    def open(self, header: Header, body: bytes, iv: bytes) -> tuple[Payloads, bytes]:
        """Decrypt and parse; returns the next IV as well. Raises ProtocolError."""
        assert self.choice is not None
        assert self.keys is not None
        payloads, next_iv = open_with(self.choice.encryption, self.keys, header, body, iv)
        self.saw_received(header, payloads)
        return payloads, next_iv

    def open_hashed(self, header: Header, body: bytes) -> tuple[Payloads, bytes]:
        """Open the first message of a Phase 2 or Informational exchange and verify HASH(1).

        Nothing in the message may be believed before that: raises ProtocolError.
        """
        assert self.keys is not None
        payloads, next_iv = self.open(header, body, self.phase2_iv(header.message_id))
        expected = keymat.hash_1(
            self.hash, self.keys.skeyid_a, header.message_id, payloads.raw_after_first()
        )
        check_hash(payloads, expected)
        return payloads, next_iv

    def phase2_iv(self, message_id: int) -> bytes:
        """RFC 2409 appendix B: the IV of a Phase 2 exchange."""
        return keymat.phase2_iv(self.hash, self.last_block, message_id, len(self.last_block))


def open_with(
    algorithm: int, keys: keymat.Phase1Keys, header: Header, body: bytes, iv: bytes
) -> tuple[Payloads, bytes]:
    """Decrypt and parse a message; returns the next IV as well. Raises ProtocolError."""
    try:
        plain, next_iv = decrypt(algorithm, keys.cipher_key, iv, body)
    except CipherError as error:
        raise ProtocolError(
            str(error), offset=HEADER_LENGTH, notify=NotifyType.PAYLOAD_MALFORMED
        ) from error
    return parse_payloads(header.next_payload, plain, encrypted=True), next_iv


def check_hash(payloads: Payloads, expected: bytes) -> None:
    """Compare HASH, which must be the first payload (RFC 2409 section 5.5), in constant time."""
    first = payloads.items[0].value if payloads.items else None
    if not isinstance(first, Hash):
        raise ProtocolError(
            "the message does not begin with HASH",
            offset=HEADER_LENGTH,
            notify=NotifyType.INVALID_HASH_INFORMATION,
        )
    if not hmac.compare_digest(first.data, expected):
        raise ProtocolError(
            "HASH does not verify",
            offset=HEADER_LENGTH,
            notify=NotifyType.INVALID_HASH_INFORMATION,
        )
