"""``python -m interop load``: thousands of clients against this gateway, charon or pluto.

The clients speak IKE, up to ESP SAs that nothing is sent through; with --whole they go on to L2TP
and PPP and log in, which is for this gateway alone. They arrive, some leave and others come in
their place, and in the end the gateway is killed, starts again, and all of them come back at once.
For each part: how long it took them, what failed, and what it cost the gateway.

Costs beside those of charon and pluto, and how they grow, are `python -m tests.bench.load`.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from signal import SIGKILL
from time import monotonic
from typing import Any

from interop import kernel
from interop.clients import CLIENTS
from interop.errors import KernelUnavailableError
from interop.load.bench import WARM_UP, Bench, Clients, bench
from interop.load.process_cost import resident, settled_cpu_time
from interop.load.responders import (
    KINDS,
    OTHER_KINDS,
    SERVER_NAME,
    Certificates,
    Responder,
    Terms,
)

RUN_LIMIT = 3600.0
DEFAULT_MIX = "strongswan=1,windows-10=2,iphone=3"
ALL = "all"
REDIAL = 5.0
"""Seconds after which a user dials again who has not got in."""


@dataclass(frozen=True, slots=True)
class Part:
    """What came of one part. Times in seconds, memory in octets; `report` is the initiator's."""

    name: str
    gateway: str
    clients: int
    report: dict[str, Any]
    elapsed: float
    cpu: float
    memory: int
    sessions: int

    def row(self) -> str:
        """One line of the table."""
        connected = self.report["connected"]
        cells = [
            self.name,
            self.gateway,
            f"{self.clients}",
            f"{connected / self.report['elapsed']:.0f}",
            *(percentiles(self.report[what]) for what in ("main_mode", "quick_mode", "setup")),
            f"{sum(self.report['attempts'].values())}",
            f"{self.clients - connected}",
            f"{1000 * self.cpu / self.clients:.2f}",
            f"{1000 * self.report['initiator_cpu'] / self.clients:.2f}",
            f"{self.memory / 1e6:.0f}",
            f"{self.sessions}",
        ]
        return f"| {' | '.join(cells)} |"


HEADS = (
    *("part", "gateway", "clients", "a second", "Main Mode ms p50/p99", "Quick Mode ms p50/p99"),
    *("all ms p50/p99", "tried again", "failed", "CPU ms a client", "and of the client's"),
    *("MB", "sessions"),
)


def percentiles(latency: dict[str, float] | None) -> str:
    """The middle and the end, in milliseconds."""
    return f"{latency['p50']:.1f} / {latency['p99']:.1f}" if latency else "-"


def parse_mix(text: str) -> dict[str, float]:
    """Read "windows-10=2,iphone=3": kinds of clients, and their shares; or "all"."""
    if text == ALL:
        return dict.fromkeys(CLIENTS, 1.0)
    mix = {}
    for item in text.split(","):
        kind, _, share = item.partition("=")
        if kind not in CLIENTS:
            raise argparse.ArgumentTypeError(f"{kind!r} is none of {', '.join(CLIENTS)}")
        mix[kind] = float(share or 1)
    return mix


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m interop load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--gateway", choices=(*KINDS, *OTHER_KINDS), action="append")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=50.0, help="arrivals a second")
    parser.add_argument("--mix", type=parse_mix, default=DEFAULT_MIX, help=f"{DEFAULT_MIX}; {ALL}")
    parser.add_argument("--suite", default="", help="the one that all offer: CIPHER-HASH-GROUP")
    parser.add_argument("--crowd", type=int, default=10, help="clients behind one address")
    parser.add_argument("--whole", action="store_true", help="L2TP and PPP too")
    parser.add_argument("--certificates", metavar="KEY", help="rsa2048, p256...: of both sides")
    parser.add_argument("--churn", type=int, default=0, help="clients that come and go again")
    parser.add_argument("--rekeys", type=int, default=0, help="more Quick Modes of each of those")
    parser.add_argument("--storm", action="store_true", help="kill the gateway; all come back")
    parser.add_argument("--json", action="store_true")
    return parser


def play(stage: Bench, responder: Responder, options: argparse.Namespace) -> list[Part]:
    """Put the load on one responder."""

    def part(name: str, count: int, load: Callable[[], dict[str, Any]]) -> Part:
        before, begun = settled_cpu_time(responder.process.pid), monotonic()
        report = load()
        elapsed = monotonic() - begun
        cpu = settled_cpu_time(responder.process.pid) - before
        memory = resident(responder.process.pid)
        print(f"{responder.name}: {name} done in {elapsed:.1f} s", file=sys.stderr, flush=True)
        sessions = responder.sessions()
        return Part(name, responder.name, count, report, elapsed, cpu, memory, sessions)

    choices = {
        "mix": options.mix,
        "suite": options.suite,
        "crowd": options.crowd,
        "whole": options.whole,
        "dialled": SERVER_NAME if options.certificates else "",
    }
    there: list[Clients] = []

    def come(load: Any) -> dict[str, Any]:
        there.append(stage.arrive(load))
        return there[-1].report

    stage.run(stage.load(responder, WARM_UP, **choices))
    arrival = stage.load(responder, options.clients, rate=options.rate, stay=True, **choices)
    parts = [part("arrival", arrival.count, lambda: come(arrival))]
    if options.churn:
        churn = stage.load(
            responder,
            options.churn,
            rate=options.rate,
            quick_modes=1 + options.rekeys,
            **choices,
        )
        parts.append(part("churn", churn.count, lambda: stage.run(churn)))
    if options.storm:
        responder.process.stop(SIGKILL)
        there.pop().vanish()
        responder.start()
        # All at once: what they cannot get at first, they repeat.
        storm = replace(arrival, rate=0.0, concurrency=arrival.count, redial=REDIAL)
        parts.append(part("storm", storm.count, lambda: come(storm)))
    there.pop().vanish()
    return parts


def _enter_kernel() -> int:
    command = [sys.executable, "-m", "interop", "load", *sys.argv[2:]]
    try:
        return kernel.run(command, timeout=RUN_LIMIT)
    except KernelUnavailableError as error:
        print(f"interop: {error}", file=sys.stderr)
        return kernel.UNAVAILABLE


def main(arguments: list[str]) -> int:
    """Run the command line; 1 if a client did not get in."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if isinstance(options.mix, str):
        options.mix = parse_mix(options.mix)
    kinds = options.gateway or ["ours"]
    if options.whole and kinds != ["ours"]:
        parser.error("whole clients are for this gateway: charon and pluto have no L2TP")
    if not kernel.inside():
        return _enter_kernel()
    terms = Terms(
        certificates=Certificates.of(options.certificates) if options.certificates else None,
        users=WARM_UP + options.clients + options.churn if options.whole else 0,
    )
    parts: list[Part] = []
    with bench(kernel.artefacts(), kinds=kinds, terms=terms) as stage:
        for responder in stage.responders.values():
            parts += play(stage, responder, options)
    if options.json:
        print(json.dumps([asdict(part) for part in parts]))
    else:
        print(f"| {' | '.join(HEADS)} |\n| {' | '.join('---' for _ in HEADS)} |")
        print("\n".join(part.row() for part in parts))
    for part in parts:
        for what in ("failures", "attempts"):
            for cause, count in part.report[what].items():
                example = part.report["examples"][cause]
                print(f"{part.gateway}, {part.name}: {count} {what}, {cause}: {example}")
    return int(any(part.report["failures"] for part in parts))
