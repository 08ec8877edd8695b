"""Bounds on what peers that have proved nothing can make the gateway do."""

from __future__ import annotations

COMPLAINTS = (10.0, 50.0)
"""Refusals of unauthenticated peers that are logged and answered: a second, and at once."""

HINTS = (100.0, 200.0)
"""Answers to what is of no SA of ours, by all senders together: a second, and at once. Enough for
ten thousand clients in the minutes after a restart, and some 50 octets each."""


class TokenBucket:
    """So many events a second on the long run, and so many at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._last = 0.0

    def take(self, now: float) -> bool:
        """Whether one more event is within the bound at `now`, in seconds."""
        self._tokens = min(self._burst, self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
