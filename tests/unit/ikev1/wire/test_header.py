import pytest
from construct import ConstructError
from msgspec import structs

from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag, NotifyType
from ikev1.wire.header import HEADER_LENGTH, Header, build_header, parse_header
from ikev1.wire.limits import Limits
from tests.support import ike_construct

OCTETS = bytes.fromhex("0102030405060708 1112131415161718 08 10 20 01 deadbeef 00000020 ffffffff")
HEADER = Header(
    initiator_cookie=bytes.fromhex("0102030405060708"),
    responder_cookie=bytes.fromhex("1112131415161718"),
    next_payload=8,
    version=0x10,
    exchange_type=ExchangeType.QUICK_MODE,
    flags=Flag.ENCRYPTION,
    message_id=0xDEADBEEF,
    length=32,
)


def test_every_field_has_its_place() -> None:
    assert parse_header(OCTETS) == HEADER
    assert build_header(HEADER) == OCTETS[:HEADER_LENGTH]


def changed(at: int, octets: str) -> bytes:
    new = bytes.fromhex(octets)
    return OCTETS[:at] + new + OCTETS[at + len(new) :]


@pytest.mark.parametrize(
    ("datagram", "notify", "offset"),
    [
        pytest.param(b"", NotifyType.PAYLOAD_MALFORMED, 0, id="empty"),
        pytest.param(b"\xff", NotifyType.PAYLOAD_MALFORMED, 0, id="keepalive"),
        pytest.param(OCTETS[:27], NotifyType.PAYLOAD_MALFORMED, 0, id="short"),
        pytest.param(OCTETS[:28], NotifyType.UNEQUAL_PAYLOAD_LENGTHS, 24, id="truncated"),
        pytest.param(OCTETS + b"?", NotifyType.UNEQUAL_PAYLOAD_LENGTHS, 24, id="trailing"),
        pytest.param(changed(24, "00000000"), NotifyType.UNEQUAL_PAYLOAD_LENGTHS, 24, id="zero"),
        pytest.param(changed(24, "ffffffff"), NotifyType.UNEQUAL_PAYLOAD_LENGTHS, 24, id="huge"),
        pytest.param(changed(17, "00"), NotifyType.INVALID_MAJOR_VERSION, 17, id="version 0"),
        pytest.param(changed(17, "20"), NotifyType.INVALID_MAJOR_VERSION, 17, id="version 2"),
        pytest.param(changed(17, "11"), NotifyType.INVALID_MINOR_VERSION, 17, id="version 1.1"),
        pytest.param(changed(18, "00"), NotifyType.INVALID_EXCHANGE_TYPE, 18, id="no exchange"),
        pytest.param(changed(18, "22"), NotifyType.INVALID_EXCHANGE_TYPE, 18, id="IKE_SA_INIT"),
        pytest.param(changed(0, "00" * 8), NotifyType.INVALID_COOKIE, 0, id="zero cookie"),
    ],
)
def test_refused(datagram: bytes, notify: NotifyType, offset: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_header(datagram)
    assert caught.value.notify is notify
    assert caught.value.offset == offset
    assert caught.value.payload is None


@pytest.mark.parametrize(
    ("at", "octets"), [(8, "00" * 8), (16, "fe"), (18, "f0"), (19, "ff"), (20, "00000000")]
)
def test_left_to_the_exchange(at: int, octets: str) -> None:
    header = parse_header(changed(at, octets))
    assert build_header(header) == changed(at, octets)[:HEADER_LENGTH]


def test_plain_construct_agrees_on_every_changed_octet() -> None:
    refused = 0
    for at in range(HEADER_LENGTH):
        for octet in range(256):
            datagram = changed(at, f"{octet:02x}")
            try:
                header = parse_header(datagram)
            except ProtocolError:
                refused += 1
                with pytest.raises(ConstructError):
                    ike_construct.HEADER.parse(datagram, size=len(datagram))
                continue
            expected = ike_construct.HEADER.parse(datagram, size=len(datagram))
            assert ike_construct.agrees(header, expected)
    # Another version, no exchange or one of 11 of version 2, and another length.
    assert refused == 255 + 12 + 4 * 255


def test_message_size_is_bounded() -> None:
    with pytest.raises(ProtocolError, match="message of 32 octets"):
        parse_header(OCTETS, limits=Limits(message=31))
    assert parse_header(OCTETS, limits=Limits(message=32)) == HEADER


@pytest.mark.parametrize("cookie", [b"", bytes(7), bytes(9)])
def test_cookies_are_not_cut_or_filled(cookie: bytes) -> None:
    with pytest.raises(ValueError, match="where 8 have to be"):
        build_header(structs.replace(HEADER, responder_cookie=cookie))


def test_a_field_that_does_not_fit_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Header"):
        build_header(structs.replace(HEADER, message_id=1 << 32))
