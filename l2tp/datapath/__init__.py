"""Where the packets of a PPP session go: the kernel's own L2TP and PPP, or a TUN interface."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What IPCP and LCP agreed upon for the network interface of a session."""

    local_address: str
    peer_address: str
    mtu: int
    """Octets of the largest IP packet for the peer: no more than the peer's MRU."""
    proxy_arp: str | None = None
    """Interface on which ARP requests for the peer's address are answered; None for no answer."""


@dataclass(frozen=True, slots=True)
class Counters:
    """PPP frames and their octets, both ways: all of them, or those with IP packets."""

    received_packets: int
    received_bytes: int
    receive_errors: int
    sent_packets: int
    sent_bytes: int
    send_errors: int
