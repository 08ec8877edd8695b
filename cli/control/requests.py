"""What may be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cli.control.errors import ControlError

MAX_SELECTOR = 1024
"""Characters of what `down` selects by; the longest is a user name, which pppd bounds at 1024."""


@dataclass(frozen=True, slots=True)
class Request:
    """What may be asked, by its name on the line."""

    KIND: ClassVar[str]


@dataclass(frozen=True, slots=True)
class PingRequest(Request):
    """Ask whether the daemon is there, and which version it is."""

    KIND: ClassVar[str] = "ping"


@dataclass(frozen=True, slots=True)
class StatusRequest(Request):
    """Describe the gateway and every client."""

    KIND: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownRequest(Request):
    """Hang up and forget some clients. Exactly one field is set."""

    KIND: ClassVar[str] = "down"

    client: str = ""
    """Client identifier."""
    user: str = ""
    """PPP user name: all sessions of this user."""
    peer: str = ""
    """Address, or address:port, that the clients' packets come from."""
    everyone: bool = False

    def __post_init__(self) -> None:
        """Raise ControlError unless it selects in exactly one way."""
        selectors = (self.client, self.user, self.peer)
        if sum(map(bool, selectors)) + self.everyone != 1:
            raise ControlError("down needs exactly one of: client, user, peer, everyone")
        if max(map(len, selectors)) > MAX_SELECTOR:
            raise ControlError(f"down selects by {MAX_SELECTOR} characters at most")


@dataclass(frozen=True, slots=True)
class VerifyRequest(Request):
    """Look at the machine and at the gateway, and say what is wrong."""

    KIND: ClassVar[str] = "verify"


@dataclass(frozen=True, slots=True)
class MetricsRequest(Request):
    """Count everything, for a monitoring system."""

    KIND: ClassVar[str] = "metrics"


REQUESTS: tuple[type[Request], ...] = (
    PingRequest,
    StatusRequest,
    DownRequest,
    VerifyRequest,
    MetricsRequest,
)
