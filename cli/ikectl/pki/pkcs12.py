"""PKCS #12 (RFC 7292): a client's key and certificate, and the CA's, in one file."""

from __future__ import annotations

import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from cli.ikectl.pki.certificates import PrivateKey

ITERATIONS = 2048
"""Of the key derivation, as OpenSSL has it: some importers refuse or crawl with many more. The
strength is in the passphrase, which nobody chose."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without letters and digits that are read for one another. It is typed in on phones."""

_GROUPS = 4
_GROUP_LENGTH = 5


def generate_passphrase() -> str:
    """Return 20 random characters, 99 bits, in groups."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS)
    )


def build(
    name: str,
    key: PrivateKey,
    certificate: x509.Certificate,
    authority: x509.Certificate,
    passphrase: str,
    *,
    legacy: bool,
) -> bytes:
    """Return the file.

    It is AES-256 and a MAC with SHA-256, or with `legacy` 3DES and SHA-1. Windows takes the former
    since Windows 10 1709; macOS 12 and 13 and iOS of that time refuse it as a wrong passphrase
    (github.com/pyca/cryptography issue 7293, github.com/chris2511/xca issue 474).
    """
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, certificate, [authority], _encryption(passphrase, legacy=legacy)
    )


def _encryption(passphrase: str, *, legacy: bool) -> KeySerializationEncryption:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(ITERATIONS)
    if legacy:
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        builder = builder.hmac_hash(hashes.SHA1())  # noqa: S303 - what those importers know
    else:
        builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        builder = builder.hmac_hash(hashes.SHA256())
    return builder.build(passphrase.encode())
