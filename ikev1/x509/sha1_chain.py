"""Chains with SHA-1 in them, for who has set `sha1`: the verifier takes none.

Shorter than RFC 5280 section 6, and stricter: what is not understood here is refused, above all
constraints on names and policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from ikev1.x509 import names
from ikev1.x509.certificate import Certificate

MAX_DEPTH = 6
"""Authorities between a client and the one that is trusted, that one included."""
_HASHES = ("sha1", "sha256", "sha384", "sha512")
_UNDERSTOOD = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
)


def find(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    anchors: Sequence[Certificate],
    now: datetime,
) -> tuple[Certificate, ...] | None:
    """The chain from `leaf` to one of `anchors`, both included; None if there is none."""
    chain = [leaf]
    while _is_acceptable(chain[-1], now):
        here = chain[-1]
        if len(chain) > 1 and here in anchors:
            return tuple(chain)
        issuer = next(
            (
                one
                for one in (*anchors, *intermediates)
                if one not in chain and _may_have_issued(one, here, len(chain) - 1)
            ),
            None,
        )
        if issuer is None or len(chain) > MAX_DEPTH:
            return None
        chain.append(issuer)
    return None


def _is_acceptable(one: Certificate, now: datetime) -> bool:
    """In its time, and without an extension that would have to be understood."""
    return one.not_before <= now <= one.not_after and not any(
        (extension.critical and not isinstance(extension.value, _UNDERSTOOD))
        or isinstance(extension.value, x509.NameConstraints)
        for extension in one.parsed.extensions
    )


def _may_have_issued(issuer: Certificate, subject: Certificate, below: int) -> bool:
    """Whether it is an authority, above so many others at the most, and has signed."""
    if not issuer.is_ca or not names.equal(issuer.subject, subject.issuer):
        return False
    if issuer.usage is not None and not issuer.usage.key_cert_sign:
        return False
    constraints = issuer.parsed.extensions.get_extension_for_class(x509.BasicConstraints).value
    if constraints.path_length is not None and below > constraints.path_length:
        return False
    return _has_signed(issuer, subject.parsed)


def _has_signed(issuer: Certificate, subject: x509.Certificate) -> bool:
    try:
        algorithm = subject.signature_hash_algorithm
        if algorithm is None or algorithm.name not in _HASHES:
            return False
        signature, body = subject.signature, subject.tbs_certificate_bytes
        match issuer.key:
            case rsa.RSAPublicKey():
                issuer.key.verify(signature, body, PKCS1v15(), algorithm)
            case ec.EllipticCurvePublicKey():
                issuer.key.verify(signature, body, ec.ECDSA(algorithm))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
