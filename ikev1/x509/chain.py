"""From a client's certificate to an authority that the operator trusts (RFC 5280 section 6).

The verdict is that of `cryptography`'s verifier; beside it stand only the rules for what it leaves
open: key usages, extended key usages, and that an authority's certificate is nobody's own. When it
refuses, the walk in `_explain` finds out what to tell, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from ikev1.wire.enums import NotifyType
from ikev1.x509 import names, sha1_chain
from ikev1.x509.certificate import Certificate, read
from ikev1.x509.errors import CertificateError
from ikev1.x509.sha1_chain import MAX_DEPTH
from ikev1.x509.trust import Trust, UsagePolicy

MAX_INTERMEDIATES = 8
"""Authorities' certificates of a message that are looked at."""

CLIENT_USAGES = {
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    "1.3.6.1.5.5.8.2.2": "ikeIntermediate",
    "1.3.6.1.5.5.7.3.5": "ipsecEndSystem",
    "1.3.6.1.5.5.7.3.6": "ipsecTunnel",
    "1.3.6.1.5.5.7.3.7": "ipsecUser",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
"""RFC 4945 section 5.1.3.12, RFC 5280 section 4.2.1.12, and what came before ipsecIKE."""
SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
SERVER_USAGES = {
    SERVER_AUTH: "serverAuth",
    "1.3.6.1.5.5.8.2.2": "ikeIntermediate",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}
"""What clients look for in the gateway's certificate; Windows for the first, Apple for either."""


def validate(
    leaf: Certificate, others: Iterable[Certificate], trust: Trust, now: datetime
) -> tuple[Certificate, ...]:
    """The chain from `leaf` to a trusted authority, both included. Raises CertificateError."""
    intermediates = _distinct(others, leaf)
    verifier = (
        PolicyBuilder()
        .store(Store([anchor.parsed for anchor in trust.anchors]))
        .time(now)
        .max_chain_depth(MAX_DEPTH)
        .extension_policies(ca_policy=_AUTHORITY, ee_policy=_CLIENT)
        .build_client_verifier()
    )
    try:
        verified = verifier.verify(leaf.parsed, [one.parsed for one in intermediates])
    except VerificationError as error:
        old = sha1_chain.find(leaf, intermediates, trust.anchors, now) if trust.sha1 else None
        if old is None:
            raise _explain(leaf, intermediates, trust, now, str(error)) from None
        chain = old
    else:
        known = {one.parsed: one for one in (leaf, *intermediates, *trust.anchors)}
        chain = tuple(known[parsed] for parsed in verified.chain)
    _check_authority(chain, trust)
    check_usage(leaf, trust.usage)
    return chain


def _distinct(others: Iterable[Certificate], leaf: Certificate) -> list[Certificate]:
    """Authorities' certificates, one for each name and key.

    Then each step of the search has one way on at the most, however many variants of a certificate
    somebody makes up.
    """
    found: dict[object, Certificate] = {}
    for one in others:
        if one.is_ca and one != leaf:
            found.setdefault((names.canonical(one.subject), one.key_octets), one)
    if len(found) > MAX_INTERMEDIATES:
        raise CertificateError(f"{len(found)} certificates of authorities in one message")
    return list(found.values())


def _may_sign_certificates(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("an authority without the key usage keyCertSign")


_AUTHORITY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign_certificates)
)
_CLIENT = ExtensionPolicy.permit_all()


def check_usage(leaf: Certificate, policy: UsagePolicy) -> None:
    """Whether a certificate is one for a client of IKE. Raises CertificateError."""
    if leaf.is_ca:
        raise CertificateError(f"{leaf.title} is an authority's certificate, not a client's")
    usage = leaf.usage
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise CertificateError(
            f"the certificate of {leaf.title} has a key usage without digitalSignature",
            remedy="make one with keyUsage = digitalSignature",
        )
    if policy == "ignore":
        return
    there = leaf.extended_usages
    if there is None:
        if policy == "require":
            raise CertificateError(
                f"the certificate of {leaf.title} has no extended key usage",
                remedy='make one with extendedKeyUsage = clientAuth, or set eku = "allow"',
            )
    elif not there.intersection(CLIENT_USAGES):
        listed = ", ".join("serverAuth" if one == SERVER_AUTH else one for one in sorted(there))
        raise CertificateError(
            f"the certificate of {leaf.title} is not for clients: its extended key usage is "
            f"{listed}",
            remedy='make one with extendedKeyUsage = clientAuth, or set eku = "ignore"',
        )


def _check_authority(chain: Sequence[Certificate], trust: Trust) -> None:
    wanted = trust.authority
    if wanted is not None and not any(wanted.matches(one.subject) for one in chain[1:]):
        raise CertificateError(
            f"{chain[0].title} was issued by {chain[1].title}, and client_ca wants "
            f'"{wanted.text}" in the chain',
            NotifyType.INVALID_CERT_AUTHORITY,
        )


def _explain(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    trust: Trust,
    now: datetime,
    verdict: str,
) -> CertificateError:
    """What to tell of a chain that the verifier has refused."""
    here = leaf
    for _ in range(MAX_DEPTH + 1):
        if now < here.not_before:
            return CertificateError(
                f"the certificate of {here.title} is not valid before {_day(here.not_before)}",
                remedy="check the clocks of the gateway and of who has made it",
            )
        if now > here.not_after:
            return CertificateError(
                f"the certificate of {here.title} has expired on {_day(here.not_after)}",
                remedy="give the client a new one",
            )
        if here in trust.anchors:
            break
        namesakes = [
            one
            for one in (*trust.anchors, *intermediates)
            if names.equal(one.subject, here.issuer) and one != here
        ]
        if not namesakes:
            return CertificateError(
                f'{here.title} was issued by "{names.show(here.issuer)}", which is no authority '
                f"of this gateway ({', '.join(one.title for one in trust.anchors)}), and no "
                "certificate leads from it to one",
                NotifyType.INVALID_CERT_AUTHORITY,
                remedy="add that authority to ca, or let the client send the whole chain",
            )
        issuer = next((one for one in namesakes if _has_signed(one, here)), None)
        if issuer is None:
            return _not_signed(here)
        here = issuer
    return CertificateError(f"no valid chain for {leaf.title}: {verdict}")


def _has_signed(issuer: Certificate, subject: Certificate) -> bool:
    try:
        subject.parsed.verify_directly_issued_by(issuer.parsed)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _not_signed(here: Certificate) -> CertificateError:
    try:
        algorithm = here.parsed.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        name = "an unknown algorithm" if algorithm is None else algorithm.name.upper()
        return CertificateError(
            f"the certificate of {here.title} is signed with {name}",
            remedy="make a new one with SHA-256"
            + (", or set sha1 = true" if name == "SHA1" else ""),
        )
    return CertificateError(
        f'the certificate of {here.title} says that "{names.show(here.issuer)}" has issued it, but '
        "it is signed by another key: that of an authority of the same name, or a forgery",
        NotifyType.INVALID_CERT_AUTHORITY,
    )


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def read_anchor(der: bytes) -> Certificate:
    """An authority's certificate. Raises CertificateError for any other."""
    made = read(der)
    if not made.is_ca:
        raise CertificateError(f"{made.title} is no authority: basicConstraints has no CA:TRUE")
    if made.usage is not None and not made.usage.key_cert_sign:
        raise CertificateError(f"{made.title} may not sign certificates, says its key usage")
    return made
