"""PPP frames, packets and options against bytes written by hand from RFC 1661."""

from __future__ import annotations

import pytest

from l2tp.errors import ProtocolError
from l2tp.wire.authentication import (
    build_pap_answer,
    parse_chap_value,
    parse_mschapv2_response,
    parse_pap_credentials,
)
from l2tp.wire.enums import Code, Protocol
from l2tp.wire.ppp import (
    MAX_OPTIONS,
    ControlPacket,
    Frame,
    Option,
    build_frame,
    parse_frame,
    parse_options,
    parse_packet,
)


@pytest.mark.parametrize(
    ("octets", "frame"),
    [
        ("ff03 c021 aa", Frame(Protocol.LCP, b"\xaa", address_control=True)),
        ("c021 aa", Frame(Protocol.LCP, b"\xaa")),
        ("21 aa", Frame(Protocol.IP, b"\xaa", compressed_protocol=True)),
        ("ff03 21 aa", Frame(Protocol.IP, b"\xaa", True, True)),
        ("0021 aa", Frame(Protocol.IP, b"\xaa")),
        ("8235", Frame(Protocol.ACSCP, b"")),
    ],
)
def test_frames(octets: str, frame: Frame) -> None:
    assert parse_frame(bytes.fromhex(octets)) == frame
    assert build_frame(frame) == bytes.fromhex(octets)


@pytest.mark.parametrize("octets", ["", "ff03", "c0", "c022 aa"])
def test_malformed_frames(octets: str) -> None:
    with pytest.raises(ProtocolError):
        parse_frame(bytes.fromhex(octets))


def test_packet_with_padding() -> None:
    packet = parse_packet(bytes.fromhex("09 07 0006 abcd 0000"))
    assert packet == ControlPacket(Code.ECHO_REQUEST, 7, b"\xab\xcd", b"\0\0")


@pytest.mark.parametrize("octets", ["", "0101", "01010003", "01010005", "0101000400"[:7] + "0"])
def test_malformed_packets(octets: str) -> None:
    with pytest.raises(ProtocolError):
        parse_packet(bytes.fromhex(octets))


def test_options() -> None:
    octets = bytes.fromhex("0104 05dc 0702 0506 01020304")
    assert parse_options(octets) == (
        Option(1, b"\x05\xdc"),
        Option(7),
        Option(5, b"\1\2\3\4"),
    )


@pytest.mark.parametrize("octets", ["01", "0100", "0101", "0105aabb", "010405dc02"])
def test_malformed_options(octets: str) -> None:
    with pytest.raises(ProtocolError):
        parse_options(bytes.fromhex(octets))


def test_the_number_of_options_is_bounded() -> None:
    assert len(parse_options(b"\x07\x02" * MAX_OPTIONS)) == MAX_OPTIONS
    with pytest.raises(ProtocolError, match="too many options"):
        parse_options(b"\x07\x02" * (MAX_OPTIONS + 1))


def test_chap_value() -> None:
    value = parse_chap_value(b"\x03abcname")
    assert (value.value, value.name) == (b"abc", b"name")
    with pytest.raises(ProtocolError):
        parse_chap_value(b"\x09abc")


def test_pap_credentials_hide_the_password() -> None:
    credentials = parse_pap_credentials(b"\x05alice\x06secret")
    assert (credentials.user, credentials.password) == (b"alice", b"secret")
    assert "secret" not in repr(credentials)
    with pytest.raises(ProtocolError) as caught:
        parse_pap_credentials(b"\x05alice\x09secret")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_pap_answer() -> None:
    assert build_pap_answer("no") == b"\x02no"


@pytest.mark.parametrize("size", [0, 48, 50])
def test_mschapv2_response_has_49_octets(size: int) -> None:
    with pytest.raises(ProtocolError):
        parse_mschapv2_response(bytes(size))
