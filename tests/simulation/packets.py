"""What travels: datagrams, and ESP whose encryption is an equality of keys."""

from __future__ import annotations

from typing import NamedTuple


class Inner(NamedTuple):
    """The UDP datagram that ESP in transport mode carries."""

    sport: int
    dport: int
    payload: bytes


class Esp(NamedTuple):
    """An ESP packet: whoever has the same keys can open it."""

    spi: int
    sequence: int
    keys: bytes
    inner: Inner


class Packet(NamedTuple):
    """An IP packet; in one with ESP alone the ports are 0."""

    src: str
    sport: int
    dst: str
    dport: int
    payload: bytes | Esp


ESP_OVERHEAD = 60
"""Octets that headers, padding and ICV add, roughly: byte limits need no more."""


def size_of(esp: Esp) -> int:
    """Octets that count against an SA's limit."""
    return len(esp.inner.payload) + ESP_OVERHEAD
