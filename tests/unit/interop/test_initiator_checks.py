"""Each rule for answers: broken alone, it is named; kept, nothing is."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from ikev1.wire.enums import (
    CertEncoding,
    Doi,
    EncapsulationMode,
    IdType,
    IkeAttribute,
    IpsecAttribute,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikev1.wire.message import Payloads, build_payloads, parse_payloads
from ikev1.wire.payloads import (
    CertificateRequest,
    Hash,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Notification,
    Payload,
    VendorId,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator import checks, offers, profiles
from interop.initiator.checks import WARNINGS, Cause, Findings

NOTIFICATION = Notification(
    Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, bytes(16), b""
)
NONCE = Nonce(bytes(16))
KE = KeyExchange(bytes(128))
HASH = Hash(bytes(20))
SERVER_ID = Identification(IdType.IPV4_ADDR, 17, 500, b"\xcb\x00\x71\x01")
IDS = (
    Identification(IdType.IPV4_ADDR, 17, 49152, b"\xc0\xa8\x01\x02"),
    Identification(IdType.IPV4_ADDR, 17, 1701, b"\xcb\x00\x71\x01"),
)
SPI = b"\xc0\x00\x01\x02"

OFFER = offers.phase1_proposal(IPHONE)
ESP_OFFER = offers.esp_proposal(IPHONE, b"\x11\x22\x33\x44", EncapsulationMode.UDP_TRANSPORT)
PLAIN_OFFER = offers.esp_proposal(IPHONE, b"\x11\x22\x33\x44", EncapsulationMode.TRANSPORT)


def payloads(*values: Payload) -> Payloads:
    """As they come off the wire."""
    first, chain = build_payloads(values)
    return parse_payloads(first, chain)


def causes(findings: Findings) -> list[Cause]:
    return [cause for cause, _ in findings]


def changed(transform: Transform, kind: int, value: int | bytes | None) -> Transform:
    """A transform with another value for an attribute, or without it."""
    attributes: Iterable[Attribute] = (
        part if part.type != kind else Attribute(kind, value or 0)
        for part in transform.attributes
        if part.type != kind or value is not None
    )
    return replace(transform, attributes=tuple(attributes))


def phase1_answer(*transforms: Transform) -> SaPayload:
    return offers.sa(Proposal(1, ProtocolId.ISAKMP, b"", transforms))


def message_2(*values: Payload, named: tuple[bytes, ...] = IPHONE.vendor_ids) -> list[Cause]:
    return causes(checks.message_2(payloads(*values), OFFER, named))


@pytest.mark.parametrize("number", range(14))
def test_message_2_with_any_offered_transform_is_fine(number: int) -> None:
    answer = phase1_answer(OFFER.transforms[number])

    assert message_2(answer, VendorId(profiles.RFC_3947), VendorId(profiles.DPD)) == []


def test_message_2_with_another_payload() -> None:
    assert message_2(phase1_answer(OFFER.transforms[0]), NOTIFICATION) == [Cause.MM2_PAYLOADS]


@pytest.mark.parametrize(
    "answer",
    [
        phase1_answer(*OFFER.transforms[:2]),
        SaPayload(
            Doi.IPSEC,
            1,
            (
                Proposal(1, ProtocolId.ISAKMP, b"", OFFER.transforms[:1]),
                Proposal(2, ProtocolId.ISAKMP, b"", OFFER.transforms[:1]),
            ),
        ),
    ],
    ids=["two transforms", "two proposals"],
)
def test_message_2_that_does_not_choose(answer: SaPayload) -> None:
    assert message_2(answer) == [Cause.MM2_PROPOSALS]


def test_message_2_without_an_sa() -> None:
    assert message_2(VendorId(profiles.RFC_3947)) == [Cause.MM2_PROPOSALS]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (IkeAttribute.ENCRYPTION_ALGORITHM, 5),
        (IkeAttribute.KEY_LENGTH, 128),
        (IkeAttribute.KEY_LENGTH, None),
        (IkeAttribute.HASH_ALGORITHM, 5),
        (IkeAttribute.AUTH_METHOD, 3),
        (IkeAttribute.GROUP_DESCRIPTION, 16),
    ],
)
def test_message_2_with_a_transform_that_was_not_offered(kind: int, value: int | None) -> None:
    transform = changed(OFFER.transforms[0], kind, value)

    assert message_2(phase1_answer(transform)) == [Cause.MM2_TRANSFORM]


@pytest.mark.parametrize(
    "transform",
    [
        changed(OFFER.transforms[0], IkeAttribute.LIFE_DURATION, 1800),
        changed(OFFER.transforms[0], IkeAttribute.LIFE_DURATION, (3600).to_bytes(4)),
        replace(OFFER.transforms[0], attributes=OFFER.transforms[0].attributes[::-1]),
        replace(OFFER.transforms[0], number=2),
    ],
    ids=["lifetime", "form", "order", "number"],
)
def test_message_2_with_a_transform_that_was_rewritten(transform: Transform) -> None:
    assert message_2(phase1_answer(transform)) == [Cause.MM2_ATTRIBUTES]


@pytest.mark.parametrize(
    "vendor_ids",
    [
        (profiles.RFC_3947, profiles.DRAFT_02_N),
        (profiles.APPLE_NAT_T,),
        (profiles.LATE_DRAFTS[0],),
        (profiles.DRAFT_00,),
    ],
)
def test_message_2_with_nat_t_vendor_ids_that_mislead(vendor_ids: tuple[bytes, ...]) -> None:
    answer = phase1_answer(OFFER.transforms[0])

    found = message_2(answer, *(VendorId(data) for data in vendor_ids))

    assert found == [Cause.MM2_NAT_T_VENDOR_IDS]


@pytest.mark.parametrize("vendor_id", [profiles.APPLE_NAT_T, *profiles.LATE_DRAFTS])
def test_message_2_with_a_late_draft_that_alone_was_named(vendor_id: bytes) -> None:
    answer = phase1_answer(OFFER.transforms[0])

    assert message_2(answer, VendorId(vendor_id), named=(vendor_id,)) == []


def test_message_2_with_fragmentation_and_no_capability_word() -> None:
    answer = phase1_answer(OFFER.transforms[0])

    assert message_2(answer, VendorId(profiles.FRAGMENTATION_WITH_CAPABILITY)) == []
    assert message_2(answer, VendorId(profiles.FRAGMENTATION)) == [
        Cause.MM2_FRAGMENTATION_VENDOR_ID
    ]


NAT_D = (NatD(bytes(20)), NatD(bytes(20)))
DRAFT_NAT_D = (
    NatD(bytes(20), PayloadType.NAT_D_DRAFT),
    NatD(bytes(20), PayloadType.NAT_D_DRAFT),
)
MESSAGE_4_FINE = [
    ((KE, NONCE), None),
    ((KE, NONCE, *NAT_D), PayloadType.NAT_D),
    ((KE, NONCE, *NAT_D, NAT_D[0]), PayloadType.NAT_D),
    ((KE, NONCE, *DRAFT_NAT_D), PayloadType.NAT_D_DRAFT),
    ((KE, NONCE, CertificateRequest(CertEncoding.X509_SIGNATURE, b""), VendorId(b"x")), None),
]
MESSAGE_4_BROKEN = [
    ((KE, NONCE, NOTIFICATION), None, Cause.MM4_PAYLOADS),
    ((KE, NONCE, HASH), None, Cause.MM4_PAYLOADS),
    ((NONCE,), None, Cause.MM4_KEY_EXCHANGE),
    ((KE, KE, NONCE), None, Cause.MM4_KEY_EXCHANGE),
    ((KE,), None, Cause.MM4_NONCE),
    ((KE, NONCE, NONCE), None, Cause.MM4_NONCE),
    ((KE, Nonce(bytes(7))), None, Cause.MM4_NONCE),
    ((KE, Nonce(bytes(257))), None, Cause.MM4_NONCE),
    ((KE, NONCE, *NAT_D), None, Cause.MM4_NAT_D),
    ((KE, NONCE), PayloadType.NAT_D, Cause.MM4_NAT_D),
    ((KE, NONCE, NAT_D[0]), PayloadType.NAT_D, Cause.MM4_NAT_D),
    ((KE, NONCE, *DRAFT_NAT_D), PayloadType.NAT_D, Cause.MM4_NAT_D),
    ((KE, NONCE, *NAT_D, *DRAFT_NAT_D), PayloadType.NAT_D, Cause.MM4_NAT_D),
]


@pytest.mark.parametrize(("values", "nat_d"), MESSAGE_4_FINE)
def test_message_4(values: tuple[Payload, ...], nat_d: PayloadType | None) -> None:
    assert causes(checks.message_4(payloads(*values), nat_d)) == []


@pytest.mark.parametrize(("values", "nat_d", "cause"), MESSAGE_4_BROKEN)
def test_message_4_broken(
    values: tuple[Payload, ...], nat_d: PayloadType | None, cause: Cause
) -> None:
    assert causes(checks.message_4(payloads(*values), nat_d)) == [cause]


FQDN = Identification(IdType.FQDN, 17, 500, b"vpn.example.org")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((SERVER_ID, HASH), []),
        ((SERVER_ID, HASH, NOTIFICATION, VendorId(b"x")), []),
        ((FQDN, HASH), [Cause.MM6_ID_TYPE]),
        ((SERVER_ID, HASH, NONCE), [Cause.MM6_PAYLOADS]),
        ((SERVER_ID,), [Cause.MM6_PAYLOADS]),
        ((HASH,), [Cause.MM6_PAYLOADS]),
        ((SERVER_ID, HASH, HASH), [Cause.MM6_PAYLOADS]),
    ],
)
def test_message_6(values: tuple[Payload, ...], expected: list[Cause]) -> None:
    assert causes(checks.message_6(payloads(*values), server_behind_nat=False)) == expected


def test_a_server_behind_a_nat_may_show_a_name() -> None:
    assert causes(checks.message_6(payloads(FQDN, HASH), server_behind_nat=True)) == []


def esp_answer(
    transform: Transform = ESP_OFFER.transforms[0],
    spi: bytes = SPI,
    number: int = 1,
    protocol: ProtocolId = ProtocolId.ESP,
) -> SaPayload:
    return offers.sa(Proposal(number, protocol, spi, (transform,)))


def quick_mode_2(*values: Payload, nat: bool = True, pfs: bool = False) -> list[Cause]:
    offered = ESP_OFFER if nat else PLAIN_OFFER
    return causes(checks.quick_mode_2(payloads(*values), offered, IDS, nat=nat, pfs=pfs))


@pytest.mark.parametrize("number", range(9))
def test_quick_mode_2_with_any_offered_transform_is_fine(number: int) -> None:
    assert quick_mode_2(HASH, esp_answer(ESP_OFFER.transforms[number]), NONCE, *IDS) == []


def test_quick_mode_2_with_all_that_is_allowed_is_fine() -> None:
    original = NatOa(IdType.IPV4_ADDR, b"\xcb\x00\x71\x01")

    found = quick_mode_2(
        HASH, esp_answer(), NONCE, KE, *IDS, NOTIFICATION, original, original, pfs=True
    )

    assert found == []


NUMBER_10 = replace(ESP_OFFER.transforms[0], number=10)
SECOND_AS_FIRST = replace(ESP_OFFER.transforms[1], number=1)
OTHER_PORT = replace(IDS[0], port=1701)
ANY_PORT = replace(IDS[0], port=0, protocol=0)
NAME = Identification(IdType.FQDN, 17, 49152, b"iPhone")
OTHER_ADDRESS = replace(IDS[0], data=b"\xc6\x33\x64\x09")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ((HASH, esp_answer(), NONCE, *IDS, VendorId(b"x")), Cause.QM2_PAYLOADS),
        ((HASH, NONCE, esp_answer(), *IDS), Cause.QM2_SA_SECOND),
        ((HASH, esp_answer(), *IDS), Cause.QM2_NONCE),
        ((HASH, esp_answer(), Nonce(bytes(4)), *IDS), Cause.QM2_NONCE),
        ((HASH, esp_answer(), NONCE, KE, *IDS), Cause.QM2_KEY_EXCHANGE),
        ((HASH, offers.sa(replace(ESP_OFFER, spi=SPI)), NONCE, *IDS), Cause.QM2_PROPOSALS),
        ((HASH, esp_answer(number=2), NONCE, *IDS), Cause.QM2_PROPOSALS),
        ((HASH, esp_answer(protocol=ProtocolId.AH), NONCE, *IDS), Cause.QM2_PROPOSALS),
        ((HASH, esp_answer(spi=bytes(4)), NONCE, *IDS), Cause.QM2_SPI),
        ((HASH, esp_answer(spi=b"\0\0\0\xff"), NONCE, *IDS), Cause.QM2_SPI),
        ((HASH, esp_answer(NUMBER_10), NONCE, *IDS), Cause.QM2_TRANSFORM),
        ((HASH, esp_answer(SECOND_AS_FIRST), NONCE, *IDS), Cause.QM2_TRANSFORM),
        ((HASH, esp_answer(), NONCE), Cause.QM2_IDS),
        ((HASH, esp_answer(), NONCE, IDS[1]), Cause.QM2_IDS),
        ((HASH, esp_answer(), NONCE, IDS[1], IDS[0]), Cause.QM2_IDS),
        ((HASH, esp_answer(), NONCE, NAME, IDS[1]), Cause.QM2_IDS),
        ((HASH, esp_answer(), NONCE, OTHER_PORT, IDS[1]), Cause.QM2_IDS),
        ((HASH, esp_answer(), NONCE, OTHER_ADDRESS, IDS[1]), Cause.QM2_ID_ADDRESSES),
    ],
)
def test_quick_mode_2_broken(values: tuple[Payload, ...], cause: Cause) -> None:
    assert set(quick_mode_2(*values)) == {cause}


def test_quick_mode_2_that_does_not_begin_with_hash() -> None:
    found = quick_mode_2(esp_answer(), HASH, NONCE, *IDS)

    assert found == [Cause.QM2_HASH_FIRST, Cause.QM2_SA_SECOND]


def test_quick_mode_2_may_leave_out_protocol_and_port() -> None:
    assert quick_mode_2(HASH, esp_answer(), NONCE, ANY_PORT, IDS[1]) == []


def test_quick_mode_2_must_keep_addresses_without_a_nat() -> None:
    answer = esp_answer(PLAIN_OFFER.transforms[0])

    found = quick_mode_2(HASH, answer, NONCE, OTHER_ADDRESS, IDS[1], nat=False)

    assert found == [Cause.QM2_IDS]


def test_quick_mode_2_with_pfs_needs_a_public_value() -> None:
    assert quick_mode_2(HASH, esp_answer(), NONCE, *IDS, pfs=True) == [Cause.QM2_KEY_EXCHANGE]


@pytest.mark.parametrize(
    ("nat", "mode", "accepted"),
    [
        (False, EncapsulationMode.TRANSPORT, True),
        (False, EncapsulationMode.UDP_TRANSPORT, False),
        (False, EncapsulationMode.UDP_TRANSPORT_DRAFT, False),
        (False, EncapsulationMode.TUNNEL, False),
        (True, EncapsulationMode.TRANSPORT, True),
        (True, EncapsulationMode.UDP_TRANSPORT, True),
        (True, EncapsulationMode.UDP_TRANSPORT_DRAFT, True),
        (True, EncapsulationMode.TUNNEL, False),
        (True, EncapsulationMode.UDP_TUNNEL, False),
        (True, EncapsulationMode.UDP_TUNNEL_DRAFT, False),
    ],
)
def test_encapsulation_mode(nat: bool, mode: EncapsulationMode, accepted: bool) -> None:
    offered = ESP_OFFER if nat else PLAIN_OFFER
    transform = changed(offered.transforms[0], IpsecAttribute.ENCAPSULATION_MODE, mode)

    found = quick_mode_2(HASH, esp_answer(transform), NONCE, *IDS, nat=nat)

    assert (Cause.QM2_ENCAPSULATION_MODE in found) is not accepted
    assert set(found) <= {Cause.QM2_ENCAPSULATION_MODE, Cause.QM2_ATTRIBUTES}


def test_missing_encapsulation_mode_is_transport() -> None:
    transform = changed(PLAIN_OFFER.transforms[0], IpsecAttribute.ENCAPSULATION_MODE, None)

    found = quick_mode_2(HASH, esp_answer(transform), NONCE, *IDS, nat=False)

    assert found == [Cause.QM2_ATTRIBUTES]


def test_rewritten_lifetime_is_only_a_warning() -> None:
    transform = changed(ESP_OFFER.transforms[0], IpsecAttribute.LIFE_DURATION, 1800)

    assert quick_mode_2(HASH, esp_answer(transform), NONCE, *IDS) == [Cause.QM2_ATTRIBUTES]
    assert Cause.QM2_ATTRIBUTES in WARNINGS


def test_every_transform_of_windows_is_accepted_as_offered() -> None:
    offered = offers.esp_proposal(WINDOWS_10, b"\x11\x22\x33\x44", EncapsulationMode.TRANSPORT)

    for transform in offered.transforms:
        answer = payloads(HASH, esp_answer(transform), NONCE, *IDS)
        assert causes(checks.quick_mode_2(answer, offered, IDS, nat=False, pfs=False)) == []
