"""L2TP headers against bytes written by hand from RFC 2661 section 3.1."""

from __future__ import annotations

import pytest

from l2tp.errors import ProtocolError
from l2tp.wire.packet import ControlMessage, DataMessage, build, parse


def test_control_header() -> None:
    datagram = bytes.fromhex("c802000e 0102 0304 0005 0006 abcd")
    message = ControlMessage(0x0102, 0x0304, 5, 6, b"\xab\xcd")
    assert parse(datagram) == message
    assert build(message) == datagram


def test_zlb_has_no_payload() -> None:
    assert parse(bytes.fromhex("c802000c 0001 0000 0002 0003")) == ControlMessage(1, 0, 2, 3)


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        ("0002 0007 0009 ff03", DataMessage(7, 9, b"\xff\x03")),
        ("4002 000a 0007 0009 ff03", DataMessage(7, 9, b"\xff\x03", has_length=True)),
        ("0802 0007 0009 0001 0002 aa", DataMessage(7, 9, b"\xaa", ns=1, nr=2)),
        ("0202 0007 0009 0003 010203 aa", DataMessage(7, 9, b"\xaa", offset_pad=b"\1\2\3")),
        ("0102 0007 0009 aa", DataMessage(7, 9, b"\xaa", priority=True)),
    ],
    ids=["plain", "length", "sequence", "offset", "priority"],
)
def test_data_headers(octets: str, message: DataMessage) -> None:
    assert parse(bytes.fromhex(octets)) == message
    assert build(message) == bytes.fromhex(octets)


def test_octets_beyond_the_length_are_kept_apart() -> None:
    datagram = bytes.fromhex("c802000c 0001 0000 0002 0003") + b"tail"
    message = parse(datagram)
    assert isinstance(message, ControlMessage)
    assert message.payload == b""
    assert message.trailing == b"tail"


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("", "flags is cut short"),
        ("c8", "flags is cut short"),
        ("c801000c 0001 0000 0002 0003", "not L2TPv2 but an L2F packet"),
        ("c803000c 0001 0000 0002 0003", "not L2TPv2 but an L2TPv3 packet"),
        ("c802000c 0001 00", "control header is cut short"),
        ("c802000b 0001 0000 0002 0003", "length field of 11 does not fit"),
        ("c802000d 0001 0000 0002 0003", "length field of 13 does not fit"),
        ("8802000c 0001 0000 0002 0003", "control message without L and S, or with O"),
        ("c002000c 0001 0000 0002 0003", "control message without L and S, or with O"),
        ("ca02000c 0001 0000 0002 0003", "control message without L and S, or with O"),
        ("4002 0007 0007 0009", "length field of 7 does not fit"),
        ("4002 0009 0007 0009", "length field of 9 does not fit"),
        ("0202 0007 0009 0004 010203", "offset pad is cut short"),
    ],
)
def test_malformed_headers_are_refused(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(bytes.fromhex(octets))
    assert caught.value.reason == reason
    assert caught.value.unit == "L2TP datagram"
