"""MS-CHAPv2 as a peer computes it (RFC 2759 section 8), apart from the gateway's code."""

import hashlib
import struct

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB

_TO_CLIENT = b"Magic server to client signing constant"
_PAD = b"Pad to make it do more than one iteration"


def response(password: str, user: bytes, server: bytes, peer: bytes) -> bytes:
    """The NT-Response to both challenges, 24 octets."""
    key = md4(password.encode("utf-16-le")) + bytes(5)
    digest = _digest(peer, server, user)
    return b"".join(_des(key[at : at + 7], digest) for at in range(0, 21, 7))


def server_proof(password: str, user: bytes, server: bytes, peer: bytes, nt: bytes) -> bytes:
    """What the server's Success must begin with: S= and forty digits."""
    inner = hashlib.sha1(
        md4(md4(password.encode("utf-16-le"))) + nt + _TO_CLIENT, usedforsecurity=False
    ).digest()
    outer = inner + _digest(peer, server, user) + _PAD
    return b"S=" + hashlib.sha1(outer, usedforsecurity=False).hexdigest().upper().encode()


def _digest(peer: bytes, server: bytes, user: bytes) -> bytes:
    """Over the name without its domain."""
    name = user[user.rfind(b"\\") + 1 :]
    return hashlib.sha1(peer + server + name, usedforsecurity=False).digest()[:8]


def _des(key: bytes, block: bytes) -> bytes:
    """Single DES: the key's 56 bits go seven to an octet, and are taken three times."""
    bits = f"{int.from_bytes(key):056b}"
    octets = bytes(int(bits[at : at + 7] + "0", 2) for at in range(0, 56, 7))
    encryptor = Cipher(TripleDES(octets * 3), ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def md4(data: bytes) -> bytes:
    """RFC 1320, which OpenSSL 3 does not offer any more."""
    length = struct.pack("<Q", len(data) * 8)
    data += b"\x80" + bytes((55 - len(data)) % 64) + length
    a, b, c, d = 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476
    for at in range(0, len(data), 64):
        words = struct.unpack_from("<16I", data, at)
        start = (a, b, c, d)
        for step in range(48):
            lane, cycle = step % 16, step // 16
            if cycle == 0:
                index, shift = lane, (3, 7, 11, 19)[lane % 4]
                mixed = (b & c) | (~b & d)
            elif cycle == 1:
                index, shift = lane % 4 * 4 + lane // 4, (3, 5, 9, 13)[lane % 4]
                mixed = ((b & c) | (b & d) | (c & d)) + 0x5A827999
            else:
                index = int(f"{lane:04b}"[::-1], 2)
                shift = (3, 9, 11, 15)[lane % 4]
                mixed = (b ^ c ^ d) + 0x6ED9EBA1
            value = (a + mixed + words[index]) & 0xFFFFFFFF
            a, b, c, d = d, (value << shift | value >> (32 - shift)) & 0xFFFFFFFF, b, c
        a, b, c, d = (
            (old + new) & 0xFFFFFFFF for old, new in zip(start, (a, b, c, d), strict=True)
        )
    return struct.pack("<4I", a, b, c, d)
