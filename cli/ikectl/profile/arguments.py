"""The command line of `ikectl profile`. Imports nothing that is slow to load."""

from __future__ import annotations

import argparse
from ipaddress import IPv4Network
from pathlib import Path

from cli.ikectl.pki.arguments import DEFAULT_DIRECTORY

FORMATS = {
    "apple": "a .mobileconfig for iPhone, iPad and Mac",
    "windows": "a PowerShell script for Windows 8.1 to 11",
    "linux": "an nmcli script for NetworkManager-l2tp 1.20 or newer",
    "text": "what to type into which field, on every device",
}

SERVE_MINUTES = 10
MAX_SERVE_MINUTES = 60


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `profile`."""
    parser = commands.add_parser(
        "profile",
        help="what a user's device takes to connect",
        description="Write what a device takes to connect. The file holds secrets: its mode is "
        "600, and nothing is overwritten. The user's password is not in it; the device asks.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="formats:\n" + "\n".join(f"  {name:9}{what}" for name, what in FORMATS.items()),
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument(
        "--server", required=True, metavar="NAME", help="the name or address that clients dial"
    )
    parser.add_argument("--user", default="", help="account; without it the device asks")
    parser.add_argument("--name", metavar="TEXT", help="of the connection, default: the server")

    machine = parser.add_mutually_exclusive_group()
    machine.add_argument(
        "--psk-file",
        metavar="FILE",
        type=Path,
        help="the preshared key, its one line; without it and --client the terminal is asked",
    )
    machine.add_argument(
        "--client", metavar="NAME", help="by certificate: the one of `ikectl pki client NAME`"
    )
    parser.add_argument(
        "--pki",
        metavar="PATH",
        type=Path,
        default=DEFAULT_DIRECTORY,
        help="where `ikectl pki` keeps it, default: %(default)s",
    )
    parser.add_argument(
        "--p12-passphrase-file",
        metavar="FILE",
        type=Path,
        help="apple: put the passphrase of the certificate into the profile; without it the "
        "device asks, which is safer",
    )
    parser.add_argument(
        "--sign", metavar="NAME", help="apple: sign with the certificate of `ikectl pki gateway`"
    )

    parser.add_argument(
        "--route",
        metavar="NETWORK",
        type=IPv4Network,
        action="append",
        default=[],
        dest="routes",
        help="only this through the VPN (may be repeated); without it everything",
    )
    parser.add_argument(
        "--behind-nat",
        action="store_true",
        help="windows: the gateway is behind a NAT and has no gateway.public_address",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help='windows: offer what a gateway with ike.policy = "strict" takes',
    )

    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output", metavar="FILE", help='default: a name made of the connection\'s; "-": stdout'
    )
    where.add_argument(
        "--serve",
        metavar="ADDRESS[:PORT]",
        help="write no file: show a QR code and give the profile to the first device that comes",
    )
    parser.add_argument(
        "--minutes",
        type=int,
        choices=range(1, MAX_SERVE_MINUTES + 1),
        default=SERVE_MINUTES,
        metavar="N",
        help="how long --serve waits, default: %(default)s",
    )
    parser.add_argument(
        "--url", metavar="BASE", help="show a QR code for the file below this address of yours"
    )
