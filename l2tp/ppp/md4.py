"""MD4, RFC 1320. OpenSSL 3 has it no more; MS-CHAPv2 needs it for one digest per login."""

from __future__ import annotations

import struct
from collections.abc import Callable

_MASK = 0xFFFFFFFF
_ORDER = (
    tuple(range(16)),
    (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
_SHIFTS = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_CONSTANTS = (0, 0x5A827999, 0x6ED9EBA1)
_FUNCTIONS: tuple[Callable[[int, int, int], int], ...] = (
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x & y) | (x & z) | (y & z),
    lambda x, y, z: x ^ y ^ z,
)


def md4(message: bytes) -> bytes:
    """The digest, 16 octets."""
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64)
    padded += struct.pack("<Q", 8 * len(message))
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    for block in struct.iter_unpack("<16I", padded):
        a, b, c, d = state
        for order, shifts, constant, function in zip(
            _ORDER, _SHIFTS, _CONSTANTS, _FUNCTIONS, strict=True
        ):
            for step, index in enumerate(order):
                total = (a + function(b, c, d) + block[index] + constant) & _MASK
                shift = shifts[step % 4]
                rotated = (total << shift | total >> (32 - shift)) & _MASK
                a, b, c, d = d, rotated, b, c
        state = [(old + new) & _MASK for old, new in zip(state, (a, b, c, d), strict=True)]
    return struct.pack("<4I", *state)
