"""Attribute value pairs, RFC 2661 section 4.

``parse_avps`` and ``build_avps`` are inverse for every list that parses: vendors, unknown types,
reserved bits and hidden values stay as they came. What the values mean is declared in ``VALUES``,
one construct per attribute, and applied by ``l2tp.wire.attributes``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from construct import (
    Adapter,
    Bytes,
    Const,
    Construct,
    GreedyBytes,
    Int16ub,
    Int32ub,
    Int64ub,
    Padding,
    Struct,
    Terminated,
)

from l2tp.wire.cursor import Cursor, Layout, parse_exactly, printable
from l2tp.wire.enums import AvpType, GeneralError

MANDATORY = 0x8000
HIDDEN = 0x4000
RESERVED = 0x3C00
LENGTH_MASK = 0x03FF
HEADER_SIZE = 6
MAX_VALUE = LENGTH_MASK - HEADER_SIZE
# RFC 2661 defines 38 attributes; twice that leaves room for vendors' own.
MAX_AVPS = 80

_HEADER = struct.Struct(">HHH")


@dataclass(frozen=True, slots=True)
class Avp:
    """One AVP as it stands on the wire; ``reserved`` holds the four reserved bits in place."""

    type: AvpType
    value: bytes
    mandatory: bool = True
    hidden: bool = False
    vendor: int = 0
    reserved: int = 0


class AvpList(Layout):
    """The AVPs of one control message."""

    unit = "AVP list"

    def decode(self, cursor: Cursor) -> tuple[Avp, ...]:
        """Read AVPs up to the end; raises ProtocolError."""
        avps: list[Avp] = []
        while cursor.remaining:
            if len(avps) == MAX_AVPS:
                cursor.fail("too many AVPs", error=GeneralError.NO_RESOURCES)
            if cursor.remaining < HEADER_SIZE:
                cursor.fail("AVP header is cut short", error=GeneralError.WRONG_LENGTH)
            flags, vendor, number = _HEADER.unpack(cursor.take(HEADER_SIZE, "AVP header"))
            size = (flags & LENGTH_MASK) - HEADER_SIZE
            if not 0 <= size <= cursor.remaining:
                cursor.fail("AVP length does not fit", error=GeneralError.WRONG_LENGTH)
            avps.append(
                Avp(
                    AvpType(number),
                    cursor.take(size, "AVP"),
                    mandatory=bool(flags & MANDATORY),
                    hidden=bool(flags & HIDDEN),
                    vendor=vendor,
                    reserved=flags & RESERVED,
                )
            )
        return tuple(avps)

    def encode(self, value: tuple[Avp, ...]) -> bytes:
        """Octets of AVPs; a value over 1017 octets is our own mistake: ValueError."""
        pieces = []
        for avp in value:
            if len(avp.value) > MAX_VALUE:
                raise ValueError(f"{avp.type} of {len(avp.value)} octets")
            flags = avp.reserved | (HEADER_SIZE + len(avp.value))
            flags |= (MANDATORY if avp.mandatory else 0) | (HIDDEN if avp.hidden else 0)
            pieces.append(_HEADER.pack(flags, avp.vendor, avp.type) + avp.value)
        return b"".join(pieces)


AVP_LIST = AvpList()


def parse_avps(payload: bytes) -> tuple[Avp, ...]:
    """Read the body of a control message; raises ProtocolError."""
    avps: tuple[Avp, ...] = AVP_LIST.parse(payload)
    return avps


def build_avps(avps: tuple[Avp, ...]) -> bytes:
    """Octets of a control message's body."""
    octets: bytes = AVP_LIST.build(avps)
    return octets


@dataclass(frozen=True, slots=True)
class ResultCode:
    """Why a session or tunnel ends, RFC 2661 section 4.4.2; the error part may be absent."""

    code: int
    error: int | None = None
    message: str = ""


class _ResultCodeAdapter(Adapter):
    """Result Code, with what clients make of it.

    Apple's clients write the code in host order and let the AVP go on into six octets of stale
    buffer; no real code fills the upper octet alone, so the swap is safe to undo.
    """

    def _decode(self, obj: bytes, context: Any, path: Any) -> ResultCode:
        cursor = Cursor(obj, "Result Code AVP")
        code = cursor.u16("result code")
        if code > 0xFF and not code & 0xFF:
            return ResultCode(code >> 8)
        if not cursor.remaining:
            return ResultCode(code)
        error = cursor.u16("error code")
        return ResultCode(code, error, printable(cursor.rest()))

    def _encode(self, obj: ResultCode, context: Any, path: Any) -> bytes:
        octets = struct.pack(">H", obj.code)
        if obj.error is None:
            return octets
        return octets + struct.pack(">H", obj.error) + obj.message.encode()


class _Text(Adapter):
    """A name. Apple's clients count a NUL at its end; old ones send no octet at all."""

    def _decode(self, obj: bytes, context: Any, path: Any) -> str:
        return printable(obj.rstrip(b"\0"))

    def _encode(self, obj: str, context: Any, path: Any) -> bytes:
        return obj.encode()


_TEXT = _Text(GreedyBytes)

VALUES: dict[AvpType, Construct] = {
    AvpType.MESSAGE_TYPE: Int16ub,
    AvpType.RESULT_CODE: _ResultCodeAdapter(GreedyBytes),
    AvpType.PROTOCOL_VERSION: Int16ub,
    AvpType.FRAMING_CAPABILITIES: Int32ub,
    AvpType.BEARER_CAPABILITIES: Int32ub,
    AvpType.TIE_BREAKER: Int64ub,
    AvpType.FIRMWARE_REVISION: Int16ub,
    AvpType.HOST_NAME: _TEXT,
    AvpType.VENDOR_NAME: _TEXT,
    AvpType.ASSIGNED_TUNNEL_ID: Int16ub,
    AvpType.RECEIVE_WINDOW_SIZE: Int16ub,
    AvpType.CHALLENGE: GreedyBytes,
    AvpType.CAUSE_CODE: Struct("code" / Int16ub, "message" / Bytes(1), "advisory" / _TEXT),
    AvpType.CHALLENGE_RESPONSE: Bytes(16),
    AvpType.ASSIGNED_SESSION_ID: Int16ub,
    AvpType.CALL_SERIAL_NUMBER: Int32ub,
    AvpType.MINIMUM_BPS: Int32ub,
    AvpType.MAXIMUM_BPS: Int32ub,
    AvpType.BEARER_TYPE: Int32ub,
    AvpType.FRAMING_TYPE: Int32ub,
    AvpType.CALLED_NUMBER: _TEXT,
    AvpType.CALLING_NUMBER: _TEXT,
    AvpType.SUB_ADDRESS: _TEXT,
    AvpType.TX_CONNECT_SPEED: Int32ub,
    AvpType.PHYSICAL_CHANNEL_ID: Int32ub,
    AvpType.INITIAL_RECEIVED_LCP_CONFREQ: GreedyBytes,
    AvpType.LAST_SENT_LCP_CONFREQ: GreedyBytes,
    AvpType.LAST_RECEIVED_LCP_CONFREQ: GreedyBytes,
    AvpType.PROXY_AUTHEN_TYPE: Int16ub,
    AvpType.PROXY_AUTHEN_NAME: GreedyBytes,
    AvpType.PROXY_AUTHEN_CHALLENGE: GreedyBytes,
    AvpType.PROXY_AUTHEN_ID: Int16ub,
    AvpType.PROXY_AUTHEN_RESPONSE: GreedyBytes,
    AvpType.CALL_ERRORS: Struct(Padding(2), "counters" / Int32ub[6]),
    AvpType.ACCM: Struct(Padding(2), "send" / Int32ub, "receive" / Int32ub),
    AvpType.RANDOM_VECTOR: GreedyBytes,
    AvpType.PRIVATE_GROUP_ID: GreedyBytes,
    AvpType.RX_CONNECT_SPEED: Int32ub,
    AvpType.SEQUENCING_REQUIRED: Const(b""),
}
_EXACT = {number: Struct("value" / value, Terminated) for number, value in VALUES.items()}


def decode_value(avp: Avp) -> Any:
    """Value of an IETF AVP by its declaration; raises ProtocolError when it does not fit."""
    return parse_exactly(_EXACT[avp.type], avp.value, f"{avp.type} AVP").value


def make_avp(number: AvpType, value: Any, *, mandatory: bool = True) -> Avp:
    """An IETF AVP around a value of the kind its declaration gives."""
    return Avp(number, VALUES[number].build(value), mandatory=mandatory)
