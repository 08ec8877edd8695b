"""One timer for an engine: it runs when the engine's next deadline is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """Calls `action` at the deadline set last.

    A deadline moves with nearly every message, and mostly away. So the loop is left to wake up at
    an earlier one, and then waits on: to cancel and to set anew each time would take longer.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None) -> None:
        """Set the deadline on the loop's clock; None for none."""
        self._deadline = deadline
        if deadline is None:
            return
        if self._handle is not None:
            if self._handle.when() <= deadline:
                return
            self._handle.cancel()
        self._handle = self._loop.call_at(deadline, self._run, deadline)

    def cancel(self) -> None:
        """Run no more."""
        self._deadline = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self, due: float) -> None:
        self._handle = None
        if self._deadline is None:
            return
        if self._deadline > due:
            self.set(self._deadline)
        else:
            self._action()
