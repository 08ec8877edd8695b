"""The CHAP response with MD5, RFC 1994 section 4.1."""

from __future__ import annotations

import hashlib


def md5_response(identifier: int, secret: bytes, challenge: bytes) -> bytes:
    """The 16 octets a peer that knows ``secret`` sends."""
    octets = bytes((identifier,)) + secret + challenge
    return hashlib.md5(octets, usedforsecurity=False).digest()
