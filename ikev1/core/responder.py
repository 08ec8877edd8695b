"""The IKEv1 responder: datagrams, answers of the host and the clock in; effects out.

Sans-IO: it reads no clock, opens no socket and draws no randomness but what it is given. Every
entry point returns the effects to carry out, in order. See `ikev1.core.effects`.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from ikev1.core import informational, main_mode, quick_mode
from ikev1.core.clients import Child, Client, Clients, MarkSpace
from ikev1.core.context import Context
from ikev1.core.effects import (
    ComputeDh,
    Dropped,
    Effect,
    InstallInbound,
    InstallOutbound,
    Path,
    Refused,
)
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Exchange, Message, Settings
from ikev1.core.fragmentation import Fragments, Standing
from ikev1.core.ike_sa import IkeSa
from ikev1.core.keepalive import Keepalives
from ikev1.core.liveness import Liveness
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.core.proposals import DOI_IPSEC
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag, NotifyType, PayloadType, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header, parse_header
from ikev1.wire.message import Payloads, build_message, parse_payloads
from ikev1.wire.payloads import Delete, Notification

NO_COOKIE = bytes(8)

QUICK_MODE_LIFETIME = 30.0
"""Seconds for a Quick Mode from its first message to HASH(3)."""
INSIST_AFTER = (1.0, 2.0, 4.0, 8.0)
"""Seconds between our repeats of Quick Mode's message 2, for which only HASH(3) is an answer."""
MAIN_MODE_REPLIES_IN_CLEAR = 2
"""Our messages 2 and 4; the client's next is message 5, on port 4500 if there is a NAT."""
MAX_EXCHANGES = 8
"""Quick Modes under way at once in one Phase 1 SA."""


class Responder:
    """All Phase 1 and Phase 2 SAs of the gateway."""

    def __init__(
        self, settings: Settings, marks: MarkSpace, random: Callable[[int], bytes]
    ) -> None:
        self._context = Context(settings, marks, random)
        self._half_open: dict[tuple[bytes, str, int], IkeSa] = {}
        """By initiator cookie and source: message 1 has no responder cookie yet."""
        self._half_open_sources: Counter[str] = Counter()
        self._begun: dict[tuple[bytes, str, int], bytes] = {}
        """The cookie pair of each Main Mode of late, by the same: its message 1 may come again."""
        self._tickets: dict[int, tuple[IkeSa, Exchange]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._liveness = Liveness(self._context, self._at)
        self._keepalives = Keepalives(self._context, self._at)
        self._fragments = Fragments(self._at, self._drop)

    # --- entry points ----------------------------------------------------------------------------

    def receive(self, datagram: bytes, path: Path, now: float) -> list[Effect]:
        """A datagram from a socket; on an encapsulated path it has the non-ESP marker."""
        context = self._context
        context.now = now
        try:
            if path.encapsulated:
                if datagram[:4] != NON_ESP_MARKER:
                    return [Dropped(path, "no-non-esp-marker")]
                datagram = datagram[4:]
            header = parse_header(datagram)
            if header.next_payload == PayloadType.FRAGMENT:
                self._fragment(header, datagram, path)
            else:
                self._dispatch(header, datagram, path)
        except ProtocolError as error:
            context.emit(Dropped(path, f"malformed-{error.notify.name.lower()}"))
        return context.take_effects()

    def complete(self, ticket: int, result: object, now: float) -> list[Effect]:
        """The host's answer to a question; ignored if its exchange has gone meanwhile."""
        self._context.now = now
        if isinstance(result, int):
            self._liveness.counted(ticket, result)
            return self._context.take_effects()
        waiting = self._tickets.pop(ticket, None)
        if waiting is not None and waiting[1].ticket == ticket:
            self._resume(*waiting, result)
        return self._context.take_effects()

    def advance(self, now: float) -> list[Effect]:
        """Run the timers that are due."""
        self._context.now = now
        while self._timers and self._timers[0][0] <= now:
            _, _, action = heapq.heappop(self._timers)
            action()
        return self._context.take_effects()

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, on the clock of `now`."""
        return self._timers[0][0] if self._timers else None

    def child_expired(self, inbound_spi: int, now: float) -> list[Effect]:
        """The kernel has ended an SA of this child: take all of it away."""
        self._context.now = now
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None:
            self._end_child(*found, "expired in the kernel")
        return self._context.take_effects()

    def moved(self, inbound_spi: int, remote: str, port: int, now: float) -> list[Effect]:
        """The kernel has seen authentic ESP from another address or port: the NAT rebound."""
        self._context.now = now
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None:
            client, child = found
            old = child.sa.path
            path = Path(old.local, old.local_port, remote, port, old.encapsulated)
            self._context.move(client, path)
        return self._context.take_effects()

    def reconfigure(self, settings: Settings) -> None:
        """Serve by other settings from now on; what is up stays up."""
        self._context.settings = settings

    def close_client(self, client_id: str, cause: str, now: float) -> list[Effect]:
        """End a client, with Deletes for it."""
        self._context.now = now
        client = self._context.clients.by_id(client_id)
        if client is not None:
            self._context.remove_client(client, cause, tell=True)
        return self._context.take_effects()

    def close_all(self, cause: str, now: float) -> list[Effect]:
        """End everything, with Deletes: a clean stop."""
        self._context.now = now
        for client in self._context.clients:
            self._context.remove_client(client, cause, tell=True)
        for sa in tuple(self._half_open.values()):
            self._forget_half_open(sa)
        return self._context.take_effects()

    # --- views -----------------------------------------------------------------------------------

    @property
    def clients(self) -> Clients:
        """The clients, to read."""
        return self._context.clients

    def ike_sas_of(self, client: Client) -> Iterator[IkeSa]:
        """The Phase 1 SAs of a client, the newest last."""
        return (self._context.ike_sas[cookies] for cookies in client.phase1)

    @property
    def half_open(self) -> int:
        """Phase 1 exchanges under way."""
        return len(self._half_open)

    # --- dispatch --------------------------------------------------------------------------------

    def _dispatch(self, header: Header, datagram: bytes, path: Path) -> None:
        kind = header.exchange_type
        if kind == ExchangeType.IDENTITY_PROTECTION:
            if header.message_id != 0:
                self._drop(path, "main-mode-with-message-id")
            elif header.responder_cookie == NO_COOKIE:
                self._first_message(header, datagram, path)
            else:
                self._main_mode(header, datagram, path)
        elif kind in (ExchangeType.QUICK_MODE, ExchangeType.INFORMATIONAL):
            self._phase2(header, datagram, path)
        elif kind == ExchangeType.AGGRESSIVE and header.responder_cookie == NO_COOKIE:
            self._refuse(
                _name(header.initiator_cookie),
                header,
                datagram,
                path,
                "Aggressive Mode",
                ExchangeError(
                    "Aggressive Mode gives a hash of the preshared key to whoever asks: not served",
                    NotifyType.UNSUPPORTED_EXCHANGE_TYPE,
                    remedy="leave the group name (iPhone, Mac) or IPsec identifier (Android) empty",
                ),
            )
        else:
            self._drop(path, "unsupported-exchange")

    def _fragment(self, header: Header, datagram: bytes, path: Path) -> None:
        """A piece of a message, which is served once it is whole as if it had come so."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        if sa is not None:
            standing = Standing.ESTABLISHED if sa.established else Standing.HALF_OPEN
        elif header.responder_cookie == NO_COOKIE:
            standing = Standing.STRANGER
        else:
            self._drop(path, "unknown-cookie")
            return
        message = self._fragments.take(header, datagram, path, standing, self._context.now)
        if message is not None:
            self._dispatch(parse_header(message), message, path)

    def _first_message(self, header: Header, datagram: bytes, path: Path) -> None:
        """Message 1 of Main Mode, which is the only way into the table of half-open SAs."""
        key = (header.initiator_cookie, path.remote, path.remote_port)
        if key in self._begun:
            known = self._half_open.get(key)
            if (
                known is None
                or known.main_mode is None
                or not self._repeat(known, known.main_mode, _digest(datagram), path)
            ):
                self._drop(path, "late-first-message")
            return
        if header.flags & Flag.ENCRYPTION:
            self._drop(path, "encrypted-too-soon")
            return
        payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
        if not self._room_for(path):
            return
        context = self._context
        cookies = header.initiator_cookie + self._responder_cookie()
        sa = IkeSa(cookies, path, _name(header.initiator_cookie), context.now, key)
        message = Message(header, datagram[HEADER_LENGTH:], path, payloads)
        exchange = Exchange(
            script=main_mode.respond(sa, context, message),
            message_id=0,
            request=_digest(datagram),
        )
        sa.main_mode = exchange
        context.ike_sas[cookies] = sa
        self._half_open[key] = sa
        self._begun[key] = cookies
        self._half_open_sources[path.remote] += 1
        self._resume(sa, exchange, None, header, datagram)
        if cookies in context.ike_sas:
            self._at(
                context.now + context.settings.half_open_lifetime,
                partial(self._half_open_timeout, key, cookies),
            )

    def _room_for(self, path: Path) -> bool:
        """Whether one more half-open SA fits.

        A full table drops the oldest whose client has not answered message 2 and so may not exist.
        """
        settings = self._context.settings
        if self._half_open_sources[path.remote] >= settings.half_open_per_address:
            self._drop(path, "half-open-limit-of-address")
            return False
        if len(self._half_open) >= settings.half_open_limit:
            oldest = next(
                filter(_unanswered, self._half_open.values()), next(iter(self._half_open.values()))
            )
            self._forget_half_open(oldest)
            self._drop(oldest.path, "half-open-limit")
        return True

    def _responder_cookie(self) -> bytes:
        while (cookie := self._context.random(8)) == NO_COOKIE:
            pass
        return cookie

    def _main_mode(self, header: Header, datagram: bytes, path: Path) -> None:
        """A later message of Main Mode."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        if sa is None or sa.main_mode is None:
            self._drop(path, "unknown-cookie")
            return
        exchange = sa.main_mode
        if self._repeat(sa, exchange, _digest(datagram), path):
            return
        if exchange.awaits is None:
            self._drop(path, "unexpected-main-mode")
            return
        encrypted = bool(header.flags & Flag.ENCRYPTION)
        if encrypted != exchange.awaits.encrypted:
            self._drop(path, "encrypted-too-soon" if encrypted else "not-encrypted")
            return
        if sa.nat.detected and not path.encapsulated and encrypted:
            # RFC 3947 section 4: ESP in UDP goes where this message goes, and that is port 4500.
            self._drop(path, "not-floated")
            return
        body = datagram[HEADER_LENGTH:]
        payloads = None if encrypted else parse_payloads(header.next_payload, body)
        exchange.request = _digest(datagram)
        exchange.reply = None
        sa.path = path
        message = Message(header, body, path, payloads)
        self._resume(sa, exchange, message, header, datagram)

    def _phase2(self, header: Header, datagram: bytes, path: Path) -> None:
        """A message of Quick Mode or an Informational exchange."""
        sa = self._context.ike_sas.get(header.initiator_cookie + header.responder_cookie)
        if sa is None or not sa.established:
            # Whatever it says, nobody has proved to have sent it (RFC 2408 section 5.14 lets a
            # notification be believed; it would hand the sessions of others to anybody).
            self._drop(path, "unknown-cookie")
            return
        if not header.flags & Flag.ENCRYPTION:
            self._drop(path, "not-encrypted")
            return
        if header.message_id == 0:
            self._drop(path, "no-message-id")
            return
        exchange = sa.exchanges.get(header.message_id)
        body = datagram[HEADER_LENGTH:]
        if exchange is not None and header.exchange_type == ExchangeType.QUICK_MODE:
            if self._repeat(sa, exchange, _digest(datagram), path):
                return
            if exchange.awaits is None:
                self._drop(path, "unexpected-quick-mode")
                return
            self._resume(sa, exchange, Message(header, body, path, None))
            return
        if header.message_id in sa.seen:
            self._drop(path, "repeated-message-id")
            return
        payloads, iv = sa.open_hashed(header, body)
        sa.remember(header.message_id)
        self._liveness.seen(sa.client)
        sa.main_mode = None
        client = self._context.client_of(sa)
        assert client is not None
        if path.encapsulated and path != sa.path:
            self._context.move(client, path)
        if header.exchange_type == ExchangeType.QUICK_MODE:
            self._start_quick_mode(sa, client, header, datagram, payloads, iv)
        else:
            self._informational(sa, client, payloads)

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
        if len(sa.exchanges) >= MAX_EXCHANGES:
            self._drop(sa.path, "too-many-quick-modes")
            return
        deadline = context.now + QUICK_MODE_LIFETIME
        exchange = Exchange(
            script=quick_mode.respond(sa, context, header.message_id, iv, client, payloads),
            message_id=header.message_id,
            request=_digest(datagram),
        )
        sa.exchanges[header.message_id] = exchange
        self._at(deadline, partial(self._quick_mode_timeout, sa.cookies, exchange.message_id))
        self._resume(sa, exchange, None)

    # --- running scripts -------------------------------------------------------------------------

    def _resume(
        self,
        sa: IkeSa,
        exchange: Exchange,
        value: object,
        header: Header | None = None,
        datagram: bytes = b"",
    ) -> None:
        """Run a script to its next wait; `header` and `datagram` are the question, if in clear."""
        exchange.awaits = None
        exchange.ticket = None
        try:
            step = exchange.script.send(value)
        except StopIteration as end:
            self._finish(sa, exchange, end.value)
        except (ExchangeError, ProtocolError) as error:
            self._fail(sa, exchange, error, header, datagram)
        else:
            if isinstance(step, Await):
                exchange.awaits = step
                if step.reply:
                    self._reply(sa, exchange, step.reply)
                if step.insist:
                    self._insist_later(sa, exchange)
            else:
                self._ask(sa, exchange, step)

    def _ask(
        self,
        sa: IkeSa,
        exchange: Exchange,
        question: ComputeDh | InstallInbound | InstallOutbound,
    ) -> None:
        exchange.ticket = question.ticket
        self._tickets[question.ticket] = (sa, exchange)
        self._context.emit(question)

    def _reply(self, sa: IkeSa, exchange: Exchange, reply: bytes) -> None:
        exchange.reply = reply
        exchange.replies += 1
        self._context.send(sa.path, reply, fragments=sa.takes_fragments)

    def _repeat(self, sa: IkeSa, exchange: Exchange, digest: bytes, path: Path) -> bool:
        """Answer a repeated request with the reply it had; whether it was one."""
        if digest != exchange.request:
            return False
        if exchange.reply:
            self._context.send(
                path if not sa.established else sa.path,
                exchange.reply,
                fragments=sa.takes_fragments,
            )
        else:
            self._drop(path, "repeated-request")
        return True

    def _finish(self, sa: IkeSa, exchange: Exchange, reply: bytes | None) -> None:
        """A script has come to its end."""
        if exchange is sa.main_mode:
            self._leave_half_open(sa)
            self._at(sa.expires, partial(self._ike_sa_timeout, sa.cookies))
            self._liveness.seen(sa.client)
            if sa.nat.server:
                self._keepalives.keep(sa.client)
        else:
            sa.exchanges.pop(exchange.message_id, None)
            self._watch_child(sa, exchange.message_id)
        if reply is not None:
            self._reply(sa, exchange, reply)

    def _fail(
        self,
        sa: IkeSa,
        exchange: Exchange,
        error: ExchangeError | ProtocolError,
        header: Header | None,
        datagram: bytes,
    ) -> None:
        """A script has given up: tell the operator and the peer, keep nothing."""
        if isinstance(error, ProtocolError):
            error = ExchangeError(f"malformed message: {error}", error.notify)
        if exchange is sa.main_mode:
            self._forget_half_open(sa)
            self._refuse(sa.client, header, datagram, sa.path, "Main Mode", error)
            return
        sa.exchanges.pop(exchange.message_id, None)
        self._context.emit(error.refusal(sa.client, sa.path, "Quick Mode"))
        if sa.cookies in self._context.ike_sas:
            self._context.inform(sa, _notification(error.notify, ProtocolId.ESP))

    def _refuse(
        self,
        client: str,
        header: Header | None,
        datagram: bytes,
        path: Path,
        exchange: str,
        error: ExchangeError,
    ) -> None:
        """Refuse a peer that has not proved who it is: rarely, and with no more than it sent.

        Without a header the question is not at hand any more, and the peer is told nothing.
        """
        told = self._context.complain(error.refusal(client, path, exchange))
        if header is None or not told:
            return
        # The cookies are those of the question: an error gives out none to go on with.
        notify = build_message(
            header.initiator_cookie + header.responder_cookie,
            ExchangeType.INFORMATIONAL,
            self._context.message_id(),
            (_notification(error.notify, ProtocolId.ISAKMP),),
        )
        if len(notify) <= len(datagram):
            self._context.send(path, notify)

    # --- Informational ---------------------------------------------------------------------------

    def _informational(self, sa: IkeSa, client: Client, payloads: Payloads) -> None:
        """Act on an Informational message whose hash has been verified.

        A Delete of the Phase 1 SA comes last, whatever the order of payloads: nothing after it may
        touch what is gone.
        """
        for notification in payloads.all(Notification):
            answer = informational.answer_to_probe(sa, notification)
            if answer is not None:
                self._context.inform(sa, answer)
                break
        if informational.is_first_contact(payloads):
            self._context.forget_before(sa, client)
        deletes = payloads.all(Delete)
        for delete in deletes:
            if delete.protocol_id == ProtocolId.ESP:
                for child in tuple(client.children):
                    if child.sa.outbound_spi.to_bytes(4, "big") in delete.spis:
                        self._context.remove_child(client, child, "deleted by the client")
        if any(
            delete.protocol_id == ProtocolId.ISAKMP and sa.cookies in delete.spis
            for delete in deletes
        ):
            self._context.remove_ike_sa(sa, "deleted by the client", tell=False)

    # --- timers ----------------------------------------------------------------------------------

    # A timer knows its object by key, not by reference: what has ended is freed at once.

    def _at(self, deadline: float, action: Callable[[], None]) -> None:
        self._timer_number += 1
        heapq.heappush(self._timers, (deadline, self._timer_number, action))

    def _half_open_timeout(self, key: tuple[bytes, str, int], cookies: bytes) -> None:
        if self._begun.get(key) == cookies:
            del self._begun[key]
        sa = self._context.ike_sas.get(cookies)
        if sa is None or sa.established or sa.main_mode is None:
            return
        replies = sa.main_mode.replies
        floated = sa.nat.detected and replies == MAIN_MODE_REPLIES_IN_CLEAR
        self._forget_half_open(sa)
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

    def _leave_half_open(self, sa: IkeSa) -> None:
        """Main Mode has ended, one way or the other."""
        del self._half_open[sa.origin]
        source = sa.origin[1]
        self._half_open_sources[source] -= 1
        if not self._half_open_sources[source]:
            del self._half_open_sources[source]

    def _forget_half_open(self, sa: IkeSa) -> None:
        self._leave_half_open(sa)
        self._begun.pop(sa.origin, None)
        del self._context.ike_sas[sa.cookies]
        if sa.main_mode is not None:
            sa.main_mode.close()

    def _ike_sa_timeout(self, cookies: bytes) -> None:
        sa = self._context.ike_sas.get(cookies)
        if sa is not None:
            self._context.remove_ike_sa(sa, "lifetime over", tell=True)

    def _insist_later(self, sa: IkeSa, exchange: Exchange) -> None:
        if exchange.insisted < len(INSIST_AFTER):
            self._at(
                self._context.now + INSIST_AFTER[exchange.insisted],
                partial(self._insist, sa.cookies, exchange.message_id),
            )

    def _insist(self, cookies: bytes, message_id: int) -> None:
        """Repeat Quick Mode's message 2: the client's message 3 may have been lost."""
        sa = self._context.ike_sas.get(cookies)
        exchange = sa.exchanges.get(message_id) if sa else None
        if sa and exchange and exchange.awaits and exchange.reply:
            exchange.insisted += 1
            self._context.send(sa.path, exchange.reply, fragments=sa.takes_fragments)
            self._insist_later(sa, exchange)

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

    def _watch_child(self, sa: IkeSa, message_id: int) -> None:
        """Set the timer of the child that this Quick Mode has made."""
        child = self._child_of(sa, message_id)
        if child is not None:
            self._at(child.expires, partial(self._child_timeout, child.sa.inbound_spi))

    def _child_of(self, sa: IkeSa, message_id: int) -> Child | None:
        """The child SA of a Quick Mode, if it has come that far."""
        client = self._context.client_of(sa)
        made = client.children if client else ()
        return next((child for child in made if child.quick_mode == (sa.cookies, message_id)), None)

    def _child_timeout(self, inbound_spi: int) -> None:
        found = self._context.clients.by_inbound_spi(inbound_spi)
        if found is not None and found[1].expires <= self._context.now:
            self._end_child(*found, "lifetime over")

    def _end_child(self, client: Client, child: Child, cause: str) -> None:
        sa = self._context.newest_ike_sa(client)
        if sa is not None:
            self._context.inform(sa, informational.delete_child(child.sa))
        self._context.remove_child(client, child, cause)

    def _drop(self, path: Path, reason: str) -> None:
        self._context.emit(Dropped(path, reason))


def _digest(datagram: bytes) -> bytes:
    """What a repeated request is recognised by."""
    return hashlib.blake2b(datagram, digest_size=16).digest()


def _unanswered(sa: IkeSa) -> bool:
    """Whether our message 2 has had no answer, so that the client's address may be forged."""
    exchange = sa.main_mode
    return exchange is not None and exchange.awaits is not None and exchange.replies == 1


def _name(initiator_cookie: bytes) -> str:
    """What a client is called in logs."""
    return initiator_cookie[:4].hex()


def _notification(notify: NotifyType, protocol: ProtocolId) -> Notification:
    return Notification(doi=DOI_IPSEC, protocol_id=protocol, notify_type=notify, spi=b"", data=b"")
