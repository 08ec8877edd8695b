"""Phase 1 from message 1 to the end of the SA: starts Main Modes, gives them their messages.

The script of a Main Mode is in `ikev1.core.main_mode`.
"""

from __future__ import annotations

from functools import partial

from ikev1.core import aggressive_mode, main_mode
from ikev1.core.context import Context
from ikev1.core.effects import Path, Refused
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Exchange, Message
from ikev1.core.half_open import HalfOpen
from ikev1.core.hints import Hints
from ikev1.core.ike_sa import IkeSa
from ikev1.core.informational import notification
from ikev1.core.keepalive import Keepalives
from ikev1.core.liveness import Liveness
from ikev1.core.phase1_renewal import Phase1Renewal
from ikev1.core.script_runner import Datagram, ScriptRunner, digest
from ikev1.core.timers import Timers
from ikev1.core.waiting_room import First, Origin
from ikev1.crypto.signatures import SIGNATURE_METHODS
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header
from ikev1.wire.message import build_message, parse_payloads

MAIN_MODE_REPLIES_IN_CLEAR = 2
"""Our messages 2 and 4; the client's next is message 5, on port 4500 if there is a NAT."""


class Phase1:
    """The Main Modes under way, and the end of the SAs that they made."""

    def __init__(
        self,
        context: Context,
        timers: Timers,
        runner: ScriptRunner,
        liveness: Liveness,
        keepalives: Keepalives,
        hints: Hints,
        renewal: Phase1Renewal,
    ) -> None:
        self._context = context
        self._timers = timers
        self._runner = runner
        self._liveness = liveness
        self._keepalives = keepalives
        self._hints = hints
        self._renewal = renewal
        self.half_open = HalfOpen(context)

    def first_message(self, header: Header, datagram: bytes, path: Path) -> None:
        """Message 1 of Main Mode, which is the only way into the table of half-open SAs."""
        origin = (header.initiator_cookie, path.remote, path.remote_port)
        if self.half_open.has_begun(origin):
            known = self.half_open.find(origin)
            if (
                known is None
                or known.main_mode is None
                or not self._runner.repeat(known, known.main_mode, digest(datagram), path)
            ):
                self._context.drop(path, "late-first-message")
            return
        if header.flags & Flag.ENCRYPTION:
            self._context.drop(path, "encrypted-too-soon")
            return
        if self.half_open.may_begin(First(header, datagram, path, self._context.now)):
            self._begin(header, datagram, path)

    def admit(self) -> None:
        """Begin with one whose message 1 waits, if it is the turn of one."""
        first = self.half_open.next_waiting()
        if first is not None:
            try:
                self._begin(first.header, first.datagram, first.path)
            except ProtocolError as error:
                self._context.drop_malformed(first.path, error)

    def _begin(self, header: Header, datagram: bytes, path: Path) -> None:
        body = datagram[HEADER_LENGTH:]
        payloads = parse_payloads(header.next_payload, body)
        context = self._context
        origin = (header.initiator_cookie, path.remote, path.remote_port)
        cookies = header.initiator_cookie + context.cookie()
        sa = IkeSa(cookies, path, _name(header.initiator_cookie), context.now, origin)
        sa.watch = context.watch
        sa.saw_received(header, payloads)
        message = Message(header, body, path, payloads)
        exchange = Exchange(
            script=main_mode.respond(sa, context, message),
            message_id=0,
            request=digest(datagram),
        )
        sa.main_mode = exchange
        self.half_open.add(sa)
        self._runner.resume(self, sa, exchange, None, Datagram(header, datagram))
        if cookies in context.ike_sas:
            self._timers.at(
                context.now + context.settings.half_open_lifetime,
                partial(self._half_open_timeout, origin, cookies),
            )

    def main_mode(self, header: Header, datagram: bytes, path: Path) -> None:
        """A later message of Main Mode."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        sa = sa or self._renewal.message_2(header, path)
        if sa is None:
            self._hints.unknown_cookies(header, datagram, path)
            return
        if sa.main_mode is None:
            self._context.drop(path, "late-main-mode")
            return
        exchange = sa.main_mode
        if sa.we_began and path != sa.path:
            self._context.drop(path, "other-path")
            return
        encrypted = bool(header.flags & Flag.ENCRYPTION)
        if (
            not encrypted
            and sa.choice is not None
            and sa.choice.method in SIGNATURE_METHODS
            and (path.remote, path.remote_port) != sa.origin[1:]
        ):
            # Message 4 is larger than 3 then: it goes nowhere but where message 2 was received.
            self._context.drop(path, "moved-too-soon")
            return
        request = digest(datagram)
        if self._runner.repeat(sa, exchange, request, path):
            return
        if exchange.awaits is None:
            self._context.drop(path, "unexpected-main-mode")
            return
        if encrypted != exchange.awaits.encrypted:
            self._context.drop(path, "encrypted-too-soon" if encrypted else "not-encrypted")
            return
        if sa.floats and not path.encapsulated and encrypted:
            # RFC 3947 section 4: ESP in UDP goes where this message goes, and that is port 4500.
            self._context.drop(path, "not-floated")
            return
        body = datagram[HEADER_LENGTH:]
        payloads = None if encrypted else parse_payloads(header.next_payload, body)
        exchange.request = request
        exchange.reply = None
        message = Message(header, body, path, payloads)
        if not sa.we_began:
            sa.path = path
        if payloads is not None:
            sa.saw_received(header, payloads)
        if sa.we_began:
            self._runner.resume(self._renewal, sa, exchange, message, Datagram(header, datagram))
        else:
            self.half_open.goes_on(sa)
            self._runner.resume(self, sa, exchange, message, Datagram(header, datagram))

    def aggressive_mode(self, header: Header, datagram: bytes, path: Path) -> None:
        """Refuse it."""
        if header.flags & Flag.ENCRYPTION:
            self._context.drop(path, "encrypted-too-soon")
            return
        payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
        error = aggressive_mode.refusal(payloads)
        question = Datagram(header, datagram)
        self._refuse(_name(header.initiator_cookie), question, path, "Aggressive Mode", error)

    def finished(self, sa: IkeSa, exchange: Exchange) -> None:
        """The SA is established."""
        assert exchange is sa.main_mode
        self.half_open.leave(sa)
        self._renewal.watch(sa)
        if sa.nat.server:
            self._keepalives.keep(sa.client)

    def failed(
        self, sa: IkeSa, exchange: Exchange, error: ExchangeError, question: Datagram | None
    ) -> None:
        """Tell the operator and the peer, keep nothing."""
        assert exchange is sa.main_mode
        self.half_open.forget(sa)
        self._refuse(sa.client, question, sa.path, "Main Mode", error)

    def _refuse(
        self,
        client: str,
        question: Datagram | None,
        path: Path,
        exchange: str,
        error: ExchangeError,
    ) -> None:
        """Refuse a peer that has not proved who it is: rarely, and with no more than it sent.

        Without the question at hand the peer is told nothing.
        """
        told = self._context.complain(error.refusal(client, path, exchange))
        if question is None or not told:
            return
        # The cookies are those of the question: an error gives out none to go on with.
        notify = build_message(
            question.header.initiator_cookie + question.header.responder_cookie,
            ExchangeType.INFORMATIONAL,
            self._context.message_id(),
            (notification(error.notify, ProtocolId.ISAKMP),),
        )
        if len(notify) <= len(question.octets):
            self._context.send(path, notify)

    def _half_open_timeout(self, origin: Origin, cookies: bytes) -> None:
        self.half_open.forget_beginning(origin, cookies)
        sa = self._context.ike_sas.get(cookies)
        if sa is None or sa.established or sa.main_mode is None:
            return
        replies = sa.main_mode.replies
        floated = sa.floats and replies == MAIN_MODE_REPLIES_IN_CLEAR
        self.half_open.forget(sa)
        if sa.suspect:
            return
        self._context.complain(
            Refused(
                client=sa.client,
                path=sa.path,
                exchange="Main Mode",
                cause=f"the client fell silent after our message {2 * replies}",
                remedy="it is behind a NAT and goes on on UDP port 4500: open that port"
                if floated
                else "look at the client, or at what filters UDP port 500 on the way back to it",
            )
        )


def _name(initiator_cookie: bytes) -> str:
    """What a client is called in logs."""
    return initiator_cookie[:4].hex()
