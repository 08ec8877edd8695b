"""What a client's L2TP is told to play. What known clients are like is in `interop.clients`."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from l2tp.wire.enums import AvpType, MessageType

L2TP_PORT = 1701
"""RFC 2661 section 8.1."""


class Drawn(enum.Enum):
    """A value that each call draws anew."""

    TUNNEL_ID = "tunnel ID"
    SESSION_ID = "session ID"
    SERIAL = "serial number"


@dataclass(frozen=True, slots=True)
class AvpLine:
    """One AVP of a message; a value in octets goes out as it stands."""

    type: AvpType
    value: int | str | bytes | Drawn
    mandatory: bool = True


@dataclass(frozen=True, slots=True)
class Backoff:
    """When to repeat: after `base` seconds, each time `factor` longer, up to `cap`; how often."""

    base: float
    tries: int
    factor: float = 1.0
    cap: float = 8.0


RFC_2661 = Backoff(1.0, 5, 2.0)
"""Section 5.8."""


@dataclass(frozen=True, slots=True)
class L2tpProfile:
    """A client's L2TP. The messages are their AVPs in order, behind the Message Type."""

    port: int
    """Of its UDP socket; 0 for one that the system picks."""
    sccrq: tuple[AvpLine, ...]
    icrq: tuple[AvpLine, ...]
    iccn: tuple[AvpLine, ...]
    scccn: tuple[AvpLine, ...] = ()
    cdn: tuple[AvpLine, ...] = ()
    stopccn: tuple[AvpLine, ...] = ()
    window: int = 4
    """Messages that may be under way to the server."""
    waits_for_zlb: bool = False
    """Whether nothing follows SCCCN and ICCN before an empty or a Hello acknowledges them."""
    retransmission: Backoff = RFC_2661
    hello: float | None = None
    """Seconds of silence before it sends a Hello; None if it never does."""
    stray_hellos: int = 0
    """Hellos for tunnel 0 that go before SCCRQ."""
    length_bit: bool = True
    """Whether data messages have a length."""
    hang_up: tuple[MessageType, ...] = (MessageType.CDN, MessageType.STOPCCN)
    requires: Mapping[MessageType, frozenset[AvpType]] = field(default_factory=dict)
    """AVPs without which it does not take a message."""
    strict_header: bool = False
    """Whether the flags of control messages must be T, L, S and version 2, and nothing behind."""
