from collections.abc import Iterable

import pytest

from cli.ikev1d.config.algorithms import DEFAULT, STRICT, Policy
from ikev1.core.errors import ExchangeError
from ikev1.core.proposals import (
    DEFAULT_LIFETIME,
    MAX_ENFORCED_LIFETIME,
    IkeChoice,
    IkePolicy,
    answer,
    choose_ike,
)
from ikev1.errors import ProtocolError
from ikev1.wire.enums import (
    AuthMethod,
    EncryptionAlgorithm,
    Group,
    HashAlgorithm,
    IkeAttribute,
    LifeType,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.message import build_payloads, parse_payloads
from ikev1.wire.sa import Proposal, SaPayload, Transform
from interop.clients.ike import IOS_2011, IPHONE, STRONGSWAN, WINDOWS_10
from interop.initiator.offers import phase1_proposal, sa
from interop.initiator.profiles import Profile
from tests.support.ike_host import EVERY_IKE
from tests.support.ike_offers import (
    ANDROID_12,
    TRIPLE_DES,
    XP,
    ike_offer,
    ike_policy,
    ike_transform,
)

BY_DEFAULT = ike_policy(DEFAULT)


def offered_by(profile: Profile) -> SaPayload:
    return sa(phase1_proposal(profile))


def refused(offer: SaPayload, policy: IkePolicy = BY_DEFAULT) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        choose_ike(offer, policy)
    assert caught.value.notify == NotifyType.NO_PROPOSAL_CHOSEN
    return caught.value


def lifetime(*pairs: tuple[int, int | bytes], policy: IkePolicy = BY_DEFAULT) -> int:
    return choose_ike(ike_offer(ike_transform(*pairs)), policy).lifetime


@pytest.mark.parametrize(
    ("profile", "policy", "number", "label"),
    [
        (IPHONE, DEFAULT, 1, "aes256-sha256-modp2048"),
        (IPHONE, STRICT, 1, "aes256-sha256-modp2048"),
        (IOS_2011, DEFAULT, 1, "aes256-sha1-modp1024"),
        (WINDOWS_10, DEFAULT, 1, "aes256-sha1-ecp384"),
        (XP, DEFAULT, 1, "3des-sha1-modp2048"),
        (ANDROID_12, DEFAULT, 1, "aes256-sha256-modp1024"),
        (STRONGSWAN, DEFAULT, 1, "aes256-sha256-modp2048"),
        (STRONGSWAN, STRICT, 1, "aes256-sha256-modp2048"),
    ],
)
def test_takes_the_first_that_the_policy_allows(
    profile: Profile, policy: Policy, number: int, label: str
) -> None:
    choice = choose_ike(offered_by(profile), ike_policy(policy))
    assert (choice.transform.number, choice.label) == (number, label)


@pytest.mark.parametrize(
    ("profile", "remedy", "setting"),
    [
        (IOS_2011, 'aes256-sha1-modp1024, add "sha1" to ike.hash and "modp1024" to', "ike.hash"),
        (WINDOWS_10, 'aes256-sha1-ecp384, add "sha1" to ike.hash', "ike.hash"),
        (XP, '3des-sha1-modp2048, add "3des" to ike.encryption and "sha1"', "ike.encryption"),
        (ANDROID_12, 'aes256-sha256-modp1024, add "modp1024" to ike.groups', "ike.groups"),
    ],
)
def test_strict_says_the_smallest_change_that_lets_a_client_in(
    profile: Profile, remedy: str, setting: str
) -> None:
    error = refused(offered_by(profile), ike_policy(STRICT))
    assert remedy in error.remedy
    assert error.setting == setting


def test_a_refusal_names_everything_offered_once() -> None:
    error = refused(offered_by(XP), ike_policy(STRICT))
    assert error.cause.endswith(
        "offered: 3des-sha1-modp2048, 3des-sha1-modp1024, 3des-md5-modp1024, "
        "DES_CBC-sha1-MODP_768, DES_CBC-md5-MODP_768"
    )


def test_what_no_setting_allows_is_said_so() -> None:
    error = refused(ike_offer(ike_transform(encryption=EncryptionAlgorithm.DES_CBC, bits=0)))
    assert "no setting of this gateway" in error.remedy
    assert error.setting is None


def test_the_transform_that_only_lacks_a_setting_is_nearer_than_one_that_is_impossible() -> None:
    """Apple's list with XAUTH before the same with a preshared key."""
    policy = IkePolicy(frozenset({"aes256"}), frozenset({"sha256"}), frozenset({"modp2048"}))
    offer = ike_offer(
        ike_transform(method=AuthMethod.XAUTH_INIT_PSK, number=1), ike_transform(number=2)
    )
    error = refused(offer, policy)
    assert error.remedy == 'to accept aes256-sha1-modp2048, add "sha1" to ike.hash'


def test_names_the_authentication_that_is_not_served() -> None:
    error = refused(ike_offer(ike_transform(method=AuthMethod.RSA_SIGNATURE)))
    assert "RSA_SIGNATURE" in error.cause


def test_another_authentication_may_be_allowed() -> None:
    offer = ike_offer(ike_transform(method=AuthMethod.RSA_SIGNATURE))
    choice = choose_ike(offer, BY_DEFAULT, methods=(AuthMethod.RSA_SIGNATURE,))
    assert choice.label == "aes256-sha1-modp2048"


def test_the_second_proposal_counts_too() -> None:
    offer = SaPayload(
        1,
        1,
        (
            Proposal(7, ProtocolId.ISAKMP, b"", (ike_transform(group=Group.MODP_768),)),
            Proposal(9, ProtocolId.ISAKMP, b"", (ike_transform(number=5),)),
        ),
    )
    choice = choose_ike(offer, BY_DEFAULT)
    assert (choice.proposal.number, choice.transform.number) == (9, 5)


def test_a_proposal_for_another_protocol_is_none() -> None:
    offer = SaPayload(1, 1, (Proposal(1, ProtocolId.ESP, bytes(4), (ike_transform(),)),))
    assert "no proposal at all" in refused(offer).cause


@pytest.mark.parametrize("profile", [IPHONE, IOS_2011, WINDOWS_10, XP, ANDROID_12, STRONGSWAN])
def test_the_answer_is_the_chosen_transform_byte_for_byte(profile: Profile) -> None:
    first, wire = build_payloads([offered_by(profile)])
    offer = parse_payloads(first, wire).first(SaPayload)
    assert offer is not None
    choice = choose_ike(offer, EVERY_IKE)
    reply = answer(offer, choice.proposal, choice.transform, choice.proposal.spi)
    assert len(reply.proposals) == 1
    assert reply.proposals[0].transforms == (choice.transform,)
    assert transform_octets(reply) in wire


def transform_octets(reply: SaPayload) -> bytes:
    """The transform of a reply but for its header, whose first octet says whether others follow."""
    _, wire = build_payloads([reply])
    header = 4 + 8 + 8 + len(reply.proposals[0].spi)
    return wire[header + 4 :]


def test_the_answer_keeps_odd_numbers_and_unknown_attributes() -> None:
    odd = ike_transform((20_000, 7), (20_001, b"\x01\x02\x03"), number=200)
    offer = SaPayload(1, 1, (Proposal(77, ProtocolId.ISAKMP, b"", (ike_transform(hash_=3), odd)),))
    choice = choose_ike(offer, BY_DEFAULT)
    reply = answer(offer, choice.proposal, choice.transform, b"")
    assert reply.proposals == (Proposal(77, ProtocolId.ISAKMP, b"", (odd,)),)


# --- lifetimes -----------------------------------------------------------------------------------

TYPE, DURATION = IkeAttribute.LIFE_TYPE, IkeAttribute.LIFE_DURATION
S, KB = LifeType.SECONDS, LifeType.KILOBYTES


@pytest.mark.parametrize(
    ("pairs", "seconds"),
    [
        ([(TYPE, S), (DURATION, 3600)], 3600),
        ([(TYPE, S), (DURATION, (3600).to_bytes(4))], 3600),
        ([(TYPE, S), (DURATION, b"\x0e\x10")], 3600),
        ([(TYPE, S), (DURATION, (600_000).to_bytes(8))], 600_000),
        ([(TYPE, S), (DURATION, 1)], 1),
        ([], DEFAULT_LIFETIME),
        ([(TYPE, S), (DURATION, 0)], DEFAULT_LIFETIME),
        ([(TYPE, KB), (DURATION, 1000)], DEFAULT_LIFETIME),
        ([(TYPE, KB), (DURATION, 1000), (TYPE, S), (DURATION, 7200)], 7200),
        ([(TYPE, S), (DURATION, 7200), (TYPE, KB), (DURATION, 1000)], 7200),
        # A duration without its type means nothing, nor does a second one after the same type.
        ([(DURATION, 60)], DEFAULT_LIFETIME),
        ([(TYPE, S), (DURATION, 7200), (DURATION, 60)], 7200),
    ],
)
def test_lifetimes(pairs: list[tuple[int, int | bytes]], seconds: int) -> None:
    assert lifetime(*pairs) == seconds


@pytest.mark.parametrize("huge", [b"\xff" * 4, b"\xff" * 8, (2**32).to_bytes(8)])
def test_a_huge_lifetime_is_kept_short(huge: bytes) -> None:
    """It neither overflows to 0 nor is it believed."""
    assert lifetime((TYPE, S), (DURATION, huge)) == MAX_ENFORCED_LIFETIME


def test_the_operator_may_set_a_shorter_bound() -> None:
    short = IkePolicy(
        BY_DEFAULT.encryption, BY_DEFAULT.hashes, BY_DEFAULT.groups, max_lifetime=1000
    )
    assert lifetime((TYPE, S), (DURATION, 3600), policy=short) == 1000
    assert lifetime(policy=short) == 1000
    assert lifetime((TYPE, S), (DURATION, 500), policy=short) == 500


@pytest.mark.parametrize("wide", [b"", b"\0" * 9, b"\xff" * 200])
def test_a_number_that_is_none_is_malformed(wide: bytes) -> None:
    with pytest.raises(ProtocolError, match="octets for a number"):
        lifetime((TYPE, S), (DURATION, wide))


# --- key lengths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "label"), [(256, "aes256"), (192, "aes192"), (128, "aes128")])
def test_key_lengths_of_aes(bits: int, label: str) -> None:
    choice = choose_ike(ike_offer(ike_transform(bits=bits)), EVERY_IKE)
    assert (choice.label.split("-")[0], choice.key_bits) == (label, bits)


def test_a_key_length_may_come_in_the_long_form() -> None:
    long_form = ike_transform((IkeAttribute.KEY_LENGTH, b"\0\0\1\0"), bits=0)
    assert choose_ike(ike_offer(long_form), BY_DEFAULT).key_bits == 256


def test_aes_without_a_key_length_has_128_bits() -> None:
    choice = choose_ike(ike_offer(ike_transform(bits=0)), BY_DEFAULT)
    assert (choice.label, choice.key_bits) == ("aes128-sha1-modp2048", 128)


@pytest.mark.parametrize("bits", [0, 1, 64, 127, 129, 255, 257, 512, 65535])
def test_aes_has_no_other_key_lengths(bits: int) -> None:
    """CVE-2011-3380; PROTOS c09."""
    odd = ike_transform((IkeAttribute.KEY_LENGTH, bits), bits=0)
    assert f"AES_CBC/{bits}-sha1" in refused(ike_offer(odd), EVERY_IKE).cause


@pytest.mark.parametrize("bits", [0, 64, 168, 191, 192, 256, b"\xff\xff\xff\xff"])
def test_3des_has_no_key_length(bits: int | bytes) -> None:
    """CVE-2011-3380; the 3DES case of the PROTOS suite."""
    odd = ike_transform((IkeAttribute.KEY_LENGTH, bits), encryption=TRIPLE_DES, bits=0)
    assert "TRIPLE_DES_CBC/" in refused(ike_offer(odd), EVERY_IKE).cause


def test_3des_has_192_bits() -> None:
    choice = choose_ike(ike_offer(ike_transform(encryption=TRIPLE_DES, bits=0)), BY_DEFAULT)
    assert (choice.label, choice.key_bits) == ("3des-sha1-modp2048", 192)


# --- other attributes ----------------------------------------------------------------------------


def test_a_prf_of_its_own_is_not_served() -> None:
    assert "a PRF" in refused(ike_offer(ike_transform((IkeAttribute.PRF, 1)))).cause


def test_only_key_ike_is_a_phase_1_transform() -> None:
    transform = Transform(1, 2, ike_transform().attributes)
    assert "TRANSFORM(2)" in refused(ike_offer(transform)).cause


@pytest.mark.parametrize(
    "left_out",
    [
        IkeAttribute.ENCRYPTION_ALGORITHM,
        IkeAttribute.HASH_ALGORITHM,
        IkeAttribute.AUTH_METHOD,
        IkeAttribute.GROUP_DESCRIPTION,
    ],
)
def test_every_algorithm_must_be_named(left_out: int) -> None:
    kept = [item for item in ike_transform().attributes if item.type != left_out]
    refused(ike_offer(Transform(1, 1, tuple(kept))), EVERY_IKE)


def test_the_first_of_a_repeated_attribute_counts() -> None:
    twice = ike_transform((IkeAttribute.HASH_ALGORITHM, HashAlgorithm.MD5))
    assert choose_ike(ike_offer(twice), EVERY_IKE).hash == HashAlgorithm.SHA1


def test_no_attributes_at_all() -> None:
    refused(ike_offer(Transform(1, 1, ())))


def all_choices() -> Iterable[IkeChoice]:
    for encryption, bits in ((7, 256), (7, 192), (7, 128), (5, 0)):
        for hash_ in (1, 2, 4, 5, 6):
            for group in (2, 5, 14, 15, 16, 18, 19, 20, 21):
                transform = ike_transform(
                    encryption=encryption, bits=bits, hash_=hash_, group=group
                )
                yield choose_ike(ike_offer(transform), EVERY_IKE)


def test_everything_the_configuration_can_name_is_possible() -> None:
    assert len({choice.label for choice in all_choices()}) == 4 * 5 * 9
