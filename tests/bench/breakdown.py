"""Where our CPU time goes, and how long the event loop is held up.

    python -m interop.kernel --host -- .venv/bin/python -m tests.bench.breakdown

The daemon runs with a stopwatch around its parts, which makes it slower; what the stopwatch itself
takes is taken off as far as it is known. For the event loop there is a second run, with nothing but
a heartbeat.
"""

import argparse
import json
import signal
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interop.kernel import artefacts
from interop.load.bench import WARM_UP, Bench, bench
from interop.load.process_cost import IDLE, settled_cpu_time
from interop.load.responders import SUITES
from interop.wait import until
from tests.bench.command import ikev1d
from tests.bench.stopwatch import MILLISECOND

MEASUREMENTS = "/run/measurements.json"
COUNT = 200
BEATING = 0.03
"""Seconds of CPU time in a tenth of a second that the heartbeat may take."""
WRITE_LIMIT = 10.0


def measured(
    stage: Bench,
    suite: str,
    quick_modes: int,
    concurrency: int,
    count: int,
    idle: float = IDLE,
) -> Any:
    """Measure our daemon while `count` clients dial in, or for a moment in which nobody does."""
    ours = stage["ours"]
    file: Path = ours.host.path(MEASUREMENTS)
    file.unlink(missing_ok=True)
    for clients in (WARM_UP, count):
        settled_cpu_time(ours.process.pid, idle)
        ours.process.signal(signal.SIGUSR1)
        stage.dial_in(ours, clients, suite=suite, quick_modes=quick_modes, concurrency=concurrency)
    settled_cpu_time(ours.process.pid, idle)
    ours.process.signal(signal.SIGUSR2)
    until(file.exists, "the measurements", WRITE_LIMIT)
    return json.loads(file.read_text())


def parts_table(columns: dict[str, Any], count: int) -> str:
    """Microseconds a client by part, a column for each measurement."""
    shares: dict[str, list[float]] = {}
    for document in columns.values():
        parts = document["parts"]
        known = sum(part["spent"] for part in parts.values())
        for name, part in parts.items():
            shares.setdefault(name, []).append(part["spent"] / count / 1000)
        rest = document["total"] * 1e9 - known
        shares.setdefault("the rest: asyncio, threads, stopwatch", []).append(rest / count / 1000)
    lines = [f"| part | {' | '.join(columns)} |", f"| --- |{' --: |' * len(columns)}"]
    for name, values in sorted(shares.items(), key=lambda item: -max(item[1])):
        lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for value in values)} |")
    return "\n".join(lines)


def lateness(late: Sequence[float]) -> str:
    """Percentiles of the heartbeat's lateness, in milliseconds."""
    percentiles = statistics.quantiles(late, n=1000)
    shown = [percentiles[at] for at in (499, 989, 998)] + [max(late)]
    return " | ".join(f"{1000 * value:.2f}" for value in shown)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.breakdown", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help="clients")
    parser.add_argument("--concurrency", type=int, default=8, help="clients at a time")
    options = parser.parse_args()
    count, concurrency = options.count, options.concurrency
    directory = artefacts()
    columns: dict[str, Any] = {}
    callbacks: list[str] = []
    with bench(directory, kinds=["ours"], ikev1d=ikev1d("--measure", MEASUREMENTS)) as stage:
        for suite in SUITES:
            for quick_modes, phases in ((0, "Main Mode"), (1, "Main and Quick Mode")):
                document = measured(stage, suite, quick_modes, concurrency, count)
                columns[f"{phases}, {suite}"] = document
                loop = document["parts"]["event loop"]
                callbacks.append(
                    f"| {phases}, {suite} | {loop['calls']} | {loop['longest'] / MILLISECOND:.2f}"
                    f" | {loop['over']} |"
                )
    beating = ikev1d("--measure", MEASUREMENTS, "--heartbeat")
    beats = []
    with bench(directory, kinds=["ours"], ikev1d=beating) as stage:
        document = measured(stage, SUITES[0], 0, concurrency, 0, BEATING)
        beats.append(f"| nobody dials in | {lateness(document['late'])} |")
        for suite in SUITES:
            document = measured(stage, suite, 1, concurrency, count, BEATING)
            beats.append(f"| {suite} | {lateness(document['late'])} |")
    lines = [
        "Microseconds of CPU time a client, by part:",
        "",
        parts_table(columns, count),
        "",
        "Callbacks of the event loop, in CPU time:",
        "",
        "| load | callbacks | longest, ms | over 1 ms |",
        "| --- | --: | --: | --: |",
        *callbacks,
        "",
        "How late a timer of the event loop is, in ms of the clock:",
        "",
        "| load | median | 99 % | 99.9 % | latest |",
        "| --- | --: | --: | --: | --: |",
        *beats,
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
