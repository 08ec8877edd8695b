"""The hashes of Phase 1, and the PRF made of each: its HMAC (RFC 2409 section 4).

No PRF was ever registered that could be negotiated instead.
"""

import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ikev1.wire.enums import HashAlgorithm

_HASHLIB_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        HashAlgorithm.MD5: "md5",
        HashAlgorithm.SHA1: "sha1",
        HashAlgorithm.SHA2_256: "sha256",
        HashAlgorithm.SHA2_384: "sha384",
        HashAlgorithm.SHA2_512: "sha512",
    }
)

_DIGEST_SIZES: Final[Mapping[int, int]] = MappingProxyType(
    {algorithm: hashlib.new(name).digest_size for algorithm, name in _HASHLIB_NAMES.items()}
)

SUPPORTED_HASHES: Final = frozenset(_HASHLIB_NAMES)


def digest_size(hash_algorithm: int) -> int:
    """Return the size in octets of a digest, and so of everything that the PRF gives."""
    return _DIGEST_SIZES[hash_algorithm]


def digest(hash_algorithm: int, data: bytes) -> bytes:
    """Return the plain hash of `data`, as it makes IVs and NAT-D payloads.

    Here and in `prf`, a hash that is not in `SUPPORTED_HASHES` is a KeyError.
    """
    return hashlib.new(_HASHLIB_NAMES[hash_algorithm], data).digest()


def prf(hash_algorithm: int, key: bytes, data: bytes) -> bytes:
    """Return the PRF of `data` under `key`, `digest_size` octets."""
    return hmac.digest(key, data, _HASHLIB_NAMES[hash_algorithm])
