"""The SA payload: proposals, transforms and their attributes (RFC 2408 sections 3.3 to 3.6)."""

import struct
from functools import lru_cache
from typing import ClassVar

from msgspec import Struct

from ikev1.errors import ProtocolError
from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import Doi, NotifyType, PayloadType, ProtocolId, Situation
from ikev1.wire.layout import Layout
from ikev1.wire.limits import DEFAULT_LIMITS

# RFC 2408 section 3.3: a set AF bit means that the value stands where else its length is (TV).
ATTRIBUTE_FORMAT = 0x8000
# RFC 2407 section 4.5 and RFC 2409 appendix A: durations are the numbers that outgrow 16 bits; no
# client sends one of more than 4 octets.
MAX_NUMBER_SIZE = 8
# RFC 2408 section 3.5: an ISAKMP SPI is a cookie or both, and may be absent.
MAX_ISAKMP_SPI_SIZE = 16
# RFC 2407 section 4.4 for AH and ESP; an IPCOMP CPI has 2 octets and may fill 4 (RFC 3173).
_SPI_SIZES: dict[int, tuple[int, ...]] = {
    ProtocolId.AH: (4,),
    ProtocolId.ESP: (4,),
    ProtocolId.IPCOMP: (2, 4),
}

# What every offer is compared with: an enum's member takes three times as long to find.
_IPSEC, _IDENTITY_ONLY = Doi.IPSEC, Situation.IDENTITY_ONLY
_SA, _PROPOSAL_TYPE, _TRANSFORM_TYPE = PayloadType.SA, PayloadType.PROPOSAL, PayloadType.TRANSFORM
_PROTOCOLS = ProtocolId.named()

_ATTRIBUTE = struct.Struct("!HH")
_WORD = struct.Struct("!L")
_PROPOSAL = struct.Struct("!BBHBBBB")
_TRANSFORM = struct.Struct("!BBHBBH")

MAX_REMEMBERED_SIZE = 1024
"""Octets of a proposal's transforms that are worth remembering; those of a Mac have 500."""
REMEMBERED = 128
"""Lists of transforms that are remembered as they came, and as many as they are sent: the thirty
kinds of clients have two or three each. A stranger can fill both with some 10 kB a list."""


class Attribute(Struct, frozen=True):
    """A data attribute; an int value is the short form (TV), octets are the long one (TLV)."""

    type: int
    value: int | bytes

    @property
    def number(self) -> int:
        """The value as a number, whichever form it came in; raises ProtocolError for a wide one."""
        value = self.value
        if isinstance(value, int):
            return value
        if not 0 < len(value) <= MAX_NUMBER_SIZE:
            raise ProtocolError(
                f"attribute {self.type} has {len(value)} octets for a number",
                payload=PayloadType.TRANSFORM,
                notify=NotifyType.ATTRIBUTES_NOT_SUPPORTED,
            )
        return int.from_bytes(value, "big")


class Transform(Struct, frozen=True):
    """One way to fill a proposal (RFC 2408 section 3.6)."""

    number: int
    transform_id: int
    attributes: tuple[Attribute, ...]
    reserved: int = 0
    reserved2: int = 0


class Proposal(Struct, frozen=True):
    """A protocol and the transforms offered for it (RFC 2408 section 3.5)."""

    number: int
    protocol_id: ProtocolId
    spi: bytes
    transforms: tuple[Transform, ...]
    reserved: int = 0


class SaPayload(Struct, frozen=True):
    """A security association payload (RFC 2408 section 3.4, RFC 2407 section 4.6.1).

    Under another DOI than IPsec's, or in a situation with labels, the place of the proposals is not
    known to us: `opaque` then holds what follows the DOI (and the situation, if the DOI is IPsec's)
    and there are no proposals.
    """

    type: ClassVar[PayloadType] = PayloadType.SA

    doi: int
    situation: int
    proposals: tuple[Proposal, ...]
    opaque: bytes = b""


# TV attributes are few and alike in all transforms of all clients; entries have a fixed size.
@lru_cache(maxsize=512)
def _short(kind: int, value: int) -> Attribute:
    return Attribute(kind, value)


class _Attributes(Layout[tuple[Attribute, ...]]):
    """Data attributes up to the end of the window (RFC 2408 section 3.3)."""

    def decode(self, cursor: Cursor) -> tuple[Attribute, ...]:
        attributes = []
        while cursor.position < cursor.end:
            kind, value = cursor.unpack(_ATTRIBUTE)
            if kind & ATTRIBUTE_FORMAT:
                attributes.append(_short(kind ^ ATTRIBUTE_FORMAT, value))
            else:
                attributes.append(Attribute(kind, cursor.take(value)))
        if len(attributes) > cursor.limits.attributes:
            cursor.fail(f"{len(attributes)} attributes in a transform")
        return tuple(attributes)

    def encode(self, value: tuple[Attribute, ...]) -> bytes:
        return b"".join([_encode_attribute(attribute) for attribute in value])


def _encode_attribute(attribute: Attribute) -> bytes:
    kind, value = attribute.type, attribute.value
    if kind >= ATTRIBUTE_FORMAT:
        msg = f"attribute type {kind} does not fit 15 bits"
        raise ValueError(msg)
    if isinstance(value, int):
        return _ATTRIBUTE.pack(kind | ATTRIBUTE_FORMAT, value)
    return _ATTRIBUTE.pack(kind, len(value)) + value


class _Transforms(Layout[tuple[Transform, ...]]):
    """Chained transforms up to the end of the window, each with its generic header."""

    def decode(self, cursor: Cursor) -> tuple[Transform, ...]:
        cursor.payload = _TRANSFORM_TYPE
        transforms: list[Transform] = []
        more = True
        while more:
            start = cursor.position
            following, reserved, length, number, transform_id, reserved2 = cursor.unpack(_TRANSFORM)
            more = _more(cursor, following, _TRANSFORM_TYPE, start)
            if length < _TRANSFORM.size:
                cursor.fail(f"transform of {length} octets", at=start)
            if len(transforms) == cursor.limits.transforms:
                cursor.fail(f"more than {len(transforms)} transforms", at=start)
            attributes = cursor.within(length - _TRANSFORM.size, ATTRIBUTES)
            transforms.append(Transform(number, transform_id, attributes, reserved, reserved2))
        cursor.payload = _PROPOSAL_TYPE
        return tuple(transforms)

    def encode(self, value: tuple[Transform, ...]) -> bytes:
        parts: list[bytes] = []
        left = len(value)
        for transform in value:
            left -= 1
            attributes = ATTRIBUTES.encode(transform.attributes)
            head = _TRANSFORM.pack(
                _TRANSFORM_TYPE if left else PayloadType.NONE,
                transform.reserved,
                _TRANSFORM.size + len(attributes),
                transform.number,
                transform.transform_id,
                transform.reserved2,
            )
            parts += head, attributes
        return b"".join(parts)


class _Proposals(Layout[tuple[Proposal, ...]]):
    """Chained proposals up to the end of the window, each with its generic header."""

    def decode(self, cursor: Cursor) -> tuple[Proposal, ...]:
        cursor.payload = _PROPOSAL_TYPE
        proposals: list[Proposal] = []
        transforms = 0
        more = True
        while more:
            start = cursor.position
            following, reserved, length, number, protocol, spi_size, announced = cursor.unpack(
                _PROPOSAL
            )
            more = _more(cursor, following, _PROPOSAL_TYPE, start)
            if length < _PROPOSAL.size + spi_size:
                cursor.fail(f"proposal of {length} octets", at=start)
            if len(proposals) == cursor.limits.proposals:
                cursor.fail(f"more than {len(proposals)} proposals", at=start)
            _check_spi_size(cursor, protocol, spi_size, start)
            spi = cursor.take(spi_size)
            offered = _offered(cursor, length - _PROPOSAL.size - spi_size)
            if len(offered) != announced:
                cursor.fail(f"{len(offered)} transforms where {announced} are announced", at=start)
            transforms += announced
            if transforms > cursor.limits.transforms:
                cursor.fail(f"more than {cursor.limits.transforms} transforms", at=start)
            protocol_id = _PROTOCOLS.get(protocol) or ProtocolId(protocol)
            proposals.append(Proposal(number, protocol_id, spi, offered, reserved))
        cursor.payload = _SA
        return tuple(proposals)

    def encode(self, value: tuple[Proposal, ...]) -> bytes:
        parts: list[bytes] = []
        left = len(value)
        for proposal in value:
            left -= 1
            transforms = _built(proposal.transforms)
            head = _PROPOSAL.pack(
                _PROPOSAL_TYPE if left else PayloadType.NONE,
                proposal.reserved,
                _PROPOSAL.size + len(proposal.spi) + len(transforms),
                proposal.number,
                proposal.protocol_id,
                len(proposal.spi),
                len(proposal.transforms),
            )
            parts += head, proposal.spi, transforms
        return b"".join(parts)


class _Sa(Layout[SaPayload]):
    """The body of an SA payload."""

    def decode(self, cursor: Cursor) -> SaPayload:
        (doi,) = cursor.unpack(_WORD)
        if doi != _IPSEC:
            return SaPayload(doi, 0, (), cursor.rest())
        (situation,) = cursor.unpack(_WORD)
        if situation != _IDENTITY_ONLY:
            return SaPayload(doi, situation, (), cursor.rest())
        return SaPayload(doi, situation, PROPOSALS.decode(cursor))

    def encode(self, value: SaPayload) -> bytes:
        doi = _WORD.pack(value.doi)
        if value.doi != _IPSEC:
            return doi + value.opaque
        situation = _WORD.pack(value.situation)
        if value.situation != _IDENTITY_ONLY:
            return doi + situation + value.opaque
        return doi + situation + PROPOSALS.encode(value.proposals)


def _offered(cursor: Cursor, size: int) -> tuple[Transform, ...]:
    """The transforms of a proposal, which are the same octets from all clients of a kind."""
    start = cursor.position
    end = start + size
    if size <= MAX_REMEMBERED_SIZE and end <= cursor.end and cursor.limits is DEFAULT_LIMITS:
        # What is wrong with an offer is told by its place, which is found below.
        try:
            transforms = _remembered(cursor.data[start:end])
        except ProtocolError:
            return cursor.within(size, TRANSFORMS)
        cursor.position = end
        return transforms
    return cursor.within(size, TRANSFORMS)


@lru_cache(maxsize=REMEMBERED)
def _remembered(octets: bytes) -> tuple[Transform, ...]:
    return TRANSFORMS.parse(octets)


# What is answered is what was offered; and transforms that are equal have the same octets.
@lru_cache(maxsize=REMEMBERED)
def _built(transforms: tuple[Transform, ...]) -> bytes:
    return TRANSFORMS.encode(transforms)


def _more(cursor: Cursor, following: int, kind: PayloadType, start: int) -> bool:
    """Whether another of `kind` follows; only that or nothing may (RFC 2408 section 3.5, 3.6)."""
    if following and following != kind:
        cursor.fail(
            f"{PayloadType(following)} follows a {kind}", NotifyType.INVALID_PAYLOAD_TYPE, at=start
        )
    return bool(following)


def _check_spi_size(cursor: Cursor, protocol: int, size: int, start: int) -> None:
    """A proposal has the SPI its protocol uses; of an unknown protocol only the size is bounded."""
    sizes = _SPI_SIZES.get(protocol)
    if size > MAX_ISAKMP_SPI_SIZE or (sizes is not None and size not in sizes):
        cursor.fail(
            f"{ProtocolId(protocol)} SPI of {size} octets", NotifyType.INVALID_SPI, at=start
        )


ATTRIBUTES = _Attributes()
TRANSFORMS = _Transforms()
PROPOSALS = _Proposals()
SA = _Sa()
