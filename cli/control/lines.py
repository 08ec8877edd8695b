"""Requests and answers as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from cli.control.errors import ControlError, UnknownRequestError
from cli.control.requests import REQUESTS, Request
from cli.control.responses import (
    DownResponse,
    ErrorResponse,
    MetricsResponse,
    PingResponse,
    Response,
    StatusResponse,
    VerifyResponse,
)
from cli.control.text import printable
from cli.control.values import ClientStatus, Finding, GatewayStatus

PROTOCOL_VERSION = 1

MAX_REQUEST = 4096
"""Bytes of a request line with its newline. The longest real one, `down` for a user, has 100."""

MAX_RESPONSE = 64 * 1024 * 1024
"""Bytes of an answer that the tool reads. A client takes about 1 kB: this is 60,000 clients."""

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
