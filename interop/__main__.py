"""``python -m interop list`` and ``python -m interop run SCENARIO``: the lab's command line."""

import argparse
import shutil
import sys
from pathlib import Path

from interop import kernel
from interop.errors import LabError
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
    run.add_argument(
        "--keep", type=Path, metavar="DIR", help="for logs and captures (lab/SCENARIO)"
    )
    run.add_argument("--topology", choices=TOPOLOGIES, default="client-nat")
    run.add_argument("--ike", default="aes256-sha256-modp2048", help="the client's proposal")
    run.add_argument("--esp", default="aes256-sha1", help="the client's proposal")
    run.add_argument("--reference", action="store_true", help="charon, xl2tpd and pppd as gateway")
    run.add_argument("--interactive", action="store_true", help=argparse.SUPPRESS)
    return parser


def _start_afresh(directory: Path) -> None:
    """Empty a directory that an earlier run has filled; nobody else's."""
    if (directory / "story.log").exists():
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)


def _enter_kernel(options: argparse.Namespace, directory: Path) -> int:
    command = [sys.executable, "-m", "interop", "run", options.scenario, "--keep", str(directory)]
    command += ["--topology", options.topology, "--ike", options.ike, "--esp", options.esp]
    if options.reference:
        command.append("--reference")
    if sys.stdin.isatty() and sys.stdout.isatty():
        command.append("--interactive")
    limit = None if "--interactive" in command else RUN_LIMIT
    try:
        status = kernel.run(command, shares=[directory], timeout=limit)
    except kernel.KernelUnavailableError as error:
        print(f"interop: {error}", file=sys.stderr)
        return kernel.UNAVAILABLE
    print(f"logs and captures: {directory}")
    return status


def main() -> int:
    """Run the command line; its exit status."""
    options = _parser().parse_args()
    if options.command == "list":
        for name, scenario in SCENARIOS.items():
            print(f"{name:<14}{scenario.__doc__}")
        return 0
    directory = (options.keep or kernel.ARTEFACTS / options.scenario).resolve()
    if not kernel.inside():
        _start_afresh(directory)
        return _enter_kernel(options, directory)
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
