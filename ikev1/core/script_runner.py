"""Runs the scripts of exchanges: resumes them with what they wait for, sends what they reply."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Protocol

from msgspec import Struct

from ikev1.core.context import Context
from ikev1.core.effects import Path
from ikev1.core.errors import ExchangeError
from ikev1.core.exchange import Await, Exchange
from ikev1.core.ike_sa import IkeSa
from ikev1.core.timers import Timers
from ikev1.errors import ProtocolError
from ikev1.wire.header import Header

INSIST_AFTER = (1.0, 2.0, 4.0, 8.0)
"""Seconds between our repeats of a message that nobody else would repeat.

Quick Mode's message 2, for which only HASH(3) is an answer, and all messages where we began.
"""


class Datagram(Struct, frozen=True):
    """A received message as it came."""

    header: Header
    octets: bytes


class Owner(Protocol):
    """Who is told of a script's end."""

    def finished(self, sa: IkeSa, exchange: Exchange) -> None:
        """It has succeeded; its last reply is sent after this."""

    def failed(
        self, sa: IkeSa, exchange: Exchange, error: ExchangeError, question: Datagram | None
    ) -> None:
        """It has given up, over this question if that was in clear."""


class ScriptRunner:
    """All scripts that wait for the host, and the way to go on with any."""

    def __init__(self, context: Context, timers: Timers) -> None:
        self._context = context
        self._timers = timers
        self._tickets: dict[int, tuple[Owner, IkeSa, Exchange, Datagram | None]] = {}

    def complete(self, ticket: int, result: object) -> None:
        """The host's answer to a question; ignored if its exchange has gone meanwhile."""
        waiting = self._tickets.pop(ticket, None)
        if waiting is not None and waiting[2].ticket == ticket:
            owner, sa, exchange, question = waiting
            self.resume(owner, sa, exchange, result, question)

    def resume(
        self,
        owner: Owner,
        sa: IkeSa,
        exchange: Exchange,
        value: object,
        question: Datagram | None = None,
    ) -> None:
        """Run a script to its next wait; `question` is what it is to answer in Phase 1."""
        exchange.awaits = None
        exchange.ticket = None
        try:
            step = exchange.script.send(value)
        except StopIteration as end:
            exchange.done = True
            owner.finished(sa, exchange)
            if end.value is not None:
                self._reply(sa, exchange, end.value)
        except ProtocolError as error:
            wrong = ExchangeError(f"malformed message: {error}", error.notify)
            owner.failed(sa, exchange, wrong, question)
        except ExchangeError as error:
            owner.failed(sa, exchange, error, question)
        else:
            if type(step) is Await:
                exchange.awaits = step
                if step.reply:
                    self._reply(sa, exchange, step.reply)
                if step.insist:
                    self._insist_later(sa, exchange)
            else:
                exchange.ticket = step.ticket
                self._tickets[step.ticket] = (owner, sa, exchange, question)
                self._context.emit(step)

    def repeat(self, sa: IkeSa, exchange: Exchange, request: bytes, path: Path) -> bool:
        """Answer a repeated request with the reply it had; whether it was one."""
        if request != exchange.request:
            return False
        if exchange.reply:
            self._context.send(
                path if not sa.established else sa.path,
                exchange.reply,
                fragments=sa.takes_fragments,
            )
        else:
            self._context.drop(path, "repeated-request")
        return True

    def _reply(self, sa: IkeSa, exchange: Exchange, reply: bytes) -> None:
        exchange.reply = reply
        exchange.replies += 1
        exchange.insisted = 0
        sa.saw_reply(reply)
        self._context.send(sa.path, reply, fragments=sa.takes_fragments)

    def _insist_later(self, sa: IkeSa, exchange: Exchange) -> None:
        if exchange.insisted < len(INSIST_AFTER):
            self._timers.at(
                self._context.now + INSIST_AFTER[exchange.insisted],
                partial(self._insist, sa.cookies, exchange.message_id, exchange.replies),
            )

    def _insist(self, cookies: bytes, message_id: int, number: int) -> None:
        """Repeat our message of this number: it may have been lost, or the answer to it."""
        sa = self._context.ike_sas.get(cookies)
        if sa is None:
            return
        exchange = sa.exchanges.get(message_id) if message_id else sa.main_mode
        if exchange and exchange.awaits and exchange.reply and exchange.replies == number:
            exchange.insisted += 1
            self._context.send(sa.path, exchange.reply, fragments=sa.takes_fragments)
            self._insist_later(sa, exchange)


def digest(datagram: bytes) -> bytes:
    """What a repeated request is recognised by."""
    return hashlib.sha256(datagram).digest()
