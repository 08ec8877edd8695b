"""Giving a profile to one device, once, over HTTP.

The URL has a path that nobody guesses, and it is good for one whole answer or until the time is up.
HTTP, since a device does not know our CA before it has the profile; so it is for a network in which
nobody listens, and addresses of the internet are refused.
"""

from __future__ import annotations

import hmac
import secrets
import socketserver
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, ip_address
from typing import Any

from cli.ikectl.errors import CommandError

TOKEN_BYTES = 16
CONNECTION_TIMEOUT = 10.0
"""Seconds in which a device has to send its request, and to take some of the answer."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is given away."""

    file: str
    media_type: str
    data: bytes


class OneTimeServer(ThreadingHTTPServer):
    """Answers the first request for its document, and no other."""

    daemon_threads = True

    def __init__(self, address: IPv4Address, port: int, document: Document) -> None:
        self.document = document
        self.path = f"/{secrets.token_urlsafe(TOKEN_BYTES)}/{document.file}"
        self.taker = ""
        """Who got it."""
        self._turn = threading.Lock()
        self._given = threading.Event()
        super().__init__((str(address), port), _Handler)

    def server_bind(self) -> None:
        """Bind, without looking up the name of the address as HTTPServer does: that takes time."""
        socketserver.TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """Where the document is."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}{self.path}"

    def wait(self, seconds: float) -> bool:
        """Serve until somebody has the document or the time is up; whether somebody has it."""
        thread = threading.Thread(target=self.serve_forever, daemon=True)
        thread.start()
        try:
            return self._given.wait(seconds)
        finally:
            self.shutdown()
            thread.join()
            # Now, and not when the object goes: who comes late is turned away, and does not wait.
            self.server_close()

    def give(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request. One at a time: the document leaves once."""
        if not hmac.compare_digest(handler.path.encode(), self.path.encode()):
            handler.send_error(HTTPStatus.NOT_FOUND)
            return
        with self._turn:
            if self._given.is_set():
                handler.send_error(HTTPStatus.GONE)
                return
            handler.send_response(HTTPStatus.OK)
            handler.send_header("Content-Type", self.document.media_type)
            handler.send_header("Content-Length", str(len(self.document.data)))
            handler.send_header("Cache-Control", "no-store")
            handler.end_headers()
            handler.wfile.write(self.document.data)
            handler.wfile.flush()
            self.taker = str(handler.client_address[0])
            self._given.set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a device that went away: it may come again."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: OneTimeServer
    server_version = "ikectl"
    sys_version = ""
    timeout = CONNECTION_TIMEOUT

    def do_GET(self) -> None:
        self.server.give(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Log nothing: the path is a secret."""


def parse_address(text: str) -> tuple[IPv4Address, int]:
    """Return address and port (0: any) of "192.168.1.99:8080". Raises CommandError."""
    host, _, port = text.partition(":")
    try:
        address, number = ip_address(host), int(port or "0")
    except ValueError:
        raise CommandError(f'"{text}" is not ADDRESS or ADDRESS:PORT') from None
    if not isinstance(address, IPv4Address) or not 0 <= number <= 0xFFFF:
        raise CommandError(f'"{text}" is not ADDRESS or ADDRESS:PORT')
    if not address.is_private or address.is_unspecified:
        raise CommandError(
            f"{address} is not an address of a private network: a profile holds secrets, and goes "
            "unencrypted; use --url with a web server of yours that has HTTPS"
        )
    return address, number
