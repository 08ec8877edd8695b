"""L2TP headers, RFC 2661 section 3.1.

``parse`` splits a datagram into its header and body and checks nothing of the body; AVPs are in
``l2tp.wire.avp``. ``build(parse(datagram)) == datagram`` for every datagram that parses: reserved
bits, offset padding and octets behind the stated length are kept apart and put back.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from l2tp.errors import ProtocolError
from l2tp.wire.cursor import Cursor, Layout

TYPE = 0x8000
LENGTH = 0x4000
SEQUENCE = 0x0800
OFFSET = 0x0200
PRIORITY = 0x0100
VERSION_MASK = 0x000F
VERSION = 2
_DATA_RESERVED = 0xFFFF & ~(TYPE | LENGTH | SEQUENCE | OFFSET | PRIORITY | VERSION_MASK)
_CONTROL_RESERVED = _DATA_RESERVED | PRIORITY  # P means nothing on a control message

CONTROL_HEADER_SIZE = 12
_CONTROL = struct.Struct(">6H")


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """A control message: T, L and S set, O clear; ``payload`` holds its AVPs, empty for a ZLB."""

    tunnel_id: int
    session_id: int
    ns: int
    nr: int
    payload: bytes = b""
    reserved: int = 0
    trailing: bytes = b""


@dataclass(frozen=True, slots=True)
class DataMessage:
    """A data message; the options of its header are None (or False) where the bit is clear."""

    tunnel_id: int
    session_id: int
    payload: bytes
    ns: int | None = None
    nr: int | None = None
    offset_pad: bytes | None = None
    has_length: bool = False
    priority: bool = False
    reserved: int = 0
    trailing: bytes = b""


class Datagram(Layout):
    """One L2TP datagram."""

    unit = "L2TP datagram"

    def decode(self, cursor: Cursor) -> ControlMessage | DataMessage:
        """Read a header and its body; raises ProtocolError."""
        flags = cursor.u16("flags")
        version = flags & VERSION_MASK
        if version != VERSION:
            known = {1: "an L2F packet", 3: "an L2TPv3 packet"}
            cursor.fail(f"not L2TPv2 but {known.get(version, f'version {version}')}")
        if flags & TYPE:
            return _decode_control(cursor, flags)
        return _decode_data(cursor, flags)

    def encode(self, value: ControlMessage | DataMessage) -> bytes:
        """Octets of a message."""
        if isinstance(value, ControlMessage):
            return _encode_control(value)
        return _encode_data(value)


def _body_size(cursor: Cursor, length: int | None, header: int) -> int:
    """Octets from the cursor to the end of the message, given its length field."""
    if length is None:
        return cursor.remaining
    if length < header or length > header + cursor.remaining:
        raise ProtocolError(f"length field of {length} does not fit", 2, unit=cursor.unit)
    return length - header


def _decode_control(cursor: Cursor, flags: int) -> ControlMessage:
    if flags & (LENGTH | SEQUENCE | OFFSET) != LENGTH | SEQUENCE:
        raise ProtocolError("control message without L and S, or with O", unit=cursor.unit)
    length, tunnel_id, session_id, ns, nr = struct.unpack(
        ">5H", cursor.take(CONTROL_HEADER_SIZE - 2, "control header")
    )
    size = _body_size(cursor, length, CONTROL_HEADER_SIZE)
    payload = cursor.take(size, "control message")
    reserved = flags & _CONTROL_RESERVED
    return ControlMessage(tunnel_id, session_id, ns, nr, payload, reserved, cursor.rest())


def _decode_data(cursor: Cursor, flags: int) -> DataMessage:
    length = cursor.u16("length") if flags & LENGTH else None
    tunnel_id = cursor.u16("tunnel ID")
    session_id = cursor.u16("session ID")
    ns = nr = None
    if flags & SEQUENCE:
        ns = cursor.u16("Ns")
        nr = cursor.u16("Nr")
    offset_pad = None
    if flags & OFFSET:
        offset_pad = cursor.take(cursor.u16("offset size"), "offset pad")
    size = _body_size(cursor, length, cursor.position)
    return DataMessage(
        tunnel_id,
        session_id,
        payload=cursor.take(size, "data message"),
        ns=ns,
        nr=nr,
        offset_pad=offset_pad,
        has_length=length is not None,
        priority=bool(flags & PRIORITY),
        reserved=flags & _DATA_RESERVED,
        trailing=cursor.rest(),
    )


def _encode_control(message: ControlMessage) -> bytes:
    header = _CONTROL.pack(
        TYPE | LENGTH | SEQUENCE | VERSION | message.reserved,
        CONTROL_HEADER_SIZE + len(message.payload),
        message.tunnel_id,
        message.session_id,
        message.ns,
        message.nr,
    )
    return header + message.payload + message.trailing


def _encode_data(message: DataMessage) -> bytes:
    flags = VERSION | message.reserved | (PRIORITY if message.priority else 0)
    fields = struct.pack(">HH", message.tunnel_id, message.session_id)
    if message.ns is not None and message.nr is not None:
        flags |= SEQUENCE
        fields += struct.pack(">HH", message.ns, message.nr)
    if message.offset_pad is not None:
        flags |= OFFSET
        fields += struct.pack(">H", len(message.offset_pad)) + message.offset_pad
    body = fields + message.payload
    if message.has_length:
        return struct.pack(">HH", flags | LENGTH, 4 + len(body)) + body + message.trailing
    return struct.pack(">H", flags) + body + message.trailing


DATAGRAM = Datagram()


def parse(datagram: bytes) -> ControlMessage | DataMessage:
    """Read a datagram; raises ProtocolError."""
    message: ControlMessage | DataMessage = DATAGRAM.parse(datagram)
    return message


def build(message: ControlMessage | DataMessage) -> bytes:
    """Octets of a message."""
    octets: bytes = DATAGRAM.build(message)
    return octets
