"""The operator's tool: asks a running ikev1d over its control socket, and keeps certificates.

Exit status: 0 done; 1 the daemon refused, or nothing matched; 2 wrong usage; 3 the daemon is not
running; 4 not permitted. `verify` has its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from cli.control import (
    DEFAULT_CONFIG,
    DEFAULT_SOCKET,
    ControlError,
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    MetricsRequest,
    MetricsResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    StatusRequest,
    StatusResponse,
    VerifyRequest,
    VerifyResponse,
    build_response,
    printable,
)
from cli.ikectl import render, verify
from cli.ikectl.client import ExchangeFailedError, NotPermittedError, NotRunningError, ask
from cli.ikectl.errors import CommandError
from cli.ikectl.lab.arguments import add_parser as add_lab
from cli.ikectl.pki.arguments import add_parser as add_pki
from cli.ikectl.profile.arguments import add_parser as add_profile

OK = 0
REFUSED = 1
USAGE = 2
NOT_RUNNING = 3
NOT_PERMITTED = 4

WIDTH = 120
"""Characters of a line where the output is not a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = _parser().parse_args(arguments)
    if options.command in ("pki", "profile", "lab"):
        return _on_files(options)
    verifying = options.command == "verify"
    try:
        request = _request(options)
    except ControlError as error:
        _complain(str(error))
        return USAGE
    try:
        response = verify.find(options) if verifying else ask(options.socket, request)
    except CommandError as error:
        _complain(str(error))
        return verify.UNKNOWN
    except NotRunningError:
        _complain(
            f"nobody answers on {options.socket}: ikev1d is not running, or has another socket\n"
            "start it with `systemctl start ikev1d` or `ikev1d --config FILE`, "
            "or name its socket with --socket"
        )
        return NOT_RUNNING
    except NotPermittedError:
        _complain(f"not permitted to use {options.socket}: run ikectl as root")
        return NOT_PERMITTED
    except ExchangeFailedError as error:
        _complain(f"{options.socket}: {error}")
        return verify.UNKNOWN if verifying else REFUSED
    try:
        status = _show(response, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # As in `ikectl status | head`. Python flushes once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return status


def _on_files(options: argparse.Namespace) -> int:
    """Run a command that needs no daemon."""
    # Imported here: the other commands do without what takes longest to load.
    if options.command == "pki":
        from cli.ikectl.pki.commands import run
    elif options.command == "profile":
        from cli.ikectl.profile.commands import run
    else:
        from cli.ikectl.lab.commands import run

    try:
        run(options)
    except CommandError as error:
        _complain(str(error))
        return REFUSED
    except (KeyboardInterrupt, EOFError):
        _complain("given up")
        return REFUSED
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ikectl", description="Look into a running ikev1d, hang up clients, keep certificates."
    )
    parser.add_argument(
        "--socket", metavar="PATH", default=DEFAULT_SOCKET, help="default: %(default)s"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    status = commands.add_parser("status", help="the gateway and its clients")
    status.add_argument("client", nargs="?", metavar="CLIENT", help="only this one, in full")
    status.add_argument("--json", action="store_true", help="for programs")
    status.add_argument("-v", "--verbose", action="store_true", help="everything of each client")

    down = commands.add_parser("down", help="hang up clients")
    who = down.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "client", nargs="?", metavar="CLIENT", help="identifier, as in status and logs"
    )
    who.add_argument("--user", metavar="NAME", help="all sessions of a PPP user")
    who.add_argument("--peer", metavar="ADDRESS[:PORT]", help="all clients behind an address")
    who.add_argument("--all", action="store_true", help="everybody")

    doctor = commands.add_parser(
        "verify",
        help="what is wrong with the machine and the gateway, and what to do",
        description="Exit status: 0 nothing is wrong, 1 warnings, 2 failures, 3 it could not be "
        "found out, 4 not permitted.",
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.add_argument("-v", "--verbose", action="store_true", help="what is well, too")
    doctor.add_argument(
        "--config",
        metavar="FILE",
        default=DEFAULT_CONFIG,
        help="for when the daemon does not run; default: %(default)s",
    )

    commands.add_parser("metrics", help="what the daemon counts, in Prometheus' text format")
    commands.add_parser("version", help="of the running daemon")
    add_pki(commands)
    add_profile(commands)
    add_lab(commands)
    return parser


def _request(options: argparse.Namespace) -> Request:
    if options.command == "status":
        return StatusRequest()
    if options.command == "version":
        return PingRequest()
    if options.command == "verify":
        return VerifyRequest()
    if options.command == "metrics":
        return MetricsRequest()
    return DownRequest(
        client=options.client or "",
        user=options.user or "",
        peer=options.peer or "",
        everyone=options.all,
    )


def _show(response: Response, options: argparse.Namespace) -> int:
    match response:
        case ErrorResponse():
            _complain(printable(response.text, 1000))
            return NOT_PERMITTED if response.code == ErrorCode.NOT_PERMITTED else REFUSED
        case PingResponse():
            up = render.duration(response.uptime)
            print(f"ikev1d {printable(response.version)}, process {response.pid}, up {up}")
            return OK
        case DownResponse():
            return _show_down(response)
        case StatusResponse():
            return _show_status(response, options)
        case MetricsResponse():
            print(response.text, end="")
            return OK
        case VerifyResponse():
            print(verify.show(response, options, _width()))
            return verify.exit_status(response.findings)
        case _:
            _complain("the daemon answers something else")
            return REFUSED


def _show_down(response: DownResponse) -> int:
    if not response.clients:
        _complain("no such client; `ikectl status` lists them")
        return REFUSED
    print("hung up:", *(printable(client) for client in response.clients))
    return OK


def _show_status(response: StatusResponse, options: argparse.Namespace) -> int:
    clients = response.clients
    if options.client is not None:
        clients = tuple(client for client in clients if client.client == options.client)
        if not clients:
            _complain("no such client; `ikectl status` lists them")
            return REFUSED
    if options.json:
        document = json.loads(
            build_response(StatusResponse(gateway=response.gateway, clients=clients))
        )
        print(json.dumps(document, indent=2))
        return OK
    if options.client is not None:
        print(render.details(clients))
        return OK
    in_user_space = sum(client.data_path == "user" for client in clients)
    print(render.summary(response.gateway, len(clients), in_user_space))
    if not clients:
        print("no client is connected; clients that fail to connect are in the log")
        return OK
    print()
    if options.verbose:
        print(render.details(clients))
    else:
        print(render.table(clients, _width()))
    return OK


def _width() -> int:
    return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else WIDTH


def _complain(text: str) -> None:
    print("ikectl:", text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
