"""What the operator decides about PPP."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

# An inner packet of 1400 octets makes 1418 with UDP, L2TP and PPP in front; ESP with AES-CBC and
# SHA2-256 pads that to 1424 + 8 + 16 + 16, and IP with UDP 4500 makes it 1492: exactly what a
# PPPoE line carries in one piece.
DEFAULT_MRU = 1400
# Below this a peer's MRU would not even hold our own control packets.
MIN_MRU = 128
MAX_MRU = 1500
# Windows waits this long for nobody; iPhones sleep and must be allowed to miss a few.
ECHO_INTERVAL = 30.0
ECHO_FAILURES = 4
# A sign of life of a layer below shows that the peer's machine is there, and not that its L2TP or
# PPP is. So it puts off a Hello or an LCP echo, but to this many intervals at most.
PUT_OFF = 4
# From the first LCP packet to an open IPCP; a user who types a password again fits in.
SETUP_TIMEOUT = 60.0


class AuthProtocol(Enum):
    """Authentication protocols, under the names of the configuration."""

    MSCHAPV2 = "mschapv2"
    CHAP_MD5 = "chap-md5"
    PAP = "pap"


DEFAULT_AUTH = (AuthProtocol.MSCHAPV2, AuthProtocol.CHAP_MD5)


@dataclass(frozen=True, slots=True)
class EchoSettings:
    """LCP echo: seconds between requests, 0 for none, and how many in a row may be unanswered."""

    interval: float = ECHO_INTERVAL
    failures: int = ECHO_FAILURES


@dataclass(frozen=True, slots=True, kw_only=True)
class PppSettings:
    """PPP of every session. Times are seconds, sizes octets.

    ``auth_protocols`` are offered in their order. ``auth_retries`` is how often MS-CHAPv2 lets the
    user type the password again within one call.
    """

    local_address: IPv4Address
    dns: tuple[IPv4Address, ...] = ()
    wins: tuple[IPv4Address, ...] = ()
    mru: int = DEFAULT_MRU
    mtu: int = DEFAULT_MRU
    auth_protocols: tuple[AuthProtocol, ...] = DEFAULT_AUTH
    auth_name: str = "l2tp"
    auth_retries: int = 0
    setup_timeout: float = SETUP_TIMEOUT

    def __post_init__(self) -> None:
        if not self.auth_protocols:
            raise ValueError("auth_protocols is empty: a peer would come in unauthenticated")
        if len(self.dns) > 2 or len(self.wins) > 2:
            raise ValueError("IPCP has room for two DNS and two WINS servers")
        if not (MIN_MRU <= self.mru <= MAX_MRU and MIN_MRU <= self.mtu <= MAX_MRU):
            raise ValueError(f"mru and mtu are from {MIN_MRU} to {MAX_MRU}")
