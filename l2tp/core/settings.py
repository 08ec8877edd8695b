"""What the operator decides about the LNS."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2tp.pool import AddressPool
from l2tp.ppp.settings import PppSettings

# RFC 2661 section 6.5 proposes 60 s between Hellos.
HELLO_INTERVAL = 60.0
MAX_TUNNELS = 4096
# One is the rule; a second one comes when a client redials before the first has timed out.
MAX_TUNNELS_PER_CLIENT = 4
# Every known client runs one call per tunnel.
MAX_SESSIONS_PER_TUNNEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LnsSettings:
    """An LNS. ``shared_secret`` turns on tunnel authentication, which most clients cannot do."""

    ppp: PppSettings
    pool: AddressPool
    host_name: str = "lns"
    vendor_name: str = ""
    firmware: int | None = None
    shared_secret: bytes | None = field(default=None, repr=False)
    hello_interval: float = HELLO_INTERVAL
    max_tunnels: int = MAX_TUNNELS
    max_tunnels_per_client: int = MAX_TUNNELS_PER_CLIENT
    max_sessions_per_tunnel: int = MAX_SESSIONS_PER_TUNNEL
