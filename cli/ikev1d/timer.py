"""One timer for an engine: it runs when the engine's next deadline is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """Calls `action` at the deadline set last; setting the same deadline again costs nothing."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None) -> None:
        """Set the deadline on the loop's clock; None for none."""
        if self._handle is not None:
            if self._handle.when() == deadline:
                return
            self._handle.cancel()
            self._handle = None
        if deadline is not None:
            self._handle = self._loop.call_at(deadline, self._run)

    def cancel(self) -> None:
        """Run no more."""
        self.set(None)

    def _run(self) -> None:
        self._handle = None
        self._action()
