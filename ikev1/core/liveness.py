"""Dead peer detection (RFC 3706), only where nothing else shows that a client lives.

A client is alive when an authenticated IKE message of it comes, or when its inbound SAs have
carried something since the last look: whatever L2TP and PPP hear of it has come through them. After
`dpd_delay` seconds without either it is probed with R-U-THERE, if it announced dead peer detection,
and after `dpd_timeout` it is gone. A client that cannot be probed is left to L2TP's own questions,
whose answers come through the SA.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ikev1.core import informational
from ikev1.core.clients import Client
from ikev1.core.context import Context
from ikev1.core.effects import Alive, CountReceived, ProbeAnswered, Probed, Received
from ikev1.core.exchange import ConnectionSettings

PROBE_INTERVAL = 10.0
"""Seconds from the first R-U-THERE to the second, as UDP loses some; doubled up to `dpd_delay`."""
LOOK_BATCH = 16
"""Clients whose SAs are looked at together: less than a millisecond of the host's time."""
LOOK_PAUSE = 0.02
"""Seconds between two looks where more clients are due, for everything else to have its turn."""


@dataclass(slots=True)
class _Watch:
    """What is known of one client's life."""

    seen: float
    octets: int = 0
    """Received through its SAs at the last look."""
    unanswered: int = 0
    """R-U-THERE since the last sign of life."""
    acknowledged: bool = True
    """Whether the last R-U-THERE was answered by an R-U-THERE-ACK."""

    def alive(self, now: float) -> None:
        self.seen = now
        self.unanswered = 0


class Liveness:
    """Watches all clients. `at` sets a timer."""

    def __init__(self, context: Context, at: Callable[[float, Callable[[], None]], None]) -> None:
        self._context = context
        self._at = at
        self._watches: dict[str, _Watch] = {}
        self._due: deque[str] = deque()
        """Clients to be looked at, by identifier."""
        self._looks: dict[int, tuple[str, ...]] = {}
        """Client identifiers by ticket of the question for their octets."""

    def seen(self, client_id: str) -> None:
        """An authenticated message of the client has come."""
        client = self._context.clients.by_id(client_id)
        if client is None:
            return
        now = self._context.now
        self._context.emit(Alive(client.id, client.mark))
        watch = self._watches.get(client_id)
        if watch is not None:
            watch.alive(now)
        elif delay := self._settings(client).dpd_delay:
            self._watches[client_id] = _Watch(now)
            self._check_at(client_id, now + delay)

    def acknowledged(self, client_id: str, sequence: int) -> None:
        """An R-U-THERE-ACK of the client has come."""
        watch = self._watches.get(client_id)
        client = self._context.clients.by_id(client_id)
        if watch is None or client is None:
            return
        if not watch.acknowledged and sequence == client.probes:
            watch.acknowledged = True
            self._context.emit(ProbeAnswered(client_id))

    def counted(self, ticket: int, received: Received) -> None:
        """The host's answer to a look."""
        for client_id, octets in zip(self._looks.pop(ticket), received.octets, strict=True):
            watch = self._watches[client_id]
            client = self._context.clients.by_id(client_id)
            if client is None:
                del self._watches[client_id]
            elif octets != watch.octets:
                watch.octets = octets
                watch.alive(self._context.now)
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
        if not delay:
            del self._watches[client_id]
        elif watch.seen + delay > self._context.now:
            self._check_at(client_id, watch.seen + delay)
        else:
            if not self._due:
                self._at(self._context.now, self._look)
            self._due.append(client_id)

    def _look(self) -> None:
        """Have the SAs of those counted that are due, a batch at a time."""
        looked: list[Client] = []
        while self._due and len(looked) < LOOK_BATCH:
            client_id = self._due.popleft()
            client = self._context.clients.by_id(client_id)
            if client is None:
                del self._watches[client_id]
            else:
                looked.append(client)
        if looked:
            ticket = self._context.ticket()
            self._looks[ticket] = tuple(client.id for client in looked)
            self._context.emit(CountReceived(ticket, tuple(client.mark for client in looked)))
        if self._due:
            self._at(self._context.now + LOOK_PAUSE, self._look)

    def _suspect(self, client: Client, watch: _Watch) -> None:
        """Neither messages nor packets for `dpd_delay`: ask, or give up."""
        settings = self._settings(client)
        now = self._context.now
        sa = self._context.newest_ike_sa(client)
        if sa is None or not sa.implementation.dpd:
            self._check_at(client.id, now + settings.dpd_delay)
            return
        end = watch.seen + settings.dpd_timeout
        if now >= end:
            del self._watches[client.id]
            cause = f"no sign of life for {now - watch.seen:.0f} s"
            self._context.remove_client(client, cause, tell=True)
            return
        number = client.next_probe(self._context.random)
        watch.acknowledged = False
        self._context.inform(sa, informational.probe(sa, number))
        self._context.emit(Probed(client.id))
        pause = max(PROBE_INTERVAL, min(PROBE_INTERVAL * 2**watch.unanswered, settings.dpd_delay))
        watch.unanswered += 1
        self._check_at(client.id, min(now + pause, end))
