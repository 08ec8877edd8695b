"""The lifetime of child SAs: their end, and their renewal by us where that is configured.

Clients rekey, and before they are late nothing happens here. Where the connection has `rekey`, a
child that nobody has renewed shortly before its end, in time or in kilobytes, gets a Quick Mode of
ours. Old and new child then live side by side:

    HASH(3) is sent       the client may send through the new one
    when it does so       we do too; if it does not, SWITCH_AFTER later
    DELETE_AFTER later    the client is told to forget the old one, or it would renew it too
    RETIRE_AFTER later    so do we

If both sides renew at once, both new children live, and the newest of them carries. A client that
does not answer keeps the old child until its end.

Never while a Main Mode of ours is under way with the client (`ikev1.core.phase1_renewal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ikev1.core import informational, quick_mode_initiator
from ikev1.core.clients import Child, Client
from ikev1.core.context import Context
from ikev1.core.effects import Carried, CountChild, Refused
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Exchange
from ikev1.core.ike_sa import IkeSa
from ikev1.core.liveness import Liveness
from ikev1.core.phase1_renewal import Phase1Renewal
from ikev1.core.rekey_time import INTERVAL, MAX_ATTEMPTS, TRY_AGAIN_AFTER
from ikev1.core.script_runner import Datagram, ScriptRunner
from ikev1.core.timers import Timers
from ikev1.wire.enums import NotifyType, ProtocolId
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Notification

ANSWER_WITHIN = 30.0
"""Seconds for a Quick Mode of ours, and then for repetitions of its message 2."""
LOOK_AFTER = (0.25, 0.5, 1.0, 2.0)
"""Seconds from HASH(3) until we look whether the client sends through the new child."""
SWITCH_AFTER = 5.0
"""Seconds. charon installs its SAs when HASH(3) comes, and asks for it again after four."""
DELETE_AFTER = 7.0
"""Seconds for a client that is slow to switch, until it is told to forget the old child."""
RETIRE_AFTER = 10.0
"""Seconds until we forget it ourselves, for what was on its way when the client was told."""
FIRST_STATUS = 16384
"""RFC 2408 section 3.14.1: notifications below are errors, the others status."""


@dataclass(slots=True)
class _Change:
    """From an old child to the new one that takes its place, by their inbound SPIs."""

    new: int
    old: int
    done: bool = False


class Rekeying:
    """Watches the children of all clients."""

    def __init__(
        self,
        context: Context,
        timers: Timers,
        runner: ScriptRunner,
        liveness: Liveness,
        phase1: Phase1Renewal,
    ) -> None:
        self._context = context
        self._timers = timers
        self._runner = runner
        self._liveness = liveness
        self._phase1 = phase1
        self._looks: dict[int, _Change] = {}
        """By ticket of the question for octets."""

    def watch(self, child: Child) -> None:
        """Its Quick Mode is complete."""
        spi = child.sa.inbound_spi
        self._timers.at(child.expires, partial(self._end, spi))
        if child.sa.rekey_seconds is not None:
            self._timers.at(child.since + child.sa.rekey_seconds, partial(self.due, spi))

    def due(self, inbound_spi: int) -> None:
        """A child is near its end: renew it, if that is for us to do and not done."""
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is None:
            return
        client, child = found
        settings = self._context.settings.of(client.connection)
        if not settings.rekey or client.newest is not child or self._is_under_way(client):
            return
        now = self._context.now
        if self._phase1.is_under_way(client):
            self._timers.at(now + INTERVAL, partial(self.due, inbound_spi))
            return
        if client.next_rekey > now:
            self._timers.at(client.next_rekey, partial(self.due, inbound_spi))
            return
        if child.attempts == MAX_ATTEMPTS:
            return
        sa = self._context.newest_ike_sa(client)
        if sa is None and self._phase1.begin(client):
            self._timers.at(now + INTERVAL, partial(self.due, inbound_spi))
            return
        self._timers.at(now + TRY_AGAIN_AFTER, partial(self.due, inbound_spi))
        if sa is None or sa.under_way():
            return
        child.attempts += 1
        client.next_rekey = now + INTERVAL
        self._begin(sa, client, child)

    def notified(self, sa: IkeSa, payloads: Payloads) -> None:
        """An error that the client tells us of ends what we have begun and it has not answered."""
        errors = [item.notify_type for item in payloads.all(Notification) if _is_error(item)]
        waiting = [exchange for exchange in sa.exchanges.values() if _is_unanswered(exchange)]
        if errors:
            for exchange in waiting:
                exchange.close()
                cause = f"the client refuses it: {NotifyType(errors[0])}"
                self._give_up(sa, exchange, cause, "let the client rekey: rekey = false")

    # --- our Quick Mode --------------------------------------------------------------------------

    def _begin(self, sa: IkeSa, client: Client, child: Child) -> None:
        message_id = self._context.message_id()
        sa.remember(message_id)
        exchange = Exchange(
            script=quick_mode_initiator.renew(sa, self._context, message_id, client, child),
            message_id=message_id,
            renews=child.sa.inbound_spi,
        )
        sa.exchanges[message_id] = exchange
        deadline = self._context.now + ANSWER_WITHIN
        self._timers.at(deadline, partial(self._timeout, sa.cookies, message_id))
        self._runner.resume(self, sa, exchange, None)

    def finished(self, sa: IkeSa, exchange: Exchange) -> None:
        """HASH(3) is on its way. The exchange stays, in case that is lost."""
        self._liveness.seen(sa.client)
        client = self._context.client_of(sa)
        child = client.made_by((sa.cookies, exchange.message_id)) if client else None
        assert client is not None
        assert child is not None
        assert exchange.renews is not None
        self.watch(child)
        if client.carrying is None:
            self._context.carry_newest(client)
        change = _Change(child.sa.inbound_spi, exchange.renews)
        for seconds in LOOK_AFTER:
            self._timers.at(self._context.now + seconds, partial(self._look, change))
        self._timers.at(self._context.now + SWITCH_AFTER, partial(self._switch, change))

    def failed(
        self, sa: IkeSa, exchange: Exchange, error: ExchangeError, question: Datagram | None
    ) -> None:
        """The answer was not acceptable, or the kernel refused."""
        sa.exchanges.pop(exchange.message_id, None)
        self._context.emit(error.refusal(sa.client, sa.path, "our Quick Mode"))
        if exchange.replies:
            self._context.inform(sa, informational.notification(error.notify, ProtocolId.ESP))

    def _timeout(self, cookies: bytes, message_id: int) -> None:
        sa = self._context.ike_sas.get(cookies)
        exchange = sa.exchanges.pop(message_id, None) if sa else None
        if sa is None or exchange is None or exchange.done:
            return
        exchange.close()
        remedy = "it may be asleep, or never take a Quick Mode of the gateway: rekey = false then"
        self._give_up(sa, exchange, "the client does not answer", remedy)

    def _give_up(self, sa: IkeSa, exchange: Exchange, cause: str, remedy: str) -> None:
        sa.exchanges.pop(exchange.message_id, None)
        refused = Refused(sa.client, sa.path, "our Quick Mode", cause, remedy=remedy)
        self._context.emit(refused)

    # --- the change of children ------------------------------------------------------------------

    def _is_under_way(self, client: Client) -> bool:
        return any(
            exchange.renews is not None
            for cookies in client.phase1
            for exchange in self._context.ike_sas[cookies].under_way()
        )

    def _look(self, change: _Change) -> None:
        found = self._context.clients.by_inbound_spi(change.new)
        if found is not None and not change.done:
            ticket = self._context.ticket()
            self._looks[ticket] = change
            self._context.emit(CountChild(ticket, found[1].sa.mark, change.new))

    def counted(self, ticket: int, carried: Carried) -> None:
        """The host's answer to a look."""
        change = self._looks.pop(ticket, None)
        if change is not None and carried.octets:
            self._switch(change)

    def _switch(self, change: _Change) -> None:
        found = self._context.clients.by_inbound_spi(change.new)
        if found is not None and not change.done:
            change.done = True
            self._context.carry_newest(found[0])
            now = self._context.now
            self._timers.at(now + DELETE_AFTER, partial(self._delete, change.old))
            self._timers.at(now + RETIRE_AFTER, partial(self._retire, change.old))

    def _delete(self, inbound_spi: int) -> None:
        """Tell the client to forget a child that we have renewed, while it is still there."""
        found = self._context.clients.by_inbound_spi(inbound_spi)
        sa = self._context.newest_ike_sa(found[0]) if found else None
        if found is not None and sa is not None and not found[1].outbound:
            self._context.inform(sa, informational.delete_child(found[1].sa))

    def _retire(self, inbound_spi: int) -> None:
        """The child that we have renewed: unless it carries again, as the new one has gone."""
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None and not found[1].outbound:
            self._context.remove_child(*found, "rekeyed")

    def _end(self, inbound_spi: int) -> None:
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None and found[1].expires <= self._context.now:
            self._context.end_child(*found, "lifetime over")


def _is_error(notification: Notification) -> bool:
    return notification.notify_type < FIRST_STATUS


def _is_unanswered(exchange: Exchange) -> bool:
    return exchange.renews is not None and exchange.awaits is not None
