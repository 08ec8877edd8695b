"""Waiting for something to become true: by looking again, and with a limit."""

import time
from collections.abc import Callable
from typing import TypeVar

from interop.errors import LabError

T = TypeVar("T")

INTERVAL = 0.02
"""Seconds between two looks."""


class StillWaitingError(LabError):
    """What was waited for did not come true within its limit."""


def until(condition: Callable[[], T], what: str, limit: float, interval: float = INTERVAL) -> T:
    """Call ``condition`` until it answers with something true, and return that.

    ``what`` completes "waited for"; ``limit`` and ``interval`` are in seconds. Raises
    `StillWaitingError`.
    """
    deadline = time.monotonic() + limit
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise StillWaitingError(f"waited {limit:g} s for {what}")
        time.sleep(interval)
    return answer
