"""`ikectl verify`: asks the daemon what is wrong, and where it is down looks at the machine alone.

Exit status, as monitoring plugins have it: 0 nothing is wrong, 1 warnings, 2 failures, 3 it could
not be found out. Without a daemon the status is 2: that is a failure, too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator

from cli.control import (
    ControlError,
    ErrorResponse,
    Finding,
    Level,
    Response,
    VerifyRequest,
    VerifyResponse,
    build_response,
    parse_response,
    printable,
)
from cli.ikectl.client import NotRunningError, ask
from cli.ikectl.errors import CommandError

NOTHING_WRONG = 0
WARNINGS = 1
FAILURES = 2
UNKNOWN = 3

LIMIT = 60.0
"""Seconds that the look at the machine may take."""
MAX_TEXT = 2000
"""Characters of a text of a finding."""

_ORDER = (Level.FAILURE, Level.WARNING, Level.NOTE, Level.OK)


def find(options: argparse.Namespace) -> VerifyResponse:
    """What is found, of daemon and machine.

    Raises CommandError, and of `ask` NotPermittedError and ExchangeFailedError.
    """
    try:
        return _findings(ask(options.socket, VerifyRequest(), LIMIT))
    except NotRunningError:
        response = _look_at_machine(options.config)
    down = Finding(
        check="daemon.running",
        level=Level.FAILURE,
        what=f"nobody answers on {options.socket}: ikev1d is not running, or has another socket",
        why="no client can connect; the machine alone has been looked at",
        remedy="systemctl start ikev1d",
    )
    return VerifyResponse(running=False, findings=(down, *response.findings))


def show(response: VerifyResponse, options: argparse.Namespace, width: int) -> str:
    """The findings for people, or in JSON."""
    if options.json:
        return json.dumps(json.loads(build_response(response)), indent=2)
    return "\n".join(_lines(response, width, verbose=options.verbose))


def exit_status(findings: Iterable[Finding]) -> int:
    """The exit status that the worst of the findings makes."""
    levels = {finding.level for finding in findings}
    if Level.FAILURE in levels:
        return FAILURES
    # A level that only a newer daemon knows is taken for a warning.
    return WARNINGS if levels - {Level.OK, Level.NOTE} else NOTHING_WRONG


def _look_at_machine(config: str) -> VerifyResponse:
    command = [sys.executable, "-m", "cli.ikev1d", "--verify", "--config", config]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=LIMIT, check=True)
        return _findings(parse_response(done.stdout))
    except (subprocess.SubprocessError, ControlError) as error:
        raise CommandError(f"ikev1d --verify failed: {error}") from error


def _findings(response: Response) -> VerifyResponse:
    if isinstance(response, ErrorResponse):
        raise CommandError(printable(response.text, MAX_TEXT))
    if not isinstance(response, VerifyResponse):
        raise CommandError("the daemon answers something else")
    return response


def _lines(response: VerifyResponse, width: int, *, verbose: bool) -> Iterator[str]:
    """The worst first; what is well only where asked for."""
    counts = dict.fromkeys(_ORDER, 0)
    for finding in sorted(response.findings, key=_rank):
        level = _ORDER[_rank(finding)]
        counts[level] += 1
        if level is Level.OK and not verbose:
            continue
        yield from _wrapped(f"{finding.level:<8} {finding.check}: ", finding.what, width)
        if finding.why:
            yield from _wrapped("         why:    ", finding.why, width)
        if finding.remedy:
            # Never broken, so that a command can be copied.
            yield f"         remedy: {printable(finding.remedy, MAX_TEXT)}"
    said = [
        f"{counts[Level.FAILURE]} failures",
        f"{counts[Level.WARNING]} warnings",
        f"{counts[Level.NOTE]} notes",
        f"{counts[Level.OK]} checks are well",
    ]
    yield ", ".join(said)


def _rank(finding: Finding) -> int:
    levels = [str(level) for level in _ORDER]
    return levels.index(finding.level) if finding.level in levels else levels.index(Level.WARNING)


def _wrapped(title: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text, MAX_TEXT),
        max(width, 60),
        initial_indent=title,
        subsequent_indent=" " * 17,
        break_long_words=False,
        break_on_hyphens=False,
    )
