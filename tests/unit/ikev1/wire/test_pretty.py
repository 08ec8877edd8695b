import pytest

from ikev1.wire.enums import EspTransform, ExchangeType, IdType, PayloadType, ProtocolId
from ikev1.wire.message import build_message, build_payloads, parse_message, parse_payloads
from ikev1.wire.payloads import Identification, KeyExchange, Nonce, Payload, RawPayload
from ikev1.wire.pretty import describe, describe_header, describe_payload
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform
from tests.support.ike_samples import APPLE_MM1, COOKIES, INFORMATIONAL, MM5, MM5_RSA, ODD, QM1


def test_a_message() -> None:
    header, _ = parse_message(build_message(COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, MM5))
    first, chain = build_payloads(MM5)
    assert describe(header, parse_payloads(first, chain + bytes(4), encrypted=True)) == (
        "IDENTITY_PROTECTION 0123456789abcdef:fedcba9876543210 message ID 00000000, clear, "
        "92 octets\n"
        "  ID IPV4_ADDR 10.0.0.7 17/500\n"
        "  HASH of 20 octets\n"
        "  N INITIAL_CONTACT ISAKMP SPI 0123456789abcdeffedcba9876543210\n"
        "  padding of 4 octets"
    )


def test_a_header_with_flags_and_an_unknown_exchange() -> None:
    header, _ = parse_message(build_message(COOKIES, ExchangeType(243), 0xAB, [], flags=0x86))
    assert describe_header(header) == (
        "EXCHANGE(243) 0123456789abcdef:fedcba9876543210 message ID 000000ab, COMMIT+AUTH_ONLY, "
        "28 octets"
    )


def test_phase_1_and_phase_2_proposals_are_read_by_their_own_numbers() -> None:
    phase_1 = describe_payload(APPLE_MM1[0]).split("\n")
    assert phase_1[:2] == ["SA IPSEC situation 0x1", "  proposal 1 ISAKMP"]
    assert phase_1[2] == (
        "    1: KEY_IKE LIFE_TYPE=SECONDS LIFE_DURATION=3600 ENCRYPTION_ALGORITHM=AES_CBC "
        "KEY_LENGTH=256 AUTH_METHOD=PRE_SHARED_KEY HASH_ALGORITHM=SHA2_256 "
        "GROUP_DESCRIPTION=MODP_2048"
    )
    phase_2 = describe_payload(QM1[1]).split("\n")
    assert phase_2[1] == "  proposal 1 ESP SPI 0c0ffee0"
    assert phase_2[2] == (
        "    1: AES_CBC LIFE_TYPE=SECONDS LIFE_DURATION=3600 ENCAPSULATION_MODE=UDP_TRANSPORT "
        "KEY_LENGTH=256 AUTH_ALGORITHM=HMAC_SHA2_256"
    )


def test_attributes_that_are_unknown_or_long() -> None:
    transform = Transform(
        1,
        EspTransform(77),
        (
            Attribute(2, (86400).to_bytes(4, "big")),
            Attribute(300, 1),
            Attribute(5, 999),
            Attribute(1, b""),
            Attribute(9, bytes(100)),
        ),
    )
    sa = SaPayload(1, 1, (Proposal(1, ProtocolId.ESP, bytes(4), (transform,)),))
    assert describe_payload(sa).split("\n")[2] == (
        "    1: ESP(77) LIFE_DURATION=86400 ATTRIBUTE(300)=1 AUTH_ALGORITHM=AUTH(999) "
        f"LIFE_TYPE=0x COMPRESS_PRIVATE_ALGORITHM=0x{'00' * 64}..."
    )
    other = SaPayload(1, 1, (Proposal(1, ProtocolId(9), b"", (Transform(1, 5, ()),)),))
    assert describe_payload(other).split("\n")[1:] == [
        "  proposal 1 PROTOCOL(9)",
        "    1: transform ID 5",
    ]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (INFORMATIONAL[1], "D ESP SPI 0c0ffee0 0c0ffee1"),
        (INFORMATIONAL[3], f"N R_U_THERE ISAKMP SPI {COOKIES.hex()} 7"),
        (MM5_RSA[0], "ID DER_ASN1_DN 0x300d310b3009060355040613024445 0/0"),
        (MM5_RSA[1], "CERT X509_SIGNATURE of 200 octets"),
        (MM5_RSA[2], "SIG of 128 octets"),
        (MM5_RSA[3], "CERTREQ X509_SIGNATURE of 0 octets"),
        (ODD[0], "SA IPSEC situation 0xffffffff, 6 octets not understood"),
        (ODD[1], "SA DOI(7) situation 0x0, 11 octets not understood"),
        (ODD[2], "ATTRIBUTES of 8 octets"),
        (ODD[3], "PAYLOAD(200) of 1 octets"),
        (ODD[4], "NAT_OA_DRAFT IPV6_ADDR 1:203:405:607:809:a0b:c0d:e0f"),
        (ODD[6], "VID XAUTH"),
        (
            Identification(IdType.IPV4_ADDR_SUBNET, 0, 0, bytes([10, 0, 0, 0, 255, 0, 0, 0])),
            "ID IPV4_ADDR_SUBNET 10.0.0.0/255.0.0.0 0/0",
        ),
        (
            Identification(IdType.IPV4_ADDR_RANGE, 0, 0, bytes([10, 0, 0, 1, 10, 0, 0, 9])),
            "ID IPV4_ADDR_RANGE 10.0.0.1-10.0.0.9 0/0",
        ),
        (Identification(IdType.KEY_ID, 0, 0, b"group"), "ID KEY_ID 0x67726f7570 0/0"),
    ],
)
def test_payloads(payload: Payload, text: str) -> None:
    assert describe_payload(payload) == text


def test_a_peer_cannot_write_into_the_log() -> None:
    name = Identification(IdType.FQDN, 17, 0, b"a\nb\x1b[2J'\"\\\xff")
    assert describe_payload(name) == r"""ID FQDN 'a\nb\x1b[2J\'"\\\xff' 17/0"""
    long = Identification(IdType.USER_FQDN, 0, 0, b"a" * 2000)
    assert describe_payload(long) == f"ID USER_FQDN '{'a' * 64}'... 0/0"


@pytest.mark.parametrize("kind", [KeyExchange, Nonce])
def test_keys_and_nonces_are_not_shown(kind: type[KeyExchange | Nonce]) -> None:
    text = describe_payload(kind(b"SECRET"))
    assert text.endswith("of 6 octets")
    assert "SECRET" not in text
    assert b"SECRET".hex() not in text


def test_xauth_passwords_are_not_shown() -> None:
    text = describe_payload(RawPayload(PayloadType.ATTRIBUTES, b"password"))
    assert text == "ATTRIBUTES of 8 octets"
