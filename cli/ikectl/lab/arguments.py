"""The command line of `ikectl lab`. Imports nothing that is slow to load."""

from __future__ import annotations

import argparse
from ipaddress import IPv4Address
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `lab`."""
    parser = commands.add_parser(
        "lab",
        help="try a real device: keys, a profile, and why it stops where it stops",
        description="Run a gateway for one device in the same network, with keys of its own, and "
        "tell what the device does. Stop it with Ctrl-C: the transcript is then in the directory, "
        "for `python -m interop replay`. Needs root, and no other ikev1d or IKE daemon running.",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=IPv4Address,
        help="the address of this machine that the device dials; default: that of the way out",
    )
    parser.add_argument(
        "--certificate",
        action="store_true",
        help="by certificates of a CA made for it, instead of a secret",
    )
    parser.add_argument(
        "--directory",
        metavar="DIR",
        type=Path,
        help="new, for keys, profiles, log and transcript; default: lab-DATE-TIME here",
    )
    parser.add_argument(
        "--no-serve",
        action="store_true",
        help="do not offer the profile to the device over HTTP",
    )
