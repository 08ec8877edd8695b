"""What every gateway of the lab is told, whichever program it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from interop.topology import GATEWAY_ADDRESS

USERS = MappingProxyType({"alice": "wonderland", "bob": "builder"})


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Addresses and secrets of a gateway. ``pool`` is its first and last client address."""

    address: str = GATEWAY_ADDRESS
    psk: str = field(default="correct horse battery staple", repr=False)
    users: Mapping[str, str] = field(default_factory=lambda: USERS, repr=False)
    local: str = "192.168.43.1"
    pool: tuple[str, str] = ("192.168.43.10", "192.168.43.99")
    dns: tuple[str, ...] = ("192.168.1.53", "192.168.1.54")
