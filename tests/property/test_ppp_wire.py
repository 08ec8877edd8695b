"""PPP codecs: every value survives its bytes, every bytes either parse or raise ProtocolError."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from l2tp.errors import ProtocolError
from l2tp.wire.authentication import (
    ChapValue,
    MsChapV2Response,
    PapCredentials,
    build_chap_value,
    build_mschapv2_response,
    build_pap_credentials,
    parse_chap_value,
    parse_mschapv2_response,
    parse_pap_credentials,
)
from l2tp.wire.enums import Protocol
from l2tp.wire.ppp import (
    ControlPacket,
    Frame,
    Option,
    build_frame,
    build_options,
    build_packet,
    parse_frame,
    parse_options,
    parse_packet,
)

octet = st.integers(0, 255)
short = st.binary(max_size=40)

full_protocols = (
    st.integers(0, 0x7FFF)
    .map(lambda half: half << 1 | 1)
    .filter(lambda number: not number >> 8 & 1 and number >> 8 != 0xFF)
)


@given(full_protocols, short, st.booleans())
def test_frames_round_trip(number: int, information: bytes, address_control: bool) -> None:
    frame = Frame(Protocol(number), information, address_control)
    assert parse_frame(build_frame(frame)) == frame


@given(st.integers(0, 126).map(lambda half: half << 1 | 1), short, st.booleans())
def test_compressed_frames_round_trip(
    number: int, information: bytes, address_control: bool
) -> None:
    frame = Frame(Protocol(number), information, address_control, compressed_protocol=True)
    assert parse_frame(build_frame(frame)) == frame


@given(st.binary(max_size=40))
def test_frames_that_parse_rebuild(octets: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert build_frame(parse_frame(octets)) == octets


@given(octet, octet, short, short)
def test_packets_round_trip(code: int, identifier: int, data: bytes, padding: bytes) -> None:
    packet = ControlPacket(code, identifier, data, padding)
    assert parse_packet(build_packet(packet)) == packet


@given(st.binary(max_size=40))
def test_packets_that_parse_rebuild(octets: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert build_packet(parse_packet(octets)) == octets


@given(st.lists(st.builds(Option, octet, short), max_size=20).map(tuple))
def test_options_round_trip(options: tuple[Option, ...]) -> None:
    assert parse_options(build_options(options)) == options


@given(st.binary(max_size=60))
def test_options_that_parse_rebuild(octets: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert build_options(parse_options(octets)) == octets


@given(short, short)
def test_chap_values_round_trip(value: bytes, name: bytes) -> None:
    chap = ChapValue(value, name)
    assert parse_chap_value(build_chap_value(chap)) == chap


@given(short, short)
def test_pap_credentials_round_trip(user: bytes, password: bytes) -> None:
    credentials = PapCredentials(user, password)
    assert parse_pap_credentials(build_pap_credentials(credentials)) == credentials


@given(st.binary(min_size=49, max_size=49))
def test_mschapv2_responses_round_trip(value: bytes) -> None:
    assert build_mschapv2_response(parse_mschapv2_response(value)) == value
    response = parse_mschapv2_response(value)
    assert response == MsChapV2Response(value[:16], value[24:48], value[48], value[16:24])


@given(st.binary(max_size=60))
def test_authentication_values_parse_or_raise(octets: bytes) -> None:
    for reader in (parse_chap_value, parse_mschapv2_response, parse_pap_credentials):
        with contextlib.suppress(ProtocolError):
            reader(octets)
