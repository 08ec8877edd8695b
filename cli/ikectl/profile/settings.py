"""What a profile says, whatever the device."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Network


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """The gateway is known by a key that both have."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Gateway and client know one another by certificates of one CA."""

    client: str
    """The client's name in the certificate."""
    container: bytes = field(repr=False)
    """PKCS #12 with the client's key, encrypted."""
    authority: bytes
    """The CA's certificate, DER."""
    passphrase: str = field(default="", repr=False)
    """Of the container, if the device is not to ask for it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One connection of one user."""

    name: str
    """How the device calls it."""
    server: str
    user: str
    machine: PresharedKey | Certificate
    routes: tuple[IPv4Network, ...] = ()
    """What goes through the VPN; empty for everything."""
    behind_nat: bool = False
    """Whether the gateway is behind a NAT that it hides from nobody."""
    strict: bool = False
    """Whether the gateway takes no SHA-1 in Phase 1."""


def file_stem(name: str) -> str:
    """Return a name for files, made of a connection's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "vpn"
