from dataclasses import replace

import pytest

from cli.ikev1d.config.algorithms import DEFAULT, STRICT, Policy
from ikev1.core.effects import EspSuite
from ikev1.core.errors import ExchangeError
from ikev1.core.proposals import (
    DEFAULT_LIFETIME,
    MAX_ENFORCED_KILOBYTES,
    MAX_ENFORCED_LIFETIME,
    EspChoice,
    EspPolicy,
    answer,
    choose_esp,
)
from ikev1.errors import ProtocolError
from ikev1.wire.enums import (
    AuthAlgorithm,
    EncapsulationMode,
    EspTransform,
    Group,
    IpsecAttribute,
    LifeType,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.message import build_payloads, parse_payloads
from ikev1.wire.sa import Proposal, SaPayload, Transform
from interop.clients.ike import IOS_2011, IPHONE, STRONGSWAN, WINDOWS_10
from interop.initiator.offers import esp_proposal, sa
from interop.initiator.profiles import Profile
from tests.support.ike_host import EVERY_ESP
from tests.support.ike_offers import (
    ANDROID_12,
    SPI,
    XP,
    esp_offer,
    esp_policy,
    esp_transform,
)

BY_DEFAULT = esp_policy(DEFAULT)
GCM = EspTransform.AES_GCM_16


def choose(
    offer: SaPayload,
    policy: EspPolicy = EVERY_ESP,
    *,
    behind_nat: bool = False,
    avoid_sha256: bool = False,
) -> EspChoice:
    return choose_esp(offer, policy, behind_nat=behind_nat, avoid_sha256=avoid_sha256)


def refused(
    offer: SaPayload, policy: EspPolicy = EVERY_ESP, *, behind_nat: bool = False
) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        choose(offer, policy, behind_nat=behind_nat)
    assert caught.value.notify == NotifyType.NO_PROPOSAL_CHOSEN
    return caught.value


@pytest.mark.parametrize(
    ("profile", "policy", "number", "label"),
    [
        (IPHONE, DEFAULT, 1, "aes256-sha256"),
        (IPHONE, STRICT, 1, "aes256-sha256"),
        (IOS_2011, DEFAULT, 1, "aes256-sha1"),
        (IOS_2011, STRICT, 1, "aes256-sha1"),
        (WINDOWS_10, STRICT, 1, "aes256-sha1"),
        (XP, DEFAULT, 2, "3des-sha1"),
        (ANDROID_12, DEFAULT, 1, "aes256-sha256"),
        (STRONGSWAN, STRICT, 1, "aes256-sha1"),
    ],
)
def test_takes_the_first_that_the_policy_allows(
    profile: Profile, policy: Policy, number: int, label: str
) -> None:
    offer = sa(esp_proposal(profile, SPI, EncapsulationMode.TRANSPORT))
    choice = choose(offer, esp_policy(policy))
    assert (choice.transform.number, choice.suite.label) == (number, label)


def test_strict_says_what_lets_xp_in() -> None:
    offer = sa(esp_proposal(XP, SPI, EncapsulationMode.TRANSPORT))
    error = refused(offer, esp_policy(STRICT))
    assert error.cause.endswith("offered: 3des-md5, 3des-sha1, DES-md5")
    assert error.remedy == 'to accept 3des-sha1, add "3des" to esp.encryption'
    assert error.setting == "esp.encryption"


def test_androids_wrong_sha256_is_avoided_where_there_is_another() -> None:
    offer = sa(esp_proposal(ANDROID_12, SPI, EncapsulationMode.TRANSPORT))
    choice = choose(offer, avoid_sha256=True)
    assert (choice.transform.number, choice.suite.label) == (2, "aes256-sha1")


def test_and_taken_where_there_is_not() -> None:
    offer = esp_offer(esp_transform(auth=AuthAlgorithm.HMAC_SHA2_256))
    assert choose(offer, avoid_sha256=True).suite.label == "aes256-sha256"


@pytest.mark.parametrize("profile", [IPHONE, IOS_2011, WINDOWS_10, XP, ANDROID_12, STRONGSWAN])
def test_the_answer_is_the_chosen_transform_byte_for_byte(profile: Profile) -> None:
    first, wire = build_payloads([sa(esp_proposal(profile, SPI, EncapsulationMode.TRANSPORT))])
    offer = parse_payloads(first, wire).first(SaPayload)
    assert offer is not None
    choice = choose(offer, BY_DEFAULT)
    reply = answer(offer, choice.proposal, choice.transform, b"\x0a\x0b\x0c\x0d")
    _, octets = build_payloads([reply])
    assert reply.proposals == (
        Proposal(1, ProtocolId.ESP, b"\x0a\x0b\x0c\x0d", (choice.transform,)),
    )
    # But for the first octet of the transform's header, which says whether others follow.
    assert octets[4 + 8 + 8 + 4 + 1 :] in wire


def test_the_answer_keeps_the_offered_numbers() -> None:
    """Of the second proposal, third transform."""
    transforms = (
        esp_transform(cipher=EspTransform.DES, bits=0, number=3),
        esp_transform(cipher=EspTransform.NULL, bits=0, number=4),
        esp_transform(number=9),
    )
    offer = SaPayload(
        1,
        1,
        (
            Proposal(5, ProtocolId.AH, SPI, (esp_transform(),)),
            Proposal(6, ProtocolId.ESP, SPI, transforms),
        ),
    )
    choice = choose(offer)
    reply = answer(offer, choice.proposal, choice.transform, bytes(4))
    assert reply.proposals == (Proposal(6, ProtocolId.ESP, bytes(4), (transforms[2],)),)


# --- suites --------------------------------------------------------------------------------------


def test_names_and_sizes_for_the_kernel() -> None:
    assert choose(esp_offer(esp_transform(bits=192))).suite == EspSuite(
        "aes-cbc", 192, "hmac-sha1-96", "aes192-sha1"
    )
    triple = esp_transform(cipher=EspTransform.TRIPLE_DES, bits=0, auth=AuthAlgorithm.HMAC_MD5)
    assert choose(esp_offer(triple)).suite == EspSuite("3des-cbc", 192, "hmac-md5-96", "3des-md5")
    gcm = esp_transform(cipher=GCM, bits=128, auth=0)
    assert choose(esp_offer(gcm)).suite == EspSuite("aes-gcm-16", 128, None, "aes128gcm16")


def test_gcm_needs_a_key_length() -> None:
    refused(esp_offer(esp_transform(cipher=GCM, bits=0, auth=0)))


def test_an_aead_with_an_authentication_beside_it_is_refused() -> None:
    """CVE-2024-3652's neighbour: libreswan 4.15 refuses it too."""
    error = refused(esp_offer(esp_transform(cipher=GCM, bits=256)))
    assert "aes256gcm16 together with HMAC_SHA1" in error.cause


@pytest.mark.parametrize("bits", [0, 128, 256])
def test_gmac_which_encrypts_nothing_is_refused(bits: int) -> None:
    """CVE-2024-3652: no key material for encryption."""
    for auth in (0, AuthAlgorithm.AES_128_GMAC, AuthAlgorithm.AES_256_GMAC):
        gmac = esp_transform(cipher=EspTransform.NULL_AUTH_AES_GMAC, bits=bits, auth=auth)
        assert "NULL_AUTH_AES_GMAC" in refused(esp_offer(gmac)).cause


@pytest.mark.parametrize(
    "cipher",
    [
        EspTransform.DES,
        EspTransform.NULL,
        EspTransform.AES_CTR,
        EspTransform.AES_GCM_8,
        EspTransform.AES_GCM_12,
        EspTransform(0),
        EspTransform(255),
    ],
)
def test_other_ciphers_are_refused(cipher: EspTransform) -> None:
    for bits in (0, 128, 256):
        assert str(cipher) in refused(esp_offer(esp_transform(cipher=cipher, bits=bits))).cause


def test_encryption_without_integrity_is_refused() -> None:
    refused(esp_offer(esp_transform(auth=0)))
    refused(esp_offer(esp_transform(auth=AuthAlgorithm.KPDK)))


@pytest.mark.parametrize("bits", [0, 1, 127, 257, 65535])
def test_aes_has_no_other_key_lengths(bits: int) -> None:
    """CVE-2011-3380."""
    odd = esp_transform((IpsecAttribute.KEY_LENGTH, bits), bits=0)
    assert f"AES_CBC/{bits}" in refused(esp_offer(odd)).cause


def test_aes_without_a_key_length_has_128_bits() -> None:
    assert choose(esp_offer(esp_transform(bits=0))).suite.encryption_bits == 128


@pytest.mark.parametrize("bits", [0, 64, 168, 192, 256])
def test_3des_has_no_key_length(bits: int) -> None:
    """CVE-2011-3380."""
    odd = esp_transform((IpsecAttribute.KEY_LENGTH, bits), cipher=EspTransform.TRIPLE_DES, bits=0)
    refused(esp_offer(odd))


@pytest.mark.parametrize(
    "kind",
    [
        IpsecAttribute.KEY_ROUNDS,
        IpsecAttribute.COMPRESS_DICTIONARY_SIZE,
        IpsecAttribute.COMPRESS_PRIVATE_ALGORITHM,
        IpsecAttribute.ECN_TUNNEL,
        IpsecAttribute.EXTENDED_SEQUENCE_NUMBER,
        12,
        32_000,
    ],
)
def test_what_would_change_the_sa_and_is_not_served_is_refused(kind: int) -> None:
    """RFC 2407 section 4.5."""
    assert str(IpsecAttribute(kind)) in refused(esp_offer(esp_transform((kind, 1)))).cause


@pytest.mark.parametrize("kind", [32_001, 32_767])
def test_private_attributes_are_passed_over(kind: int) -> None:
    assert choose(esp_offer(esp_transform((kind, 1)))).suite.label == "aes256-sha1"


# --- encapsulation modes -------------------------------------------------------------------------

MODES = EncapsulationMode


@pytest.mark.parametrize(
    ("mode", "behind_nat", "encapsulated"),
    [
        (MODES.TRANSPORT, False, False),
        (MODES.UDP_TRANSPORT, True, True),
        (MODES.UDP_TRANSPORT_DRAFT, True, True),
    ],
)
def test_transport_modes(mode: int, behind_nat: bool, encapsulated: bool) -> None:
    choice = choose(esp_offer(esp_transform(mode=mode)), behind_nat=behind_nat)
    assert choice.encapsulated is encapsulated


@pytest.mark.parametrize(
    ("mode", "behind_nat"),
    [
        (MODES.TUNNEL, False),
        (MODES.TUNNEL, True),
        (MODES.UDP_TUNNEL, False),
        (MODES.UDP_TUNNEL, True),
        (MODES.UDP_TUNNEL_DRAFT, False),
        (MODES.UDP_TUNNEL_DRAFT, True),
        (MODES.TRANSPORT, True),
        (MODES.UDP_TRANSPORT, False),
        (MODES.UDP_TRANSPORT_DRAFT, False),
        (0, False),
        (0, True),
        (99, False),
    ],
)
def test_other_modes_are_refused_and_named(mode: int, behind_nat: bool) -> None:
    error = refused(esp_offer(esp_transform(mode=mode)), behind_nat=behind_nat)
    situation = "behind a NAT" if behind_nat else "with no NAT between"
    assert f"encapsulation {MODES(mode)} {situation}" in error.cause
    assert error.setting is None


def test_a_tunnel_before_transport_is_passed_over() -> None:
    offer = esp_offer(
        esp_transform(mode=MODES.TUNNEL, number=1), esp_transform(mode=MODES.TRANSPORT, number=2)
    )
    assert choose(offer).transform.number == 2


# --- bundles -------------------------------------------------------------------------------------


def bundle(*protocols: int) -> tuple[Proposal, ...]:
    spis = {ProtocolId.IPCOMP: b"\x00\x02"}
    return tuple(
        Proposal(1, ProtocolId(protocol), spis.get(ProtocolId(protocol), SPI), (esp_transform(),))
        for protocol in protocols
    )


@pytest.mark.parametrize(
    "protocols",
    [
        (ProtocolId.AH, ProtocolId.ESP),
        (ProtocolId.ESP, ProtocolId.AH),
        (ProtocolId.ESP, ProtocolId.IPCOMP),
        (ProtocolId.ESP, ProtocolId.ESP),
    ],
)
def test_bundles_are_refused(protocols: tuple[int, ...]) -> None:
    """RFC 2408 section 4.2: proposals under one number belong together."""
    assert "bundle" in refused(SaPayload(1, 1, bundle(*protocols))).cause


def test_esp_alone_beside_a_bundle_is_taken() -> None:
    """Windows offers AH with ESP first."""
    alone = Proposal(2, ProtocolId.ESP, SPI, (esp_transform(number=4),))
    offer = SaPayload(1, 1, (*bundle(ProtocolId.AH, ProtocolId.ESP), alone))
    choice = choose(offer)
    assert (choice.proposal.number, choice.transform.number) == (2, 4)


def test_ah_alone_is_refused() -> None:
    assert "AH" in refused(SaPayload(1, 1, bundle(ProtocolId.AH))).cause


# --- PFS and lifetimes ---------------------------------------------------------------------------


def test_pfs_is_the_clients_wish() -> None:
    assert choose(esp_offer(esp_transform())).group is None
    assert choose(esp_offer(esp_transform(group=Group.ECP_256))).group == Group.ECP_256


@pytest.mark.parametrize("group", [Group.MODP_768, Group.EC2N_155, Group.MODP_6144, 99])
def test_other_groups_are_refused(group: int) -> None:
    assert f"PFS {Group(group)}" in refused(esp_offer(esp_transform(group=group))).cause


TYPE, DURATION = IpsecAttribute.LIFE_TYPE, IpsecAttribute.LIFE_DURATION
S, KB = LifeType.SECONDS, LifeType.KILOBYTES


@pytest.mark.parametrize(
    ("pairs", "seconds", "kilobytes"),
    [
        ([], DEFAULT_LIFETIME, None),
        ([(TYPE, S), (DURATION, 3600)], 3600, None),
        ([(TYPE, S), (DURATION, (3600).to_bytes(4))], 3600, None),
        ([(TYPE, S), (DURATION, 0)], DEFAULT_LIFETIME, None),
        ([(TYPE, S), (DURATION, b"\xff" * 8)], MAX_ENFORCED_LIFETIME, None),
        (
            [(TYPE, S), (DURATION, 3600), (TYPE, KB), (DURATION, (250_000).to_bytes(4))],
            3600,
            250_000,
        ),
        ([(TYPE, KB), (DURATION, 1)], DEFAULT_LIFETIME, 1),
        # As a limit it would end the SA with its first packet.
        ([(TYPE, KB), (DURATION, 0)], DEFAULT_LIFETIME, None),
        # In octets it would not fit the kernel's 64 bits.
        ([(TYPE, KB), (DURATION, b"\xff" * 8)], DEFAULT_LIFETIME, MAX_ENFORCED_KILOBYTES),
    ],
)
def test_lifetimes(
    pairs: list[tuple[int, int | bytes]], seconds: int, kilobytes: int | None
) -> None:
    choice = choose(esp_offer(esp_transform(*pairs)))
    assert (choice.lifetime, choice.kilobytes) == (seconds, kilobytes)


def test_a_wide_number_is_malformed() -> None:
    with pytest.raises(ProtocolError):
        choose(esp_offer(esp_transform((TYPE, S), (DURATION, bytes(9)))))


def test_the_operator_may_set_a_shorter_bound() -> None:
    short = replace(EVERY_ESP, max_lifetime=600)
    assert choose(esp_offer(esp_transform((TYPE, S), (DURATION, 3600))), short).lifetime == 600


def test_an_empty_transform_is_refused() -> None:
    refused(esp_offer(Transform(1, EspTransform.AES_CBC, ())))


def test_no_esp_proposal_at_all() -> None:
    assert "no proposal at all" in refused(SaPayload(1, 1, ())).cause


def test_what_is_remembered_of_an_offer_is_nobody_elses() -> None:
    transform = esp_transform((TYPE, S), (DURATION, 3600))
    for spi in (b"\1\1\1\1", b"\2\2\2\2"):
        choice = choose(sa(Proposal(1, ProtocolId.ESP, spi, (transform,))))
        assert choice.proposal.spi == spi
    short = replace(EVERY_ESP, max_lifetime=600)
    assert [choose(esp_offer(transform), one).lifetime for one in (EVERY_ESP, short)] == [3600, 600]
    with pytest.raises(ExchangeError):
        choose(esp_offer(transform), behind_nat=True)


@pytest.mark.parametrize("first", [0, 1])
def test_a_duration_is_answered_as_it_was_written(first: int) -> None:
    written = [
        esp_transform((TYPE, S), (DURATION, duration)) for duration in (3600, (3600).to_bytes(4))
    ]
    for transform in (written[first], written[1 - first]):
        offer = esp_offer(transform)
        choice = choose(offer)
        reply = answer(offer, choice.proposal, choice.transform, SPI)
        (_, sent), (_, came) = build_payloads([reply]), build_payloads([esp_offer(transform)])
        assert sent == came
