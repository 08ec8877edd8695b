"""Waiting for something to become true: by looking again, and with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

from interop.errors import LabError

T = TypeVar("T")

INTERVAL, LONGEST = 0.02, 0.2
"""Seconds between two looks, at first and at most: a fifth of what has been waited for already.

To look takes CPU time, which what is waited for needs as well.
"""


class StillWaitingError(LabError):
    """What was waited for did not come true within its limit."""


def until(condition: Callable[[], T], what: str, limit: float, interval: float = INTERVAL) -> T:
    """Call ``condition`` until it answers with something true, and return that.

    ``what`` completes "waited for"; ``limit`` and ``interval``, the least between
    two looks, are in seconds. Raises `StillWaitingError`.
    """
    begun = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - begun
        if waited > limit:
            raise StillWaitingError(f"waited {limit:g} s for {what}")
        time.sleep(max(interval, min(waited / 5, LONGEST)))
    return answer
