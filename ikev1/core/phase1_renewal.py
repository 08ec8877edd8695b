"""The renewal of Phase 1 SAs by us, where a connection has `rekey`.

Like that of child SAs: only what the client has not renewed shortly before its end, or when a
child is to be renewed and no Phase 1 is left for that. The old one lives until its end, while we
speak under the new one.

Not while a Quick Mode is under way, nor the other way round: charon moves the children that it has
to the new SA when message 5 comes, and ends the old SA ten seconds later, with what has been made
under it meanwhile.
"""

from __future__ import annotations

from functools import partial

from ikev1.core import main_mode_initiator
from ikev1.core.clients import Client
from ikev1.core.context import NO_COOKIE, Context
from ikev1.core.effects import Path, Refused
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Exchange
from ikev1.core.ike_sa import IkeSa
from ikev1.core.liveness import Liveness
from ikev1.core.rekey_time import INTERVAL, MAX_ATTEMPTS, TRY_AGAIN_AFTER, rekey_share
from ikev1.core.script_runner import Datagram, ScriptRunner
from ikev1.core.timers import Timers
from ikev1.wire.header import Header

ANSWER_WITHIN = 30.0
"""Seconds for a Main Mode of ours."""


class Phase1Renewal:
    """The Main Modes that we have begun."""

    def __init__(
        self, context: Context, timers: Timers, runner: ScriptRunner, liveness: Liveness
    ) -> None:
        self._context = context
        self._timers = timers
        self._runner = runner
        self._liveness = liveness
        self._under_way: dict[str, IkeSa] = {}
        """By client."""

    def watch(self, sa: IkeSa) -> None:
        """A Phase 1 SA is established, by either side."""
        assert sa.choice is not None
        self._timers.at(sa.expires, partial(self._end, sa.cookies))
        self._liveness.seen(sa.client)
        client = self._context.client_of(sa)
        if client is not None and client.terms is not None:
            client.phase1_attempts = 0
            client.next_phase1 = self._context.now + INTERVAL
            seconds = sa.choice.lifetime * rekey_share(self._context.random)
            self._timers.at(self._context.now + seconds, partial(self._due, sa.cookies))

    def _end(self, cookies: bytes) -> None:
        sa = self._context.ike_sas.get(cookies)
        if sa is not None:
            self._context.remove_ike_sa(sa, "lifetime over", tell=True)

    def _due(self, cookies: bytes) -> None:
        sa = self._context.ike_sas.get(cookies)
        client = self._context.client_of(sa) if sa else None
        if client is None or client.phase1[-1:] != [cookies]:
            return
        now = self._context.now
        if any(self._context.ike_sas[one].under_way() for one in client.phase1):
            self._timers.at(now + INTERVAL, partial(self._due, cookies))
        elif self.begin(client):
            self._timers.at(now + TRY_AGAIN_AFTER, partial(self._due, cookies))

    def is_under_way(self, client: Client) -> bool:
        """Whether a Main Mode of ours is under way with this client."""
        return client.id in self._under_way

    def begin(self, client: Client) -> bool:
        """Renew the client's Phase 1, unless we are at it; whether there is hope left."""
        if self.is_under_way(client):
            return True
        terms = client.terms
        settings = self._context.settings.of(client.connection)
        if not settings.rekey or terms is None or client.phase1_attempts == MAX_ATTEMPTS:
            return False
        if client.next_phase1 > self._context.now:
            return True
        client.phase1_attempts += 1
        client.next_phase1 = self._context.now + TRY_AGAIN_AFTER
        cookie = self._context.cookie()
        path = client.path
        origin = (cookie, path.remote, path.remote_port)
        sa = IkeSa(cookie + NO_COOKIE, path, client.id, self._context.now, origin, we_began=True)
        sa.watch = self._context.watch
        sa.implementation, sa.takes_fragments = terms.implementation, terms.takes_fragments
        script = main_mode_initiator.renew(sa, self._context, client.id, terms)
        sa.main_mode = exchange = Exchange(script, message_id=0)
        self._context.ike_sas[sa.cookies] = self._under_way[client.id] = sa
        deadline = self._context.now + ANSWER_WITHIN
        self._timers.at(deadline, partial(self._timeout, client.id, cookie))
        self._runner.resume(self, sa, exchange, None)
        return True

    def __len__(self) -> int:
        return len(self._under_way)

    def forget_all(self) -> None:
        """A clean stop."""
        for sa in tuple(self._under_way.values()):
            self._forget(sa)

    def message_2(self, header: Header, path: Path) -> IkeSa | None:
        """The SA that a first answer belongs to, now that the client's cookie is known."""
        sa = self._context.ike_sas.get(header.initiator_cookie + NO_COOKIE)
        if sa is None or path != sa.path:
            return None
        del self._context.ike_sas[sa.cookies]
        sa.cookies = header.initiator_cookie + header.responder_cookie
        self._context.ike_sas[sa.cookies] = sa
        return sa

    def finished(self, sa: IkeSa, exchange: Exchange) -> None:
        """The SA is established."""
        self._under_way.pop(sa.client, None)
        self.watch(sa)

    def failed(
        self, sa: IkeSa, exchange: Exchange, error: ExchangeError, question: Datagram | None
    ) -> None:
        """Keep nothing of it. The client is told nothing: the old SA is as it was."""
        self._forget(sa)
        self._context.emit(error.refusal(sa.client, sa.path, "our Main Mode"))

    def _timeout(self, client_id: str, cookie: bytes) -> None:
        sa = self._under_way.get(client_id)
        if sa is None or sa.initiator_cookie != cookie:
            return
        self._forget(sa)
        if self._context.clients.by_id(client_id) is not None:
            remedy = (
                "it may be asleep, or never take a Main Mode of the gateway: rekey = false then"
            )
            cause = "the client does not answer"
            self._context.emit(Refused(sa.client, sa.path, "our Main Mode", cause, remedy=remedy))

    def _forget(self, sa: IkeSa) -> None:
        self._under_way.pop(sa.client, None)
        self._context.ike_sas.pop(sa.cookies, None)
        if sa.main_mode is not None:
            sa.main_mode.close()
