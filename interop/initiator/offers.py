"""The SA payloads a profile offers, attribute by attribute."""

from ikev1.wire.enums import (
    AuthMethod,
    Doi,
    EncapsulationMode,
    IkeAttribute,
    IpsecAttribute,
    IsakmpTransform,
    LifeType,
    ProtocolId,
    Situation,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform
from interop.initiator.profiles import AttributeOrder, EspOffer, Phase1Offer, Profile


def sa(*proposals: Proposal) -> SaPayload:
    """Wrap proposals."""
    return SaPayload(Doi.IPSEC, Situation.IDENTITY_ONLY, proposals)


def phase1_proposal(profile: Profile, method: AuthMethod = AuthMethod.PRE_SHARED_KEY) -> Proposal:
    """One proposal with all transforms, numbered from 1, as all known clients send it."""
    transforms = tuple(
        Transform(number, IsakmpTransform.KEY_IKE, _phase1_attributes(profile, offer, method))
        for number, offer in enumerate(profile.phase1, start=1)
    )
    return Proposal(1, ProtocolId.ISAKMP, b"", transforms)


def esp_proposal(profile: Profile, spi: bytes, mode: EncapsulationMode) -> Proposal:
    """One proposal with all transforms, numbered from 1."""
    transforms = tuple(
        Transform(number, offer.transform, _esp_attributes(profile, offer, mode))
        for number, offer in enumerate(profile.esp, start=1)
    )
    return Proposal(1, ProtocolId.ESP, spi, transforms)


def esp_proposals(profile: Profile, spi: bytes, mode: EncapsulationMode) -> tuple[Proposal, ...]:
    """That proposal, or one for each of its transforms, numbered from 1, with one SPI."""
    whole = esp_proposal(profile, spi, mode)
    if not profile.esp_apart:
        return (whole,)
    return tuple(
        Proposal(
            number,
            ProtocolId.ESP,
            spi,
            (Transform(1, transform.transform_id, transform.attributes),),
        )
        for number, transform in enumerate(whole.transforms, start=1)
    )


def _phase1_attributes(
    profile: Profile, offer: Phase1Offer, method: AuthMethod
) -> tuple[Attribute, ...]:
    life = (
        Attribute(IkeAttribute.LIFE_TYPE, LifeType.SECONDS),
        _duration(IkeAttribute.LIFE_DURATION, profile.phase1_lifetime, profile),
    )
    cipher = [Attribute(IkeAttribute.ENCRYPTION_ALGORITHM, offer.encryption)]
    if offer.key_length is not None:
        cipher.append(Attribute(IkeAttribute.KEY_LENGTH, offer.key_length))
    authentication = Attribute(IkeAttribute.AUTH_METHOD, method)
    hash_ = Attribute(IkeAttribute.HASH_ALGORITHM, offer.hash)
    group = Attribute(IkeAttribute.GROUP_DESCRIPTION, offer.group)
    if profile.attribute_order is AttributeOrder.RACOON:
        return (*life, *cipher, authentication, hash_, group)
    return (*cipher, hash_, group, authentication, *life)


def _esp_attributes(
    profile: Profile, offer: EspOffer, mode: EncapsulationMode
) -> tuple[Attribute, ...]:
    life = [
        Attribute(IpsecAttribute.LIFE_TYPE, LifeType.SECONDS),
        _duration(IpsecAttribute.LIFE_DURATION, profile.esp_lifetime, profile),
    ]
    if profile.esp_lifetime_kilobytes is not None:
        life += (
            Attribute(IpsecAttribute.LIFE_TYPE, LifeType.KILOBYTES),
            _duration(IpsecAttribute.LIFE_DURATION, profile.esp_lifetime_kilobytes, profile),
        )
    encapsulation = Attribute(IpsecAttribute.ENCAPSULATION_MODE, mode)
    algorithms = []
    if offer.key_length is not None:
        algorithms.append(Attribute(IpsecAttribute.KEY_LENGTH, offer.key_length))
    if offer.auth is not None:
        algorithms.append(Attribute(IpsecAttribute.AUTH_ALGORITHM, offer.auth))
    if profile.pfs_group is not None:
        algorithms.append(Attribute(IpsecAttribute.GROUP_DESCRIPTION, profile.pfs_group))
    if profile.attribute_order is AttributeOrder.RACOON:
        return (*life, encapsulation, *algorithms)
    return (*algorithms, encapsulation, *life)


def _duration(kind: int, value: int, profile: Profile) -> Attribute:
    """As two octets where they suffice, else as four."""
    if value > 0xFFFF or profile.long_durations:
        return Attribute(kind, value.to_bytes(4))
    return Attribute(kind, value)
