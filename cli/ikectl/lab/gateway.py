"""The daemon of a lab, as a child, and its trace while it grows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cli.control import PingRequest, StatusRequest, StatusResponse
from cli.ikectl import files
from cli.ikectl.client import ExchangeFailedError, NotRunningError, ask
from cli.ikectl.errors import CommandError
from cli.ikectl.lab.setup import Lab

START_LIMIT = 30.0
"""Seconds until it must answer on its control socket."""
STOP_LIMIT = 10.0
"""Seconds that it may take to tell all clients that it goes."""
STATUS_LIMIT = 5.0
"""Seconds that it may take to count."""
PAUSE = 0.2
"""Seconds between two looks."""


class Gateway:
    """The daemon; a context manager in which it serves. Raises CommandError if it does not."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        files.create(lab.log, b"")

    def __enter__(self) -> Self:
        lab = self._lab
        with lab.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "cli.ikev1d"),
                    *("--config", str(lab.configuration)),
                    *("--trace", str(lab.transcript)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we stop it in our time
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def check(self) -> None:
        """Raise CommandError if it has ended."""
        if self._process.poll() is not None:
            words = self._lab.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise CommandError("\n".join(["the gateway has ended:", *words]))

    def traffic(self) -> dict[str, tuple[int, int]]:
        """Octets that have come and gone in ESP, by client; nothing if it does not answer."""
        try:
            answer = ask(str(self._lab.control), StatusRequest(), STATUS_LIMIT)
        except (NotRunningError, ExchangeFailedError):
            return {}
        clients = answer.clients if isinstance(answer, StatusResponse) else ()
        return {client.client: (client.bytes_in, client.bytes_out) for client in clients}

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end:
            self.check()
            try:
                ask(str(self._lab.control), PingRequest())
            except (NotRunningError, ExchangeFailedError):
                time.sleep(PAUSE)
            else:
                return
        raise CommandError(f"the gateway does not start; see {self._lab.log}")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Trace:
    """A trace that is being written."""

    def __init__(self, path: Path) -> None:
        self._file = path.open(encoding="utf-8")
        self._rest = ""

    def new(self) -> Iterator[dict[str, Any]]:
        """The records since the last look; half a line waits for its other half."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            yield json.loads(line)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
