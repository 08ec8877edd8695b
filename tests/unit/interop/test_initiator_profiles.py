"""The clients as data: what is offered, how it looks on the wire, and in which order."""

import pytest

from ikev1.wire.enums import (
    EncapsulationMode,
    EncryptionAlgorithm,
    Group,
    HashAlgorithm,
    IkeAttribute,
    IpsecAttribute,
)
from ikev1.wire.message import build_payloads, parse_payloads
from ikev1.wire.sa import Attribute
from interop.clients import CLIENTS
from interop.clients.ike import ANDROID, IOS_2011, IPHONE, PROFILES, STRONGSWAN, WINDOWS_10
from interop.initiator import offers
from interop.initiator.profiles import Phase1Offer, Profile, only
from interop.initiator.session import NON_ESP_MARKER
from tests.support.dialled_gateway import DialledGateway

TRANSPORT = EncapsulationMode.TRANSPORT


@pytest.mark.parametrize(
    ("profile", "phase1", "esp"),
    [(IPHONE, 14, 9), (IOS_2011, 6, 6), (WINDOWS_10, 5, 5), (ANDROID, 12, 12), (STRONGSWAN, 6, 3)],
)
def test_number_of_transforms(profile: Profile, phase1: int, esp: int) -> None:
    assert len(set(profile.phase1)) == len(profile.phase1) == phase1
    assert len(set(profile.esp)) == len(profile.esp) == esp


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_offers_survive_the_wire(profile: Profile) -> None:
    for proposal in (
        offers.phase1_proposal(profile),
        offers.esp_proposal(profile, b"\1\2\3\4", TRANSPORT),
    ):
        first, chain = build_payloads([offers.sa(proposal)])
        assert parse_payloads(first, chain).values == (offers.sa(proposal),)
        assert [transform.number for transform in proposal.transforms] == list(
            range(1, len(proposal.transforms) + 1)
        )


def test_racoon_puts_lifetimes_first_and_the_hash_after_authentication() -> None:
    transform = offers.phase1_proposal(IPHONE).transforms[0]
    esp = offers.esp_proposal(IPHONE, b"\1\2\3\4", TRANSPORT).transforms[0]

    assert transform.attributes == (
        Attribute(IkeAttribute.LIFE_TYPE, 1),
        Attribute(IkeAttribute.LIFE_DURATION, 3600),
        Attribute(IkeAttribute.ENCRYPTION_ALGORITHM, 7),
        Attribute(IkeAttribute.KEY_LENGTH, 256),
        Attribute(IkeAttribute.AUTH_METHOD, 1),
        Attribute(IkeAttribute.HASH_ALGORITHM, 4),
        Attribute(IkeAttribute.GROUP_DESCRIPTION, 14),
    )
    assert esp.attributes == (
        Attribute(IpsecAttribute.LIFE_TYPE, 1),
        Attribute(IpsecAttribute.LIFE_DURATION, 3600),
        Attribute(IpsecAttribute.ENCAPSULATION_MODE, 2),
        Attribute(IpsecAttribute.KEY_LENGTH, 256),
        Attribute(IpsecAttribute.AUTH_ALGORITHM, 5),
    )


def test_durations_of_windows_have_four_octets() -> None:
    transform = offers.phase1_proposal(WINDOWS_10).transforms[0]
    esp = offers.esp_proposal(WINDOWS_10, b"\1\2\3\4", TRANSPORT).transforms[0]

    assert transform.attributes[-1].value == (28800).to_bytes(4)
    assert [part.value for part in esp.attributes if part.type == IpsecAttribute.LIFE_DURATION] == [
        (3600).to_bytes(4),
        (250_000).to_bytes(4),
    ]


def test_vendor_ids_of_an_iphone() -> None:
    assert [data.hex() for data in IPHONE.vendor_ids] == [
        "4a131c81070358455c5728f20e95452f",
        "4df37928e9fc4fd1b3262170d515c662",
        "8f8d83826d246b6fc7a8a6a428c11de8",
        "439b59f8ba676c4c7737ae22eab8f582",
        "4d1e0e136deafa34c4f3ea9f02ec7285",
        "80d0bb3def54565ee84645d4c85ce3ee",
        "9909b64eed937c6573de52ace952fa6b",
        "7d9419a65310ca6f2c179d9215529d56",
        "cd60464335df21f87cfdb2fc68b6a448",
        "90cb80913ebb696e086381b5ec427b1f",
        "4048b7d56ebce88525e7de7f00d6c2d380000000",
        "afcad71368a1f1c96b8696fc77570100",
    ]


def test_only_narrows_the_offer() -> None:
    offer = Phase1Offer(
        EncryptionAlgorithm.TRIPLE_DES_CBC, None, HashAlgorithm.SHA1, Group.MODP_1024
    )

    narrowed = only(IPHONE, offer)

    assert narrowed.phase1 == (offer,)
    assert narrowed.esp == IPHONE.esp
    assert narrowed.vendor_ids == IPHONE.vendor_ids


def test_messages_of_windows_have_the_sizes_that_logs_tell() -> None:
    """408 octets in xl2tpd issue 219 and cloudstack PR 872, 444 in the latter, behind a NAT."""
    machine = DialledGateway().dial(CLIENTS["windows-10"])
    first, _, _, quick_mode, *_ = [
        datagram.removeprefix(NON_ESP_MARKER) for _, datagram in machine.line
    ]
    assert (len(first), len(quick_mode)) == (408, 444)
