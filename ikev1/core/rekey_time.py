"""When we renew SAs of either kind, where we do."""

from __future__ import annotations

from collections.abc import Callable

REKEY_FROM, REKEY_UNTIL = 0.90, 0.95
"""The part of a lifetime after which we renew.

Clients come before: Apple after 0.8, charon after 0.7 to 0.85.
"""
TRY_AGAIN_AFTER = 45.0
"""Seconds from one attempt to renew an SA to the next."""
INTERVAL = 1.0
"""Seconds between two renewals of one kind with one client, however fast its SAs wear out."""
MAX_ATTEMPTS = 4
"""For one SA, which is left alone after that."""


def rekey_share(random: Callable[[int], bytes]) -> float:
    """The part of a lifetime after which we renew: at random, so that not all do at once."""
    jitter = int.from_bytes(random(2), "big") / 2**16
    return REKEY_FROM + (REKEY_UNTIL - REKEY_FROM) * jitter
