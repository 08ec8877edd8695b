"""Offers of clients as SA payloads, and policies by the names of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cli.ikev1d.config import algorithms
from ikev1.core.proposals import EspPolicy, IkePolicy
from ikev1.wire.enums import (
    AuthAlgorithm,
    AuthMethod,
    EncapsulationMode,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
    IkeAttribute,
    IpsecAttribute,
    IsakmpTransform,
    ProtocolId,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform
from interop.clients.ike import ANDROID, WINDOWS_10
from interop.initiator.offers import sa
from interop.initiator.profiles import EspOffer, Phase1Offer, Profile

SPI = bytes.fromhex("0c0ffee0")

Attributes = Sequence[tuple[int, int | bytes]]


def ike_policy(policy: algorithms.Policy) -> IkePolicy:
    """The Phase 1 part of a named policy."""
    return IkePolicy(
        encryption=frozenset(policy.ike_encryption),
        hashes=frozenset(policy.ike_hashes),
        groups=frozenset(policy.ike_groups),
    )


def esp_policy(policy: algorithms.Policy) -> EspPolicy:
    """The Phase 2 part of a named policy."""
    return EspPolicy(
        encryption=frozenset(policy.esp_encryption),
        integrity=frozenset(policy.esp_integrity),
        groups=frozenset(policy.ike_groups),
    )


DES = EncryptionAlgorithm.DES_CBC
TRIPLE_DES = EncryptionAlgorithm.TRIPLE_DES_CBC
XP = replace(
    WINDOWS_10,
    name="windows-xp",
    phase1=(
        Phase1Offer(TRIPLE_DES, None, HashAlgorithm.SHA1, Group.MODP_2048),
        Phase1Offer(TRIPLE_DES, None, HashAlgorithm.SHA1, Group.MODP_1024),
        Phase1Offer(TRIPLE_DES, None, HashAlgorithm.MD5, Group.MODP_1024),
        Phase1Offer(DES, None, HashAlgorithm.SHA1, Group.MODP_768),
        Phase1Offer(DES, None, HashAlgorithm.MD5, Group.MODP_768),
    ),
    vendor_ids=(
        bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000004"),
        bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2d3"),
        bytes.fromhex("90cb80913ebb696e086381b5ec427b1f"),  # draft-02 with newline alone
    ),
    esp=(
        EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_MD5),
        EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_SHA1),
        EspOffer(EspTransform.DES, None, AuthAlgorithm.HMAC_MD5),
    ),
)
"""What servers' logs show of Windows XP; the order after the first transform is made up."""

ANDROID_12: Profile = replace(
    ANDROID,
    phase1=(
        *ANDROID.phase1,
        *(
            Phase1Offer(DES, None, hash_, Group.MODP_1024)
            for hash_ in (HashAlgorithm.SHA2_256, HashAlgorithm.SHA1, HashAlgorithm.MD5)
        ),
    ),
    esp=(
        *ANDROID.esp,
        *(
            EspOffer(EspTransform.DES, None, auth)
            for auth in (
                AuthAlgorithm.HMAC_SHA2_256,
                AuthAlgorithm.HMAC_SHA1,
                AuthAlgorithm.HMAC_MD5,
            )
        ),
    ),
)
"""All 12 transforms of each phase, those with DES too."""


def attributes(pairs: Attributes) -> tuple[Attribute, ...]:
    """Attributes; an int is the short form."""
    return tuple(Attribute(kind, value) for kind, value in pairs)


def ike_transform(*more: tuple[int, int | bytes], number: int = 1, **values: int) -> Transform:
    """AES-256, SHA-1, group 14 with a preshared key, or other `values`; 0 leaves one out."""
    chosen = {
        IkeAttribute.ENCRYPTION_ALGORITHM: values.get("encryption", EncryptionAlgorithm.AES_CBC),
        IkeAttribute.KEY_LENGTH: values.get("bits", 256),
        IkeAttribute.HASH_ALGORITHM: values.get("hash_", HashAlgorithm.SHA1),
        IkeAttribute.AUTH_METHOD: values.get("method", AuthMethod.PRE_SHARED_KEY),
        IkeAttribute.GROUP_DESCRIPTION: values.get("group", Group.MODP_2048),
    }
    pairs = [(kind, value) for kind, value in chosen.items() if value]
    return Transform(number, IsakmpTransform.KEY_IKE, attributes([*pairs, *more]))


def esp_transform(*more: tuple[int, int | bytes], number: int = 1, **values: int) -> Transform:
    """AES-256 with HMAC-SHA-1 in transport mode, or other `values`; 0 leaves one out."""
    chosen = {
        IpsecAttribute.ENCAPSULATION_MODE: values.get("mode", EncapsulationMode.TRANSPORT),
        IpsecAttribute.KEY_LENGTH: values.get("bits", 256),
        IpsecAttribute.AUTH_ALGORITHM: values.get("auth", AuthAlgorithm.HMAC_SHA1),
        IpsecAttribute.GROUP_DESCRIPTION: values.get("group", 0),
    }
    pairs = [(kind, value) for kind, value in chosen.items() if value]
    cipher = values.get("cipher", EspTransform.AES_CBC)
    return Transform(number, cipher, attributes([*pairs, *more]))


def ike_offer(*transforms: Transform) -> SaPayload:
    """One Phase 1 proposal."""
    return sa(Proposal(1, ProtocolId.ISAKMP, b"", transforms))


def esp_offer(*transforms: Transform, number: int = 1) -> SaPayload:
    """One ESP proposal."""
    return sa(Proposal(number, ProtocolId.ESP, SPI, transforms))
