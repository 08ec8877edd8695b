"""How late the event loop comes to its timers."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

from cli.ikev1d.metrics.exposition import Family, Sample

INTERVAL = 0.5
"""Seconds between two looks."""
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds of the buckets, in seconds. asyncio's own timers are exact to a millisecond."""


class LoopLag:
    """Looks at its watch twice a second, and counts how late it was."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        due = self._loop.time() + INTERVAL
        self._handle = self._loop.call_at(due, self._look, due)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _look(self, due: float) -> None:
        self.observe(max(self._loop.time() - due, 0.0))
        self.start()

    def observe(self, late: float) -> None:
        """Count one look, so many seconds late."""
        self._buckets[bisect_left(BOUNDS, late)] += 1
        self._sum += late

    def family(self, name: str, text: str) -> Family:
        """The histogram: cumulative, as Prometheus has it."""
        samples: list[Sample] = []
        count = 0
        for bound, number in zip((*BOUNDS, None), self._buckets, strict=True):
            count += number
            label = "+Inf" if bound is None else repr(bound)
            samples.append(Sample(count, (("le", label),), "_bucket"))
        samples += [Sample(self._sum, suffix="_sum"), Sample(count, suffix="_count")]
        return Family(name, "histogram", text, tuple(samples))
