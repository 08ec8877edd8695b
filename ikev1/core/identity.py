"""Identities of RFC 2407 section 4.6.2: how they are shown, and how they are matched."""

from __future__ import annotations

import contextlib
import functools
import ipaddress

from ikev1.wire.enums import IdType
from ikev1.wire.payloads import ADDRESS_SIZES, Identification
from ikev1.x509 import names
from ikev1.x509.errors import CertificateError

MAX_SHOWN = 120
"""Characters of an identity in logs and status; the peer chooses its length."""


def show(identity: Identification) -> str:
    """The identity for people, not longer than they will read."""
    return _text(identity)[:MAX_SHOWN]


def _text(identity: Identification) -> str:
    """An address, "@fqdn", "user@fqdn", "keyid:text", a DN, or type and hex: it says what it is."""
    data = identity.data
    if identity.id_type == IdType.DER_ASN1_DN:
        with contextlib.suppress(CertificateError):
            if shown := names.show(names.parse(data)):
                return shown
        return f"{identity.id_type}:{data.hex()}"
    size = ADDRESS_SIZES.get(identity.id_type)
    if size is not None:
        if identity.id_type in (IdType.IPV4_ADDR, IdType.IPV6_ADDR):
            return _address(data)
        half = size // 2
        first = ipaddress.ip_address(data[:half])
        second = ipaddress.ip_address(data[half:])
        ranged = identity.id_type in (IdType.IPV4_ADDR_RANGE, IdType.IPV6_ADDR_RANGE)
        return f"{first}-{second}" if ranged else f"{first}/{second}"
    text = data.decode("ascii", "replace")
    if text.isascii() and text.isprintable():
        if identity.id_type == IdType.FQDN:
            return f"@{text}"
        if identity.id_type == IdType.USER_FQDN and text.find("@") > 0:
            return text
        if identity.id_type == IdType.KEY_ID:
            return f"keyid:{text}"
    return f"{identity.id_type}:{data.hex()}"


# Private addresses are shown by many, and by each client again and again.
@functools.lru_cache(maxsize=1024)
def _address(octets: bytes) -> str:
    return str(ipaddress.ip_address(octets))


def matches(identity: Identification, wanted: str) -> bool:
    """Whether the peer's identity is the one that a preshared key is bound to.

    `wanted` is an address, "@fqdn", "user@fqdn" or "keyid:text", as in the configuration.
    """
    return _text(identity).lower() == wanted.lower()
