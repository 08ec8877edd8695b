"""What has happened in a run: its last lines, for whoever looks into a failure, and a digest.

The daemon's own log is in it, as the operator would read it.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from cli.ikev1d.logs import OUR_LOGGER, TextFormatter
from tests.simulation.clock import VirtualLoop

KEPT = 400
"""Lines."""


class Trace:
    """The story of a run. Runs with the same seed have the same digest."""

    def __init__(self, loop: VirtualLoop, *, loud: bool = False) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self._loop = loop
        self._loud = loud
        self._hidden = ""
        self._digest = hashlib.blake2b(digest_size=16)

    def hide(self, text: str) -> None:
        """Leave out what is another in each run."""
        self._hidden = text

    def note(self, who: str, what: str) -> None:
        """One line."""
        if self._hidden:
            what = what.replace(self._hidden, "")
        line = f"{self._loop.time():12.3f} #{self._loop.steps} {who}: {what}"
        self.lines.append(line)
        self._digest.update(line.encode())
        if self._loud:
            sys.stderr.write(line + "\n")

    def count(self, what: str) -> None:
        """Something that happens too often for a line."""
        self.counts[what] += 1

    @property
    def digest(self) -> str:
        """Of all lines so far."""
        return self._digest.hexdigest()


class _Handler(logging.Handler):
    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace
        self.setFormatter(TextFormatter(timestamps=False))

    def emit(self, record: logging.LogRecord) -> None:
        self._trace.note("gateway", self.format(record))


@contextmanager
def daemon_log(trace: Trace, level: int = logging.INFO) -> Iterator[None]:
    """Have the daemon's log in the trace."""
    logger = logging.getLogger(OUR_LOGGER)
    handler, before, passes = _Handler(trace), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = passes
