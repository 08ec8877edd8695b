"""NAT keepalives where we are the side behind the NAT (RFC 3948 sections 2.3 and 4).

One octet on the path that ESP in UDP uses, so that the NAT before us does not forget the client.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ikev1.core.context import Context
from ikev1.core.effects import Send

KEEPALIVE = b"\xff"
INTERVAL = 20.0
"""Seconds, the default of RFC 3948 section 4."""


class Keepalives:
    """Sends them for every client that asks for it by its NAT situation. `at` sets a timer."""

    def __init__(self, context: Context, at: Callable[[float, Callable[[], None]], None]) -> None:
        self._context = context
        self._at = at
        self._kept: set[str] = set()

    def keep(self, client_id: str) -> None:
        """Send keepalives to this client from now on, as long as it is there."""
        if client_id not in self._kept:
            self._kept.add(client_id)
            self._later(client_id)

    def _later(self, client_id: str) -> None:
        self._at(self._context.now + INTERVAL, partial(self._send, client_id))

    def _send(self, client_id: str) -> None:
        client = self._context.clients.by_id(client_id)
        if client is None:
            self._kept.discard(client_id)
            return
        # Not `Context.send`: a keepalive has no non-ESP marker.
        self._context.emit(Send(client.path, KEEPALIVE))
        self._later(client_id)
