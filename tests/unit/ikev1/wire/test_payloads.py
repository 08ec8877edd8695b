"""Each payload's octets, written out by hand from RFC 2408 section 3 and its companions."""

import pytest

from ikev1.errors import ProtocolError
from ikev1.wire.enums import CertEncoding, IdType, NotifyType, PayloadType, ProtocolId
from ikev1.wire.limits import Limits
from ikev1.wire.message import build_payloads, parse_payloads
from ikev1.wire.payloads import (
    LAYOUTS,
    Certificate,
    CertificateRequest,
    Delete,
    Fragment,
    Hash,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Notification,
    Payload,
    RawPayload,
    Signature,
    VendorId,
)

COOKIES = bytes(range(1, 17))


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        (4, "0a0b", KeyExchange(b"\x0a\x0b")),
        (5, "01 11 01f4 0a000001", Identification(IdType.IPV4_ADDR, 17, 500, b"\x0a\x00\x00\x01")),
        (5, "02 00 0000 61", Identification(IdType.FQDN, 0, 0, b"a")),
        (5, "0b 00 0000", Identification(IdType.KEY_ID, 0, 0, b"")),
        (5, "c8 06 ffff 00", Identification(IdType(200), 6, 65535, b"\x00")),
        (6, "04 3000", Certificate(CertEncoding.X509_SIGNATURE, b"\x30\x00")),
        (6, "63 00", Certificate(CertEncoding(99), b"\x00")),
        (7, "04 3000", CertificateRequest(CertEncoding.X509_SIGNATURE, b"\x30\x00")),
        (7, "04", CertificateRequest(CertEncoding.X509_SIGNATURE, b"")),
        (8, "00", Hash(b"\x00")),
        (9, "01", Signature(b"\x01")),
        (10, "02", Nonce(b"\x02")),
        (
            11,
            "00000001 01 10 6002" + COOKIES.hex(),
            Notification(1, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, COOKIES, b""),
        ),
        (
            11,
            "00000000 00 00 000e",
            Notification(0, ProtocolId(0), NotifyType.NO_PROPOSAL_CHOSEN, b"", b""),
        ),
        (
            11,
            "00000001 03 04 6000 01020304 800b0001",
            Notification(
                1,
                ProtocolId.ESP,
                NotifyType.RESPONDER_LIFETIME,
                b"\1\2\3\4",
                b"\x80\x0b\x00\x01",
            ),
        ),
        (12, "00000001 03 04 0001 01020304", Delete(1, ProtocolId.ESP, (b"\1\2\3\4",))),
        (
            12,
            "00000001 03 04 0002 01020304 05060708",
            Delete(1, ProtocolId.ESP, (b"\1\2\3\4", b"\5\6\7\x08")),
        ),
        (12, "00000001 01 10 0001" + COOKIES.hex(), Delete(1, ProtocolId.ISAKMP, (COOKIES,))),
        (12, "00000001 04 02 0001 1234", Delete(1, ProtocolId.IPCOMP, (b"\x12\x34",))),
        (12, "00000009 63 03 0001 123456", Delete(9, ProtocolId(99), (b"\x12\x34\x56",))),
        (13, "09002689dfd6b712", VendorId(bytes.fromhex("09002689dfd6b712"))),
        (14, "01 00 0000", RawPayload(PayloadType.ATTRIBUTES, b"\1\0\0\0")),
        (15, "aabb", NatD(b"\xaa\xbb", PayloadType.NAT_D_DRAFT_04)),
        (20, "aabb", NatD(b"\xaa\xbb")),
        (130, "aabb", NatD(b"\xaa\xbb", PayloadType.NAT_D_DRAFT)),
        (
            16,
            "01 000000 c0000201",
            NatOa(IdType.IPV4_ADDR, b"\xc0\x00\x02\x01", PayloadType.NAT_OA_DRAFT_04),
        ),
        (21, "01 000000 c0000201", NatOa(IdType.IPV4_ADDR, b"\xc0\x00\x02\x01")),
        (
            131,
            "05 010203" + COOKIES.hex(),
            NatOa(IdType.IPV6_ADDR, COOKIES, PayloadType.NAT_OA_DRAFT, b"\1\2\3"),
        ),
        (132, "0001 02 01 ff", Fragment(1, 2, 1, b"\xff")),
        (199, "00", RawPayload(PayloadType(199), b"\x00")),
    ],
)
def test_every_field_has_its_place(kind: int, body: str, value: Payload) -> None:
    octets = bytes.fromhex(body)
    chain = bytes(2) + (4 + len(octets)).to_bytes(2, "big") + octets
    parsed = parse_payloads(kind, chain)
    assert parsed.values == (value,)
    assert value.type == kind
    assert parsed.body(0) == octets
    assert build_payloads([value]) == (kind, chain)


@pytest.mark.parametrize(
    ("kind", "body", "notify"),
    [
        pytest.param(5, "01 11 01", NotifyType.PAYLOAD_MALFORMED, id="ID cut"),
        pytest.param(5, "01 00 0000", NotifyType.INVALID_ID_INFORMATION, id="IPv4 of nothing"),
        pytest.param(5, "01 11 01f4 0a0000", NotifyType.INVALID_ID_INFORMATION, id="IPv4 of 3"),
        pytest.param(5, "05 11 01f4 0a000001", NotifyType.INVALID_ID_INFORMATION, id="IPv6 of 4"),
        pytest.param(5, "04 11 01f4 0a000001", NotifyType.INVALID_ID_INFORMATION, id="no mask"),
        pytest.param(5, "07 11 01f4 0a000001", NotifyType.INVALID_ID_INFORMATION, id="half range"),
        pytest.param(6, "04", NotifyType.PAYLOAD_MALFORMED, id="empty certificate"),
        pytest.param(11, "00000001 01 10 60", NotifyType.PAYLOAD_MALFORMED, id="N cut"),
        pytest.param(11, "00000001 01 10 6002 00", NotifyType.PAYLOAD_MALFORMED, id="N SPI cut"),
        pytest.param(11, "00000001 01 11 6002" + "00" * 17, NotifyType.INVALID_SPI, id="N SPI 17"),
        pytest.param(12, "00000001 03 04 0000", NotifyType.PAYLOAD_MALFORMED, id="D of nothing"),
        pytest.param(12, "00000001 03 04 ffff", NotifyType.PAYLOAD_MALFORMED, id="D of 65535"),
        pytest.param(
            12, "00000001 03 04 0002 01020304", NotifyType.PAYLOAD_MALFORMED, id="D one SPI short"
        ),
        pytest.param(
            12,
            "00000001 03 04 0001 0102030405060708",
            NotifyType.PAYLOAD_MALFORMED,
            id="D one SPI more",
        ),
        pytest.param(12, "00000001 03 00 0001", NotifyType.INVALID_SPI, id="D SPI 0"),
        pytest.param(12, "00000001 63 00 ffff", NotifyType.INVALID_SPI, id="D unknown SPI 0"),
        pytest.param(12, "00000001 63 11 0001" + "00" * 17, NotifyType.INVALID_SPI, id="D SPI 17"),
        pytest.param(12, "00000001 03 08 0001" + "00" * 8, NotifyType.INVALID_SPI, id="D ESP 8"),
        pytest.param(12, "00000001 01 04 0001" + "00" * 4, NotifyType.INVALID_SPI, id="D IKE 4"),
        pytest.param(21, "01 0000", NotifyType.PAYLOAD_MALFORMED, id="OA cut"),
        pytest.param(21, "01 000000 c00002", NotifyType.INVALID_ID_INFORMATION, id="OA of 3"),
        pytest.param(21, "02 000000 61626364", NotifyType.INVALID_ID_INFORMATION, id="OA FQDN"),
        pytest.param(132, "0001 02", NotifyType.PAYLOAD_MALFORMED, id="fragment cut"),
        pytest.param(132, "0001 00 01 ff", NotifyType.PAYLOAD_MALFORMED, id="fragment 0"),
        pytest.param(132, "0001 01 01", NotifyType.PAYLOAD_MALFORMED, id="fragment of nothing"),
    ],
)
def test_refused(kind: int, body: str, notify: NotifyType) -> None:
    octets = bytes.fromhex(body)
    with pytest.raises(ProtocolError) as caught:
        parse_payloads(kind, bytes(2) + (4 + len(octets)).to_bytes(2, "big") + octets)
    assert caught.value.notify is notify
    assert caught.value.payload == kind
    assert 32 <= caught.value.offset <= 32 + len(octets)


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_no_payload_is_empty(kind: int) -> None:
    with pytest.raises(ProtocolError, match="payload of 4 octets"):
        parse_payloads(kind, bytes.fromhex("00000004"))


@pytest.mark.parametrize("kind", [2, 3, *range(33, 55)])
def test_other_payloads_have_no_place_in_a_chain(kind: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_payloads(kind, bytes.fromhex("00000005 00"))
    assert caught.value.notify is NotifyType.INVALID_PAYLOAD_TYPE
    assert (caught.value.payload, caught.value.offset) == (kind, 28)


@pytest.mark.parametrize(
    ("value", "name", "size"),
    [
        (VendorId(bytes(9)), "vendor_id", 9),
        (Identification(IdType.KEY_ID, 0, 0, bytes(9)), "identification", 9),
        (Delete(1, ProtocolId.ESP, (bytes(4),) * 3), "delete_spis", 3),
    ],
)
def test_sizes_are_bounded(value: Payload, name: str, size: int) -> None:
    first, chain = build_payloads([value])
    assert parse_payloads(first, chain, limits=Limits(**{name: size})).values == (value,)
    with pytest.raises(ProtocolError):
        parse_payloads(first, chain, limits=Limits(**{name: size - 1}))


@pytest.mark.parametrize("spis", [(), (bytes(4), bytes(3))])
def test_a_delete_that_cannot_be_said_is_a_value_error(spis: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="one size"):
        build_payloads([Delete(1, ProtocolId.ESP, spis)])


@pytest.mark.parametrize("reserved", [b"", bytes(4)])
def test_reserved_octets_are_not_cut_or_filled(reserved: bytes) -> None:
    with pytest.raises(ValueError, match="where 3 have to be"):
        build_payloads([NatOa(IdType.IPV4_ADDR, bytes(4), reserved=reserved)])


@pytest.mark.parametrize(
    "value", [KeyExchange(b"secret"), Nonce(b"secret"), Hash(b"secret"), Signature(b"secret")]
)
def test_repr_keeps_secrets(value: Payload) -> None:
    assert "secret" not in repr(value)
