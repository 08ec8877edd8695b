"""The initiator's own DH, PRF, CBC and keys, straight from RFC 2409.

Made to be compared with, not to be secure: exponents are short so that one process can play many
clients, and nothing runs in constant time.
"""

import functools
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ikev1.wire.enums import (
    AuthAlgorithm,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
)

EXPONENT_SIZE = 20
"""Octets. Python's pow takes 2 ms with it in group 14."""

_HASHES = {
    HashAlgorithm.MD5: hashlib.md5,
    HashAlgorithm.SHA1: hashlib.sha1,
    HashAlgorithm.SHA2_256: hashlib.sha256,
    HashAlgorithm.SHA2_384: hashlib.sha384,
    HashAlgorithm.SHA2_512: hashlib.sha512,
}
# Bits and addend of the formula of RFC 2409 section 6.2 and RFC 3526.
_MODP = {
    Group.MODP_1024: (1024, 129093),
    Group.MODP_1536: (1536, 741804),
    Group.MODP_2048: (2048, 124476),
    Group.MODP_3072: (3072, 1690314),
    Group.MODP_4096: (4096, 240904),
    Group.MODP_8192: (8192, 4743158),
}
_CURVES = {
    Group.ECP_256: ec.SECP256R1(),
    Group.ECP_384: ec.SECP384R1(),
    Group.ECP_521: ec.SECP521R1(),
}
_ESP_KEY_SIZES = {EspTransform.TRIPLE_DES: 24, EspTransform.NULL: 0}
_ESP_SALT_SIZES = {
    EspTransform.AES_GCM_8: 4,
    EspTransform.AES_GCM_12: 4,
    EspTransform.AES_GCM_16: 4,
}
_AUTH_KEY_SIZES = {
    AuthAlgorithm.HMAC_MD5: 16,
    AuthAlgorithm.HMAC_SHA1: 20,
    AuthAlgorithm.HMAC_SHA2_256: 32,
    AuthAlgorithm.HMAC_SHA2_384: 48,
    AuthAlgorithm.HMAC_SHA2_512: 64,
}


@dataclass(frozen=True, slots=True)
class DhKey:
    """A key pair of one group: its public value, and the function from the peer's to the secret."""

    public: bytes
    agree: Callable[[bytes], bytes] = field(repr=False)


def dh_key(group: int, random: Callable[[int], bytes], exponent_size: int = EXPONENT_SIZE) -> DhKey:
    """Make a key pair. Agreeing with a value of a wrong size or off the curve is a ValueError."""
    if group in _CURVES:
        return _ecp_key(_CURVES[Group(group)])
    bits, _ = _MODP[Group(group)]
    prime = _modp_prime(group)
    exponent = int.from_bytes(random(exponent_size)) | 1

    def agree(peer: bytes) -> bytes:
        if len(peer) * 8 != bits:
            raise ValueError(f"{len(peer)} octets in a group of {bits} bits")
        return pow(int.from_bytes(peer), exponent, prime).to_bytes(bits // 8)

    return DhKey(pow(2, exponent, prime).to_bytes(bits // 8), agree)


def _ecp_key(curve: ec.EllipticCurve) -> DhKey:
    private = ec.generate_private_key(curve)
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def agree(peer: bytes) -> bytes:
        if len(peer) + 1 != len(point):
            raise ValueError(f"{len(peer)} octets instead of {len(point) - 1}")
        public = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + peer)
        return private.exchange(ec.ECDH(), public)

    return DhKey(point[1:], agree)


@functools.cache
def _modp_prime(group: int) -> int:
    bits, addend = _MODP[Group(group)]
    return (1 << bits) - (1 << (bits - 64)) - 1 + ((_pi(bits - 130) + addend) << 64)


def _pi(bits: int) -> int:
    """Return floor(2^bits * pi), by Machin's formula."""
    guard = 64
    one = 1 << (bits + guard)
    return (16 * _arctan_of_inverse(5, one) - 4 * _arctan_of_inverse(239, one)) >> guard


def _arctan_of_inverse(n: int, one: int) -> int:
    power = one // n
    total = power
    divisor = 1
    while power:
        power //= -n * n
        divisor += 2
        total += power // divisor
    return total


def digest(algorithm: int, *data: bytes) -> bytes:
    """The negotiated hash."""
    return _HASHES[HashAlgorithm(algorithm)](b"".join(data)).digest()


def prf(algorithm: int, key: bytes, *data: bytes) -> bytes:
    """The HMAC of the negotiated hash."""
    return hmac.new(key, b"".join(data), _HASHES[HashAlgorithm(algorithm)]).digest()


class CbcChain:
    """The messages of one exchange, enciphered and deciphered in their order."""

    def __init__(self, algorithm: int, key: bytes, iv: bytes) -> None:
        self._algorithm = (
            TripleDES(key) if algorithm == EncryptionAlgorithm.TRIPLE_DES_CBC else AES(key)
        )
        self.iv = iv

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encipher the next message, with zeros for padding."""
        size = len(self.iv)
        encryptor = Cipher(self._algorithm, modes.CBC(self.iv)).encryptor()
        ciphertext = encryptor.update(plaintext + bytes(-len(plaintext) % size))
        self.iv = ciphertext[-size:]
        return ciphertext

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decipher the next message; its padding stays. Raises ValueError unless whole blocks."""
        size = len(self.iv)
        if not ciphertext or len(ciphertext) % size:
            raise ValueError(f"{len(ciphertext)} octets of ciphertext in blocks of {size}")
        decryptor = Cipher(self._algorithm, modes.CBC(self.iv)).decryptor()
        plaintext = decryptor.update(ciphertext)
        self.iv = ciphertext[-size:]
        return plaintext


@dataclass(frozen=True, slots=True)
class Phase1Secrets:
    """All that an ISAKMP SA keeps secret, and the IV its later exchanges begin from."""

    hash: int
    encryption: int
    skeyid: bytes = field(repr=False)
    skeyid_d: bytes = field(repr=False)
    skeyid_a: bytes = field(repr=False)
    key: bytes = field(repr=False)


def derive(
    algorithm: int,
    encryption: int,
    key_size: int,
    psk: bytes | None,
    nonces: bytes,
    g_xy: bytes,
    cookies: bytes,
) -> Phase1Secrets:
    """RFC 2409 section 5; `nonces` and `cookies` are both sides', joined.

    Without a preshared key for signatures.
    """
    skeyid = prf(algorithm, nonces, g_xy) if psk is None else prf(algorithm, psk, nonces)
    skeyid_d = prf(algorithm, skeyid, g_xy, cookies, b"\0")
    skeyid_a = prf(algorithm, skeyid, skeyid_d, g_xy, cookies, b"\1")
    skeyid_e = prf(algorithm, skeyid, skeyid_a, g_xy, cookies, b"\2")
    if len(skeyid_e) < key_size:
        # Appendix B: K1 | K2 | K3.
        blocks = [prf(algorithm, skeyid_e, b"\0")]
        while sum(map(len, blocks)) < key_size:
            blocks.append(prf(algorithm, skeyid_e, blocks[-1]))
        skeyid_e = b"".join(blocks)
    return Phase1Secrets(algorithm, encryption, skeyid, skeyid_d, skeyid_a, skeyid_e[:key_size])


def phase1_key_size(encryption: int, key_length: int | None) -> int:
    """Octets of the cipher's key."""
    return 24 if encryption == EncryptionAlgorithm.TRIPLE_DES_CBC else (key_length or 0) // 8


def block_size(encryption: int) -> int:
    """Octets of the cipher's block."""
    return 8 if encryption == EncryptionAlgorithm.TRIPLE_DES_CBC else 16


def esp_keys_size(transform: int, key_length: int | None, auth: int | None) -> int:
    """Octets of KEYMAT of one ESP SA: the cipher's key, its salt, the authentication key."""
    cipher = _ESP_KEY_SIZES.get(EspTransform(transform), (key_length or 0) // 8)
    salt = _ESP_SALT_SIZES.get(EspTransform(transform), 0)
    return cipher + salt + (0 if auth is None else _AUTH_KEY_SIZES[AuthAlgorithm(auth)])


def keymat(secrets: Phase1Secrets, seed: bytes, size: int) -> bytes:
    """RFC 2409 section 5.5; `seed` is [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b."""
    blocks: list[bytes] = []
    last = b""
    while sum(map(len, blocks)) < size:
        last = prf(secrets.hash, secrets.skeyid_d, last, seed)
        blocks.append(last)
    return b"".join(blocks)[:size]
