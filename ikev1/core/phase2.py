"""What goes on under an established Phase 1 SA: Quick Modes, the children they make, their end.

The script of a Quick Mode is in `ikev1.core.quick_mode`.
"""

from __future__ import annotations

from functools import partial

from ikev1.core import informational, quick_mode
from ikev1.core.clients import Child, Client
from ikev1.core.context import Context
from ikev1.core.effects import Path, Refused
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Exchange, Message
from ikev1.core.hints import Hints
from ikev1.core.ike_sa import IkeSa
from ikev1.core.informational_received import act_on
from ikev1.core.liveness import Liveness
from ikev1.core.rekeying import Rekeying
from ikev1.core.script_runner import Datagram, ScriptRunner, digest
from ikev1.core.timers import Timers
from ikev1.wire.enums import ExchangeType, Flag, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header
from ikev1.wire.message import Payloads

QUICK_MODE_LIFETIME = 30.0
"""Seconds for a Quick Mode from its first message to HASH(3)."""
MAX_EXCHANGES = 8
"""Quick Modes under way at once in one Phase 1 SA."""


class Phase2:
    """The Quick Modes under way, and the end of the children that they made."""

    def __init__(
        self,
        context: Context,
        timers: Timers,
        runner: ScriptRunner,
        liveness: Liveness,
        rekeying: Rekeying,
        hints: Hints,
    ) -> None:
        self._context = context
        self._timers = timers
        self._runner = runner
        self._liveness = liveness
        self._rekeying = rekeying
        self._hints = hints

    def message(self, header: Header, datagram: bytes, path: Path) -> None:
        """A message of Quick Mode or an Informational exchange."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        # Whatever it says, nobody has proved to have sent it (RFC 2408 section 5.14 lets a
        # notification be believed; it would hand the sessions of others to anybody).
        if sa is None:
            self._hints.unknown_cookies(header, datagram, path)
            return
        if not sa.established:
            self._context.drop(path, "half-open-cookie")
            return
        if not header.flags & Flag.ENCRYPTION:
            self._context.drop(path, "not-encrypted")
            return
        if header.message_id == 0:
            self._context.drop(path, "no-message-id")
            return
        exchange = sa.exchanges.get(header.message_id)
        body = datagram[HEADER_LENGTH:]
        if exchange is not None and header.exchange_type == ExchangeType.QUICK_MODE:
            request = digest(datagram)
            if self._runner.repeat(sa, exchange, request, path):
                return
            if exchange.awaits is None:
                self._context.drop(path, "unexpected-quick-mode")
                return
            message = Message(header, body, path, None)
            if exchange.renews is None:
                self._runner.resume(self, sa, exchange, message)
            else:
                exchange.request = request
                self._runner.resume(self._rekeying, sa, exchange, message)
            return
        if header.message_id in sa.seen:
            self._context.drop(path, "repeated-message-id")
            return
        payloads, iv = sa.open_hashed(header, body)
        sa.remember(header.message_id)
        self._liveness.seen(sa.client)
        sa.main_mode = None
        client = self._context.client_of(sa)
        assert client is not None
        # Where ESP goes over the same port as IKE it follows.
        shared = path.encapsulated or (sa.nat.detected and not sa.floats)
        if shared and path != sa.path:
            self._context.move(client, path)
            client = self._context.client_of(sa)  # it may turn out to be one that is there
            assert client is not None
        if header.exchange_type == ExchangeType.QUICK_MODE:
            self._start_quick_mode(sa, client, header, datagram, payloads, iv)
        else:
            self._rekeying.notified(sa, payloads)
            sequence = informational.acknowledged(sa, payloads)
            if sequence is not None:
                self._liveness.acknowledged(sa.client, sequence)
            act_on(payloads, sa, client, self._context)

    def _start_quick_mode(
        self,
        sa: IkeSa,
        client: Client,
        header: Header,
        datagram: bytes,
        payloads: Payloads,
        iv: bytes,
    ) -> None:
        context = self._context
        if len(sa.under_way()) >= MAX_EXCHANGES:
            context.drop(sa.path, "too-many-quick-modes")
            return
        deadline = context.now + QUICK_MODE_LIFETIME
        exchange = Exchange(
            script=quick_mode.respond(sa, context, header.message_id, iv, client, payloads),
            message_id=header.message_id,
            request=digest(datagram),
        )
        sa.exchanges[header.message_id] = exchange
        self._timers.at(
            deadline, partial(self._quick_mode_timeout, sa.cookies, exchange.message_id)
        )
        self._runner.resume(self, sa, exchange, None)

    def finished(self, sa: IkeSa, exchange: Exchange) -> None:
        """Watch the child that this Quick Mode has made."""
        sa.exchanges.pop(exchange.message_id, None)
        child = self._child_of(sa, exchange.message_id)
        if child is not None:
            self._rekeying.watch(child)

    def failed(
        self, sa: IkeSa, exchange: Exchange, error: ExchangeError, question: Datagram | None
    ) -> None:
        """Tell the operator and the peer, keep nothing."""
        sa.exchanges.pop(exchange.message_id, None)
        self._context.emit(error.refusal(sa.client, sa.path, "Quick Mode"))
        if sa.cookies in self._context.ike_sas:
            self._context.inform(sa, informational.notification(error.notify, ProtocolId.ESP))

    def _quick_mode_timeout(self, cookies: bytes, message_id: int) -> None:
        sa = self._context.ike_sas.get(cookies)
        exchange = sa.exchanges.pop(message_id, None) if sa else None
        if sa is None or exchange is None:
            return
        child = self._child_of(sa, message_id)
        if child is not None:
            # The client has had message 2 and may be sending already.
            self._context.inform(sa, informational.delete_child(child.sa))
        exchange.close()
        self._context.emit(
            Refused(
                client=sa.client,
                path=sa.path,
                exchange="Quick Mode",
                cause="the client did not confirm the SA with HASH(3)",
                remedy="look at the client, or at what loses packets on the way",
            )
        )

    def _child_of(self, sa: IkeSa, message_id: int) -> Child | None:
        """The child SA of a Quick Mode, if it has come that far."""
        client = self._context.client_of(sa)
        return client.made_by((sa.cookies, message_id)) if client else None
