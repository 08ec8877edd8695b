"""The payloads but for the SA: a value class and a layout for each (RFC 2408 section 3).

Layouts describe a payload's body; the generic header is the chain's (`ikev1.wire.message`).
"""

import struct
from functools import partial
from typing import Any, ClassVar

from construct import Int8ub, Int16ub
from msgspec import Struct

from ikev1.discreet import Discreet
from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import CertEncoding, IdType, NotifyType, PayloadType, ProtocolId
from ikev1.wire.layout import Layout, Open, Record, Rest
from ikev1.wire.sa import MAX_ISAKMP_SPI_SIZE, SA, SaPayload

# RFC 2407 section 4.6.2: what the data of an identification by address measures.
ADDRESS_SIZES: dict[int, int] = {
    IdType.IPV4_ADDR: 4,
    IdType.IPV4_ADDR_SUBNET: 8,
    IdType.IPV4_ADDR_RANGE: 8,
    IdType.IPV6_ADDR: 16,
    IdType.IPV6_ADDR_SUBNET: 32,
    IdType.IPV6_ADDR_RANGE: 32,
}

_ONE_ADDRESS = {number: ADDRESS_SIZES[number] for number in (IdType.IPV4_ADDR, IdType.IPV6_ADDR)}
_ID_TYPES = IdType.named()

# RFC 2408 section 3.15 for ISAKMP, RFC 2407 section 4.4 for AH and ESP, RFC 3173 for IPCOMP.
_DELETE_SPI_SIZES: dict[int, tuple[int, ...]] = {
    ProtocolId.ISAKMP: (16,),
    ProtocolId.AH: (4,),
    ProtocolId.ESP: (4,),
    ProtocolId.IPCOMP: (2, 4),
}

_NOTIFICATION = struct.Struct("!LBBH")
_DELETE = struct.Struct("!LBBH")
_NAT_OA = struct.Struct("!B3s")


class KeyExchange(Discreet, frozen=True):
    """A Diffie-Hellman public value (section 3.7)."""

    type: ClassVar[PayloadType] = PayloadType.KE

    data: bytes


class Identification(Struct, frozen=True):
    """RFC 2407 section 4.6.2; `protocol` and `port` are 0 where they do not matter."""

    type: ClassVar[PayloadType] = PayloadType.ID

    id_type: IdType
    protocol: int
    port: int
    data: bytes


class Certificate(Struct, frozen=True):
    """Section 3.9."""

    type: ClassVar[PayloadType] = PayloadType.CERT

    encoding: CertEncoding
    data: bytes


class CertificateRequest(Struct, frozen=True):
    """Section 3.10; no data asks for a certificate of any authority."""

    type: ClassVar[PayloadType] = PayloadType.CERTREQ

    encoding: CertEncoding
    data: bytes


class Hash(Discreet, frozen=True):
    """Section 3.11."""

    type: ClassVar[PayloadType] = PayloadType.HASH

    data: bytes


class Signature(Discreet, frozen=True):
    """Section 3.12."""

    type: ClassVar[PayloadType] = PayloadType.SIG

    data: bytes


class Nonce(Discreet, frozen=True):
    """Section 3.13. RFC 2409 section 5 bounds it to 8 to 256 octets, which the exchange checks."""

    type: ClassVar[PayloadType] = PayloadType.NONCE

    data: bytes


class Notification(Struct, frozen=True):
    """Section 3.14."""

    type: ClassVar[PayloadType] = PayloadType.N

    doi: int
    protocol_id: ProtocolId
    notify_type: NotifyType
    spi: bytes
    data: bytes


class Delete(Struct, frozen=True):
    """Section 3.15; the SPI of an ISAKMP SA is both cookies."""

    type: ClassVar[PayloadType] = PayloadType.D

    doi: int
    protocol_id: ProtocolId
    spis: tuple[bytes, ...]


class VendorId(Struct, frozen=True):
    """Section 3.16; `ikev1.wire.vendor_ids` has the names."""

    type: ClassVar[PayloadType] = PayloadType.VID

    data: bytes


class NatD(Struct, frozen=True):
    """RFC 3947 section 3.2; `type` is the number of the RFC or of a draft."""

    data: bytes
    type: PayloadType = PayloadType.NAT_D


class NatOa(Struct, frozen=True):
    """RFC 3947 section 5.2; `type` is the number of the RFC or of a draft."""

    id_type: IdType
    address: bytes
    type: PayloadType = PayloadType.NAT_OA
    reserved: bytes = bytes(3)


class Fragment(Discreet, frozen=True):
    """A piece of a message ([MS-IKEE] section 2.2.3); numbers count from 1, flag 1 marks the last.

    The pieces, in order, are the whole message with its own ISAKMP header.
    """

    type: ClassVar[PayloadType] = PayloadType.FRAGMENT

    fragment_id: int
    number: int
    flags: int
    data: bytes


class RawPayload(Struct, frozen=True):
    """A payload this codec has no layout for."""

    type: PayloadType
    data: bytes


Payload = (
    SaPayload
    | KeyExchange
    | Identification
    | Certificate
    | CertificateRequest
    | Hash
    | Signature
    | Nonce
    | Notification
    | Delete
    | VendorId
    | NatD
    | NatOa
    | Fragment
    | RawPayload
)


class _Identification(Record[Identification]):
    """Checks the size of addresses and bounds the rest."""

    def decode(self, cursor: Cursor) -> Identification:
        start = cursor.position
        value = super().decode(cursor)
        size = len(value.data)
        if size != ADDRESS_SIZES.get(value.id_type, size) or size > cursor.limits.identification:
            cursor.fail(
                f"{value.id_type} of {size} octets", NotifyType.INVALID_ID_INFORMATION, at=start
            )
        return value


class _VendorId(Record[VendorId]):
    """Bounds the size."""

    def decode(self, cursor: Cursor) -> VendorId:
        if cursor.end - cursor.position > cursor.limits.vendor_id:
            cursor.fail(f"vendor ID of {cursor.remaining} octets")
        return super().decode(cursor)


class _Notification(Layout[Notification]):
    """The size of the SPI stands before the type, the SPI after it.

    Which SPI a notification has varies between senders, down to none, so only its size is bounded.
    """

    def decode(self, cursor: Cursor) -> Notification:
        start = cursor.position
        doi, protocol, spi_size, notify_type = cursor.unpack(_NOTIFICATION)
        if spi_size > MAX_ISAKMP_SPI_SIZE:
            cursor.fail(f"SPI of {spi_size} octets", NotifyType.INVALID_SPI, at=start)
        spi = cursor.take(spi_size)
        return Notification(doi, ProtocolId(protocol), NotifyType(notify_type), spi, cursor.rest())

    def encode(self, value: Notification) -> bytes:
        head = _NOTIFICATION.pack(value.doi, value.protocol_id, len(value.spi), value.notify_type)
        return head + value.spi + value.data


class _Delete(Layout[Delete]):
    """The count and the size of the SPIs stand before them and have to fill the payload."""

    def decode(self, cursor: Cursor) -> Delete:
        start = cursor.position
        doi, protocol, size, count = cursor.unpack(_DELETE)
        if size not in _DELETE_SPI_SIZES.get(protocol, range(1, MAX_ISAKMP_SPI_SIZE + 1)):
            cursor.fail(
                f"{ProtocolId(protocol)} SPI of {size} octets", NotifyType.INVALID_SPI, at=start
            )
        if not 0 < count <= cursor.limits.delete_spis:
            cursor.fail(f"{count} SPIs", at=start)
        spis = tuple([cursor.take(size) for _ in range(count)])
        return Delete(doi, ProtocolId(protocol), spis)

    def encode(self, value: Delete) -> bytes:
        sizes = {len(spi) for spi in value.spis}
        if len(sizes) != 1:
            msg = "the SPIs of a Delete have one size"
            raise ValueError(msg)
        head = _DELETE.pack(value.doi, value.protocol_id, sizes.pop(), len(value.spis))
        return head + b"".join(value.spis)


class _NatOa(Layout[NatOa]):
    """An address; its reserved octets are kept."""

    def __init__(self, kind: PayloadType) -> None:
        super().__init__()
        self._kind = kind

    def decode(self, cursor: Cursor) -> NatOa:
        start = cursor.position
        number, reserved = cursor.unpack(_NAT_OA)
        id_type = _ID_TYPES.get(number) or IdType(number)
        address = cursor.rest()
        size = _ONE_ADDRESS.get(number)
        if size is None:
            cursor.fail(
                f"original address as {id_type}", NotifyType.INVALID_ID_INFORMATION, at=start
            )
        if len(address) != size:
            cursor.fail(
                f"{id_type} of {len(address)} octets", NotifyType.INVALID_ID_INFORMATION, at=start
            )
        return NatOa(id_type, address, self._kind, reserved)

    def encode(self, value: NatOa) -> bytes:
        if len(value.reserved) != 3:
            msg = f"{len(value.reserved)} reserved octets where 3 have to be"
            raise ValueError(msg)
        return _NAT_OA.pack(value.id_type, value.reserved) + value.address


class _Fragment(Record[Fragment]):
    """Numbers count from 1 and no piece is empty."""

    def decode(self, cursor: Cursor) -> Fragment:
        start = cursor.position
        value = super().decode(cursor)
        if value.number == 0:
            cursor.fail("fragment number 0", at=start)
        return value


class _Raw(Layout[RawPayload]):
    """Any body, under the payload number it came with."""

    def __init__(self, kind: int) -> None:
        super().__init__()
        self._kind = PayloadType(kind)

    def decode(self, cursor: Cursor) -> RawPayload:
        return RawPayload(self._kind, cursor.rest())

    def encode(self, value: RawPayload) -> bytes:
        return value.data


KEY_EXCHANGE = Record(KeyExchange, "data" / Rest(minimum=1))
IDENTIFICATION = _Identification(
    Identification,
    "id_type" / Open(Int8ub, IdType),
    "protocol" / Int8ub,
    "port" / Int16ub,
    "data" / Rest(),  # a client may show an empty name
)
CERTIFICATE = Record(Certificate, "encoding" / Open(Int8ub, CertEncoding), "data" / Rest(minimum=1))
CERTIFICATE_REQUEST = Record(
    CertificateRequest, "encoding" / Open(Int8ub, CertEncoding), "data" / Rest()
)
HASH = Record(Hash, "data" / Rest(minimum=1))
SIGNATURE = Record(Signature, "data" / Rest(minimum=1))
NONCE = Record(Nonce, "data" / Rest(minimum=1))
NOTIFICATION = _Notification()
DELETE = _Delete()
VENDOR_ID = _VendorId(VendorId, "data" / Rest(minimum=1))
FRAGMENT = _Fragment(
    Fragment,
    "fragment_id" / Int16ub,
    "number" / Int8ub,
    "flags" / Int8ub,
    "data" / Rest(minimum=1),
)


def _nat_d(kind: PayloadType) -> Record[NatD]:
    return Record(partial(NatD, type=kind), "data" / Rest(minimum=1))


# Every payload number of version 1 has a layout, those without a meaning the raw one. NONE, the
# parts of an SA, and the numbers RFC 7296 and its heirs gave to version 2 payloads (CVE-2015-3991)
# have none.
_IKEV2_PAYLOADS = range(33, 55)
_NOT_PAYLOADS = {PayloadType.NONE, PayloadType.PROPOSAL, PayloadType.TRANSFORM, *_IKEV2_PAYLOADS}
LAYOUTS: dict[int, Layout[Any]] = {
    **{kind: _Raw(kind) for kind in range(256) if kind not in _NOT_PAYLOADS},
    PayloadType.SA: SA,
    PayloadType.KE: KEY_EXCHANGE,
    PayloadType.ID: IDENTIFICATION,
    PayloadType.CERT: CERTIFICATE,
    PayloadType.CERTREQ: CERTIFICATE_REQUEST,
    PayloadType.HASH: HASH,
    PayloadType.SIG: SIGNATURE,
    PayloadType.NONCE: NONCE,
    PayloadType.N: NOTIFICATION,
    PayloadType.D: DELETE,
    PayloadType.VID: VENDOR_ID,
    PayloadType.NAT_D_DRAFT_04: _nat_d(PayloadType.NAT_D_DRAFT_04),
    PayloadType.NAT_OA_DRAFT_04: _NatOa(PayloadType.NAT_OA_DRAFT_04),
    PayloadType.NAT_D: _nat_d(PayloadType.NAT_D),
    PayloadType.NAT_OA: _NatOa(PayloadType.NAT_OA),
    PayloadType.NAT_D_DRAFT: _nat_d(PayloadType.NAT_D_DRAFT),
    PayloadType.NAT_OA_DRAFT: _NatOa(PayloadType.NAT_OA_DRAFT),
    PayloadType.FRAGMENT: FRAGMENT,
}
