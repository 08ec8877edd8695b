"""The hashes of Phase 1, and the PRF made of each: its HMAC (RFC 2409 section 4).

No PRF was ever registered that could be negotiated instead.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from ikev1.wire.enums import HashAlgorithm

# Where a policy of the machine forbids one for security, NAT-D still needs it.
_MAKE: Final[Mapping[int, Callable[[bytes], Any]]] = {
    int(HashAlgorithm.MD5): partial(hashlib.md5, usedforsecurity=False),
    int(HashAlgorithm.SHA1): partial(hashlib.sha1, usedforsecurity=False),
    int(HashAlgorithm.SHA2_256): hashlib.sha256,
    int(HashAlgorithm.SHA2_384): hashlib.sha384,
    int(HashAlgorithm.SHA2_512): hashlib.sha512,
}

HASHES: Final[Mapping[int, hashes.HashAlgorithm]] = MappingProxyType(
    {
        int(HashAlgorithm.MD5): hashes.MD5(),  # noqa: S303 - a peer's choice, and of an HMAC's output
        int(HashAlgorithm.SHA1): hashes.SHA1(),  # noqa: S303
        int(HashAlgorithm.SHA2_256): hashes.SHA256(),
        int(HashAlgorithm.SHA2_384): hashes.SHA384(),
        int(HashAlgorithm.SHA2_512): hashes.SHA512(),
    }
)
"""The same, as the library of signatures and HMACs names them."""

SUPPORTED_HASHES: Final = frozenset(HASHES)

KEPT_KEYS = 32
"""Keys that are ready for another use: half of what a PRF costs is to prepare its key, and each
key of an exchange has three to seven uses within milliseconds. Some 1 kB each."""


def digest_size(hash_algorithm: int) -> int:
    """Return the size in octets of a digest, and so of everything that the PRF gives."""
    return HASHES[hash_algorithm].digest_size


def digest(hash_algorithm: int, data: bytes) -> bytes:
    """Return the plain hash of `data`, as it makes IVs and NAT-D payloads.

    Here and in `prf`, a hash that is not in `SUPPORTED_HASHES` is a KeyError.
    """
    return cast("bytes", _MAKE[hash_algorithm](data).digest())


def prf(hash_algorithm: int, key: bytes, data: bytes) -> bytes:
    """Return the PRF of `data` under `key`, `digest_size` octets."""
    made = _keyed(hash_algorithm, key).copy()
    made.update(data)
    return made.finalize()


@lru_cache(maxsize=KEPT_KEYS)
def _keyed(hash_algorithm: int, key: bytes) -> HMAC:
    return HMAC(key, HASHES[hash_algorithm])
