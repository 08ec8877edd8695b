"""How large an inner packet becomes on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.ikev1d.config import Esp
from ikev1.core.proposals import ESP_ENCRYPTION, ESP_INTEGRITY
from xfrm.algorithms import AEAD, INTEGRITY

OUTER_IP = 20
UDP_HEADER = 8
"""Twice: ESP in UDP (RFC 3948 section 2.1), and L2TP in ESP."""
ESP_HEADER = 8
"""SPI and sequence number (RFC 4303 section 2)."""
ESP_TRAILER = 2
"""Pad length and next header."""
L2TP_HEADER = 8
"""Flags, length, tunnel and session ID (RFC 2661 section 3.1). Sequence numbers, which hardly any
client asks for, take 4 more."""
PPP_HEADER = 4
"""Address, control and protocol, none of them compressed (RFC 1661, RFC 1662)."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an algorithm adds, in octets."""

    name: str
    """As in the configuration: the cipher's that is combined with its MAC, else the MAC's."""
    iv: int
    block: int
    icv: int


def overheads(esp: Esp) -> Iterator[Overhead]:
    """The largest of each MAC of the configuration, with AES-CBC (RFC 3602), then of AES-GCM."""
    combined = {
        name: kernel_name
        for name, kernel_name in ESP_ENCRYPTION.values()
        if name in esp.encryption and kernel_name in AEAD
    }
    for name, kernel_name in ESP_INTEGRITY.values():
        if name in esp.integrity and combined.keys() < set(esp.encryption):
            yield Overhead(name, 16, 16, INTEGRITY[kernel_name].icv // 8)
    for name, kernel_name in combined.items():
        yield Overhead(name, 8, 4, AEAD[kernel_name].icv // 8)


def size_on_the_wire(inner: int, overhead: Overhead) -> int:
    """Octets of the outer IP packet with an inner one of `inner` octets, through a NAT."""
    payload = UDP_HEADER + L2TP_HEADER + PPP_HEADER + inner + ESP_TRAILER
    padded = -(-payload // overhead.block) * overhead.block
    return OUTER_IP + UDP_HEADER + ESP_HEADER + overhead.iv + padded + overhead.icv


def largest_inner(outer: int, overhead: Overhead) -> int:
    """The largest inner packet that fits into an outer one of `outer` octets."""
    fixed = size_on_the_wire(0, overhead) - overhead.block
    inner = max(outer - fixed, 0)
    while inner and size_on_the_wire(inner, overhead) > outer:
        inner -= 1
    return inner
