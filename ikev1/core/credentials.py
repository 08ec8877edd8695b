"""Preshared keys: which of them may belong to the client at an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_CANDIDATES = 64
"""Keys tried against one message 5. Each costs some 30 microseconds of PRF and one decryption."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ANY = None


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """One preshared key and whom it is for."""

    connection: str
    secret: bytes = field(repr=False)
    local: Network | None = ANY
    """The gateway's address, None for any."""
    remote: Network | None = ANY
    """The client's address as the gateway sees it, None for any."""
    identity: str | None = None
    """The identity the client must show, None for any."""
    one_client: bool = False
    """Whether it was given to one client alone, so that whoever has it is that client."""

    def fits(self, local: str, remote: str) -> bool:
        """Whether this key may be used between these addresses."""
        return (self.local is None or ipaddress.ip_address(local) in self.local) and (
            self.remote is None or ipaddress.ip_address(remote) in self.remote
        )

    @property
    def closeness(self) -> tuple[int, int, bool]:
        """How exactly the client is named: a pair of hosts before a network before %any.

        Of two for the same addresses the one for a certain identity.
        """
        remote = -1 if self.remote is None else self.remote.prefixlen
        local = -1 if self.local is None else self.local.prefixlen
        return remote, local, self.identity is not None


class Credentials:
    """The gateway's preshared keys, closest first.

    In Main Mode the key is needed before the identity is known (RFC 2409 section 5.4), so several
    may be possible; message 5 shows which of them it is.
    """

    def __init__(self, keys: Iterable[PresharedKey]) -> None:
        self._keys = tuple(sorted(keys, key=lambda key: key.closeness, reverse=True))
        self._secrets = frozenset(key.secret for key in self._keys)

    def has(self, key: PresharedKey) -> bool:
        """Whether this key is still among them, whoever it is for now."""
        return key.secret in self._secrets

    def candidates(self, local: str, remote: str) -> tuple[PresharedKey, ...]:
        """The keys that may be the client's, closest first, `MAX_CANDIDATES` at most."""
        fitting = (key for key in self._keys if key.fits(local, remote))
        return tuple(key for key, _ in zip(fitting, range(MAX_CANDIDATES), strict=False))
