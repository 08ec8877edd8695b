"""AVPs against bytes written by hand from RFC 2661 section 4."""

from __future__ import annotations

import hashlib

import pytest

from l2tp.errors import ProtocolError
from l2tp.wire.attributes import read_attributes
from l2tp.wire.avp import (
    MAX_AVPS,
    MAX_VALUE,
    Avp,
    ResultCode,
    build_avps,
    decode_value,
    make_avp,
    parse_avps,
)
from l2tp.wire.enums import AvpType, GeneralError, MessageType
from l2tp.wire.hidden import hide, reveal

HELLO = make_avp(AvpType.MESSAGE_TYPE, MessageType.HELLO)


def test_layout() -> None:
    octets = bytes.fromhex("8008 0000 0000 0001  000b 0137 0063 68656c6c6f")
    first, second = parse_avps(octets)
    assert first == Avp(AvpType.MESSAGE_TYPE, b"\0\1")
    assert second == Avp(AvpType(99), b"hello", mandatory=False, vendor=311)
    assert build_avps((first, second)) == octets


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("8005 0000 0000", "AVP length does not fit"),
        ("8000 0000 0000", "AVP length does not fit"),
        ("8007 0000 0000", "AVP length does not fit"),
        ("8006 0000 00", "AVP header is cut short"),
    ],
)
def test_lengths_are_bounded(octets: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_avps(bytes.fromhex(octets))
    assert caught.value.reason == reason
    assert caught.value.error is GeneralError.WRONG_LENGTH


def test_the_number_of_avps_is_bounded() -> None:
    assert len(parse_avps(build_avps((HELLO,) * MAX_AVPS))) == MAX_AVPS
    with pytest.raises(ProtocolError, match="too many AVPs"):
        parse_avps(build_avps((HELLO,) * (MAX_AVPS + 1)))


def test_a_value_too_long_for_the_length_field_is_our_own_error() -> None:
    build_avps((Avp(AvpType.HOST_NAME, bytes(MAX_VALUE)),))
    with pytest.raises(ValueError, match="HOST_NAME of 1018 octets"):
        build_avps((Avp(AvpType.HOST_NAME, bytes(MAX_VALUE + 1)),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0003", ResultCode(3)),
        ("0002 0006", ResultCode(2, 6)),
        ("0002 0006 627965", ResultCode(2, 6, "bye")),
        # Apple: host order, and six octets of whatever was in the buffer.
        ("0300 deadbeefcafe", ResultCode(3)),
        ("0100 000000000000", ResultCode(1)),
    ],
)
def test_result_codes(value: str, expected: ResultCode) -> None:
    assert decode_value(Avp(AvpType.RESULT_CODE, bytes.fromhex(value))) == expected


@pytest.mark.parametrize("value", ["", "00", "000200"])
def test_malformed_result_codes(value: str) -> None:
    with pytest.raises(ProtocolError):
        decode_value(Avp(AvpType.RESULT_CODE, bytes.fromhex(value)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"", ""), (b"iphone\0", "iphone"), (b"a\nb\x1b[2J", "a?b?[2J"), (b"\xff", "�")],
)
def test_host_names(value: bytes, expected: str) -> None:
    assert decode_value(Avp(AvpType.HOST_NAME, value)) == expected


@pytest.mark.parametrize(
    "number",
    [AvpType.ASSIGNED_TUNNEL_ID, AvpType.PROTOCOL_VERSION, AvpType.RECEIVE_WINDOW_SIZE],
)
@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0"])
def test_fixed_sizes_are_enforced(number: AvpType, value: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_value(Avp(number, value))


def test_unknown_numbers_have_a_name() -> None:
    assert str(AvpType(4711)) == "AvpType(4711)"
    assert f"{AvpType.HOST_NAME}" == "HOST_NAME"
    assert not AvpType(4711).is_known
    assert AvpType.HOST_NAME.is_known


def test_hiding_follows_section_4_3() -> None:
    """Two blocks worked out step by step: 16 octets of the first, 4 of the second."""
    value = bytes(range(18))
    secret, vector = b"s3cret", b"vector"
    first = hashlib.md5(b"\0\x07" + secret + vector).digest()
    clear = b"\0\x12" + value
    block = bytes(a ^ b for a, b in zip(clear[:16], first, strict=True))
    second = hashlib.md5(secret + block).digest()
    rest = bytes(a ^ b for a, b in zip(clear[16:], second, strict=False))
    hidden = hide(Avp(AvpType.HOST_NAME, value), secret, vector)
    assert hidden == Avp(AvpType.HOST_NAME, block + rest, hidden=True)
    assert reveal(hidden, secret, vector) == Avp(AvpType.HOST_NAME, value)


def test_the_latest_random_vector_counts() -> None:
    vectors = [
        make_avp(AvpType.RANDOM_VECTOR, vector) for vector in (b"first vector", b"second vector")
    ]
    name = make_avp(AvpType.HOST_NAME, "lac")
    avps = (HELLO, *vectors, hide(name, b"s", b"second vector", b"padding"))
    attributes = read_attributes(build_avps(avps), b"s")
    assert attributes.fault is None
    assert attributes.get(AvpType.HOST_NAME) == "lac"


@pytest.mark.parametrize("mandatory", [True, False])
def test_a_hidden_avp_without_secret_or_vector_is_not_recognised(mandatory: bool) -> None:
    name = make_avp(AvpType.HOST_NAME, "lac", mandatory=mandatory)
    hidden = hide(name, b"s", b"vector")
    vector = make_avp(AvpType.RANDOM_VECTOR, b"vector")
    for avps, secret in (((HELLO, vector, hidden), None), ((HELLO, hidden, vector), b"s")):
        attributes = read_attributes(build_avps(avps), secret)
        assert AvpType.HOST_NAME not in attributes
        assert (attributes.fault is not None) == mandatory
    with_both = read_attributes(build_avps((HELLO, vector, hidden)), b"s")
    assert with_both.get(AvpType.HOST_NAME) == "lac"


@pytest.mark.parametrize(
    ("extra", "error"),
    [
        (Avp(AvpType(1000), b""), GeneralError.UNKNOWN_MANDATORY_AVP),
        (Avp(AvpType.HOST_NAME, b"x", vendor=9), GeneralError.UNKNOWN_MANDATORY_AVP),
        (Avp(AvpType.HOST_NAME, b"x", reserved=0x0400), GeneralError.UNKNOWN_MANDATORY_AVP),
        (Avp(AvpType.ASSIGNED_TUNNEL_ID, b"x"), GeneralError.WRONG_LENGTH),
    ],
    ids=["unknown", "vendor", "reserved bits", "malformed"],
)
def test_the_m_bit_decides_about_unrecognised_avps(extra: Avp, error: GeneralError) -> None:
    firmware = make_avp(AvpType.FIRMWARE_REVISION, 7)
    optional = Avp(extra.type, extra.value, False, False, extra.vendor, extra.reserved)
    ignored = read_attributes(build_avps((HELLO, optional, firmware)))
    assert ignored.fault is None
    assert ignored.get(AvpType.FIRMWARE_REVISION) == 7
    fatal = read_attributes(build_avps((HELLO, extra, firmware)))
    assert fatal.fault is not None
    assert fatal.fault.error is error
    assert fatal.get(AvpType.FIRMWARE_REVISION) == 7


@pytest.mark.parametrize(
    "avps",
    [
        (make_avp(AvpType.HOST_NAME, "x"),),
        (Avp(AvpType.MESSAGE_TYPE, b"\0\6", vendor=1),),
        (Avp(AvpType.MESSAGE_TYPE, b"\0\6", hidden=True),),
        (Avp(AvpType.MESSAGE_TYPE, b"\6"),),
        (),
    ],
)
def test_a_body_starts_with_the_message_type(avps: tuple[Avp, ...]) -> None:
    with pytest.raises(ProtocolError):
        read_attributes(build_avps(avps))


def test_the_first_of_two_avps_counts() -> None:
    names = (make_avp(AvpType.HOST_NAME, "one"), make_avp(AvpType.HOST_NAME, "two"))
    assert read_attributes(build_avps((HELLO, *names))).get(AvpType.HOST_NAME) == "one"


def test_a_missing_avp_is_named() -> None:
    attributes = read_attributes(build_avps((HELLO,)))
    with pytest.raises(ProtocolError, match="HELLO without ASSIGNED_TUNNEL_ID AVP"):
        attributes.require(AvpType.ASSIGNED_TUNNEL_ID)


@pytest.mark.parametrize("value", [ResultCode(3), ResultCode(2, 6), ResultCode(2, 6, "bye")])
def test_result_codes_round_trip(value: ResultCode) -> None:
    assert decode_value(make_avp(AvpType.RESULT_CODE, value)) == value
