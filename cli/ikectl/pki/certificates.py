"""The certificates and CRLs themselves: what stands in them, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.ikectl.names import GatewayName

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

BACKDATED = timedelta(hours=1)
"""A certificate is valid from this much before now: clocks of phones and laptops differ."""

IKE_INTERMEDIATE = x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2")
"""iKEIntermediate. Older Macs take a gateway only with it (docs.strongswan.org, "Windows
Certificate Requirements"), which is why no client gets it."""

GATEWAY_USES = (
    ExtendedKeyUsageOID.SERVER_AUTH,  # iOS 13, macOS 10.15 (support.apple.com/103769), Windows
    ExtendedKeyUsageOID.IPSEC_IKE,  # RFC 4945 section 5.1.3.12
    IKE_INTERMEDIATE,
)
CLIENT_USES = (
    ExtendedKeyUsageOID.CLIENT_AUTH,  # Windows looks for it in the computer's store
    ExtendedKeyUsageOID.IPSEC_IKE,
)

_RSA_EXPONENT = 65537
_RSA_SIZES = {"rsa2048": 2048, "rsa3072": 3072, "rsa4096": 4096}
_CURVES = {"ecdsa-p256": ec.SECP256R1, "ecdsa-p384": ec.SECP384R1}

_REASONS = {
    "key-compromise": x509.ReasonFlags.key_compromise,
    "superseded": x509.ReasonFlags.superseded,
    "cessation-of-operation": x509.ReasonFlags.cessation_of_operation,
}
""""unspecified" is left out of a CRL (RFC 5280 section 5.3.1)."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA's certificate with its key, and what all that it issues has in common."""

    certificate: x509.Certificate
    key: PrivateKey
    organization: str
    crl_url: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """A line of the CRL."""

    serial: int
    date: datetime
    reason: str


def generate_key(key_type: str) -> PrivateKey:
    """Make a private key of one of the types that the command line knows."""
    if key_type in _RSA_SIZES:
        return rsa.generate_private_key(_RSA_EXPONENT, _RSA_SIZES[key_type])
    return ec.generate_private_key(_CURVES[key_type]())


def key_type_of(key: PublicKey) -> str:
    """Return the type of a key, as "rsa3072" or "ecdsa-p256"."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa{key.key_size}"
    return f"ecdsa-p{key.key_size}"


def authority_certificate(
    key: PrivateKey, name: str, organization: str, days: int, now: datetime
) -> x509.Certificate:
    """Return the certificate of a CA, signed by itself."""
    public_key = key.public_key()
    subject = _subject(organization, name)
    builder = _builder(subject, subject, public_key, days, now)
    # No CA below this one: the clients' and the gateway's certificates are all it issues.
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    return builder.sign(key, _signature_hash(key))


def gateway_certificate(
    issuer: Issuer, public_key: PublicKey, names: Sequence[GatewayName], days: int, now: datetime
) -> x509.Certificate:
    """Return the certificate of a gateway that clients dial under any of `names`.

    Clients compare what they dialled with subjectAltName. An IPv4 address stands there as such and
    as a DNS name too: Windows and some versions of iOS and macOS look for it in that form
    (docs.strongswan.org, "Windows Certificate Requirements").
    """
    alternatives: list[x509.GeneralName] = []
    for name in names:
        if not isinstance(name, str):
            alternatives.append(x509.IPAddress(name))
        if not isinstance(name, IPv6Address):
            alternatives.append(x509.DNSName(str(name)))
    return _issue(issuer, public_key, str(names[0]), alternatives, GATEWAY_USES, days, now)


def client_certificate(
    issuer: Issuer, public_key: PublicKey, name: str, days: int, now: datetime
) -> x509.Certificate:
    """Return the certificate of a client; a name with "@" is its mail address too."""
    alternatives = [x509.RFC822Name(name)] if "@" in name else []
    return _issue(issuer, public_key, name, alternatives, CLIENT_USES, days, now)


def revocation_list(
    issuer: Issuer, revocations: Iterable[Revocation], number: int, days: int, now: datetime
) -> x509.CertificateRevocationList:
    """Return a CRL, the next of which comes within `days`."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now)
        .next_update(now + timedelta(days=days))
        .add_extension(_authority_key_identifier(issuer), critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for revocation in revocations:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(revocation.serial)
            .revocation_date(revocation.date)
        )
        if revocation.reason in _REASONS:
            reason = x509.CRLReason(_REASONS[revocation.reason])
            entry = entry.add_extension(reason, critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, _signature_hash(issuer.key))


def _issue(
    issuer: Issuer,
    public_key: PublicKey,
    common_name: str,
    alternatives: Sequence[x509.GeneralName],
    uses: Sequence[x509.ObjectIdentifier],
    days: int,
    now: datetime,
) -> x509.Certificate:
    subject = _subject(issuer.organization, common_name)
    builder = _builder(subject, issuer.certificate.subject, public_key, days, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    # IKE signs and never encrypts with the key of a certificate (RFC 4945 section 5.1.3.2).
    builder = builder.add_extension(_key_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    builder = builder.add_extension(_authority_key_identifier(issuer), critical=False)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
    if issuer.crl_url:
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(issuer.crl_url)], None, None, None
        )
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return builder.sign(issuer.key, _signature_hash(issuer.key))


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, days: int, now: datetime
) -> x509.CertificateBuilder:
    begin = now - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        # "From notBefore through notAfter, inclusive": one second less than whole days.
        .not_valid_after(begin + timedelta(days=days, seconds=-1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _subject(organization: str, common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(issuer: Issuer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())


def _signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """SHA-256, or what the curve is as strong as."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()
