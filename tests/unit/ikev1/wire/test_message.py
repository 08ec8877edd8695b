import pytest

from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag, NotifyType, PayloadType, ProtocolId
from ikev1.wire.header import HEADER_LENGTH
from ikev1.wire.limits import Limits
from ikev1.wire.message import build_message, build_payloads, parse_message, parse_payloads
from ikev1.wire.payloads import (
    Delete,
    Fragment,
    Hash,
    Identification,
    KeyExchange,
    NatD,
    Nonce,
    Notification,
    Payload,
    RawPayload,
    VendorId,
)
from ikev1.wire.sa import SaPayload
from tests.support import ike_samples
from tests.support.ike_samples import CHAINS, COOKIES, MM3, MM5, QM1

# HASH, then NONCE with a reserved octet, by hand.
CHAIN = bytes.fromhex("0a000006 a1a2  00ee0007 b1b2b3")
FIRST = PayloadType.HASH


def test_values_and_bodies() -> None:
    parsed = parse_payloads(FIRST, CHAIN)
    assert parsed.values == (Hash(b"\xa1\xa2"), Nonce(b"\xb1\xb2\xb3"))
    assert parsed.types() == (PayloadType.HASH, PayloadType.NONCE)
    assert [item.body for item in parsed.items] == [b"\xa1\xa2", b"\xb1\xb2\xb3"]
    assert [item.reserved for item in parsed.items] == [0, 0xEE]
    assert parsed.chain == CHAIN
    assert parsed.raw_after_first() == CHAIN[6:]
    assert build_payloads(parsed.items) == (FIRST, CHAIN)


def test_values_alone_are_built_with_zero_reserved_octets() -> None:
    parsed = parse_payloads(FIRST, CHAIN)
    assert build_payloads(parsed.values) == (FIRST, CHAIN[:7] + b"\0" + CHAIN[8:])


def test_first_and_all_go_by_class() -> None:
    parsed = parse_payloads(*build_payloads(QM1))
    assert parsed.first(Identification) == QM1[3]
    assert parsed.all(Identification) == (QM1[3], QM1[4])
    assert parsed.first(KeyExchange) is None
    assert parsed.all(KeyExchange) == ()


def test_bodies_go_by_identity() -> None:
    # The same nonce twice, but for octets that mean nothing.
    first, chain = build_payloads(
        [SaPayload(1, 0, (), b"1"), SaPayload(1, 0, (), b"1"), RawPayload(PayloadType(199), b"x")]
    )
    parsed = parse_payloads(first, chain)
    for index, value in enumerate(parsed.values):
        assert parsed.body(value) is parsed.items[index].body
        assert parsed.body(index) is parsed.items[index].body
    with pytest.raises(LookupError):
        parsed.body(SaPayload(1, 0, (), b"1"))


def test_the_hash_covers_what_follows_it_without_padding() -> None:
    first, chain = build_payloads(QM1)
    parsed = parse_payloads(first, chain + bytes(7), encrypted=True)
    assert parsed.raw_after_first() == build_payloads(QM1[1:])[1]
    assert parsed.padding == bytes(7)


@pytest.mark.parametrize("padding", [b"", b"\0", bytes(15), b"\1\2\3\3", bytes(range(255))])
def test_padding_is_kept_apart(padding: bytes) -> None:
    parsed = parse_payloads(FIRST, CHAIN + padding, encrypted=True)
    assert (parsed.chain, parsed.padding) == (CHAIN, padding)


def test_a_message_in_clear_has_no_padding() -> None:
    with pytest.raises(ProtocolError, match="1 octets too many") as caught:
        parse_payloads(FIRST, CHAIN + b"\0")
    assert caught.value.offset == HEADER_LENGTH + len(CHAIN)


def test_no_payloads() -> None:
    parsed = parse_payloads(PayloadType.NONE, b"")
    assert parsed.items == ()
    assert parsed.raw_after_first() == b""
    assert build_payloads([]) == (PayloadType.NONE, b"")


@pytest.mark.parametrize(
    ("first", "chain", "payload", "notify", "offset"),
    [
        pytest.param(8, "", 8, NotifyType.PAYLOAD_MALFORMED, 0, id="nothing there"),
        pytest.param(8, "0a0000", 8, NotifyType.PAYLOAD_MALFORMED, 0, id="cut generic header"),
        pytest.param(8, "00000000 a1", 8, NotifyType.PAYLOAD_MALFORMED, 0, id="length 0"),
        pytest.param(8, "00000003 a1", 8, NotifyType.PAYLOAD_MALFORMED, 0, id="length 3"),
        pytest.param(8, "00000004", 8, NotifyType.PAYLOAD_MALFORMED, 0, id="length 4"),
        pytest.param(8, "00000006 a1", 8, NotifyType.PAYLOAD_MALFORMED, 4, id="beyond the end"),
        pytest.param(8, "0000ffff a1", 8, NotifyType.PAYLOAD_MALFORMED, 4, id="far beyond"),
        pytest.param(8, "0a000005 a1", 10, NotifyType.PAYLOAD_MALFORMED, 5, id="no next"),
        pytest.param(
            8,
            "00000005 a1 00000005 b1",
            8,
            NotifyType.PAYLOAD_MALFORMED,
            5,
            id="next not announced",
        ),
        pytest.param(
            8, "02000005 a1 00000005 b1", 2, NotifyType.INVALID_PAYLOAD_TYPE, 5, id="proposal"
        ),
        pytest.param(
            8, "21000005 a1 00000005 b1", 33, NotifyType.INVALID_PAYLOAD_TYPE, 5, id="version 2"
        ),
        pytest.param(0, "00", None, NotifyType.PAYLOAD_MALFORMED, 0, id="none announced"),
    ],
)
def test_refused(
    first: int, chain: str, payload: int | None, notify: NotifyType, offset: int
) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_payloads(first, bytes.fromhex(chain))
    assert caught.value.payload == payload
    assert caught.value.notify is notify
    assert caught.value.offset == HEADER_LENGTH + offset


@pytest.mark.parametrize(("first", "chain"), CHAINS)
def test_every_truncation_is_refused(first: int, chain: bytes) -> None:
    for size in range(len(chain)):
        for encrypted in (False, True):
            with pytest.raises(ProtocolError):
                parse_payloads(first, chain[:size], encrypted=encrypted)


@pytest.mark.parametrize(("first", "chain"), CHAINS)
def test_every_changed_octet_is_refused_or_kept(first: int, chain: bytes) -> None:
    refused = kept = 0
    for at, was in enumerate(chain):
        for octet in {0, 1, 0x80, 0xFF, was ^ 1, was ^ 0x80} - {was}:
            changed = chain[:at] + bytes([octet]) + chain[at + 1 :]
            try:
                parsed = parse_payloads(first, changed, encrypted=True)
            except ProtocolError:
                refused += 1
                continue
            rebuilt = build_payloads(parsed.items)
            assert (rebuilt[0], rebuilt[1] + parsed.padding) == (first, changed)
            kept += 1
    assert refused
    assert kept


@pytest.mark.parametrize("values", [ike_samples.APPLE_MM1, MM3, MM5])
def test_messages_survive(values: list[Payload]) -> None:
    datagram = build_message(COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, values)
    header, parsed = parse_message(datagram)
    assert header.initiator_cookie + header.responder_cookie == COOKIES
    assert header.exchange_type is ExchangeType.IDENTITY_PROTECTION
    assert (header.flags, header.message_id, header.length) == (0, 0, len(datagram))
    assert header.next_payload == values[0].type
    assert list(parsed.values) == values


def test_known_messages_have_their_known_sizes() -> None:
    # Apple's first message: 12 transforms of 36 octets, 2 of 32, 11 vendor IDs of 20, one of 24.
    sa = 4 + 8 + 8 + 12 * 36 + 2 * 32
    assert len(ike_samples.APPLE_MM1_DATAGRAM) == 28 + sa + 11 * 20 + 24
    assert len(ike_samples.MM3_DATAGRAM) == 28 + 260 + 20 + 36 + 36


def test_an_encrypted_message_is_not_read_as_clear() -> None:
    datagram = build_message(
        COOKIES, ExchangeType.QUICK_MODE, 1, [Hash(b"h")], flags=Flag.ENCRYPTION
    )
    with pytest.raises(ProtocolError) as caught:
        parse_message(datagram)
    assert caught.value.notify is NotifyType.INVALID_FLAGS
    assert caught.value.payload is None


def test_a_fragment_may_have_the_flag_of_its_message() -> None:
    fragment = Fragment(1, 1, 0, b"piece")
    datagram = build_message(
        COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, [fragment], flags=Flag.ENCRYPTION
    )
    assert parse_message(datagram)[1].values == (fragment,)


def test_payloads_are_bounded() -> None:
    values = [NatD(b"x")] * 5
    first, chain = build_payloads(values)
    assert len(parse_payloads(first, chain, limits=Limits(payloads=5)).items) == 5
    with pytest.raises(ProtocolError, match="more than 4 payloads"):
        parse_payloads(first, chain, limits=Limits(payloads=4))


def test_vendor_ids_are_bounded() -> None:
    first, chain = build_payloads([Nonce(b"n"), VendorId(b"x"), NatD(b"x"), VendorId(b"y")])
    assert len(parse_payloads(first, chain, limits=Limits(vendor_ids=2)).items) == 4
    with pytest.raises(ProtocolError, match="more than 1 vendor IDs"):
        parse_payloads(first, chain, limits=Limits(vendor_ids=1))


def test_decrypted_messages_are_bounded() -> None:
    first, chain = build_payloads([Nonce(bytes(10))])
    assert parse_payloads(first, chain, limits=Limits(message=42)).padding == b""
    with pytest.raises(ProtocolError, match="payloads of 14 octets"):
        parse_payloads(first, chain, limits=Limits(message=41))


@pytest.mark.parametrize(
    "value",
    [
        KeyExchange(bytes(65532)),
        Notification(1, ProtocolId.ESP, NotifyType(70000), b"", b""),
        Notification(1, ProtocolId.ESP, NotifyType.CONNECTED, bytes(256), b""),
        Delete(1 << 32, ProtocolId.ESP, (bytes(4),)),
    ],
)
def test_a_value_that_does_not_fit_is_a_value_error(value: Payload) -> None:
    with pytest.raises(ValueError, match=str(value.type)):
        build_payloads([value])
