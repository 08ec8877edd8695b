"""What the operator decides about the LNS."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from l2tp.pool import AddressPool
from l2tp.ppp.settings import EchoSettings, PppSettings

# RFC 2661 section 6.5 proposes 60 s between Hellos.
HELLO_INTERVAL = 60.0
# Phones sleep: as long as a client may be silent in IKE.
PATIENCE = 180.0
MAX_TUNNELS = 4096
# One is the rule; a second one comes when a client redials before the first has timed out.
MAX_TUNNELS_PER_CLIENT = 4
# Every known client runs one call per tunnel.
MAX_SESSIONS_PER_TUNNEL = 4
# Half of the numbers there are, so that a random one is soon found free.
MAX_IDS = 0x8000
MAX_NAME = 255
# Between two answers to one client that goes on in a tunnel or a call that has ended.
HINT_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What may differ from client to client; times are seconds, an interval of 0 asks never."""

    hello_interval: float = HELLO_INTERVAL
    patience: float = PATIENCE
    """Silence after which a client that acknowledges nothing is gone, once a round is over."""
    echo: EchoSettings = field(default_factory=EchoSettings)


def _same_for_all(mark: int) -> ClientSettings:
    return ClientSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class LnsSettings:
    """An LNS. ``shared_secret`` turns on tunnel authentication, which most clients cannot do.

    ``of_client`` tells what holds for the client with a mark, when it opens a tunnel. The kernel
    has no two tunnels with one number: ``foreign_tunnel_ids`` are those of others on this machine.
    """

    ppp: PppSettings
    pool: AddressPool
    host_name: str = "lns"
    vendor_name: str = ""
    firmware: int | None = None
    shared_secret: bytes | None = field(default=None, repr=False)
    of_client: Callable[[int], ClientSettings] = _same_for_all
    foreign_tunnel_ids: Container[int] = ()
    max_tunnels: int = MAX_TUNNELS
    max_tunnels_per_client: int = MAX_TUNNELS_PER_CLIENT
    max_sessions_per_tunnel: int = MAX_SESSIONS_PER_TUNNEL

    def __post_init__(self) -> None:
        if not 0 < len(self.host_name.encode()) <= MAX_NAME:
            raise ValueError(f"host_name is from 1 to {MAX_NAME} octets")
        if len(self.vendor_name.encode()) > MAX_NAME:
            raise ValueError(f"vendor_name is up to {MAX_NAME} octets")
        if not 0 < self.max_tunnels <= MAX_IDS:
            raise ValueError(f"max_tunnels is from 1 to {MAX_IDS}")
