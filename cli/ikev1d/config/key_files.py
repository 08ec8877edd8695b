"""Certificates and private keys in files: PEM, DER, PKCS #8, PKCS #12."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    load_der_private_key,
    load_pem_private_key,
    pkcs12,
)

from ikev1.crypto.signatures import PrivateKey, PublicKey, sign
from ikev1.x509.certificate import Certificate, read
from ikev1.x509.revocation import Crl, read_crl

_PEM = b"-----BEGIN"


class KeyFileError(Exception):
    """A file holds no certificate or key that can be used; the text says why."""


@dataclass(frozen=True, slots=True)
class FileKey:
    """A private key that was read from a file."""

    key: PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """Its other half."""
        return self.key.public_key()

    def sign(self, hash_algorithm: int, proof: bytes) -> bytes:
        """Sign HASH_I or HASH_R."""
        return sign(self.key, hash_algorithm, proof)


def certificates(data: bytes) -> tuple[Certificate, ...]:
    """All certificates of a PEM file, or the one of a DER file.

    Raises KeyFileError, CertificateError.
    """
    if _PEM not in data:
        return (read(data),)
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise KeyFileError(f"no certificate in PEM: {error}") from None
    return tuple(read(one.public_bytes(Encoding.DER)) for one in found)


def crl(data: bytes) -> Crl:
    """The CRL of a PEM or DER file. Raises KeyFileError, CertificateError."""
    if _PEM not in data:
        return read_crl(data)
    try:
        der = x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)
    except ValueError as error:
        raise KeyFileError(f"no CRL in PEM: {error}") from None
    return read_crl(der)


def private_key(data: bytes, passphrase: bytes | None) -> FileKey:
    """The private key of a PEM or DER file, encrypted or not. Raises KeyFileError."""
    load = load_pem_private_key if _PEM in data else load_der_private_key
    try:
        key = load(data, passphrase)
    except TypeError:
        if passphrase is None:
            raise KeyFileError("the key is encrypted: name its passphrase_file") from None
        raise KeyFileError("the key is not encrypted: remove passphrase_file") from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = "no private key, or one in a format that is not known"
        if passphrase is not None:
            wrong = "no private key, or the passphrase is wrong"
        raise KeyFileError(wrong) from None
    return _usable(key)


def bundle(data: bytes, passphrase: bytes | None) -> tuple[FileKey, tuple[Certificate, ...]]:
    """The key and the certificates of a PKCS #12 file. Raises KeyFileError, CertificateError."""
    try:
        key, own, others = pkcs12.load_key_and_certificates(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError("no PKCS #12, or the passphrase is wrong") from None
    if key is None or own is None:
        raise KeyFileError("the PKCS #12 file has no private key with a certificate")
    ders = [one.public_bytes(Encoding.DER) for one in (own, *others)]
    return _usable(key), tuple(map(read, ders))


def _usable(key: object) -> FileKey:
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise KeyFileError("the key is neither RSA nor ECDSA")
    return FileKey(key)


def chain_of(key: PublicKey, found: Sequence[Certificate]) -> tuple[Certificate, ...]:
    """The certificate for a key, and those after it that lead to its authority.

    Raises KeyFileError where none is for the key.
    """
    own = next((one for one in found if one.key == key), None)
    if own is None:
        raise KeyFileError("no certificate is for this private key")
    chain = [own]
    while True:
        issuer = next(
            (
                one
                for one in found
                if one.subject == chain[-1].issuer and one.is_ca and one not in chain
            ),
            None,
        )
        if issuer is None:
            return tuple(chain)
        chain.append(issuer)
