"""One certificate, read once and for all: every field that is used is there, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7

from ikev1.crypto.signatures import PublicKey, SignatureError, check_strength, method_of
from ikev1.wire.enums import AuthMethod, NotifyType
from ikev1.x509 import names
from ikev1.x509.errors import UNREADABLE, CertificateError

MAX_BUNDLE = 16
"""Certificates of one PKCS #7 bundle."""

T = TypeVar("T")
Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate. Two are equal if their octets are."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(compare=False, repr=False)
    subject: x509.Name = field(compare=False)
    issuer: x509.Name = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    key: PublicKey = field(compare=False, repr=False)
    key_octets: bytes = field(compare=False, repr=False)
    """SubjectPublicKeyInfo in DER."""
    method: AuthMethod = field(compare=False)
    """The method of Phase 1 that its key is for."""
    dns_names: tuple[str, ...] = field(compare=False)
    mail_addresses: tuple[str, ...] = field(compare=False)
    addresses: tuple[IPv4Address | IPv6Address, ...] = field(compare=False)
    extended_usages: frozenset[str] | None = field(compare=False)
    """Dotted OIDs; None without the extension."""
    usage: x509.KeyUsage | None = field(compare=False)
    is_ca: bool = field(compare=False)

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f'"{names.show(self.subject)}"'


def read(der: bytes) -> Certificate:
    """Read a certificate in DER. Raises CertificateError, and nothing else, whatever the octets."""
    return _guarded(lambda: _read(x509.load_der_x509_certificate(der), der))


def read_bundle(der: bytes) -> tuple[Certificate, ...]:
    """The certificates of a PKCS #7 bundle (RFC 2409 encoding 1). Raises CertificateError."""
    found = _guarded(lambda: pkcs7.load_der_pkcs7_certificates(der))
    if len(found) > MAX_BUNDLE:
        raise CertificateError(f"PKCS #7 bundle of {len(found)} certificates")
    return tuple(read(certificate.public_bytes(Encoding.DER)) for certificate in found)


def make_bundle(certificates: Iterable[Certificate]) -> bytes:
    """A PKCS #7 bundle of certificates."""
    return pkcs7.serialize_certificates([one.parsed for one in certificates], Encoding.DER)


def _guarded(step: Callable[[], T]) -> T:
    """Map all that the library may raise on bad octets to CertificateError."""
    try:
        return step()
    except CertificateError:
        raise
    except UNREADABLE as error:
        raise CertificateError(f"the certificate cannot be read: {error}") from None


def _read(parsed: x509.Certificate, der: bytes) -> Certificate:
    if parsed.version is not x509.Version.v3:
        raise CertificateError("the certificate is of X.509 version 1")
    key = parsed.public_key()
    try:
        check_strength(key)
        method = method_of(key)
    except SignatureError as error:
        raise CertificateError(
            f"the certificate has a key that cannot be used: {error}",
            NotifyType.INVALID_KEY_INFORMATION,
        ) from None
    extensions = parsed.extensions
    san = _extension(extensions, x509.SubjectAlternativeName)
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    constraints = _extension(extensions, x509.BasicConstraints)
    addresses = san.get_values_for_type(x509.IPAddress) if san else []
    return Certificate(
        der=der,
        parsed=parsed,
        subject=parsed.subject,
        issuer=parsed.issuer,
        not_before=parsed.not_valid_before_utc,
        not_after=parsed.not_valid_after_utc,
        key=key,  # type: ignore[arg-type]  # method_of has refused all others
        key_octets=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        method=method,
        dns_names=tuple(san.get_values_for_type(x509.DNSName)) if san else (),
        mail_addresses=tuple(san.get_values_for_type(x509.RFC822Name)) if san else (),
        addresses=tuple(one for one in addresses if isinstance(one, IPv4Address | IPv6Address)),
        extended_usages=frozenset(oid.dotted_string for oid in extended) if extended else None,
        usage=_extension(extensions, x509.KeyUsage),
        is_ca=constraints is not None and constraints.ca,
    )


def _extension(extensions: x509.Extensions, kind: type[Extension]) -> Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
