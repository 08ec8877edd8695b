"""CBC encryption of ISAKMP messages, with IVs that chain from message to message.

RFC 2409 appendix B. The IV of the first message of an exchange is a hash (see `keymat`); that of
each later one is the last block of ciphertext before it, whichever side sent that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from ikev1.wire.enums import EncryptionAlgorithm


class CipherError(Exception):
    """The ciphertext is empty or does not fill whole blocks."""


class CbcResult(NamedTuple):
    """The output of one CBC run, and the IV of the exchange's next message."""

    data: bytes
    next_iv: bytes


@dataclass(frozen=True, slots=True)
class _CipherType:
    make: Callable[[bytes], BlockCipherAlgorithm]
    block_size: int  # octets
    key_sizes: tuple[int, ...]  # octets


_CIPHERS: Final[Mapping[int, _CipherType]] = MappingProxyType(
    {
        EncryptionAlgorithm.TRIPLE_DES_CBC: _CipherType(TripleDES, 8, (24,)),
        EncryptionAlgorithm.AES_CBC: _CipherType(AES, 16, (16, 24, 32)),
    }
)

SUPPORTED_CIPHERS: Final = frozenset(_CIPHERS)

KEPT_KEYS = 32
"""Keys that the library has checked: each has three uses in a Quick Mode."""


def block_size(algorithm: int) -> int:
    """Return the block size in octets; a cipher not in `SUPPORTED_CIPHERS` is a KeyError."""
    return _CIPHERS[algorithm].block_size


def key_size(algorithm: int, key_length: int | None) -> int:
    """Return the key size in octets for a transform's Key Length attribute in bits, None if absent.

    Raises ValueError where the cipher has no such key: AES without a length (RFC 3602 section 5.2
    wants the attribute), a length it does not know, any length for a cipher with one size alone.
    """
    sizes = _CIPHERS[algorithm].key_sizes
    if key_length is None and len(sizes) == 1:
        return sizes[0]
    if key_length is None or len(sizes) == 1 or key_length % 8 or key_length // 8 not in sizes:
        raise ValueError(f"cipher {algorithm} has no keys of {key_length} bits")
    return key_length // 8


def encrypt(algorithm: int, key: bytes, iv: bytes, plaintext: bytes) -> CbcResult:
    """Pad and encrypt the payloads of one message.

    Zero octets fill the last block, and nothing is added to whole blocks (RFC 2409 appendix B). A
    key or IV of a wrong size is a ValueError.
    """
    cipher = _CIPHERS[algorithm]
    encryptor = Cipher(_keyed(algorithm, key), modes.CBC(iv)).encryptor()
    data = encryptor.update(plaintext + bytes(-len(plaintext) % cipher.block_size))
    return CbcResult(data, data[-cipher.block_size :])


def decrypt(algorithm: int, key: bytes, iv: bytes, ciphertext: bytes) -> CbcResult:
    """Decrypt the payloads of one message; their padding is left in place.

    Raises CipherError for a ciphertext that no sender can have made. A key or IV of a wrong size is
    a ValueError.
    """
    cipher = _CIPHERS[algorithm]
    if not ciphertext or len(ciphertext) % cipher.block_size:
        raise CipherError(f"{len(ciphertext)} octets are not whole blocks of {cipher.block_size}")
    decryptor = Cipher(_keyed(algorithm, key), modes.CBC(iv)).decryptor()
    return CbcResult(decryptor.update(ciphertext), ciphertext[-cipher.block_size :])


@lru_cache(maxsize=KEPT_KEYS)
def _keyed(algorithm: int, key: bytes) -> BlockCipherAlgorithm:
    return _CIPHERS[algorithm].make(key)
