"""What the engine has to do later, on the clock of `now`."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timers:
    """Actions by the time at which they are due.

    An action knows its object by key, not by reference: what has ended is freed at once, and its
    timer finds nothing.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        """Keeps what is due at the same time in order."""

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, deadline: float, action: Callable[[], None]) -> None:
        """Run an action then."""
        self._number += 1
        heapq.heappush(self._heap, (deadline, self._number, action))

    def run(self, now: float) -> None:
        """Run what is due."""
        while self._heap and self._heap[0][0] <= now:
            _, _, action = heapq.heappop(self._heap)
            action()

    def next_deadline(self) -> float | None:
        """When something is due next."""
        return self._heap[0][0] if self._heap else None
