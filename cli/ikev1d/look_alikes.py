"""A user who logs in from a device that looks like one that is connected.

A device that comes back from another port of its NAT proves in IKE no more than that it has the
preshared key (`ikev1.core.replacement`). Its user's password is a better proof: where user, public
address, private address and implementation are the same, it is nearly always the same device, and
its older session is dead. Not always: so the older one is asked, and stays if anything comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from cli.ikev1d.logs import ClientLog
from ikev1.core.clients import Clients

ASK_AGAIN = 2.0
"""Seconds until the second question: UDP loses some."""
PATIENCE = 6.0
"""Seconds in which a device that is awake answers, over whatever network."""


class LookAlikes:
    """Ends sessions whose device has come back.

    `received` counts the octets that have come from each of the clients with some marks, `ask` has
    a session asked whether its client is there, `close` ends the client with a mark, with a cause.
    """

    def __init__(
        self,
        clients: Clients,
        received: Callable[[Sequence[int]], tuple[int, ...]],
        ask: Callable[[int], None],
        close: Callable[[int, str], None],
    ) -> None:
        self._clients = clients
        self._received = received
        self._ask = ask
        self._close = close
        self._log = ClientLog("ikev1d")
        self._loop = asyncio.get_running_loop()
        self._timers: set[asyncio.TimerHandle] = set()

    def logged_in(self, user: str, mark: int, older_mark: int, older_session: int) -> None:
        """A user is connected under `mark`, and was already under another one."""
        client, older = self._clients.by_mark(mark), self._clients.by_mark(older_mark)
        if client is None or older is None or not client.looks_like(older):
            return
        (octets,) = self._received((older_mark,))
        self._ask(older_session)
        self._later(ASK_AGAIN, self._ask, older_session)
        self._later(PATIENCE, self._decide, user, older.id, older_mark, octets)

    def close(self) -> None:
        """Decide nothing more."""
        for timer in self._timers:
            timer.cancel()

    def _decide(self, user: str, client_id: str, mark: int, octets: int) -> None:
        client = self._clients.by_mark(mark)
        if client is None or client.id != client_id:
            return
        if self._received((mark,)) == (octets,):
            self._close(mark, f"replaced: {user} has connected again with the same device")
        else:
            self._log.of(client_id).info("still there: another device, of the same user", user=user)

    def _later(self, delay: float, action: Callable[..., None], *arguments: object) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action(*arguments)

        timer = self._loop.call_later(delay, run)
        self._timers.add(timer)
