"""Choosing a transform: what the initiator offers against what the gateway's policy allows.

RFC 2409 appendix A (Phase 1 attributes), RFC 2407 section 4.5 (Phase 2 attributes). The first
acceptable transform in the initiator's order wins, and is answered exactly as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from ikev1.core.effects import EspSuite
from ikev1.core.errors import ExchangeError
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
    LifeType,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform

DEFAULT_LIFETIME = 28_800
"""Seconds where the initiator names none (RFC 2407 section 4.5)."""

MAX_ENFORCED_LIFETIME = 7 * 86_400
"""Seconds. A peer may ask for 2**64; an SA that outlives a week protects nothing any more."""

MAX_ENFORCED_KILOBYTES = 2**32 - 1
"""4 TB: more than four octets hold is no limit any more, and overflows the kernel's count."""

REMEMBERED = 128
"""Transforms of either phase of which it is remembered whether a policy allows them: the first that
is acceptable of each of some thirty kinds of clients, and those before it. A stranger can fill one
of the two tables, with 16 kB a transform at the most."""

DOI_IPSEC = 1
"""RFC 2407 section 4.2."""

# Algorithms by number and key length in bits, None where the attribute is absent.
IKE_ENCRYPTION: dict[tuple[int, int | None], str] = {
    (EncryptionAlgorithm.AES_CBC, 256): "aes256",
    (EncryptionAlgorithm.AES_CBC, 192): "aes192",
    (EncryptionAlgorithm.AES_CBC, 128): "aes128",
    (EncryptionAlgorithm.TRIPLE_DES_CBC, None): "3des",
}
IKE_HASH: dict[int, str] = {
    HashAlgorithm.MD5: "md5",
    HashAlgorithm.SHA1: "sha1",
    HashAlgorithm.SHA2_256: "sha256",
    HashAlgorithm.SHA2_384: "sha384",
    HashAlgorithm.SHA2_512: "sha512",
}
IKE_GROUP: dict[int, str] = {
    Group.MODP_1024: "modp1024",
    Group.MODP_1536: "modp1536",
    Group.MODP_2048: "modp2048",
    Group.MODP_3072: "modp3072",
    Group.MODP_4096: "modp4096",
    Group.MODP_8192: "modp8192",
    Group.ECP_256: "ecp256",
    Group.ECP_384: "ecp384",
    Group.ECP_521: "ecp521",
}
ESP_ENCRYPTION: dict[tuple[int, int | None], tuple[str, str]] = {
    (EspTransform.AES_CBC, 256): ("aes256", "aes-cbc"),
    (EspTransform.AES_CBC, 192): ("aes192", "aes-cbc"),
    (EspTransform.AES_CBC, 128): ("aes128", "aes-cbc"),
    (EspTransform.TRIPLE_DES, None): ("3des", "3des-cbc"),
    (EspTransform.AES_GCM_16, 256): ("aes256gcm16", "aes-gcm-16"),
    (EspTransform.AES_GCM_16, 192): ("aes192gcm16", "aes-gcm-16"),
    (EspTransform.AES_GCM_16, 128): ("aes128gcm16", "aes-gcm-16"),
}
ESP_INTEGRITY: dict[int, tuple[str, str]] = {
    AuthAlgorithm.HMAC_MD5: ("md5", "hmac-md5-96"),
    AuthAlgorithm.HMAC_SHA1: ("sha1", "hmac-sha1-96"),
    AuthAlgorithm.HMAC_SHA2_256: ("sha256", "hmac-sha2-256-128"),
    AuthAlgorithm.HMAC_SHA2_384: ("sha384", "hmac-sha2-384-192"),
    AuthAlgorithm.HMAC_SHA2_512: ("sha512", "hmac-sha2-512-256"),
}
TRIPLE_DES_BITS = 192
AES_DEFAULT_BITS = 128
"""RFC 3602 section 5.2 wants a key length attribute; who leaves it out has 128 bits in mind."""

_ESP_ATTRIBUTES: frozenset[int] = frozenset(
    {
        IpsecAttribute.LIFE_TYPE,
        IpsecAttribute.LIFE_DURATION,
        IpsecAttribute.GROUP_DESCRIPTION,
        IpsecAttribute.ENCAPSULATION_MODE,
        IpsecAttribute.AUTH_ALGORITHM,
        IpsecAttribute.KEY_LENGTH,
    }
)
FIRST_PRIVATE_ESP_ATTRIBUTE = 32_001
"""RFC 2407 section 4.5; what is below and not understood changes what the SA is."""

UDP_ENCAPSULATION = frozenset(
    {EncapsulationMode.UDP_TRANSPORT, EncapsulationMode.UDP_TRANSPORT_DRAFT}
)


@dataclass(frozen=True, slots=True)
class IkePolicy:
    """What Phase 1 allows, by the names of the configuration."""

    encryption: frozenset[str]
    hashes: frozenset[str]
    groups: frozenset[str]
    max_lifetime: int = MAX_ENFORCED_LIFETIME
    """Seconds after which the gateway ends an SA, whatever the client asked for."""


@dataclass(frozen=True, slots=True)
class EspPolicy:
    """What Phase 2 allows, by the names of the configuration; `groups` are those for PFS."""

    encryption: frozenset[str]
    integrity: frozenset[str]
    groups: frozenset[str]
    max_lifetime: int = MAX_ENFORCED_LIFETIME
    """Seconds after which the gateway ends an SA, whatever the client asked for."""


class IkeChoice(Struct, frozen=True):
    """The accepted Phase 1 transform."""

    proposal: Proposal
    transform: Transform
    encryption: EncryptionAlgorithm
    key_bits: int
    hash: HashAlgorithm
    group: int
    method: AuthMethod
    lifetime: int
    """Seconds."""
    label: str


class EspChoice(Struct, frozen=True):
    """The accepted Phase 2 transform."""

    proposal: Proposal
    transform: Transform
    suite: EspSuite
    group: int | None
    """PFS group, where the initiator asks for one."""
    encapsulated: bool
    lifetime: int
    """Seconds, as the gateway enforces."""
    asked_lifetime: int
    """Seconds, as the initiator asks for."""
    kilobytes: int | None


_NO_PROPOSAL = Proposal(0, ProtocolId(0), b"", ())


class _Mismatch(Struct, frozen=True):
    """Why one transform is not acceptable: the fewer `faults`, the nearer it came."""

    label: str
    faults: tuple[tuple[str, str], ...]
    """Pairs of configuration key and the value that it lacks; key "" where no setting helps."""


def _attributes(transform: Transform) -> dict[int, Attribute]:
    """The attributes by type, the first of each; lifetimes are read apart, in order."""
    by_type: dict[int, Attribute] = {}
    for attribute in transform.attributes:
        by_type.setdefault(attribute.type, attribute)
    return by_type


def _number(attributes: dict[int, Attribute], kind: int) -> int:
    found = attributes.get(kind)
    return 0 if found is None else found.number


def _key_bits(attributes: dict[int, Attribute], kind: int, *, aes: bool) -> int | None:
    """The key length, None where the transform names none and its cipher has but one."""
    found = attributes.get(kind)
    if found is not None:
        return found.number
    return AES_DEFAULT_BITS if aes else None


def _lifetimes(transform: Transform, life_type: int, duration: int) -> dict[int, int]:
    """Life durations by life type: each duration belongs to the life type before it."""
    lifetimes: dict[int, int] = {}
    current = 0
    for attribute in transform.attributes:
        if attribute.type == life_type:
            current = attribute.number
        elif attribute.type == duration and current:
            lifetimes[current] = attribute.number
            current = 0
    return lifetimes


def _enforced(lifetime: int | None, most: int) -> int:
    """Seconds that the gateway keeps the SA: what was asked, within reason; 0 means unsaid."""
    return min(lifetime or DEFAULT_LIFETIME, most)


def _enforced_kilobytes(kilobytes: int | None) -> int | None:
    """Kilobytes after which the gateway ends the SA; 0 means unsaid."""
    return min(kilobytes, MAX_ENFORCED_KILOBYTES) if kilobytes else None


def choose_ike(
    sa: SaPayload, policy: IkePolicy, methods: Iterable[int] = (AuthMethod.PRE_SHARED_KEY,)
) -> IkeChoice:
    """The first transform of a Phase 1 SA payload that the policy allows.

    Raises ExchangeError NO-PROPOSAL-CHOSEN saying what was offered and what would have to change.
    """
    allowed_methods = frozenset(methods)
    misses: list[_Mismatch] = []
    for proposal in sa.proposals:
        if proposal.protocol_id != ProtocolId.ISAKMP:
            continue
        for transform in proposal.transforms:
            outcome = _match_ike(transform, policy, allowed_methods)
            if isinstance(outcome, IkeChoice):
                return replace(outcome, proposal=proposal)
            misses.append(outcome)
    raise _refusal("Phase 1", misses)


@lru_cache(maxsize=REMEMBERED)
def _match_ike(
    transform: Transform, policy: IkePolicy, methods: frozenset[int]
) -> IkeChoice | _Mismatch:
    """What to make of a transform; a choice is without its proposal yet."""
    attributes = _attributes(transform)
    encryption = EncryptionAlgorithm(_number(attributes, IkeAttribute.ENCRYPTION_ALGORITHM))
    hash_algorithm = HashAlgorithm(_number(attributes, IkeAttribute.HASH_ALGORITHM))
    method = AuthMethod(_number(attributes, IkeAttribute.AUTH_METHOD))
    group = Group(_number(attributes, IkeAttribute.GROUP_DESCRIPTION))
    bits = _key_bits(
        attributes, IkeAttribute.KEY_LENGTH, aes=encryption == EncryptionAlgorithm.AES_CBC
    )
    encryption_name = IKE_ENCRYPTION.get((encryption, bits))
    hash_name = IKE_HASH.get(hash_algorithm)
    group_name = IKE_GROUP.get(group)
    label = "-".join(
        (
            encryption_name or _unnamed(encryption, bits),
            hash_name or str(hash_algorithm),
            group_name or str(group),
        )
    )
    faults: list[tuple[str, str]] = []
    if encryption_name not in policy.encryption:
        faults.append(("ike.encryption" if encryption_name else "", encryption_name or label))
    if hash_name not in policy.hashes:
        faults.append(("ike.hash" if hash_name else "", hash_name or label))
    if group_name not in policy.groups:
        faults.append(("ike.groups" if group_name else "", group_name or label))
    if method not in methods:
        faults.append(("", f"authentication {method}"))
        label = f"{label} ({method})"
    if transform.transform_id != IsakmpTransform.KEY_IKE:
        faults.append(("", str(IsakmpTransform(transform.transform_id))))
    if IkeAttribute.PRF in attributes:
        faults.append(("", "a PRF of its own"))
    if faults:
        return _Mismatch(label, tuple(faults))
    lifetimes = _lifetimes(transform, IkeAttribute.LIFE_TYPE, IkeAttribute.LIFE_DURATION)
    return IkeChoice(
        proposal=_NO_PROPOSAL,
        transform=transform,
        encryption=encryption,
        key_bits=bits or TRIPLE_DES_BITS,
        hash=hash_algorithm,
        group=group,
        method=method,
        lifetime=_enforced(lifetimes.get(LifeType.SECONDS), policy.max_lifetime),
        label=label,
    )


def offered_methods(sa: SaPayload) -> frozenset[AuthMethod]:
    """The authentication methods of a Phase 1 SA payload."""
    return frozenset(
        AuthMethod(_number(_attributes(transform), IkeAttribute.AUTH_METHOD))
        for proposal in sa.proposals
        for transform in proposal.transforms
    )


def choose_esp(
    sa: SaPayload, policy: EspPolicy, *, behind_nat: bool, avoid_sha256: bool = False
) -> EspChoice:
    """The first ESP transform of a Quick Mode SA payload that the policy allows.

    `behind_nat` decides which encapsulation modes fit. `avoid_sha256` puts HMAC-SHA2-256 last, for
    clients that are known to truncate it wrongly. Proposals that combine ESP with AH or IPCOMP
    under one number (RFC 2408 section 4.2) are not acceptable. Raises ExchangeError.
    """
    misses: list[_Mismatch] = []
    choices: list[EspChoice] = []
    numbers = [proposal.number for proposal in sa.proposals]
    for proposal in sa.proposals:
        if numbers.count(proposal.number) > 1:
            misses.append(_Mismatch(f"{proposal.protocol_id} in a bundle", (("", "bundle"),)))
            continue
        if proposal.protocol_id != ProtocolId.ESP or len(proposal.spi) != 4:
            misses.append(_Mismatch(str(proposal.protocol_id), (("", "not ESP"),)))
            continue
        for transform in proposal.transforms:
            outcome = _match_esp(transform, policy, behind_nat)
            if isinstance(outcome, _Mismatch):
                misses.append(outcome)
            elif not (avoid_sha256 and outcome.suite.integrity == "hmac-sha2-256-128"):
                return replace(outcome, proposal=proposal)
            else:
                choices.append(replace(outcome, proposal=proposal))
    if choices:
        return choices[0]
    raise _refusal("Phase 2", misses)


@lru_cache(maxsize=REMEMBERED)
def _match_esp(transform: Transform, policy: EspPolicy, behind_nat: bool) -> EspChoice | _Mismatch:
    """What to make of a transform; a choice is without its proposal yet."""
    attributes = _attributes(transform)
    cipher = EspTransform(transform.transform_id)
    bits = _key_bits(attributes, IpsecAttribute.KEY_LENGTH, aes=cipher == EspTransform.AES_CBC)
    encryption = ESP_ENCRYPTION.get((cipher, bits))
    aead = encryption is not None and encryption[1] == "aes-gcm-16"
    auth = AuthAlgorithm(_number(attributes, IpsecAttribute.AUTH_ALGORITHM))
    integrity = ESP_INTEGRITY.get(auth)
    mode = EncapsulationMode(_number(attributes, IpsecAttribute.ENCAPSULATION_MODE))
    group = Group(_number(attributes, IpsecAttribute.GROUP_DESCRIPTION))

    encryption_name = encryption[0] if encryption else _unnamed(cipher, bits)
    integrity_name = "" if aead else (integrity[0] if integrity else str(auth))
    label = f"{encryption_name}-{integrity_name}" if integrity_name else encryption_name
    faults: list[tuple[str, str]] = []
    if encryption_name not in policy.encryption:
        faults.append(("esp.encryption" if encryption else "", encryption_name))
    if aead and IpsecAttribute.AUTH_ALGORITHM in attributes:
        # An AEAD brings its own integrity; a second algorithm beside it is an error (RFC 4106).
        faults.append(("", f"{encryption_name} together with {auth}"))
    if not aead and integrity_name not in policy.integrity:
        faults.append(("esp.integrity" if integrity else "", integrity_name))
    group_name = IKE_GROUP.get(group)
    if group and group_name not in policy.groups:
        faults.append(("ike.groups" if group_name else "", group_name or f"PFS {group}"))
    wanted = UDP_ENCAPSULATION if behind_nat else frozenset({EncapsulationMode.TRANSPORT})
    if mode not in wanted:
        situation = "behind a NAT" if behind_nat else "with no NAT between"
        faults.append(("", f"encapsulation {mode} {situation}"))
    faults += [
        ("", str(IpsecAttribute(kind)))
        for kind in attributes
        if kind not in _ESP_ATTRIBUTES and kind < FIRST_PRIVATE_ESP_ATTRIBUTE
    ]
    if faults:
        return _Mismatch(label, tuple(faults))
    assert encryption is not None
    lifetimes = _lifetimes(transform, IpsecAttribute.LIFE_TYPE, IpsecAttribute.LIFE_DURATION)
    seconds = lifetimes.get(LifeType.SECONDS)
    return EspChoice(
        proposal=_NO_PROPOSAL,
        transform=transform,
        suite=EspSuite(
            encryption=encryption[1],
            encryption_bits=bits or TRIPLE_DES_BITS,
            integrity=None if aead or integrity is None else integrity[1],
            label=label,
        ),
        group=group or None,
        encapsulated=mode in UDP_ENCAPSULATION,
        lifetime=_enforced(seconds, policy.max_lifetime),
        asked_lifetime=seconds or DEFAULT_LIFETIME,
        kilobytes=_enforced_kilobytes(lifetimes.get(LifeType.KILOBYTES)),
    )


def _unnamed(algorithm: EncryptionAlgorithm | EspTransform, bits: int | None) -> str:
    return str(algorithm) if bits is None else f"{algorithm}/{bits}"


def _refusal(phase: str, misses: list[_Mismatch]) -> ExchangeError:
    """Say what was offered, and the smallest change of the configuration that lets it in."""
    if not misses:
        return ExchangeError(
            f"{phase}: the peer offered no proposal at all",
            NotifyType.NO_PROPOSAL_CHOSEN,
        )
    offered = ", ".join(dict.fromkeys(miss.label for miss in misses))
    helped = [miss for miss in misses if all(setting for setting, _ in miss.faults)]
    if not helped:
        why = ", ".join(
            dict.fromkeys(value for miss in misses for key, value in miss.faults if not key)
        )
        return ExchangeError(
            f"{phase}: no offered proposal is possible here ({why}); offered: {offered}",
            NotifyType.NO_PROPOSAL_CHOSEN,
            remedy="change the client's settings: no setting of this gateway allows what it offers",
        )
    nearest = min(helped, key=lambda miss: len(miss.faults))
    missing = " and ".join(f'"{value}" to {setting}' for setting, value in nearest.faults)
    return ExchangeError(
        f"{phase}: no offered proposal is allowed; offered: {offered}",
        NotifyType.NO_PROPOSAL_CHOSEN,
        remedy=f"to accept {nearest.label}, add {missing}",
        setting=nearest.faults[0][0],
    )


def answer(sa: SaPayload, proposal: Proposal, transform: Transform, spi: bytes) -> SaPayload:
    """The SA payload of the reply: the one proposal and transform, as the initiator wrote them.

    The numbers stay the offered ones: Apple's racoon compares them.
    """
    return SaPayload(
        doi=sa.doi,
        situation=sa.situation,
        proposals=(
            Proposal(
                number=proposal.number,
                protocol_id=proposal.protocol_id,
                spi=spi,
                transforms=(transform,),
            ),
        ),
    )
