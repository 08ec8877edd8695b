"""Memory of an established session: what a daemon grows by, from a few sessions to many.

    python -m interop.kernel --embedded -- .venv/bin/python -m tests.bench.memory

A session is a Main Mode and a Quick Mode; L2TP and PPP would come on top. Counted are anonymous
pages in RAM, the daemon's own, not what the kernel keeps for its SAs. `--engine` says what the IKE
engine alone keeps, without a daemon around it.
"""

import argparse
import functools
import gc
import os
import sys

from interop.clients.ike import STRONGSWAN
from interop.errors import LabError
from interop.initiator.__main__ import phase1_offer
from interop.initiator.derivation import dh_key
from interop.initiator.profiles import only
from interop.kernel import artefacts
from interop.load.bench import WARM_UP, bench
from interop.load.process_cost import resident, settled_cpu_time
from interop.load.responders import SUITES
from tests.bench.command import ikev1d
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost, settings

FEW, MANY = 200, 2000
CONCURRENCY = 8


def grown(few: int, many: int) -> dict[str, float]:
    """Octets a session by daemon."""
    found = {}
    with bench(artefacts(), kinds=("ours", "tuned"), ikev1d=ikev1d()) as stage:
        for responder in stage.responders.values():
            pid = responder.process.pid
            dial_in = functools.partial(
                stage.dial_in,
                responder,
                suite=SUITES[0],
                quick_modes=1,
                concurrency=CONCURRENCY,
            )
            dial_in(WARM_UP)
            sizes = []
            kept = 0
            for sessions in (few, many):
                dial_in(sessions - kept, keep=True)
                kept = sessions
                settled_cpu_time(pid)
                sizes.append(resident(pid))
                there = responder.sessions()
                if there != sessions:
                    raise LabError(f"{responder.name} has {there} sessions, not {sessions}")
            found[responder.name] = (sizes[1] - sizes[0]) / (many - few)
    return found


def engine_grown(few: int, many: int) -> float:
    """Octets that the engine alone keeps of a session, in this process."""
    profile = only(STRONGSWAN, phase1_offer(SUITES[0]))
    make_dh = functools.cache(dh_key)
    host = IkeHost(settings=settings())
    sizes = []
    for sessions in (few, many):
        while len(host.engine.clients) < sessions:
            number = len(host.engine.clients)
            Dialin(
                host,
                profile=profile,
                nat=f"10.64.{number >> 8}.{number & 255}",
                seed=str(number),
                make_dh=make_dh,
            ).connect()
            for kept in (host.sent, host.told, host.asked):
                kept.clear()
            host.inbound.clear()
            host.outbound.clear()
        gc.collect()
        sizes.append(resident(os.getpid()))
    return (sizes[1] - sizes[0]) / (many - few)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--few", type=int, default=FEW, help="sessions at first")
    parser.add_argument("--many", type=int, default=MANY, help="sessions in the end")
    parser.add_argument("--engine", action="store_true")
    options = parser.parse_args()
    few, many = options.few, options.many
    found = {"engine": engine_grown(few, many)} if options.engine else grown(few, many)
    lines = ["| | kB a session |", "| --- | --: |"]
    lines += [f"| {name} | {octets / 1000:.1f} |" for name, octets in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
