"""The control protocol between `ikectl` and `ikev1d`: one JSON line each way on a unix socket.

A request is one object on one line, an answer too; then the daemon closes. Every line carries
`"v"`, the protocol version. Fields that a reader does not know are ignored, so that a newer daemon
can tell an older tool more; a request that the daemon does not know is answered with the error
`unknown-request`. Both programs import this package and nothing else of each other.
"""

from cli.control.errors import ControlError, UnknownRequestError
from cli.control.lines import (
    MAX_REQUEST,
    MAX_RESPONSE,
    PROTOCOL_VERSION,
    build_request,
    build_response,
    build_status,
    parse_request,
    parse_response,
)
from cli.control.requests import (
    MAX_SELECTOR,
    REQUESTS,
    DownRequest,
    MetricsRequest,
    PingRequest,
    Request,
    StatusRequest,
    VerifyRequest,
)
from cli.control.responses import (
    DownResponse,
    ErrorCode,
    ErrorResponse,
    MetricsResponse,
    PingResponse,
    Response,
    StatusResponse,
    VerifyResponse,
)
from cli.control.text import printable
from cli.control.values import ClientStatus, Finding, GatewayStatus, Level

DEFAULT_SOCKET = "/run/ikev1d/control"
DEFAULT_CONFIG = "/etc/ikev1d.toml"

__all__ = [
    "DEFAULT_CONFIG",
    "DEFAULT_SOCKET",
    "MAX_REQUEST",
    "MAX_RESPONSE",
    "MAX_SELECTOR",
    "PROTOCOL_VERSION",
    "REQUESTS",
    "ClientStatus",
    "ControlError",
    "DownRequest",
    "DownResponse",
    "ErrorCode",
    "ErrorResponse",
    "Finding",
    "GatewayStatus",
    "Level",
    "MetricsRequest",
    "MetricsResponse",
    "PingRequest",
    "PingResponse",
    "Request",
    "Response",
    "StatusRequest",
    "StatusResponse",
    "UnknownRequestError",
    "VerifyRequest",
    "VerifyResponse",
    "build_request",
    "build_response",
    "build_status",
    "parse_request",
    "parse_response",
    "printable",
]
