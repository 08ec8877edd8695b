"""Algorithms by the names this project uses, and the kernel's names and key lengths for them.

RFC 4868 gives the truncation of the HMAC-SHA2 family; "hmac-sha2-256-96" is the truncation of an
earlier draft of it, which old clients still use. RFC 4106 gives the key of AES-GCM: the AES key and
four octets of salt behind it.
"""

from dataclasses import dataclass

from xfrm.model import Aead, Encryption, Integrity, Sa

_GCM_SALT = 4


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Kernel name, the key lengths allowed (octets, salt included) and the ICV's length in bits."""

    kernel_name: str
    key_lengths: tuple[int, ...]
    icv: int = 0


ENCRYPTION = {
    "3des-cbc": Algorithm("cbc(des3_ede)", (24,)),
    "aes-cbc": Algorithm("cbc(aes)", (16, 24, 32)),
}

INTEGRITY = {
    "hmac-md5-96": Algorithm("hmac(md5)", (16,), 96),
    "hmac-sha1-96": Algorithm("hmac(sha1)", (20,), 96),
    "hmac-sha2-256-96": Algorithm("hmac(sha256)", (32,), 96),
    "hmac-sha2-256-128": Algorithm("hmac(sha256)", (32,), 128),
    "hmac-sha2-384-192": Algorithm("hmac(sha384)", (48,), 192),
    "hmac-sha2-512-256": Algorithm("hmac(sha512)", (64,), 256),
}

AEAD = {
    "aes-gcm-16": Algorithm(
        "rfc4106(gcm(aes))", (16 + _GCM_SALT, 24 + _GCM_SALT, 32 + _GCM_SALT), 128
    ),
}

_NAMES = {
    (algorithm.kernel_name, algorithm.icv): name
    for table in (ENCRYPTION, INTEGRITY, AEAD)
    for name, algorithm in table.items()
}


def encryption(name: str, key: bytes) -> Encryption:
    """Make the kernel's form of a cipher. Raises ValueError for an unknown name or a wrong key."""
    return Encryption(_checked(ENCRYPTION, name, key).kernel_name, key)


def integrity(name: str, key: bytes) -> Integrity:
    """Make the kernel's form of a MAC. Raises ValueError for an unknown name or a wrong key."""
    algorithm = _checked(INTEGRITY, name, key)
    return Integrity(algorithm.kernel_name, key, algorithm.icv)


def aead(name: str, key: bytes) -> Aead:
    """Make the kernel's form of a combined mode cipher, whose key ends with its salt.

    Raises ValueError for an unknown name or a wrong key.
    """
    algorithm = _checked(AEAD, name, key)
    return Aead(algorithm.kernel_name, key, algorithm.icv)


def names(sa: Sa) -> tuple[str, ...]:
    """Name the algorithms of an SA; the kernel's own name stands for one we do not know."""
    found = []
    if sa.aead is not None:
        found.append((sa.aead.name, sa.aead.icv))
    if sa.encryption is not None:
        found.append((sa.encryption.name, 0))
    if sa.integrity is not None:
        found.append((sa.integrity.name, sa.integrity.truncation))
    return tuple(_NAMES.get(key, key[0]) for key in found)


def _checked(table: dict[str, Algorithm], name: str, key: bytes) -> Algorithm:
    algorithm = table.get(name)
    if algorithm is None:
        raise ValueError(f"unknown algorithm {name!r}, known are {', '.join(table)}")
    if len(key) not in algorithm.key_lengths:
        allowed = " or ".join(map(str, algorithm.key_lengths))
        raise ValueError(f"{name} takes a key of {allowed} octets, not {len(key)}")
    return algorithm
