"""Serves the metrics over HTTP: GET /metrics, and nothing else (RFC 9112, in so far).

Whoever connects is bounded in bytes, time and number, and learns nothing but the metrics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cli.ikev1d.connections import Connections
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.metrics.exposition import CONTENT_TYPE
from cli.ikev1d.processes.errors import WorkerError
from xfrm.errors import KernelError

MAX_HEAD = 4096
"""Octets of a request line with its header fields; Prometheus sends some 300."""
MAX_CONNECTIONS = 8
TIMEOUT = 10.0
"""Seconds to send the request, and again to take the answer."""
PATH = "/metrics"
_END_OF_HEAD = b"\r\n\r\n"


class ListenError(Exception):
    """The address cannot be listened on; the text says which, and why."""


class MetricsListener:
    """Listens on one address. `text` makes the metrics."""

    def __init__(self, text: Callable[[], Awaitable[str]]) -> None:
        self._text = text
        self._server: asyncio.Server | None = None
        self._connections = Connections()
        self._log = ClientLog("ikev1d.metrics")

    async def start(self, address: str, port: int) -> None:
        """Listen. Raises ListenError."""
        try:
            self._server = await asyncio.start_server(self._accept, address, port, limit=MAX_HEAD)
        except OSError as error:
            raise ListenError(f"{address}:{port}: {error.strerror}") from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Close every connection, and listen no more."""
        if self._server is None:
            return
        self._server.close()
        await self._connections.end()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._connections.served(writer), suppress(OSError):  # TimeoutError is one
            if len(self._connections) > MAX_CONNECTIONS:
                return
            async with asyncio.timeout(TIMEOUT):
                answer = await self._answer(reader)
            writer.write(answer)
            async with asyncio.timeout(TIMEOUT):
                await writer.drain()
                writer.write_eof()
                # Until the other side has closed: what it has not read would be lost.
                await reader.read(1)

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(_END_OF_HEAD)
        except asyncio.LimitOverrunError:
            return _response("431 Request Header Fields Too Large")
        except asyncio.IncompleteReadError:
            return b""
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        target, _, version = rest.partition(" ")
        if not version.startswith("HTTP/1."):
            return _response("400 Bad Request")
        if target.partition("?")[0] != PATH:
            return _response("404 Not Found", f"see {PATH}\n")
        if method not in ("GET", "HEAD"):
            return _response("405 Method Not Allowed", extra="Allow: GET, HEAD\r\n")
        try:
            text = await self._text()
        except (KernelError, WorkerError) as error:
            self._log.error("no metrics", cause=error)
            return _response("503 Service Unavailable")
        return _response("200 OK", text, CONTENT_TYPE, with_body=method == "GET")


def _response(
    status: str,
    body: str = "",
    content_type: str = "text/plain; charset=utf-8",
    *,
    extra: str = "",
    with_body: bool = True,
) -> bytes:
    data = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
        f"Connection: close\r\n{extra}\r\n"
    )
    return head.encode() + (data if with_body else b"")
