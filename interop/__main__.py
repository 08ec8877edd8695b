"""``python -m interop list`` and ``python -m interop run SCENARIO``: the lab's command line."""

import argparse
import sys
from pathlib import Path

from interop import kernel
from interop.errors import KernelUnavailableError, LabError
from interop.scenarios import SCENARIOS
from interop.scenarios.play import Play
from interop.topology import TOPOLOGIES

RUN_LIMIT = 600.0
"""Seconds a scenario may take when nobody watches."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m interop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios")
    run = commands.add_parser("run", help="run one scenario")
    run.add_argument("scenario", choices=SCENARIOS)
    run.add_argument("--keep", type=Path, metavar="DIR", help="for logs and captures")
    run.add_argument("--topology", choices=TOPOLOGIES, default="client-nat")
    run.add_argument("--ike", default="aes256-sha256-modp2048", help="the client's proposal")
    run.add_argument("--esp", default="aes256-sha1", help="the client's proposal")
    run.add_argument("--reference", action="store_true", help="charon, xl2tpd and pppd as gateway")
    run.add_argument("--interactive", action="store_true", help=argparse.SUPPRESS)
    return parser


def _enter_kernel(options: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "interop", "run", options.scenario]
    command += ["--topology", options.topology, "--ike", options.ike, "--esp", options.esp]
    if options.reference:
        command.append("--reference")
    if options.keep:
        command += ["--keep", str(options.keep.resolve())]
    if sys.stdin.isatty() and sys.stdout.isatty():
        command.append("--interactive")
    limit = None if "--interactive" in command else RUN_LIMIT
    try:
        return kernel.run(command, shares=[options.keep] if options.keep else [], timeout=limit)
    except KernelUnavailableError as error:
        print(f"interop: {error}", file=sys.stderr)
        return kernel.UNAVAILABLE


def main() -> int:
    """Run the command line; its exit status."""
    options = _parser().parse_args()
    if options.command == "list":
        for name, scenario in SCENARIOS.items():
            print(f"{name:<14}{scenario.__doc__}")
        return 0
    if not kernel.inside():
        return _enter_kernel(options)
    directory = options.keep or kernel.artefacts()
    play = Play(
        topology=TOPOLOGIES[options.topology](),
        directory=directory,
        reference=options.reference,
        ike=options.ike,
        esp=options.esp,
        interactive=options.interactive,
    )
    try:
        SCENARIOS[options.scenario](play)
    except LabError as error:
        print(f"interop: {options.scenario} failed: {error}", file=sys.stderr)
        return 1
    finally:
        print(f"logs and captures: {directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
