"""Runs the look at the machine beside the daemon, and gives it the daemon's ledger."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cli.control import ControlError, Finding, VerifyResponse, parse_response
from cli.ikev1d.verify.ledger import AGAIN

LIMIT = 55.0
"""Seconds for all of it: `ikectl` waits for 60."""
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes: a finding about each of some thousand firewall rules."""


class VerifyError(Exception):
    """The process did not answer."""


async def look_at_machine(
    config: Path, ledger: Callable[[], AsyncIterator[bytes]]
) -> tuple[Finding, ...]:
    """What the process finds, which is given what `ledger` writes. Raises VerifyError."""
    ours, theirs = socket.socketpair()
    with theirs:
        # In a thread: it takes milliseconds where the daemon has many files open.
        process = await asyncio.to_thread(_start, config, theirs)
    reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_ANSWER)
    try:
        async with asyncio.timeout(LIMIT):
            line = AGAIN
            while line == AGAIN:
                async for part in ledger():
                    writer.write(part)
                    await writer.drain()
                line = await reader.readline()
        response = parse_response(line)
    except (TimeoutError, OSError, ControlError, ValueError) as error:
        raise VerifyError(f"ikev1d --verify does not answer: {error or 'no end'}") from error
    finally:
        writer.close()
        process.kill()
        await asyncio.to_thread(process.wait)
    if not isinstance(response, VerifyResponse):
        raise VerifyError("ikev1d --verify answers something else")
    return response.findings


def _start(config: Path, channel: socket.socket) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cli.ikev1d", "--verify", "--ledger", "--config", str(config)]
    # Every file of ours closes itself on exec: to look through all of them first takes long.
    return subprocess.Popen(
        command, stdin=channel.fileno(), stdout=channel.fileno(), close_fds=False
    )
