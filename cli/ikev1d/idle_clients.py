"""Ends clients that have SAs and do not use them: nobody dials L2TP in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

IDLE_CLIENT = 60.0
"""Seconds that a client may be without an L2TP tunnel: to dial, and to redial after one ended."""

STRAY_CLIENT = 15.0
"""The same for one that has been told that its tunnel has ended."""


class IdleClients:
    """Who is being watched, by mark; `close` is called with the mark and the cause."""

    def __init__(self, close: Callable[[int, str], None]) -> None:
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._watches: dict[int, asyncio.TimerHandle] = {}

    def watch(self, mark: int) -> None:
        """The client has no tunnel, from now on."""
        self._watch(mark, IDLE_CLIENT, "no L2TP tunnel")

    def strayed(self, mark: int) -> None:
        """It goes on in a tunnel that is not there; if it does not dial, IKE tells it too."""
        watch = self._watches.get(mark)
        if watch is None or watch.when() > self._loop.time() + STRAY_CLIENT:
            self._watch(mark, STRAY_CLIENT, "it goes on in an L2TP tunnel that has ended")

    def forget(self, mark: int) -> None:
        """It has a tunnel, or is gone."""
        watch = self._watches.pop(mark, None)
        if watch is not None:
            watch.cancel()

    def forget_all(self) -> None:
        """Nobody is watched any more."""
        for watch in self._watches.values():
            watch.cancel()
        self._watches.clear()

    def _watch(self, mark: int, time: float, cause: str) -> None:
        self.forget(mark)
        self._watches[mark] = self._loop.call_later(
            time, self._end, mark, f"{cause} for {time:.0f} s"
        )

    def _end(self, mark: int, cause: str) -> None:
        del self._watches[mark]
        self._close(mark, cause)
