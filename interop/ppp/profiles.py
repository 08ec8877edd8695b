"""What a client's PPP is told to play. What known clients are like is in `interop.clients`."""

import enum
from dataclasses import dataclass

from interop.lac.profiles import Backoff
from l2tp.wire.enums import Protocol
from l2tp.wire.ppp import Option


class Login(enum.Enum):
    """A protocol to authenticate by, under the gateway's names."""

    MSCHAPV2 = "mschapv2"
    CHAP_MD5 = "chap-md5"
    PAP = "pap"


@dataclass(frozen=True, slots=True)
class Dhcpinform:
    """A DHCPINFORM that goes through the link when it is up (RFC 2131 section 3.4)."""

    parameters: tuple[int, ...]
    """Option 55, in order."""
    client_id: bytes
    """Option 61."""
    chaddr: bytes
    interval: float
    tries: int


@dataclass(frozen=True, slots=True)
class Asks:
    """A protocol beside IPCP that a client begins, with the options of its request."""

    protocol: Protocol
    options: tuple[Option, ...] = ()


RFC_1661 = Backoff(3.0, 10)
"""Section 4.6."""


@dataclass(frozen=True, slots=True)
class PppProfile:
    """A client's PPP. Options in the order in which they are asked for."""

    lcp: tuple[Option, ...]
    """A Magic-Number is drawn in the place of the one here."""
    logins: tuple[Login, ...]
    """What it takes; the first is what it asks for when the server wants something else."""
    ipcp: tuple[Option, ...]
    first_identifier: int = 1
    """Of LCP's first Configure-Request."""
    identifications: tuple[bytes, ...] = ()
    """Messages of LCP Identification (RFC 1570 section 2.1) before its first answer to CHAP."""
    asks_for: tuple[Asks, ...] = ()
    """The network and compression protocols beside IPCP that it begins, in this order."""
    ipcp_last: bool = False
    """Whether it begins IPCP after those, not before."""
    echo: float | None = None
    """Seconds between its LCP echoes; None if it sends none."""
    echo_failures: int = 4
    restart: Backoff = RFC_1661
    dhcpinform: Dhcpinform | None = None
    terminates: bool = True
    """Whether it sends an LCP Terminate-Request when it hangs up."""
