"""The SPIs of our inbound SAs, made so that a packet filter can tell them from all others.

After a restart the clients go on to send under SPIs of the earlier run. The kernel drops such
packets without a word to anybody, and among thousands of good ones each second they cannot be
looked for in Python. So every SPI of one run has the run's stamp: the upper `STAMP_BITS` of its
product with `MULTIPLIER` modulo 2^32. A filter of a dozen instructions checks that in the kernel
(`xfrm.esp_tap`) and hands up what has another stamp: all but one in 4096 of the SPIs of an earlier
run, and nothing of this one. What is left of an SPI is random (RFC 2406 section 2.1 asks for no
more than that it is not in use).
"""

from __future__ import annotations

from collections.abc import Callable

from ikev1.core.share import WHOLE, Share

MULTIPLIER = 0x9E3779B1
"""Odd, so that the product names the SPI; its bits are those of the golden ratio, well mixed."""
STAMP_BITS = 12
SHIFT = 32 - STAMP_BITS
FIRST_SPI = 0x100
"""RFC 2406 section 2.1 reserves what is below."""

_INVERSE = pow(MULTIPLIER, -1, 1 << 32)


def stamp_of(spi: int) -> int:
    """The stamp of an SPI."""
    return (spi * MULTIPLIER & 0xFFFFFFFF) >> SHIFT


def draw_stamp(random: Callable[[int], bytes]) -> int:
    """A stamp for a run."""
    return int.from_bytes(random(2), "big") % (1 << STAMP_BITS)


class SpiSpace:
    """The SPIs with one stamp, which is drawn at random unless several engines share it."""

    def __init__(self, random: Callable[[int], bytes], share: Share = WHOLE) -> None:
        self._random = random
        self._share = share
        self.stamp = draw_stamp(random) if share.spi_stamp is None else share.spi_stamp

    def draw(self, taken: Callable[[int], bool]) -> int:
        """A random SPI of these that is not `taken`."""
        while True:
            rest = int.from_bytes(self._random(4), "big") % (1 << SHIFT)
            rest += self._share.index - rest % self._share.count
            if rest >> SHIFT:
                continue
            spi = (self.stamp << SHIFT | rest) * _INVERSE & 0xFFFFFFFF
            if spi >= FIRST_SPI and not taken(spi):
                return spi
