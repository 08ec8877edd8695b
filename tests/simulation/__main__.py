"""Runs the simulation: one seed to replay, or one after the other for as long as one likes.

    python -m tests.simulation --seed 7 --clients 500 --hours 2
    python -m tests.simulation --minutes 60          # seeds from today's on (`make simulate`)

It prints a line for each run. One that fails ends it, with the last lines of its trace and the
command that replays it exactly.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from datetime import UTC, datetime

from tests.simulation.world import PEACE, FailedRunError, Outcome, Plan, simulate


def seed_of_today() -> int:
    """A seed that is new each day."""
    return int(datetime.now(UTC).strftime("%Y%m%d"))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    made.add_argument("--seed", type=int, help="of the first run; that of today by default")
    made.add_argument("--clients", type=int, default=2500)
    made.add_argument("--hours", type=float, default=0.5, help="of the clients' time, for each run")
    made.add_argument("--peace", type=float, default=PEACE, help="seconds without trouble then")
    made.add_argument("--minutes", type=float, default=0.0, help="go on with the next seeds")
    made.add_argument("--loud", action="store_true", help="the whole trace on stderr")
    return made


def main() -> int:
    """Run; the exit status is 1 where a run failed."""
    arguments = parser().parse_args()
    seed = seed_of_today() if arguments.seed is None else arguments.seed
    end = time.monotonic() + arguments.minutes * 60
    while True:
        plan = Plan(seed, arguments.clients, arguments.hours, arguments.peace, loud=arguments.loud)
        try:
            print(run(plan)[1], flush=True)
        except FailedRunError as failure:
            traceback.print_exception(failure.__cause__)
            print(failure)
            return 1
        seed += 1
        if time.monotonic() >= end:
            return 0


def run(plan: Plan) -> tuple[Outcome, str]:
    """Run one plan; what it was, and the same in words."""
    begun = time.process_time()
    outcome = simulate(plan)
    cpu = time.process_time() - begun
    return outcome, (
        f"seed {plan.seed}: {plan.clients} clients, {plan.hours:g} h, {outcome.dial_ins} dial-ins, "
        f"at most {outcome.peak} at once, {outcome.steps} steps, {outcome.packets} packets, "
        f"{outcome.checks} checks, {cpu:.1f} s, {outcome.steps / cpu:.0f} steps/s, "
        f"digest {outcome.digest}\n    {dict(sorted(outcome.counts.items()))}"
    )


if __name__ == "__main__":
    sys.exit(main())
