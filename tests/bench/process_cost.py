"""What a process has cost so far: CPU time with all its threads, and resident memory."""

import time
from pathlib import Path

from interop.wait import until

SETTLED = 0.1
"""Seconds without a tick of CPU time after which a daemon has nothing left to do."""
SETTLE_LIMIT = 20.0


def cpu_time(pid: int) -> float:
    """Seconds of CPU time, user and system, of the threads that are alive.

    Nanoseconds on a usual kernel, ticks of 10 ms on user-mode-linux. Daemons keep their threads, so
    that none takes its time with it.
    """
    return 1e-9 * sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def settled_cpu_time(pid: int) -> float:
    """Return `cpu_time` once the process has come to rest: its last messages handled."""
    last = cpu_time(pid)

    def rests() -> bool:
        nonlocal last
        before, last = last, cpu_time(pid)
        return last - before < 1e-4

    time.sleep(SETTLED)
    while True:
        until(rests, f"process {pid} to rest", SETTLE_LIMIT)
        time.sleep(SETTLED)
        if rests():
            return last


def resident(pid: int) -> int:
    """Octets of memory that is the process's own and in RAM: no shared libraries."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["RssAnon"].split()[0]) * 1024
