"""The control socket: local requests of root, answered by the daemon.

Whatever connects is bounded in everything it can use: bytes of a request, time to send it and to
take the answer, and the number of connections. What it sends is parsed by `cli.control` alone.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import stat
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

from cli.control import (
    MAX_REQUEST,
    REQUESTS,
    ControlError,
    ErrorCode,
    ErrorResponse,
    Request,
    Response,
    UnknownRequestError,
    build_response,
    parse_request,
)
from cli.ikev1d.connections import Connections

MAX_CONNECTIONS = 16
"""Open at once; more are turned away. An operator and a monitoring agent need two."""

IDLE_TIMEOUT = 10.0
"""Seconds to send the request, and again to take the answer. TimeoutError is an OSError."""

SOCKET_MODE = 0o600
"""The socket is root's own. SO_PEERCRED is checked as well, in case somebody loosens this."""

DIRECTORY_MODE = 0o755
"""Others may see that the socket is there: so ikectl can tell "not root" from "not running"."""

Answer = Callable[[Request], Awaitable[Response | AsyncGenerator[bytes]]]
"""What a request is answered with: a response, or the line of a long one in parts."""


class ControlSocketError(Exception):
    """The control socket cannot be opened; the text names the path and the remedy."""


class ControlServer:
    """Listens on a unix socket and answers each request of these kinds with `answer`."""

    def __init__(
        self, path: Path, answer: Answer, kinds: Sequence[type[Request]] = REQUESTS
    ) -> None:
        self._path = path
        self._answer = answer
        self._kinds = kinds
        self._lock: int | None = None
        self._server: asyncio.Server | None = None
        self._connections = Connections()

    def lock(self) -> None:
        """Keep other daemons off the path. Raises ControlSocketError."""
        if self._lock is not None:
            return
        with self._errors():
            self._path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self._lock = _lock(self._path)

    async def start(self) -> None:
        """Open the socket, taking away the one that a killed daemon left.

        Raises ControlSocketError where another daemon runs on this path, where something else than
        a socket is there, or where the directory cannot be written.
        """
        self.lock()
        with self._errors():
            listener = _listener(self._path)
        self._server = await asyncio.start_unix_server(
            self._accept, sock=listener, limit=MAX_REQUEST
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._unlock()
            raise ControlSocketError(
                f"cannot open the control socket {self._path}: {error.strerror}; "
                "run as root, or set gateway.control_socket to another path"
            ) from error
        except ControlSocketError:
            self._unlock()
            raise

    async def close(self) -> None:
        """Close the socket and every connection, and remove the socket's file."""
        if self._server is None:
            return
        self._server.close()
        await self._connections.end()
        await self._server.wait_closed()
        self._server = None
        self._path.unlink(missing_ok=True)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._connections.served(writer):
            # So that `drain` waits for the last byte, and not for most of them.
            writer.transport.set_write_buffer_limits(high=0)
            response = await self._respond(reader, writer.get_extra_info("socket"))
            if response is not None:
                await _send(writer, response)

    async def _respond(
        self, reader: asyncio.StreamReader, connection: socket.socket
    ) -> Response | AsyncGenerator[bytes] | None:
        """The answer to what comes in on a connection; None where nobody waits for one."""
        if not _permitted(connection):
            text = "only root, or the user that ikev1d runs as, may ask"
            return ErrorResponse(ErrorCode.NOT_PERMITTED, text)
        if len(self._connections) > MAX_CONNECTIONS:
            text = f"{MAX_CONNECTIONS} requests are under way already"
            return ErrorResponse(ErrorCode.BUSY, text)
        try:
            async with asyncio.timeout(IDLE_TIMEOUT):
                line = await reader.readuntil(b"\n")
            request = parse_request(line, self._kinds)
        except asyncio.LimitOverrunError:
            text = f"a request has {MAX_REQUEST} bytes at most"
            return ErrorResponse(ErrorCode.BAD_REQUEST, text)
        except UnknownRequestError as error:
            return ErrorResponse(ErrorCode.UNKNOWN_REQUEST, str(error))
        except ControlError as error:
            return ErrorResponse(ErrorCode.BAD_REQUEST, str(error))
        except (asyncio.IncompleteReadError, OSError):
            return None
        return await self._answer(request)


async def _send(writer: asyncio.StreamWriter, answer: Response | AsyncGenerator[bytes]) -> None:
    """Send the answer; a peer that went away or does not take it in time goes without."""
    with suppress(OSError):
        if not isinstance(answer, AsyncGenerator):
            await _write(writer, build_response(answer))
            return
        async with aclosing(answer):
            async for part in answer:
                await _write(writer, part)


async def _write(writer: asyncio.StreamWriter, part: bytes) -> None:
    writer.write(part)
    async with asyncio.timeout(IDLE_TIMEOUT):
        await writer.drain()


def _permitted(connection: socket.socket) -> bool:
    """Whether the process that connected runs as root or as we do (struct ucred of unix(7))."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (0, os.geteuid())


def _lock(path: Path) -> int:
    """Return a file descriptor that holds the lock of this socket path.

    The kernel drops the lock with the process however it ends, so who holds it may take away any
    socket found there; two daemons that start at once cannot both think so.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SOCKET_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ControlSocketError(
            f"another ikev1d runs with the control socket {path}; stop it, "
            "or set gateway.control_socket to another path"
        ) from None
    return descriptor


def _listener(path: Path) -> socket.socket:
    """Return a listening socket at `path`, which nobody but its owner can ever have opened."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(mode):
            raise ControlSocketError(f"{path} is not a socket; move it away")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # On Linux bind() makes the file with the mode of the socket itself, so there is no moment
        # at which it is open to others.
        os.fchmod(listener.fileno(), SOCKET_MODE)
        listener.bind(str(path))
        listener.listen(MAX_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
