"""This gateway beside charon and pluto under load, and how each of them grows with it.

    python -m tests.bench.load | tee RESULTS
    python -m tests.bench.load --report RESULTS

It prints a line of JSON as often as something is known of a daemon, and the tables in the end; the
second command makes the tables from what such lines there are, of one run that was cut off or of
several, for example one for each `--kind`: neither pluto nor charon as installed comes to an end
with 10,000 (docs/bench.md).

For each daemon, on a machine of its own, all with the same clients (strongSwan's, IKE and ESP SAs,
one suite, each behind a NAT of its own), which stay and answer to DPD:

- arrival: the clients of one level after the other, a few at a time: CPU time of Main Mode and
  Quick Mode, memory of what stays, both between one level and the next;
- rekeying: each client that is there replaces its ESP SAs by a Quick Mode and deletes the old ones;
- rest, with all of them: CPU time in a minute of nothing but DPD, one question a minute and client;
- storm: SIGKILL, start, and all come back at once. What they do not get they repeat, as strongSwan
  does, and who has given up dials again after 5 s. Time is from the daemon's start on. After 300 s
  who is not back has failed;
- then, crowds: clients ten of which have one public address, how many of them get in within 15 s.

Main Mode alone, with a preshared key and with certificates, is measured before, with clients that
go again. Where the host's kernel has no ESP all of this runs on it with a daemon that takes the
kernel's refusal of an SA for success (`tests/bench/daemon.py`, for the others `pretend_esp.c`,
which takes a C compiler): what an SA costs the kernel itself is not in the figures there.
`--embedded` has the SAs, in an embedded kernel with one core whose system calls are dear.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL

from interop import kernel
from interop.errors import KernelUnavailableError, LabError
from interop.load.__main__ import REDIAL
from interop.load.bench import WARM_UP, Bench, Clients, bench
from interop.load.clients import Load
from interop.load.process_cost import IDLE, SETTLED, cpu_time, resident, settled_cpu_time
from interop.load.responders import (
    DPD_DELAY,
    KINDS,
    OTHER_KINDS,
    SUITES,
    Certificates,
    Responder,
    Terms,
)
from tests.bench.__main__ import machine
from tests.bench.command import ikev1d, pretend_esp
from tests.bench.load_tables import Found, Level, Storm, read, tables

RUN_LIMIT = 4 * 3600.0
LEVELS = (100, 1000, 10_000)
SUITE = SUITES[0]
"""The only one of both that pluto has."""
AT_A_TIME = 8
CROWD, CROWDS = 10, 3
"""Clients behind one address, and such addresses, for what is asked of daemons beside the costs."""
CROWD_LIMIT = 15.0
"""Seconds for those: pluto leaves whom it refuses without an answer."""
STORM_LIMIT = 300.0
"""Seconds."""
REST = 60.0
"""Seconds: `DPD_DELAY`, so that everybody is asked once."""
SIGN_OF_LIFE = 0.002
"""Seconds of CPU time that one question of DPD and its answer may take a daemon that counts as at
rest."""
LULL = 10.0
"""Seconds before them, for the last rekeying to be forgotten."""
MAIN_MODES = 100
"""In a round of Main Mode alone."""
MEMORY = 6144
"""MiB of an embedded kernel."""
LARVAL_LIFETIME = "net/core/xfrm_acq_expires"
"""Where a kernel without ESP keeps larval SAs in the place of those it has refused."""


def say(responder: Responder, what: str) -> None:
    """Tell how far we are."""
    load = os.getloadavg()[0]
    sys.stderr.write(f"{time.strftime('%T')} {responder.name}: {what} (load {load:.1f})\n")
    sys.stderr.flush()


def tell(found: Found) -> None:
    """Print what there is, as a run may be cut off."""
    print(found.as_json(), flush=True)


def main_modes(stage: Bench, found: dict[str, Found], way: str, rounds: int) -> None:
    """Measure Main Mode alone: rounds in turns, so that all meet the same neighbours."""
    kinds = list(stage.responders)
    for number in range(-1, rounds):
        for kind in kinds:
            pid = stage[kind].process.pid
            count = WARM_UP if number < 0 else MAIN_MODES
            begun = settled_cpu_time(pid)
            stage.dial_in(stage[kind], count, suite=SUITE, quick_modes=0, concurrency=AT_A_TIME)
            if number >= 0:
                took = (settled_cpu_time(pid) - begun) / count
                found[kind].main_modes.setdefault(way, []).append(took)
        kinds = [*kinds[1:], kinds[0]]
    for responder in stage.responders.values():
        say(responder, f"{rounds * MAIN_MODES} Main Modes, {way}")


def settled(responder: Responder, sessions: int) -> float:
    """CPU time of a daemon once it does nothing but ask so many clients for signs of life."""
    questions = sessions / DPD_DELAY * SETTLED
    return settled_cpu_time(responder.process.pid, IDLE + questions * SIGN_OF_LIFE)


def grow(
    stage: Bench, responder: Responder, found: Found, levels: Sequence[int], rest: float
) -> None:
    """Have clients arrive level by level and rekey; rest; kill it, and have all come back."""
    pid = responder.process.pid
    stage.dial_in(responder, WARM_UP, suite=SUITE, quick_modes=1, concurrency=AT_A_TIME)
    settled_cpu_time(pid)
    found.before = resident(pid)
    everyone = stage.load(responder, levels[-1], suite=SUITE, concurrency=AT_A_TIME, stay=True)
    there: list[Clients] = []
    for below, level in zip((0, *levels), levels, strict=False):
        load = replace(everyone, first=everyone.first + below, count=level - below)
        begun = settled(responder, below)
        there.append(stage.arrive(load))
        found.levels.append(measured(responder, level, there[-1], begun))
        tell(found)
    if rest:
        time.sleep(LULL)
        begun = cpu_time(pid)
        time.sleep(rest)
        found.rest = (cpu_time(pid) - begun) * 60 / rest
    found.sessions = responder.sessions()
    say(responder, f"{found.rest:.2f} s of CPU time a minute, {found.sessions} sessions at rest")
    tell(found)
    responder.process.stop(SIGKILL)
    for clients in there:
        for cause, number in clients.vanish().items():
            found.lost[cause] = found.lost.get(cause, 0) + number
    found.storm = storm(stage, responder, everyone)
    tell(found)
    found.crowd = stage.run(
        stage.load(
            responder,
            CROWDS * CROWD,
            suite=SUITE,
            concurrency=CROWDS * CROWD,
            crowd=CROWD,
            limit=CROWD_LIMIT,
            stay=True,
        )
    )
    say(responder, f"{found.crowd['connected']} of {CROWDS} crowds of {CROWD}")
    tell(found)


def measured(responder: Responder, sessions: int, clients: Clients, begun: float) -> Level:
    """See what the arrival of these clients has cost; then let them rekey."""
    report = clients.report
    if report["failures"]:
        raise LabError(f"{responder.name}: {report['failures']} {report['examples']}")
    arrived = settled(responder, sessions)
    memory = resident(responder.process.pid)
    say(responder, f"{sessions} sessions")
    rekeyed = clients.rekey()
    if rekeyed["failures"]:
        raise LabError(f"{responder.name}: {rekeyed['failures']} {rekeyed['examples']}")
    rekeying = settled(responder, sessions) - arrived
    say(responder, f"{rekeyed['quick_modes']} rekeys")
    count = report["connected"]
    return Level(sessions, count, arrived - begun, memory, rekeyed["quick_modes"], rekeying)


def storm(stage: Bench, responder: Responder, everyone: Load) -> Storm:
    """Start it, and have all of them at once."""
    begun = time.monotonic()
    responder.start()
    load = replace(everyone, concurrency=everyone.count, redial=REDIAL, limit=STORM_LIMIT)
    clients = stage.arrive(load)
    elapsed = time.monotonic() - begun
    cpu = settled(responder, everyone.count)
    say(responder, f"{clients.report['connected']} are back after {elapsed:.0f} s")
    clients.vanish()
    return Storm(elapsed, cpu, clients.report)


def run(
    kinds: Sequence[str], levels: Sequence[int], *, key: str, rounds: int, rest: float
) -> list[Found]:
    """Measure all of it."""
    preload = pretend_esp(kernel.artefacts())
    found: dict[str, Found] = {}
    for way in filter(None, (key, "preshared key")):
        certificates = None if way == "preshared key" else Certificates.of(key)
        terms = Terms(certificates=certificates, preload=preload)
        directory = kernel.artefacts() / way.replace(" ", "-")
        with bench(directory, kinds=kinds, ikev1d=ikev1d(), terms=terms) as stage:
            for kind, responder in stage.responders.items():
                found.setdefault(kind, Found(responder.name))
                if preload is not None:
                    responder.host.set_sysctl(LARVAL_LIFETIME, "86400")
            main_modes(stage, found, way, rounds)
            for kind in kinds:
                tell(found[kind])
            if certificates is None:
                for kind, responder in stage.responders.items():
                    grow(stage, responder, found[kind], levels, rest)
                    # The others are to have the machine for themselves.
                    responder.process.stop(SIGKILL)
    return list(found.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--levels",
        type=lambda text: tuple(map(int, text.split(","))),
        default=LEVELS,
        help="sessions, ascending",
    )
    parser.add_argument("--certificates", default="rsa2048", help="rsa2048, p256...; empty: none")
    parser.add_argument("--rounds", type=int, default=5, help="of Main Mode alone")
    parser.add_argument("--rest", type=float, default=REST, help="seconds; 0: none")
    parser.add_argument("--kind", choices=(*KINDS, *OTHER_KINDS), action="append")
    parser.add_argument("--report", metavar="FILE", type=Path, help="make tables and nothing else")
    parser.add_argument("--embedded", action="store_true", help="in a kernel that has ESP")
    return parser


def main() -> int:
    """Run the command line."""
    options = _parser().parse_args()
    if options.report is not None:
        sys.stdout.write(tables(read(options.report.read_text().splitlines())))
        return 0
    if not kernel.inside():
        command = [sys.executable, "-m", "tests.bench.load", *sys.argv[1:]]
        print(machine(), end="\n\n", flush=True)
        try:
            return kernel.run(command, embedded=options.embedded, mem=MEMORY, timeout=RUN_LIMIT)
        except KernelUnavailableError as error:
            sys.stderr.write(f"{error}\n")
            return kernel.UNAVAILABLE
    kinds = options.kind or (*KINDS, *OTHER_KINDS)
    found = run(
        kinds,
        options.levels,
        key=options.certificates,
        rounds=options.rounds,
        rest=options.rest,
    )
    sys.stdout.write(tables(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
