"""What is answered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from cli.control.values import ClientStatus, Finding, GatewayStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResponse:
    """The daemon is there."""

    KIND: ClassVar[str] = "ping"

    version: str
    pid: int
    uptime: int
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResponse:
    """The gateway and its clients, the oldest first."""

    KIND: ClassVar[str] = "status"

    gateway: GatewayStatus
    clients: tuple[ClientStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DownResponse:
    """The clients that are being hung up; none where nothing matched."""

    KIND: ClassVar[str] = "down"

    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResponse:
    """What was looked at, subject by subject."""

    KIND: ClassVar[str] = "verify"

    running: bool
    """Whether the daemon answers; without it the machine alone has been looked at."""
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsResponse:
    """The gateway's counters."""

    KIND: ClassVar[str] = "metrics"

    text: str
    """In Prometheus' text format."""


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The request was not carried out."""

    KIND: ClassVar[str] = "error"

    code: str
    """One of `ErrorCode`, or of a newer daemon."""
    text: str
    """For people."""


class ErrorCode(StrEnum):
    """The codes of `ErrorResponse`."""

    BAD_REQUEST = "bad-request"
    UNKNOWN_REQUEST = "unknown-request"
    NOT_PERMITTED = "not-permitted"
    BUSY = "busy"
    FAILED = "failed"


Response = (
    PingResponse | StatusResponse | DownResponse | VerifyResponse | MetricsResponse | ErrorResponse
)
