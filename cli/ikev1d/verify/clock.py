"""The machine's clock."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.verify.findings import note, ok, warning

STA_UNSYNC = 0x0040
"""Status bit of adjtimex(2): nobody keeps the clock right."""
_STATUS_OFFSET = 5 * ctypes.sizeof(ctypes.c_long)
"""Of struct timex: modes (padded), offset, freq, maxerror, esterror, then status."""
_TIMEX_SIZE = 256
"""Octets; the structure has 208."""


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """Times are seconds since the epoch."""

    now: float
    synchronised: bool
    config_written: float
    """When the configuration was last changed; 0 where there is none."""


def read_clock(config: Config | None) -> ClockFacts:
    """Ask the kernel."""
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    asked = libc.adjtimex(timex) >= 0
    status = ctypes.c_int.from_buffer(timex, _STATUS_OFFSET).value
    return ClockFacts(
        now=time.time(),
        synchronised=asked and not status & STA_UNSYNC,
        config_written=config.path.stat().st_mtime if config else 0.0,
    )


def check_clock(facts: ClockFacts) -> Iterator[Finding]:
    """Judge what was found."""
    remedy = "timedatectl set-ntp true"
    if facts.now < facts.config_written:
        day = time.strftime("%Y-%m-%d", time.gmtime(facts.now))
        yield warning(
            "clock.behind",
            f"the clock says {day}, before the configuration was written",
            "certificates seem not yet valid, and the log cannot be matched with the clients'",
            remedy,
        )
    elif not facts.synchronised:
        yield note(
            "clock.synchronised",
            "nothing keeps the clock right",
            "certificates and logs depend on it; preshared keys do not",
            remedy,
        )
    else:
        yield ok("clock.synchronised", "the clock is kept right")
