"""One request to the daemon, one answer from it."""

from __future__ import annotations

import socket
from contextlib import suppress

from cli.control import (
    MAX_RESPONSE,
    ControlError,
    Request,
    Response,
    build_request,
    parse_response,
)

TIMEOUT = 30.0
"""Seconds to wait for the daemon. `down` for thousands of clients takes some."""


class NotRunningError(Exception):
    """Nobody answers on the socket."""


class NotPermittedError(Exception):
    """The socket is root's."""


class ExchangeFailedError(Exception):
    """The daemon was reached, but the answer did not come or cannot be read."""


def ask(path: str, request: Request, limit: float = TIMEOUT) -> Response:
    """Return the daemon's answer, which may take `limit` seconds.

    Raises NotRunningError, NotPermittedError or ExchangeFailedError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        _connect(connection, path)
        try:
            # A daemon that refuses us does so without reading, and may have closed by now.
            with suppress(BrokenPipeError):
                connection.sendall(build_request(request))
            return parse_response(_line(connection))
        except TimeoutError:
            raise ExchangeFailedError(f"no answer for {limit:.0f} seconds") from None
        except OSError as error:
            raise ExchangeFailedError(f"the connection broke: {error.strerror}") from None
        except ControlError as error:
            raise ExchangeFailedError(str(error)) from None


def _connect(connection: socket.socket, path: str) -> None:
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunningError from None
    except PermissionError:
        raise NotPermittedError from None
    except OSError as error:
        raise ExchangeFailedError(f"cannot connect: {error.strerror or error}") from None


def _line(connection: socket.socket) -> bytes:
    parts = [connection.recv(1 << 16)]
    size = len(parts[0])
    while parts[-1] and not parts[-1].endswith(b"\n"):
        parts.append(connection.recv(1 << 16))
        size += len(parts[-1])
        if size > MAX_RESPONSE:
            raise ExchangeFailedError("the answer is too long")
    if not parts[-1]:
        raise ExchangeFailedError("the daemon ended before its answer did")
    return b"".join(parts)
