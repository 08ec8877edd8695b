"""The process itself, under the names that Prometheus' own client libraries use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from cli.ikev1d.metrics.exposition import Family, counter, gauge
from cli.ikev1d.open_files import file_limit

STATM = Path("/proc/self/statm")
PAGE = os.sysconf("SC_PAGE_SIZE")


def process_families(started: float) -> Iterator[Family]:
    """CPU time and memory; `started` is seconds since the epoch."""
    size, resident = (int(pages) * PAGE for pages in STATM.read_text().split()[:2])
    cpu = time.process_time()
    yield counter("process_cpu_seconds_total", "CPU time, in user mode and in the kernel.", cpu)
    yield gauge("process_resident_memory_bytes", "Memory in RAM.", resident)
    yield gauge("process_virtual_memory_bytes", "Memory in all.", size)
    yield gauge("process_max_fds", "Files that may be open.", file_limit())
    yield gauge("process_start_time_seconds", "When it started, since the epoch.", started)
