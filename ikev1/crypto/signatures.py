"""Signatures of IKEv1: over HASH_I or HASH_R as it is (RFC 2409 section 5.1, RFC 4754).

RSA is PKCS #1 v1.5 around the bare hash, without the DigestInfo that names an algorithm. ECDSA
takes the hash as the digest; its signature is r and s, each as long as the group's order.
"""

from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from ikev1.crypto.prf import HASHES
from ikev1.wire.enums import AuthMethod, HashAlgorithm

MIN_RSA_BITS = 2048
"""NIST SP 800-131A; the library would take 1024."""
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT_BITS = 32
"""A stranger chooses both: with larger ones a verification would take more than a millisecond."""

CURVES: Final[dict[str, AuthMethod]] = {
    "secp256r1": AuthMethod.ECDSA_256,
    "secp384r1": AuthMethod.ECDSA_384,
    "secp521r1": AuthMethod.ECDSA_521,
}
SIGNATURE_METHODS: Final = frozenset({AuthMethod.RSA_SIGNATURE, *CURVES.values()})
"""The methods of Phase 1 that are served with certificates."""

_PROOF_HASHES: Final[dict[int, int]] = {
    AuthMethod.ECDSA_256: HashAlgorithm.SHA2_256,
    AuthMethod.ECDSA_384: HashAlgorithm.SHA2_384,
    AuthMethod.ECDSA_521: HashAlgorithm.SHA2_512,
}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class SignatureError(Exception):
    """A key that cannot be used, or a signature that does not verify; the text says which."""


def proof_hash(method: int, negotiated: int) -> int:
    """The hash whose PRF makes HASH_I and HASH_R, for the hash of the SA.

    RFC 4754 names one for each curve, and charon makes them so whatever was negotiated.
    """
    return _PROOF_HASHES.get(method, negotiated)


def method_of(key: object) -> AuthMethod:
    """The method of Phase 1 that a key is for. Raises SignatureError."""
    match key:
        case rsa.RSAPublicKey() | rsa.RSAPrivateKey():
            return AuthMethod.RSA_SIGNATURE
        case ec.EllipticCurvePublicKey() | ec.EllipticCurvePrivateKey():
            if key.curve.name in CURVES:
                return CURVES[key.curve.name]
            raise SignatureError(f"no method of IKEv1 is for curve {key.curve.name}")
    raise SignatureError("no method of IKEv1 is for this kind of key")


def check_strength(key: object) -> None:
    """Refuse a public key that is too weak, or too much work. Raises SignatureError."""
    if not isinstance(key, rsa.RSAPublicKey):
        return
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise SignatureError(
            f"RSA key of {key.key_size} bits, not {MIN_RSA_BITS} to {MAX_RSA_BITS}"
        )
    numbers = key.public_numbers()
    if numbers.e.bit_length() > MAX_RSA_EXPONENT_BITS or numbers.e < 3 or not numbers.n % 2:
        raise SignatureError("RSA key with an impossible exponent or modulus")


def verify(key: PublicKey, hash_algorithm: int, proof: bytes, signature: bytes) -> None:
    """Verify the signature of `proof`, HASH_I or HASH_R. Raises SignatureError."""
    size = signature_size(key)
    if len(signature) != size:
        raise SignatureError(f"signature of {len(signature)} octets, not {size}")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            # Its declaration has been forgotten in verify, not in sign (cryptography 50).
            bare = cast("hashes.HashAlgorithm", utils.NoDigestInfo())
            key.verify(signature, proof, PKCS1v15(), bare)
        else:
            half = size // 2
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            digest = utils.Prehashed(HASHES[hash_algorithm])
            key.verify(utils.encode_dss_signature(r, s), proof, ec.ECDSA(digest))
    except (InvalidSignature, ValueError):
        raise SignatureError("the signature does not verify") from None


def sign(key: PrivateKey, hash_algorithm: int, proof: bytes) -> bytes:
    """Sign `proof`, HASH_I or HASH_R."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(proof, PKCS1v15(), utils.NoDigestInfo())
    digest = utils.Prehashed(HASHES[hash_algorithm])
    r, s = utils.decode_dss_signature(key.sign(proof, ec.ECDSA(digest)))
    half = signature_size(key.public_key()) // 2
    return r.to_bytes(half) + s.to_bytes(half)


def signature_size(key: PublicKey) -> int:
    """Octets of a signature by this key."""
    if isinstance(key, rsa.RSAPublicKey):
        return (key.key_size + 7) // 8
    return 2 * ((key.curve.key_size + 7) // 8)
