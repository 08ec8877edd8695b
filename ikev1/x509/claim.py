"""What a peer shows in message 5 or 6 of Main Mode, and whether it proves who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ikev1.crypto import signatures
from ikev1.crypto.signatures import SignatureError
from ikev1.wire.enums import AuthMethod, NotifyType
from ikev1.wire.payloads import Identification
from ikev1.x509 import chain, identity
from ikev1.x509.certificate import Certificate, read, read_bundle
from ikev1.x509.errors import CertificateError
from ikev1.x509.trust import Trust


@dataclass(frozen=True, slots=True)
class Claim:
    """An identity, certificates, and a signature."""

    identity: Identification
    shown: str
    """The identity for people."""
    method: AuthMethod
    hash: int
    proof: bytes = field(repr=False)
    """HASH_I or HASH_R, which is signed."""
    signature: bytes = field(repr=False)
    certificates: tuple[bytes, ...] = field(repr=False)
    """Of CERT payloads with encoding 4, in their order."""
    bundles: tuple[bytes, ...] = field(default=(), repr=False)
    """Of CERT payloads with encoding 1."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A claim that is true."""

    trust: int
    """Which of the entries that were asked for lets the peer in."""
    chain: tuple[Certificate, ...]
    """The peer's certificate first, the trusted authority's last."""


def prove(claim: Claim, trusts: Sequence[Trust], now: datetime) -> Proven:
    """Find the first of `trusts` under which a claim holds. Raises CertificateError.

    Nothing is fetched, and nothing kept: what comes from a stranger is read, checked, forgotten.
    """
    leaf, others = _presented(claim)
    if leaf.method != claim.method:
        raise CertificateError(
            f"{claim.method} was agreed on, but the certificate of {leaf.title} is for "
            f"{leaf.method}",
            NotifyType.CERT_TYPE_UNSUPPORTED,
        )
    misses: list[CertificateError] = []
    for number, trust in enumerate(trusts):
        try:
            return Proven(number, _check(claim, leaf, others, trust, now))
        except CertificateError as miss:
            misses.append(miss)
    raise max(misses, key=lambda miss: miss.progress)


def _presented(claim: Claim) -> tuple[Certificate, list[Certificate]]:
    """The peer's own certificate, and the others it has sent."""
    found = [read(der) for der in claim.certificates]
    for bundle in claim.bundles:
        found += read_bundle(bundle)
    if not found:
        raise CertificateError(
            "the client has sent no certificate",
            NotifyType.CERTIFICATE_UNAVAILABLE,
            remedy="set it to send it (strongSwan: send_cert, libreswan: leftsendcert)",
        )
    own = next((one for one in found if identity.is_of(claim.identity, one)), None)
    if own is None:
        leaf = next((one for one in found if not one.is_ca), found[0])
        raise CertificateError(
            f"the client shows itself as {claim.shown}, which is not in its certificate; in it "
            f"are: {identity.listed(leaf)}",
            NotifyType.INVALID_ID_INFORMATION,
            remedy="set the client's identity to one of these, or make a certificate with "
            "that name in subjectAltName",
        )
    return own, [one for one in found if one is not own]


def _check(
    claim: Claim,
    leaf: Certificate,
    others: Sequence[Certificate],
    trust: Trust,
    now: datetime,
) -> tuple[Certificate, ...]:
    path = chain.validate(leaf, others, trust, now)
    try:
        signatures.verify(leaf.key, claim.hash, claim.proof, claim.signature)
    except SignatureError as error:
        raise CertificateError(
            f"the client has the certificate of {leaf.title} but not its key: {error}",
            NotifyType.INVALID_SIGNATURE,
            progress=1,
        ) from None
    if trust.own is not None and _poses_as(leaf, trust.own):
        raise CertificateError(
            f"the certificate of {leaf.title} has a name of the gateway in it",
            progress=2,
        )
    if trust.client is not None and not trust.client.matches(leaf):
        raise CertificateError(
            f'the certificate is of {identity.listed(leaf)}, and id wants "{trust.client.text}"',
            NotifyType.INVALID_ID_INFORMATION,
            remedy="change the id of this [[certificate]], or add one for this client",
            progress=3,
        )
    return path


def _poses_as(leaf: Certificate, own: Certificate) -> bool:
    """Whether somebody's certificate is the gateway's, or could be taken for it."""
    return leaf.key_octets == own.key_octets or not (
        {name.lower() for name in leaf.dns_names}.isdisjoint(map(str.lower, own.dns_names))
        and set(leaf.addresses).isdisjoint(own.addresses)
        and (not leaf.subject.rdns or leaf.subject.public_bytes() != own.subject.public_bytes())
    )
