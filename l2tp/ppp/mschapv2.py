"""MS-CHAPv2 hashes, RFC 2759 section 8; names follow the RFC's functions."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

from l2tp.ppp.md4 import md4

_MAGIC_1 = b"Magic server to client signing constant"
_MAGIC_2 = b"Pad to make it do more than one iteration"


def nt_password_hash(password: str) -> bytes:
    """MD4 of the password in UTF-16, section 8.3."""
    return md4(password.encode("utf-16-le", "surrogatepass"))


def challenge_hash(peer_challenge: bytes, challenge: bytes, user: bytes) -> bytes:
    """Eight octets over both challenges and the name without its domain, section 8.2."""
    return _sha1(peer_challenge + challenge + bare_name(user))[:8]


def challenge_response(challenge: bytes, password_hash: bytes) -> bytes:
    """Three DES encryptions of eight octets under the hash, section 8.5."""
    keys = password_hash.ljust(21, b"\0")
    return b"".join(_des(keys[start : start + 7], challenge) for start in (0, 7, 14))


def nt_response(
    password_hash: bytes, challenge: bytes, peer_challenge: bytes, user: bytes
) -> bytes:
    """The 24 octets a peer that knows the password sends, section 8.1."""
    return challenge_response(challenge_hash(peer_challenge, challenge, user), password_hash)


def authenticator_response(
    password_hash: bytes, response: bytes, peer_challenge: bytes, challenge: bytes, user: bytes
) -> str:
    """The "S=..." that proves to the peer that we know the password too, section 8.7."""
    digest = _sha1(md4(password_hash) + response + _MAGIC_1)
    digest = _sha1(digest + challenge_hash(peer_challenge, challenge, user) + _MAGIC_2)
    return "S=" + digest.hex().upper()


def bare_name(user: bytes) -> bytes:
    r"""The user name without the "DOMAIN\" that Windows puts in front."""
    return user.rpartition(b"\\")[2]


def _des(key: bytes, block: bytes) -> bytes:
    """DES with a key of 56 bits: three equal keys make Triple DES single."""
    bits = int.from_bytes(key)
    spread = bytes((bits >> shift & 0x7F) << 1 for shift in range(49, -1, -7))
    encryptor = Cipher(TripleDES(spread * 3), ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def _sha1(octets: bytes) -> bytes:
    return hashlib.sha1(octets, usedforsecurity=False).digest()
