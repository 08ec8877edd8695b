"""What a process has cost so far: CPU time with all its threads, and resident memory."""

import time
from pathlib import Path

from interop.wait import until

SETTLED = 0.1
"""Seconds over which a daemon must be nearly idle to count as having nothing left to do."""
IDLE = 0.002
"""Seconds of CPU time that it may spend in them, on a heartbeat for example."""
SETTLE_LIMIT = 60.0


def cpu_time(pid: int) -> float:
    """Seconds of CPU time, user and system, of the threads that are alive.

    Nanoseconds on a usual kernel, ticks of 10 ms on user-mode-linux. Daemons keep their threads, so
    that none takes its time with it.
    """
    return 1e-9 * sum(
        int((task / "schedstat").read_text().split()[0])
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def settled_cpu_time(pid: int, idle: float = IDLE) -> float:
    """Return `cpu_time` once the process has come to rest: its last messages handled.

    `idle` is for one that spends more than `IDLE` on something else.
    """
    last = cpu_time(pid)

    def rests() -> bool:
        nonlocal last
        time.sleep(SETTLED)
        before, last = last, cpu_time(pid)
        return last - before < idle

    until(rests, f"process {pid} to rest", SETTLE_LIMIT)
    return last


def resident(pid: int) -> int:
    """Octets of memory that is the process's own and in RAM: no shared libraries."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["RssAnon"].split()[0]) * 1024
