"""The ISAKMP header (RFC 2408 section 3.1)."""

from construct import Bytes, Int8ub, Int32ub
from msgspec import Struct

from ikev1.errors import ProtocolError
from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import ExchangeType, NotifyType
from ikev1.wire.layout import Open, Record
from ikev1.wire.limits import DEFAULT_LIMITS, Limits

HEADER_LENGTH = 28
COOKIE_LENGTH = 8
VERSION_1_0 = 0x10
_NO_COOKIE = bytes(COOKIE_LENGTH)

# RFC 7296 section 3.1 and its successors. The number spaces were kept apart, so that one of these
# in a version 1 header is a mistake or an attack.
_IKEV2_EXCHANGES = frozenset(range(34, 45))


class Header(Struct, frozen=True):
    """What stands before the payloads, `length` (of the whole message, in octets) included."""

    initiator_cookie: bytes
    responder_cookie: bytes
    next_payload: int
    version: int
    exchange_type: ExchangeType
    flags: int
    message_id: int
    length: int


HEADER = Record(
    Header,
    "initiator_cookie" / Bytes(COOKIE_LENGTH),
    "responder_cookie" / Bytes(COOKIE_LENGTH),
    "next_payload" / Int8ub,
    "version" / Int8ub,
    "exchange_type" / Open(Int8ub, ExchangeType),
    "flags" / Int8ub,
    "message_id" / Int32ub,
    "length" / Int32ub,
)


def parse_header(datagram: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read and check the header of a whole message (no non-ESP marker); raises ProtocolError.

    The checks are those of RFC 2408 section 5.2 that need no state, and that the length is the
    datagram's. Flags without a meaning are left to be ignored.
    """
    header = HEADER.decode(Cursor(datagram, limits=limits))
    if header.length != len(datagram):
        raise ProtocolError(
            f"length {header.length} in a message of {len(datagram)} octets",
            offset=24,
            notify=NotifyType.UNEQUAL_PAYLOAD_LENGTHS,
        )
    if len(datagram) > limits.message:
        raise ProtocolError(f"message of {len(datagram)} octets", offset=24)
    if header.version != VERSION_1_0:
        major, minor = divmod(header.version, 16)
        notify = (
            NotifyType.INVALID_MAJOR_VERSION if major != 1 else NotifyType.INVALID_MINOR_VERSION
        )
        raise ProtocolError(f"ISAKMP version {major}.{minor}", offset=17, notify=notify)
    if not header.exchange_type or header.exchange_type in _IKEV2_EXCHANGES:
        raise ProtocolError(
            f"exchange type {header.exchange_type}",
            offset=18,
            notify=NotifyType.INVALID_EXCHANGE_TYPE,
        )
    if header.initiator_cookie == _NO_COOKIE:
        raise ProtocolError("zero initiator cookie", notify=NotifyType.INVALID_COOKIE)
    return header


def build_header(header: Header) -> bytes:
    """The 28 octets of `header`; raises ValueError if a field does not fit."""
    return HEADER.build(header)
