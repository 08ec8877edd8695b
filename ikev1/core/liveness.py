"""Dead peer detection (RFC 3706), only where nothing else shows that a client lives.

A client is alive when an authenticated IKE message of it comes, or when its inbound SAs have
carried something since the last look. After `dpd_delay` seconds without either it is probed with
R-U-THERE, if it announced dead peer detection, and after `dpd_timeout` it is gone. A client that
cannot be probed is left to L2TP's own Hello, whose answers come through the SA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ikev1.core import informational
from ikev1.core.clients import Client
from ikev1.core.context import Context
from ikev1.core.effects import CountReceived
from ikev1.core.exchange import ConnectionSettings

PROBE_INTERVAL = 10.0
"""Seconds between two R-U-THERE of one client: UDP loses some."""


@dataclass(slots=True)
class _Watch:
    """What is known of one client's life."""

    seen: float
    octets: int = 0
    """Received through its SAs at the last look."""
    sequence: int = 0
    """Of the last R-U-THERE (RFC 3706 section 5.4: a counter)."""


class Liveness:
    """Watches all clients. `at` sets a timer."""

    def __init__(self, context: Context, at: Callable[[float, Callable[[], None]], None]) -> None:
        self._context = context
        self._at = at
        self._watches: dict[str, _Watch] = {}
        self._looks: dict[int, str] = {}
        """Client identifiers by ticket of the question for its octets."""

    def seen(self, client_id: str) -> None:
        """An authenticated message of the client has come."""
        watch = self._watches.get(client_id)
        client = self._context.clients.by_id(client_id)
        if watch is not None:
            watch.seen = self._context.now
        elif client is not None and (delay := self._settings(client).dpd_delay):
            self._watches[client_id] = _Watch(self._context.now)
            self._check_at(client_id, self._context.now + delay)

    def counted(self, ticket: int, octets: int) -> None:
        """The host's answer to a look."""
        client_id = self._looks.pop(ticket, "")
        watch = self._watches.get(client_id)
        client = self._context.clients.by_id(client_id)
        if watch is None or client is None:
            self._watches.pop(client_id, None)
            return
        if octets != watch.octets:
            watch.octets = octets
            watch.seen = self._context.now
            self._check_at(client_id, watch.seen + self._settings(client).dpd_delay)
        else:
            self._suspect(client, watch)

    def _settings(self, client: Client) -> ConnectionSettings:
        return self._context.settings.of(client.connection)

    def _check_at(self, client_id: str, deadline: float) -> None:
        self._at(deadline, partial(self._check, client_id))

    def _check(self, client_id: str) -> None:
        watch = self._watches[client_id]
        client = self._context.clients.by_id(client_id)
        delay = self._settings(client).dpd_delay if client is not None else 0
        if client is None or not delay:
            del self._watches[client_id]
            return
        due = watch.seen + delay
        if due > self._context.now:
            self._check_at(client_id, due)
            return
        ticket = self._context.ticket()
        self._looks[ticket] = client_id
        self._context.emit(CountReceived(ticket, client.mark))

    def _suspect(self, client: Client, watch: _Watch) -> None:
        """Neither messages nor packets for `dpd_delay`: ask, or give up."""
        settings = self._settings(client)
        sa = self._context.newest_ike_sa(client)
        if sa is None or not sa.implementation.dpd:
            self._check_at(client.id, self._context.now + settings.dpd_delay)
            return
        silence = self._context.now - watch.seen
        if silence >= settings.dpd_timeout:
            del self._watches[client.id]
            self._context.remove_client(client, f"no sign of life for {silence:.0f} s", tell=True)
            return
        if not watch.sequence:
            watch.sequence = int.from_bytes(self._context.random(2), "big")
        watch.sequence += 1
        self._context.inform(sa, informational.probe(sa, watch.sequence))
        self._check_at(client.id, self._context.now + PROBE_INTERVAL)
