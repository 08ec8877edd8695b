"""CPU time of a responder for each client: ours and charon, in turns, with the same clients.

    python -m interop.kernel --host -- .venv/bin/python -m tests.bench.responder
    python -m interop.kernel --embedded -- .venv/bin/python -m tests.bench.responder --quick-modes 1

Counted is all that the daemon's process spends, in user mode and in the kernel, on a client from
its first message to its Delete. Rounds alternate between the daemons, so that all meet the same
neighbours on the machine; the ratio is the median of those within one round, and behind it that of
the shortest rounds, which the machine has disturbed least. With `--rekeys N` it is on one of N more
Quick Modes of a client, under the Phase 1 that it has.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from interop.kernel import artefacts
from interop.load.bench import WARM_UP, Bench, bench
from interop.load.process_cost import settled_cpu_time
from interop.load.responders import KINDS, OTHER_KINDS, SUITES, Certificates, Responder, Terms
from tests.bench.command import ikev1d


@dataclass(frozen=True, slots=True)
class Cost:
    """What one responder took, in microseconds a client, one value for each round."""

    name: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds)

    def ratio(self, other: "Cost") -> float:
        """Ours to that of another: the median of the rounds' ratios."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / others for mine, others in pairs)

    def shortest_ratio(self, other: "Cost") -> float:
        """Ours to that of another, in the shortest round of each."""
        return min(self.rounds) / min(other.rounds)


def costs(
    stage: Bench,
    suite: str,
    *,
    quick_modes: int,
    rekeys: int,
    rounds: int,
    count: int,
    concurrency: int,
) -> list[Cost]:
    """Measure all responders of the stage: a client, or a rekey where there are `rekeys`."""

    def dial_in(responder: Responder, clients: int, quick_modes: int) -> float:
        begun = settled_cpu_time(responder.process.pid)
        stage.dial_in(
            responder, clients, suite=suite, quick_modes=quick_modes, concurrency=concurrency
        )
        return (settled_cpu_time(responder.process.pid) - begun) / clients * 1e6

    def cost(responder: Responder, clients: int) -> float:
        if not rekeys:
            return dial_in(responder, clients, quick_modes)
        without = dial_in(responder, clients, 1)
        return (dial_in(responder, clients, 1 + rekeys) - without) / rekeys

    responders = list(stage.responders.values())
    for responder in responders:
        cost(responder, WARM_UP)
    taken: dict[str, list[float]] = {responder.name: [] for responder in responders}
    for _ in range(rounds):
        for responder in responders:
            taken[responder.name].append(cost(responder, count))
        # None of them is always the first after another.
        responders = [*responders[1:], responders[0]]
    return [Cost(name, tuple(values)) for name, values in taken.items()]


def row(suite: str, measured: Sequence[Cost]) -> str:
    """One line of the table; the first cost is ours."""
    ours = measured[0]
    cells = [suite]
    for cost in measured:
        low, _, high = statistics.quantiles(cost.rounds, n=4)
        cells.append(f"{cost.median:.0f} ({low:.0f} to {high:.0f})")
    cells += [f"{ours.ratio(o):.2f} ({ours.shortest_ratio(o):.2f})" for o in measured[1:]]
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.responder", description=__doc__)
    parser.add_argument("--quick-modes", type=int, default=0, help="of each client")
    parser.add_argument("--rekeys", type=int, default=0, metavar="N", help="measure these alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--count", type=int, default=200, help="clients in a round")
    parser.add_argument("--concurrency", type=int, default=8, help="clients at a time")
    parser.add_argument("--suite", choices=SUITES, action="append")
    parser.add_argument("--kind", choices=(*KINDS, *OTHER_KINDS), action="append")
    parser.add_argument("--certificates", metavar="KEY", help="rsa2048, p256...: of both sides")
    parser.add_argument("--json", action="store_true", help="the rounds of each by suite")
    options = parser.parse_args()
    begun = os.getloadavg()[0]
    found: dict[str, list[Cost]] = {}
    terms = Terms(Certificates.of(options.certificates) if options.certificates else None)
    with bench(
        artefacts(),
        kinds=options.kind or KINDS,
        ikev1d=ikev1d(),
        terms=terms,
    ) as stage:
        names = [responder.name for responder in stage.responders.values()]
        for suite in options.suite or SUITES:
            found[suite] = costs(
                stage,
                suite,
                quick_modes=options.quick_modes,
                rekeys=options.rekeys,
                rounds=options.rounds,
                count=options.count,
                concurrency=options.concurrency,
            )
    if options.json:
        rounds = {s: {cost.name: cost.rounds for cost in measured} for s, measured in found.items()}
        sys.stdout.write(json.dumps(rounds) + "\n")
        return 0
    rows = [row(suite, measured) for suite, measured in found.items()]
    heads = ["suite", *names, *(f"ratio to {name}" for name in names[1:])]
    lines = [f"| {' | '.join(heads)} |", f"| --- |{' --: |' * (len(heads) - 1)}", *rows]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.write(
        f"\n{options.rounds} rounds of {options.count} clients, {options.concurrency} at a time;"
        f" load average {begun:.1f} before, {os.getloadavg()[0]:.1f} after\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
