"""Hiding of AVP values, RFC 2661 section 4.3.

The value with its length in front is XORed with a chain of MD5 digests over the shared secret; the
Random Vector AVP that came last before it seeds the chain.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from l2tp.errors import ProtocolError
from l2tp.wire.avp import Avp
from l2tp.wire.cursor import Cursor
from l2tp.wire.enums import GeneralError

_BLOCK = 16


def hide(avp: Avp, secret: bytes, random_vector: bytes, padding: bytes = b"") -> Avp:
    """The AVP with its value hidden; ``padding`` conceals its true length."""
    clear = len(avp.value).to_bytes(2) + avp.value + padding
    cipher = b""
    seed = avp.type.to_bytes(2) + secret + random_vector
    for start in range(0, len(clear), _BLOCK):
        block = _xor(clear[start : start + _BLOCK], _md5(seed))
        cipher += block
        seed = secret + block
    return replace(avp, value=cipher, hidden=True)


def reveal(avp: Avp, secret: bytes, random_vector: bytes) -> Avp:
    """The AVP in clear; raises ProtocolError when the length inside does not fit.

    A wrong secret shows only as a length that does not fit or as a value that makes no sense.
    """
    clear = b""
    seed = avp.type.to_bytes(2) + secret + random_vector
    for start in range(0, len(avp.value), _BLOCK):
        block = avp.value[start : start + _BLOCK]
        clear += _xor(block, _md5(seed))
        seed = secret + block
    cursor = Cursor(clear, "hidden AVP")
    size = cursor.u16("hidden length")
    if size > cursor.remaining:
        raise ProtocolError(
            "hidden length does not fit", unit="hidden AVP", error=GeneralError.WRONG_LENGTH
        )
    return replace(avp, value=cursor.take(size, "hidden value"), hidden=False)


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=False))
