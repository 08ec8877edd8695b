"""One of several engines that serve one gateway's clients side by side, each its share of them.

The gateway's processes share UDP ports, and the kernel shares out what comes (`xfrm.steering`): a
first message by the address that it comes from, all others by the cookie that we have put into
them. So a cookie of ours, in either place, names the engine: two octets that all engines of one run
have in common and a client's cookie hardly ever has, then one that tells the engine, then chance.
SPIs and marks of the engines are apart too, by their remainders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

COOKIE = 8
"""Octets."""
MOST = 64
"""Engines: the octet that tells one leaves four values for each."""


@dataclass(frozen=True, slots=True)
class Share:
    """Engine `index` of `count`; the stamps are what all of them have in common."""

    index: int = 0
    count: int = 1
    cookie_stamp: int = 0
    """Upper 16 bits of our cookies, never 0 where there are several engines."""
    spi_stamp: int | None = None
    """None: the engine draws its own (`ikev1.core.spi`)."""

    def cookie(self, random: Callable[[int], bytes]) -> bytes:
        """A cookie of this engine."""
        if self.count == 1:
            return random(COOKIE)
        indices = range(self.index, 0x100, self.count)
        index = indices[random(1)[0] % len(indices)]
        return self.cookie_stamp.to_bytes(2, "big") + bytes([index]) + random(COOKIE - 3)


WHOLE = Share()
"""The one engine that there is."""
