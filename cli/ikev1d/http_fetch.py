"""One HTTP request for a file of known size and time: no redirects, no TLS, no proxies."""

from __future__ import annotations

import http.client
import socket
import time
from urllib.parse import urlsplit

CHUNK = 65536
HTTP_OK = 200


class FetchError(Exception):
    """Nothing, or not what was wanted, came from an URL; the text says why."""


def fetch(
    url: str, *, seconds: float, octets: int, body: bytes | None = None, kind: str = ""
) -> bytes:
    """GET `url`, or POST `body` of a content type. Blocks, but for `seconds` at the most.

    Looking up the name is not in that time: the resolver has its own. Raises FetchError.
    """
    deadline = time.monotonic() + seconds
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FetchError("not an URL") from None
    if parts.scheme.lower() != "http" or not host:
        raise FetchError("not a http:// URL")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.connect()
        headers = {"Content-Type": kind} if body is not None else {}
        connection.request("GET" if body is None else "POST", path, body, headers)
        # Kept, for http.client lets go of it once the headers are there.
        wait = Deadline(connection.sock, deadline)
        wait.shorten()
        with connection.getresponse() as response:
            if response.status != HTTP_OK:
                raise FetchError(f"HTTP status {response.status}")
            return _read(response, wait, octets)
    except TimeoutError:
        raise FetchError(f"no answer within {seconds:.0f} s") from None
    except OSError as error:
        raise FetchError(error.strerror or str(error)) from None
    except (http.client.HTTPException, ValueError) as error:
        raise FetchError(f"bad answer: {type(error).__name__}") from None
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, wait: Deadline, octets: int) -> bytes:
    """All of the answer, unless it is too large or comes too slowly."""
    found = bytearray()
    while True:
        wait.shorten()
        piece = response.read1(CHUNK)
        if not piece:
            return bytes(found)
        found += piece
        if len(found) > octets:
            raise FetchError(f"more than {octets} octets")


class Deadline:
    """Lets each wait for a socket end at one moment, and not after a time of its own."""

    def __init__(self, waits: socket.socket, moment: float) -> None:
        self._socket = waits
        self._moment = moment

    def shorten(self) -> None:
        """The next wait is for what is left. Raises TimeoutError if that is nothing."""
        left = self._moment - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
