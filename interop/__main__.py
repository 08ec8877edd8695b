"""The lab's command line: ``list``, ``run SCENARIO``, ``dial CLIENT``, ``replay``, ``load``."""

import argparse
import sys
from pathlib import Path

from interop import kernel
from interop.clients import CLIENTS, REFUSED
from interop.errors import KernelUnavailableError, LabError
from interop.load import __main__ as load
from interop.replay import lab
from interop.replay.transcript import read
from interop.scenarios import SCENARIOS, emulated
from interop.scenarios.play import Play
from interop.topology import TOPOLOGIES

RUN_LIMIT = 600.0
"""Seconds a scenario may take when nobody watches."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m interop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios and the emulated clients")
    commands.add_parser("load", help="thousands of clients; see load --help", add_help=False)
    run = commands.add_parser("run", help="run one scenario")
    run.add_argument("scenario", choices=SCENARIOS)
    dial = commands.add_parser("dial", help="let one emulated client dial in, work and hang up")
    dial.add_argument("client", choices=[*CLIENTS, *REFUSED], metavar="CLIENT")
    replay = commands.add_parser("replay", help="play a device that ikectl lab has recorded")
    replay.add_argument("transcript", type=Path, metavar="TRANSCRIPT")
    for command in (run, dial, replay):
        command.add_argument("--keep", type=Path, metavar="DIR", help="for logs and captures")
    for command in (run, dial):
        command.add_argument("--topology", choices=TOPOLOGIES, default="client-nat")
    run.add_argument("--ike", default="aes256-sha256-modp2048", help="the client's proposal")
    run.add_argument("--esp", default="aes256-sha1", help="the client's proposal")
    run.add_argument("--reference", action="store_true", help="charon, xl2tpd and pppd as gateway")
    run.add_argument("--interactive", action="store_true", help=argparse.SUPPRESS)
    return parser


def _enter_kernel(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "interop", options.command]
    if options.command == "replay":
        command += [str(options.transcript.resolve())]
    elif options.command == "dial":
        command += [options.client, "--topology", options.topology]
    else:
        command += [options.scenario, "--ike", options.ike, "--esp", options.esp]
        command += ["--reference"] * options.reference
        command += ["--topology", options.topology]
    if options.keep:
        command += ["--keep", str(options.keep.resolve())]
    if options.command == "run" and sys.stdin.isatty() and sys.stdout.isatty():
        command.append("--interactive")
    limit = None if "--interactive" in command else RUN_LIMIT
    try:
        return kernel.run(command, shares=[options.keep] if options.keep else [], timeout=limit)
    except KernelUnavailableError as error:
        print(f"interop: {error}", file=sys.stderr)
        return kernel.UNAVAILABLE


def _play(options: argparse.Namespace, directory: Path) -> Play:
    return Play(
        topology=TOPOLOGIES[options.topology](),
        directory=directory,
        reference=options.reference,
        ike=options.ike,
        esp=options.esp,
        interactive=options.interactive,
    )


def _replay(transcript: Path, directory: Path) -> int:
    """Play a transcript; 1 if the device does not fare as it did."""
    try:
        attempt = lab.choose(read(transcript))
    except OSError as error:
        raise LabError(f"{transcript}: {error.strerror}") from error
    verdict = lab.replay(attempt, directory)
    print(f"{transcript.name}: {verdict}")
    return 0 if verdict.same else 1


def main() -> int:
    """Run the command line; its exit status."""
    if sys.argv[1:2] == ["load"]:
        return load.main(sys.argv[2:])
    options = _parser().parse_args()
    if options.command == "list":
        for name, scenario in SCENARIOS.items():
            print(f"{name:<24}{scenario.__doc__}")
        for client in (*CLIENTS.values(), *REFUSED.values()):
            print(f"{client.name:<24}{client.title}, emulated")
        return 0
    if not kernel.inside():
        return _enter_kernel(options)
    directory = options.keep or kernel.artefacts()
    try:
        if options.command == "replay":
            return _replay(options.transcript, directory)
        if options.command == "dial":
            play = Play(TOPOLOGIES[options.topology](), directory)
            emulated.run(play, {**CLIENTS, **REFUSED}[options.client])
        else:
            SCENARIOS[options.scenario](_play(options, directory))
    except LabError as error:
        print(f"interop: {options.command} failed: {error}", file=sys.stderr)
        return 1
    finally:
        print(f"logs and captures: {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
