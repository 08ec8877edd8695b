"""PPP frames as L2TP carries them, and the packets of LCP and the NCPs.

RFC 1661 sections 2, 5 and 6: no flags, no escapes, no checksum. Address and control octets may be
left out (ACFC), and the protocol field may be one octet (PFC); both are read always, whatever was
negotiated, as a peer that compresses too early is still understood.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from l2tp.wire.cursor import Cursor, Layout
from l2tp.wire.enums import Protocol

ADDRESS_CONTROL = b"\xff\x03"
IP_FRAME = Protocol.IP.to_bytes(2)
"""How a frame with an IPv4 packet begins, without address and control."""
PACKET_HEADER = 4
OPTION_HEADER = 2
# LCP and IPCP define a dozen options each; a longer request does not converge to anything.
MAX_OPTIONS = 64


@dataclass(frozen=True, slots=True)
class Frame:
    """A PPP frame; the two flags keep its form for a rebuild."""

    protocol: Protocol
    information: bytes
    address_control: bool = False
    compressed_protocol: bool = False


class FrameLayout(Layout):
    """One PPP frame."""

    unit = "PPP frame"

    def decode(self, cursor: Cursor) -> Frame:
        """Read a frame; raises ProtocolError."""
        address_control = cursor.data[:2] == ADDRESS_CONTROL
        if address_control:
            cursor.take(2, "address and control")
        number = cursor.u8("protocol")
        compressed = bool(number & 1)
        if not compressed:
            number = number << 8 | cursor.u8("protocol")
            if not number & 1:
                cursor.fail("protocol number is even")
        return Frame(Protocol(number), cursor.rest(), address_control, compressed)

    def encode(self, value: Frame) -> bytes:
        """Octets of a frame."""
        prefix = ADDRESS_CONTROL if value.address_control else b""
        size = 1 if value.compressed_protocol else 2
        return prefix + value.protocol.to_bytes(size) + value.information


@dataclass(frozen=True, slots=True)
class ControlPacket:
    """A packet of LCP, an NCP, CHAP or PAP: code, identifier and data (RFC 1661 section 5)."""

    code: int
    identifier: int
    data: bytes = b""
    padding: bytes = b""


class ControlPacketLayout(Layout):
    """One control packet; octets beyond its length are padding."""

    unit = "PPP control packet"

    def decode(self, cursor: Cursor) -> ControlPacket:
        """Read a packet; raises ProtocolError."""
        code = cursor.u8("code")
        identifier = cursor.u8("identifier")
        length = cursor.u16("length")
        data = cursor.take(length - PACKET_HEADER, "packet")
        return ControlPacket(code, identifier, data, cursor.rest())

    def encode(self, value: ControlPacket) -> bytes:
        """Octets of a packet."""
        length = PACKET_HEADER + len(value.data)
        return (
            struct.pack(">BBH", value.code, value.identifier, length) + value.data + value.padding
        )


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration option, type and raw value."""

    type: int
    value: bytes = b""


class OptionList(Layout):
    """The options of a Configure packet."""

    unit = "PPP options"

    def decode(self, cursor: Cursor) -> tuple[Option, ...]:
        """Read options up to the end; raises ProtocolError."""
        return tuple(self._options(cursor))

    def _options(self, cursor: Cursor) -> Iterator[Option]:
        for _ in range(MAX_OPTIONS):
            if not cursor.remaining:
                return
            number = cursor.u8("option type")
            length = cursor.u8("option length")
            yield Option(number, cursor.take(length - OPTION_HEADER, "option"))
        if cursor.remaining:
            cursor.fail("too many options")

    def encode(self, value: tuple[Option, ...]) -> bytes:
        """Octets of options."""
        return b"".join(
            bytes((option.type, OPTION_HEADER + len(option.value))) + option.value
            for option in value
        )


_IP_HEADER = 20
_IP_VERSION = 4
_IP_PREFIXES = (
    ADDRESS_CONTROL + IP_FRAME,
    IP_FRAME,
    ADDRESS_CONTROL + IP_FRAME[1:],  # with the protocol field compressed
    IP_FRAME[1:],
)

FRAME = FrameLayout()
CONTROL_PACKET = ControlPacketLayout()
OPTIONS = OptionList()


def parse_frame(octets: bytes) -> Frame:
    """Read a PPP frame; raises ProtocolError."""
    frame: Frame = FRAME.parse(octets)
    return frame


def ip_packet(octets: bytes) -> bytes | None:
    """The IPv4 packet in a PPP frame; None if there is anything else in it.

    For every packet of a data path in user space: as ``parse_frame``, at a tenth of the cost.
    """
    for prefix in _IP_PREFIXES:
        if octets.startswith(prefix):
            packet = octets[len(prefix) :]
            return packet if len(packet) >= _IP_HEADER and packet[0] >> 4 == _IP_VERSION else None
    return None


def build_frame(frame: Frame) -> bytes:
    """Octets of a PPP frame."""
    octets: bytes = FRAME.build(frame)
    return octets


def parse_packet(octets: bytes) -> ControlPacket:
    """Read a control packet; raises ProtocolError."""
    packet: ControlPacket = CONTROL_PACKET.parse(octets)
    return packet


def build_packet(packet: ControlPacket) -> bytes:
    """Octets of a control packet."""
    octets: bytes = CONTROL_PACKET.build(packet)
    return octets


def parse_options(octets: bytes) -> tuple[Option, ...]:
    """Read configuration options; raises ProtocolError."""
    options: tuple[Option, ...] = OPTIONS.parse(octets)
    return options


def build_options(options: tuple[Option, ...]) -> bytes:
    """Octets of configuration options."""
    octets: bytes = OPTIONS.build(options)
    return octets
