"""Proof by certificate, the client's side (RFC 2409 section 5.1, RFC 4754, RFC 4945).

RSA is done with bare numbers, and the padded block written out: the gateway leaves both to a
library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from ikev1.wire.enums import AuthMethod, CertEncoding, HashAlgorithm, IdType
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import (
    Certificate,
    CertificateRequest,
    Identification,
    Payload,
    Signature,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_METHODS = {
    256: AuthMethod.ECDSA_256,
    384: AuthMethod.ECDSA_384,
    521: AuthMethod.ECDSA_521,
}
_HASHES = {
    AuthMethod.ECDSA_256: HashAlgorithm.SHA2_256,
    AuthMethod.ECDSA_384: HashAlgorithm.SHA2_384,
    AuthMethod.ECDSA_521: HashAlgorithm.SHA2_512,
}
_DIGESTS: dict[int, hashes.HashAlgorithm] = {
    16: hashes.MD5(),  # noqa: S303 - whatever hash was negotiated
    20: hashes.SHA1(),  # noqa: S303
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
}


def sign(key: PrivateKey, proof: bytes) -> bytes:
    """Sign HASH_I."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        modulus = numbers.public_numbers.n
        size = (modulus.bit_length() + 7) // 8
        block = b"\0\1" + b"\xff" * (size - 3 - len(proof)) + b"\0" + proof
        return pow(int.from_bytes(block), numbers.d, modulus).to_bytes(size)
    r, s = utils.decode_dss_signature(key.sign(proof, _ecdsa(proof)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def shown(payloads: Payloads) -> x509.Certificate | None:
    """The certificate that message 6 shows; None where it has none."""
    certificate = payloads.first(Certificate)
    if certificate is None:
        return None
    if certificate.encoding == CertEncoding.PKCS7_WRAPPED_X509:
        return pkcs7.load_der_pkcs7_certificates(certificate.data)[0]
    return x509.load_der_x509_certificate(certificate.data)


def names(certificate: x509.Certificate) -> list[str]:
    """The DNS names and addresses of subjectAltName, as text."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [*extension.value.get_values_for_type(x509.DNSName), *map(str, addresses)]


def verify(certificate: x509.Certificate, proof: bytes, signature: bytes) -> bool:
    """Whether HASH_R was signed with the key of a certificate."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        block = b"\0\1" + b"\xff" * (size - 3 - len(proof)) + b"\0" + proof
        opened = pow(int.from_bytes(signature), numbers.e, numbers.n).to_bytes(size)
        return len(signature) == size and opened == block
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    size = (key.curve.key_size + 7) // 8
    r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
    try:
        key.verify(utils.encode_dss_signature(r, s), proof, _ecdsa(proof))
    except InvalidSignature:
        return False
    return len(signature) == 2 * size


def _ecdsa(proof: bytes) -> ec.ECDSA:
    return ec.ECDSA(utils.Prehashed(_DIGESTS[len(proof)]))


@dataclass(frozen=True, slots=True)
class Signer:
    """What a client has in place of a preshared key.

    `certificates` are its CERT payloads, as they are sent; `requests` its CERTREQ payloads, of
    message 3 or, as Apple does, of message 5. `sign` may be anything a forger thinks of.
    """

    key: PrivateKey = field(repr=False)
    identity: Identification
    certificates: tuple[Certificate, ...]
    requests: tuple[CertificateRequest, ...] = ()
    requests_late: bool = False
    sign: Callable[[PrivateKey, bytes], bytes] = sign

    @classmethod
    def of(
        cls,
        key: PrivateKey,
        *chain: x509.Certificate,
        identity: Identification | None = None,
        any_authority: bool = True,
    ) -> Signer:
        """A client that shows its subject, sends these certificates, and asks for the gateway's."""
        ders = [one.public_bytes(Encoding.DER) for one in chain]
        subject = chain[0].subject.public_bytes()
        return cls(
            key,
            identity or Identification(IdType.DER_ASN1_DN, 0, 0, subject),
            tuple(Certificate(CertEncoding.X509_SIGNATURE, der) for der in ders),
            (CertificateRequest(CertEncoding.X509_SIGNATURE, b""),) if any_authority else (),
        )

    @property
    def method(self) -> AuthMethod:
        """What it offers in Phase 1."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return AuthMethod.RSA_SIGNATURE
        return _METHODS[self.key.curve.key_size]

    def hash(self, negotiated: HashAlgorithm) -> HashAlgorithm:
        """What HASH_I and HASH_R are made with (SS keymat_v1.c, RFC 4754)."""
        return _HASHES.get(self.method, negotiated)

    def prove(self, proof: bytes) -> list[Payload]:
        """Message 5, from its identity to its signature; racoon's CERTREQ comes last."""
        late = self.requests if self.requests_late else ()
        return [self.identity, *self.certificates, Signature(self.sign(self.key, proof)), *late]

    def is_proved(self, payloads: Payloads, proof: bytes) -> bool:
        """Whether message 6 has a certificate and a signature by its key."""
        certificate, signature = shown(payloads), payloads.first(Signature)
        if certificate is None or signature is None:
            return False
        return verify(certificate, proof, signature.data)
