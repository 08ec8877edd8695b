"""What a user gives a client, and what a connection leaves behind."""

from dataclasses import dataclass, field

from interop.certificates import Identity
from interop.ppp.login import Account


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the user has typed into the client. With a `certificate` the key is not used."""

    psk: bytes = field(repr=False)
    account: Account
    certificate: Identity | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """What an ended connection of this machine has left: for who comes back without a goodbye."""

    cookies: frozenset[bytes] = frozenset()
    """Initiator cookies of its ISAKMP SAs."""
    spis: frozenset[bytes] = frozenset()
    """SPIs of its inbound ESP SAs."""
    tunnels: frozenset[int] = frozenset()
    """Its L2TP tunnel IDs."""
