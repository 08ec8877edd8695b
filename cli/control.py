"""The control protocol between `ikectl` and `ikev1d`: one JSON line each way on a unix socket.

A request is one object on one line, an answer too; then the daemon closes. Every line carries
`"v"`, the protocol version. Fields that a reader does not know are ignored, so that a newer daemon
can tell an older tool more; a request that the daemon does not know is answered with the error
`unknown-request`. Both programs import this module and nothing else of each other.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

PROTOCOL_VERSION = 1
DEFAULT_SOCKET = "/run/ikev1d/control"
DEFAULT_CONFIG = "/etc/ikev1d.toml"

MAX_REQUEST = 4096
"""Bytes of a request line with its newline. The longest real one, `down` for a user, has 100."""

MAX_RESPONSE = 64 * 1024 * 1024
"""Bytes of an answer that the tool reads. A client takes about 1 kB: this is 60,000 clients."""

MAX_SELECTOR = 1024
"""Characters of what `down` selects by; the longest is a user name, which pppd bounds at 1024."""


class ControlError(Exception):
    """A line that is not of this protocol. The text names what is wrong, never quotes the line."""


def printable(text: str, limit: int = 200) -> str:
    r"""Return `text` safe to show on a terminal and in a log: it may come from a peer.

    Control and format characters (newlines, ANSI escapes, bidirectional overrides) become escapes
    such as \x1b, a backslash becomes \\, and what exceeds `limit` characters is cut with an
    ellipsis.
    """
    if len(text) <= limit and text.isprintable() and "\\" not in text:
        return text
    cut = len(text) > limit
    shown = "".join(
        char if char.isprintable() and char != "\\" else _escape(char) for char in text[:limit]
    )
    return f"{shown}…" if cut else shown


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


# --- values ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatus:
    """One client as the gateway sees it. None and "" mean: not known, or not there yet."""

    client: str
    """Identifier in the logs, made from the initiator cookie of its first Phase 1."""
    state: str
    """How far it has come: "ike", "esp", "l2tp", "ppp", then "up"; "closing" on the way out."""
    peer_address: str
    """Where its packets come from, after any NAT."""
    peer_port: int
    local_address: str
    """The gateway's address that the client dialled."""
    identity: str
    """Phase 1 identity: an address, "@fqdn", "user@fqdn" or "keyid:text"."""
    connection: str
    """Name of the [[psk]] entry that let it in."""
    implementation: str = ""
    """What its vendor IDs say it is."""
    nat: str = "none"
    """Who is behind a NAT: "none", "client", "server" or "both"."""
    ike_algorithms: str = ""
    """As "aes256-sha256-modp2048"."""
    esp_algorithms: str = ""
    """As "aes256-sha1"."""
    user: str = ""
    auth: str = ""
    """PPP authentication protocol: "mschapv2", "chap-md5" or "pap"."""
    inner_address: str = ""
    interface: str = ""
    data_path: str = ""
    """Who moves its packets: "kernel", or "user" where that will not do."""
    data_path_cause: str = ""
    """Why it is not the kernel."""
    age: int = 0
    """Seconds since its first Phase 1 was established."""
    bytes_in: int = 0
    """ESP bytes from the client, over all its SAs."""
    bytes_out: int = 0
    ike_rekey: int | None = None
    """Seconds until the IKE SA expires; None where there is none."""
    esp_rekey: int | None = None
    spi_in: str = ""
    """SPI of the inbound SA, eight hex digits."""
    spi_out: str = ""
    mark: int = 0
    tunnel_id: int | None = None
    """Our L2TP tunnel ID; `peer_tunnel_id` is the client's."""
    peer_tunnel_id: int | None = None
    session_id: int | None = None
    peer_session_id: int | None = None
    host_name: str = ""
    """Host Name AVP of its SCCRQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """The daemon itself."""

    version: str
    pid: int
    uptime: int
    """Seconds."""
    listen: tuple[str, ...]
    """The local addresses, as "192.0.2.1:500"."""
    half_open: int
    """Phase 1 exchanges under way."""
    established: int
    """Clients with an IKE SA."""
    config: str = ""
    """Path of the configuration in force."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Refused exchanges and dropped datagrams by cause, since the start."""


class Level(StrEnum):
    """How bad a finding is: what works, what is worth knowing, what may fail, what does fail."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that `verify` has looked at."""

    check: str
    """Its lasting name, "subject.detail"."""
    level: str
    """One of `Level`, or of a newer daemon."""
    what: str
    """What is so."""
    why: str = ""
    """Why it matters."""
    remedy: str = ""
    """The command, package or line of configuration that changes it."""


# --- requests ----------------------------------------------------------------------------------


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


# --- responses ---------------------------------------------------------------------------------


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


class UnknownRequestError(ControlError):
    """A request that this version does not have."""


# --- lines -------------------------------------------------------------------------------------

_RESPONSES: dict[str, type[Response]] = {
    kind.KIND: kind
    for kind in (
        PingResponse,
        StatusResponse,
        DownResponse,
        VerifyResponse,
        MetricsResponse,
        ErrorResponse,
    )
}


def build_request(request: Request) -> bytes:
    """Return the line that carries `request`, with its newline."""
    return _line({"v": PROTOCOL_VERSION, "request": request.KIND} | _plain(request))


def parse_request(line: bytes, kinds: Iterable[type[Request]] = REQUESTS) -> Request:
    """Return the request on `line`, which is one of `kinds`.

    Raises UnknownRequestError for a request of another version, ControlError for anything else
    that is not a request.
    """
    document = _document(line)
    kind = document.get("request")
    if not isinstance(kind, str):
        raise ControlError("no request is named")
    known = {each.KIND: each for each in kinds}
    if kind not in known:
        raise UnknownRequestError(f"this daemon has no request {printable(kind, 40)}")
    return _typed(known[kind], document)


def build_response(response: Response) -> bytes:
    """Return the line that carries `response`, with its newline."""
    return _line({"v": PROTOCOL_VERSION, "response": response.KIND} | _plain(response))


async def build_status(
    gateway: GatewayStatus, clients: AsyncIterable[Sequence[ClientStatus]]
) -> AsyncGenerator[bytes]:
    """The line of a StatusResponse in parts, one for each batch of clients.

    In one go ten thousand clients would take half a second, and their memory as long as it lasts.
    """
    end = b"]}\n"
    yield build_response(StatusResponse(gateway=gateway)).removesuffix(end)
    separator = b""
    async for batch in clients:
        for client in batch:
            yield separator + json.dumps(_plain(client), separators=(",", ":")).encode()
            separator = b","
    yield end


def parse_response(line: bytes) -> Response:
    """Return the response on `line`. Raises ControlError where it is not one."""
    document = _document(line)
    kind = document.get("response")
    if not isinstance(kind, str) or kind not in _RESPONSES:
        raise ControlError("the answer is of a kind that this ikectl does not know")
    return _typed(_RESPONSES[kind], document)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    # RecursionError: 4096 opening brackets are within the bound on a line.
    except (ValueError, RecursionError):
        raise ControlError("the line is not JSON") from None
    if not isinstance(document, dict):
        raise ControlError("the line is not a JSON object")
    version = document.get("v")
    if version != PROTOCOL_VERSION or isinstance(version, bool):
        raise ControlError(f"the line is not of control protocol version {PROTOCOL_VERSION}")
    return document


def _plain(value: object) -> Any:
    """The JSON form of a value of this module."""
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}  # type: ignore[arg-type]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _list(value: object, item: Callable[[object], Any]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(item(element) for element in value)


def _counters(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise TypeError
    return {_string(name): _integer(count) for name, count in value.items()}


_READERS: dict[str, Callable[[object], Any]] = {
    "str": _string,
    "int": _integer,
    "int | None": lambda value: None if value is None else _integer(value),
    "bool": _boolean,
    "tuple[str, ...]": lambda value: _list(value, _string),
    "Mapping[str, int]": _counters,
    "GatewayStatus": lambda value: _typed(GatewayStatus, value),
    "tuple[ClientStatus, ...]": lambda value: _list(value, lambda item: _typed(ClientStatus, item)),
    "tuple[Finding, ...]": lambda value: _list(value, lambda item: _typed(Finding, item)),
}
"""How a JSON value becomes a field, by the field's annotation; each raises TypeError."""

T = TypeVar("T")


def _typed(kind: type[T], document: object) -> T:
    """Return the value of `kind` that `document` is the JSON form of."""
    if not isinstance(document, dict):
        raise ControlError(f"{kind.__name__} is not a JSON object")
    values = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name not in document:
            continue
        try:
            values[item.name] = _READERS[str(item.type)](document[item.name])
        except TypeError:
            raise ControlError(f"{kind.__name__}.{item.name} is not {item.type}") from None
    try:
        return kind(**values)
    except TypeError:
        raise ControlError(f"{kind.__name__} lacks a field") from None
