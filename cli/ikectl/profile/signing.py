"""Signing a configuration profile (CMS, RFC 5652): the device then says who made it."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7

from cli.ikectl import files
from cli.ikectl.errors import CommandError


def sign(data: bytes, certificate_path: Path, key_path: Path, authority_path: Path) -> bytes:
    """Return `data` inside a signature, DER. Raises CommandError."""
    try:
        certificate = x509.load_pem_x509_certificate(files.read(certificate_path))
        authority = x509.load_pem_x509_certificate(files.read(authority_path))
        key = load_pem_private_key(files.read_private(key_path), None)
    except (ValueError, TypeError) as error:
        raise CommandError(f"cannot sign with {certificate_path}: {error}") from None
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise CommandError(f"cannot sign with {key_path}: neither an RSA nor an ECDSA key")
    return (
        pkcs7.PKCS7SignatureBuilder()
        .set_data(data)
        .add_signer(certificate, key, hashes.SHA256())
        .add_certificate(authority)
        .sign(Encoding.DER, [pkcs7.PKCS7Options.Binary])
    )


def authority_der(path: Path) -> bytes:
    """Return a CA's certificate of a PEM file in DER. Raises CommandError."""
    try:
        return x509.load_pem_x509_certificate(files.read(path)).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CommandError(f"{path} is not a certificate in PEM: {error}") from None
