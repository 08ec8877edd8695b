"""Authorities and certificates for the lab and the tests: good ones, and such as must be refused.

Keys are made once for each kind and number: what is tested is never that they are secret.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
PKCS12_PASSWORD = "lab"  # noqa: S105 - it protects nothing
DAY = timedelta(days=1)
_CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
    "k256": ec.SECP256K1(),
}


@functools.cache
def private_key(kind: str, number: int = 0) -> PrivateKey:
    """The key with this number of a kind: "rsa2048", "p256"..."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind])
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))


def distinguished_name(common_name: str, organization: str = "Acme") -> x509.Name:
    """C=DE, O=Acme, CN=..."""
    return x509.Name(
        (
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        )
    )


def alternative_name(text: str) -> x509.GeneralName:
    """What "vpn.example.org", "alice@example.org" and "198.51.100.1" are in subjectAltName."""
    if "@" in text:
        return x509.RFC822Name(text)
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass(frozen=True)
class Identity:
    """A certificate, its key, and the authorities' certificates that lead to the first of all."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)
    issuers: tuple[x509.Certificate, ...] = ()
    """The nearest first, the root last."""

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    def certificate_pem(self) -> str:
        """The certificate in PEM."""
        return pem(self.certificate)

    def chain_pem(self) -> str:
        """The certificate and the intermediate authorities' in PEM."""
        return "".join(map(pem, (self.certificate, *self.issuers[:-1])))

    def key_pem(self, passphrase: bytes | None = None) -> str:
        """The key in PKCS #8, encrypted if there is a passphrase."""
        return self.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, _encryption(passphrase)
        ).decode()

    def bundle(self, name: str, password: str = PKCS12_PASSWORD) -> bytes:
        """All in PKCS #12, under these names: the given one, and authority-0, -1..."""
        return pkcs12.serialize_key_and_certificates(
            name.encode(),
            self.key,
            self.certificate,
            [
                pkcs12.PKCS12Certificate(one, f"authority-{number}".encode())
                for number, one in enumerate(self.issuers)
            ],
            _encryption(password.encode()),
        )


def _encryption(passphrase: bytes | None) -> KeySerializationEncryption:
    return NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)


def pem(one: x509.Certificate | x509.CertificateRevocationList) -> str:
    """A certificate or CRL in PEM."""
    return one.public_bytes(Encoding.PEM).decode()


class Authority:
    """An authority, with a certificate of its own or one that another has signed."""

    def __init__(
        self,
        name: str = "Acme CA",
        *,
        kind: str = "p256",
        number: int = 0,
        parent: Authority | None = None,
        valid: tuple[timedelta, timedelta] = (-DAY, 3650 * DAY),
        path_length: int | None = None,
        ca: bool = True,
        usage: bool = True,
        hash_algorithm: hashes.HashAlgorithm | None = None,
    ) -> None:
        self.name = distinguished_name(name)
        self.key = private_key(kind, number)
        self.revoked: dict[int, x509.ReasonFlags] = {}
        builder = _builder(self.name, self.key, valid).add_extension(
            x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), critical=True
        )
        if usage:
            builder = builder.add_extension(_usage(cert_sign=True), critical=True)
        issuer = parent or self
        self.certificate = _signed(builder, issuer.name, issuer.key, hash_algorithm)
        self.chain: tuple[x509.Certificate, ...] = (
            self.certificate,
            *(parent.chain if parent else ()),
        )

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    def issue(
        self,
        name: str | x509.Name,
        *,
        kind: str = "p256",
        number: int = 1,
        names: Sequence[str] = (),
        usages: Iterable[ObjectIdentifier] | None = (CLIENT_AUTH,),
        digital_signature: bool | None = None,
        valid: tuple[timedelta, timedelta] = (-DAY, 365 * DAY),
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
        hash_algorithm: hashes.HashAlgorithm | None = None,
        key: PrivateKey | None = None,
    ) -> Identity:
        """Make a certificate; `digital_signature` None leaves the key usage out."""
        subject = distinguished_name(name) if isinstance(name, str) else name
        key = key or private_key(kind, number)
        builder = _builder(subject, key, valid)
        if names:
            san = x509.SubjectAlternativeName(list(map(alternative_name, names)))
            builder = builder.add_extension(san, critical=False)
        if usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
        if digital_signature is not None:
            usage = _usage(digital_signature=digital_signature, key_encipherment=True)
            builder = builder.add_extension(usage, critical=True)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        made = _signed(builder, self.name, self.key, hash_algorithm)
        return Identity(made, key, self.chain)

    def revoke(
        self, identity: Identity, reason: x509.ReasonFlags = x509.ReasonFlags.key_compromise
    ) -> None:
        """Put a certificate on the lists that are made from now on."""
        self.revoked[identity.certificate.serial_number] = reason

    def crl(
        self,
        *,
        valid: tuple[timedelta, timedelta | None] = (-DAY, 30 * DAY),
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
        key: PrivateKey | None = None,
    ) -> x509.CertificateRevocationList:
        """The list of what has been revoked."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now + valid[0])
            .next_update(now + (valid[1] or 30 * DAY))
        )
        for serial, reason in self.revoked.items():
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(now + valid[0])
                .add_extension(x509.CRLReason(reason), critical=False)
                .build()
            )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(key or self.key, hashes.SHA256())

    def ocsp_response(
        self,
        identity: Identity,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        *,
        valid: tuple[timedelta, timedelta | None] = (-DAY, DAY),
        responder: Identity | None = None,
    ) -> bytes:
        """What a responder says of a certificate: the authority, or whom it has entrusted."""
        now = datetime.now(UTC)
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        signer = responder or Identity(self.certificate, self.key)
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=identity.certificate,
                issuer=self.certificate,
                algorithm=hashes.SHA1(),  # noqa: S303 - RFC 5019
                cert_status=status,
                this_update=now + valid[0],
                next_update=None if valid[1] is None else now + valid[1],
                revocation_time=now - DAY if is_revoked else None,
                revocation_reason=x509.ReasonFlags.key_compromise if is_revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        )
        if responder is not None:
            builder = builder.certificates([responder.certificate])
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def ocsp_at(url: str) -> tuple[x509.ExtensionType, bool]:
    """The extension that says where the OCSP responder is."""
    where = x509.UniformResourceIdentifier(url)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, where)
    return x509.AuthorityInformationAccess([access]), False


def crl_at(*urls: str) -> tuple[x509.ExtensionType, bool]:
    """The extension that says where the CRL is."""
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]), False


def _builder(
    subject: x509.Name, key: PrivateKey, valid: tuple[timedelta, timedelta]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder,
    issuer: x509.Name,
    key: PrivateKey,
    hash_algorithm: hashes.HashAlgorithm | None,
) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    builder = builder.issuer_name(issuer).add_extension(identifier, critical=False)
    return builder.sign(key, hash_algorithm or hashes.SHA256())  # type: ignore[arg-type]


def _usage(
    *, digital_signature: bool = False, key_encipherment: bool = False, cert_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=cert_sign,
        crl_sign=cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
