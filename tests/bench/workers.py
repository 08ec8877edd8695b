"""How long a gateway takes for clients that all come at once, by its number of processes.

    python -m interop.kernel --host -- .venv/bin/python -m tests.bench.workers

The clients are one process, on the same machine, which takes longer than the gateway for each of
them. So that it is not what is waited for, each process of the gateway runs a sixteenth of the time
(`--slowness`), in turns, as on a core of its own that is so much slower.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

from interop.kernel import artefacts
from interop.load.bench import WARM_UP, bench
from interop.load.process_cost import cpu_time, settled_cpu_time
from interop.load.responders import SUITES, Terms
from tests.bench.command import ikev1d

TURN = 0.005
"""Seconds that a slowed process runs at a time."""


class Storm(NamedTuple):
    """What one storm took, in seconds."""

    elapsed: float
    cpu: list[float]
    """Of each process that serves clients."""


def processes(pid: int) -> list[int]:
    """The workers of a gateway; itself, where it has none."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] or [pid]


@contextmanager
def slowed(pids: Sequence[int], slowness: int) -> Iterator[None]:
    """Let each process run in one of so many turns only, each in another one."""
    over = Event()

    def turns() -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        while not over.is_set():
            for turn in range(slowness):
                now = pids[turn::slowness]
                for pid in now:
                    os.kill(pid, signal.SIGCONT)
                over.wait(TURN)
                for pid in now:
                    os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    thread = Thread(target=turns)
    if slowness > 1:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if slowness > 1:
            thread.join()


def storm(workers: int, clients: int, slowness: int, suite: str) -> Storm:
    """Have all clients come at once, with Main Mode and Quick Mode."""
    command, terms = ikev1d(), Terms(workers=workers)
    with bench(artefacts(), kinds=["ours"], ikev1d=command, terms=terms) as stage:
        ours = stage["ours"]

        def dial_in(count: int, *, keep: bool) -> None:
            stage.dial_in(ours, count, suite=suite, quick_modes=1, concurrency=count, keep=keep)

        dial_in(WARM_UP, keep=False)
        pids = processes(ours.process.pid)
        before = [settled_cpu_time(pid) for pid in pids]
        with slowed(pids, slowness):
            begun = monotonic()
            dial_in(clients, keep=True)
            elapsed = monotonic() - begun
        spent = [cpu_time(pid) - earlier for pid, earlier in zip(pids, before, strict=True)]
        assert ours.sessions() == clients
        return Storm(elapsed, spent)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workers", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--slowness", type=int, default=16)
    parser.add_argument("--workers", type=int, action="append")
    options = parser.parse_args()
    print("| workers | clients | s until all are in | CPU s of each worker | clients a second |")
    print("| --: | --: | --: | --- | --: |")
    for workers in options.workers or (1, 2, 4):
        measured = storm(workers, options.clients, options.slowness, SUITES[0])
        cpu = ", ".join(f"{seconds:.2f}" for seconds in measured.cpu)
        rate = options.clients / max(measured.cpu)
        print(f"| {workers} | {options.clients} | {measured.elapsed:.1f} | {cpu} | {rate:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
