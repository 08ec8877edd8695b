"""The gateway's daemon: `ikev1d --config FILE`."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

import cli.ikev1d.bare_pyroute2  # noqa: F401  first, for what it does
from cli.control import DEFAULT_CONFIG
from cli.ikev1d.config import ConfigError, load
from cli.ikev1d.control import ControlSocketError
from cli.ikev1d.logs import configure
from cli.ikev1d.machine import LINUX
from cli.ikev1d.open_files import raise_file_limit
from cli.ikev1d.processes.errors import WorkerError
from cli.ikev1d.processes.supervisor import supervise
from cli.ikev1d.service import serve
from cli.ikev1d.start import StartError

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: systemd need not try again."""


def main() -> int:
    """Check the configuration and serve until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ikev1d", description="L2TP/IPsec gateway")
    parser.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), help="TOML file")
    parser.add_argument(
        "--check", action="store_true", help="check the configuration and do nothing else"
    )
    parser.add_argument(
        "--verify", action="store_true", help="look at the machine, for `ikectl verify`"
    )
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="FILE",
        help="write what clients and gateway say to each other, without secrets; for a lab",
    )
    parser.add_argument("--ledger", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.verify:
        from cli.ikev1d.verify.program import verify  # the daemon itself need not load it

        source = sys.stdin.buffer if arguments.ledger else None
        verify(arguments.config, source, sys.stdout.buffer)
        return 0
    try:
        config = load(arguments.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIG
    if arguments.check:
        for warning in config.warnings:
            print(warning, file=sys.stderr)
        print(f"{arguments.config}: good")
        return 0
    configure(config.gateway.log_format, config.gateway.log_level, sys.stderr)
    raise_file_limit()
    machine = LINUX
    if arguments.trace is not None:
        from cli.ikev1d.trace.recorder import record_to

        try:
            machine = replace(LINUX, trace=record_to(arguments.trace, time.monotonic))
        except OSError as error:
            print(f"cannot write {arguments.trace}: {error.strerror}", file=sys.stderr)
            return 1
    try:
        if config.gateway.workers > 1 and machine.trace is None:
            supervise(config, machine)
        else:
            asyncio.run(serve(config, machine))
    except (StartError, ControlSocketError, WorkerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
