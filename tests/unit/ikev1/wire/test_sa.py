import pytest
from msgspec import structs

from ikev1.errors import ProtocolError
from ikev1.wire.enums import IkeAttribute, NotifyType, PayloadType, ProtocolId
from ikev1.wire.limits import Limits
from ikev1.wire.message import parse_payloads
from ikev1.wire.sa import ATTRIBUTES, SA, Attribute, Proposal, SaPayload, Transform

# Written out by hand from RFC 2408 sections 3.3 to 3.6: two proposals, the first with a TV and a
# TLV attribute, the second (AH, 4-octet SPI) with two transforms.
OCTETS = bytes.fromhex(
    "00000001 00000001"
    "02 00 001c 01 01 00 01"
    "  00 00 0014 01 01 0000  800b 0001  000c 0004 00015180"
    "00 00 0020 02 02 04 02 cafe0001"
    "  03 00 0008 01 02 0000"
    "  00 00 000c 02 03 0000  8004 0002"
)
VALUE = SaPayload(
    1,
    1,
    (
        Proposal(
            1,
            ProtocolId.ISAKMP,
            b"",
            (Transform(1, 1, (Attribute(11, 1), Attribute(12, b"\x00\x01\x51\x80"))),),
        ),
        Proposal(
            2,
            ProtocolId.AH,
            bytes.fromhex("cafe0001"),
            (Transform(1, 2, ()), Transform(2, 3, (Attribute(4, 2),))),
        ),
    ),
)


def changed(at: int, octets: str) -> bytes:
    new = bytes.fromhex(octets)
    return OCTETS[:at] + new + OCTETS[at + len(new) :]


def test_every_field_has_its_place() -> None:
    assert SA.parse(OCTETS) == VALUE
    assert SA.build(VALUE) == OCTETS


@pytest.mark.parametrize("at", [9, 17, 22, 23, 37, 49, 54, 55])
def test_reserved_octets_survive(at: int) -> None:
    octets = changed(at, "a5")
    value = SA.parse(octets)
    assert value != VALUE
    assert SA.build(value) == octets


@pytest.mark.parametrize(
    ("octets", "payload", "notify", "offset"),
    [
        pytest.param(OCTETS[:3], PayloadType.SA, NotifyType.BAD_PROPOSAL_SYNTAX, 0, id="no DOI"),
        pytest.param(
            OCTETS[:7], PayloadType.SA, NotifyType.BAD_PROPOSAL_SYNTAX, 4, id="no situation"
        ),
        pytest.param(
            OCTETS[:8], PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 8, id="no proposal"
        ),
        pytest.param(
            changed(8, "03"), PayloadType.PROPOSAL, NotifyType.INVALID_PAYLOAD_TYPE, 8,
            id="transform after proposal",
        ),
        pytest.param(
            changed(8, "00"), PayloadType.SA, NotifyType.BAD_PROPOSAL_SYNTAX, 36,
            id="proposal after the last",
        ),
        pytest.param(
            changed(36, "02"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 68,
            id="another proposal announced",
        ),
        pytest.param(
            changed(10, "0000"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 8,
            id="proposal of no length",
        ),
        pytest.param(
            changed(38, "000b"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 36,
            id="proposal too short for its SPI",
        ),
        pytest.param(
            changed(38, "0021"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 48,
            id="proposal beyond the end",
        ),
        pytest.param(
            changed(15, "02"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 8,
            id="more transforms announced than present",
        ),
        pytest.param(
            changed(43, "01"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 36,
            id="fewer transforms announced than present",
        ),
        pytest.param(
            changed(43, "00"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 36,
            id="no transforms announced",
        ),
        pytest.param(
            changed(16, "02"), PayloadType.TRANSFORM, NotifyType.INVALID_PAYLOAD_TYPE, 16,
            id="proposal after transform",
        ),
        pytest.param(
            changed(16, "03"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 36,
            id="another transform announced",
        ),
        pytest.param(
            changed(48, "00"), PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX, 56,
            id="transform after the last",
        ),
        pytest.param(
            changed(18, "0007"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 16,
            id="transform shorter than its header",
        ),
        pytest.param(
            changed(18, "0000"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 16,
            id="transform of no length",
        ),
        pytest.param(
            changed(18, "0015"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 24,
            id="transform beyond the end",
        ),
        pytest.param(
            changed(30, "0005"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 32,
            id="attribute beyond the end",
        ),
        pytest.param(
            changed(30, "0003"), PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX, 35,
            id="odd octet after the attributes",
        ),
        pytest.param(
            changed(14, "05"), PayloadType.TRANSFORM, NotifyType.INVALID_PAYLOAD_TYPE, 21,
            id="ISAKMP SPI taken from the transform",
        ),
        pytest.param(
            changed(14, "11"), PayloadType.PROPOSAL, NotifyType.INVALID_SPI, 8,
            id="ISAKMP SPI of 17 octets",
        ),
        pytest.param(
            changed(42, "03"), PayloadType.PROPOSAL, NotifyType.INVALID_SPI, 36,
            id="AH SPI of 3 octets",
        ),
        pytest.param(
            changed(42, "00"), PayloadType.PROPOSAL, NotifyType.INVALID_SPI, 36, id="no AH SPI"
        ),
        pytest.param(
            OCTETS + b"?", PayloadType.SA, NotifyType.BAD_PROPOSAL_SYNTAX, 68, id="trailing"
        ),
    ],
)  # fmt: skip
def test_refused(octets: bytes, payload: PayloadType, notify: NotifyType, offset: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_in_chain(octets)
    assert caught.value.offset == 28 + 4 + offset
    assert caught.value.payload == payload
    assert caught.value.notify is notify


def parse_in_chain(body: bytes) -> None:
    parse_payloads(PayloadType.SA, bytes(2) + (len(body) + 4).to_bytes(2, "big") + body)


@pytest.mark.parametrize("at", range(len(OCTETS)))
def test_every_truncation_is_refused(at: int) -> None:
    with pytest.raises(ProtocolError):
        SA.parse(OCTETS[:at])


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (OCTETS[:4] + b"\xff" * 4 + OCTETS[8:], SaPayload(1, 0xFFFFFFFF, (), OCTETS[8:])),
        (OCTETS[:4] + bytes(4), SaPayload(1, 0, ())),
        (bytes(4) + OCTETS[4:], SaPayload(0, 0, (), OCTETS[4:])),
        (bytes.fromhex("00000002"), SaPayload(2, 0, ())),
    ],
)
def test_another_doi_or_situation_is_kept_as_octets(octets: bytes, value: SaPayload) -> None:
    assert SA.parse(octets) == value
    assert SA.build(value) == octets


def test_an_isakmp_spi_is_kept() -> None:
    value = SaPayload(1, 1, (Proposal(1, ProtocolId.ISAKMP, bytes(8), (Transform(0, 1, ()),)),))
    assert SA.parse(SA.build(value)) == value


def many(count: int) -> SaPayload:
    transforms = tuple(Transform(number % 256, 1, ()) for number in range(count))
    parts = [transforms[at : at + 200] for at in range(0, count, 200)]
    return SaPayload(1, 1, tuple(Proposal(1, ProtocolId.ISAKMP, b"", part) for part in parts))


@pytest.mark.parametrize(
    ("name", "limit", "reason"),
    [
        ("proposals", 2, "more than 1 proposals"),
        ("transforms", 3, "more than 2 transforms"),
        ("attributes", 2, "2 attributes in a transform"),
    ],
)
def test_counts_are_bounded(name: str, limit: int, reason: str) -> None:
    assert SA.parse(OCTETS, limits=Limits(**{name: limit})) == VALUE
    with pytest.raises(ProtocolError, match=reason) as caught:
        SA.parse(OCTETS, limits=Limits(**{name: limit - 1}))
    assert caught.value.notify is NotifyType.BAD_PROPOSAL_SYNTAX


def test_transforms_of_one_proposal_are_bounded_too() -> None:
    octets = SA.build(many(200))
    assert SA.parse(octets, limits=Limits(transforms=200)) == many(200)
    with pytest.raises(ProtocolError, match="more than 192 transforms"):
        SA.parse(octets)


@pytest.mark.parametrize(
    ("value", "number"),
    [(3600, 3600), (0, 0), (b"\x00", 0), (b"\x00\x01\x51\x80", 86400), (b"\xff" * 8, 2**64 - 1)],
)
def test_a_number_in_either_form(value: int | bytes, number: int) -> None:
    assert Attribute(IkeAttribute.LIFE_DURATION, value).number == number


@pytest.mark.parametrize("value", [b"", b"\x00" * 9])
def test_no_number_in_so_many_octets(value: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        _ = Attribute(IkeAttribute.LIFE_DURATION, value).number
    assert caught.value.notify is NotifyType.ATTRIBUTES_NOT_SUPPORTED
    assert caught.value.payload == PayloadType.TRANSFORM


def test_short_and_long_forms_stay_apart() -> None:
    octets = bytes.fromhex("8001 0007 0001 0002 0007 0001 0000")
    attributes = ATTRIBUTES.parse(octets)
    assert attributes == (Attribute(1, 7), Attribute(1, b"\x00\x07"), Attribute(1, b""))
    assert ATTRIBUTES.build(attributes) == octets


@pytest.mark.parametrize(
    "attribute", [Attribute(0x8000, 1), Attribute(1, 65536), Attribute(1, bytes(65536))]
)
def test_an_attribute_that_does_not_fit_is_a_value_error(attribute: Attribute) -> None:
    with pytest.raises(ValueError, match=r"attribute|tuple"):
        ATTRIBUTES.build((attribute,))


def test_more_transforms_than_a_proposal_can_count_are_a_value_error() -> None:
    transforms = (Transform(1, 1, ()),) * 256
    proposal = structs.replace(VALUE.proposals[0], transforms=transforms)
    with pytest.raises(ValueError, match="SaPayload"):
        SA.build(SaPayload(1, 1, (proposal,)))
