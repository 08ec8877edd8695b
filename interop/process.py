"""A program that runs beside us until we end it, its output in a log file."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM

from interop.errors import LabError
from interop.wait import until

STOP_LIMIT = 10.0
"""Seconds a program has to end after SIGTERM before it gets SIGKILL."""


class ProgramEndedError(LabError):
    """A program ended that was expected to run on; carries the end of its log."""


class Process:
    """One running program; ``log`` holds its stdout and stderr."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._begin = output.tell()
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                pass_fds=pass_fds,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program has not ended."""
        return self._process.poll() is None

    def text(self) -> str:
        """Return all it has written so far; what earlier programs wrote is not in it."""
        with self.log.open("rb") as log:
            log.seek(self._begin)
            return log.read().decode(errors="replace")

    def require_running(self) -> None:
        """Raise `ProgramEndedError` if the program has ended."""
        status = self._process.poll()
        if status is not None:
            tail = "\n".join(self.text().splitlines()[-20:])
            raise ProgramEndedError(f"{self.name} ended with status {status}:\n{tail}")

    def wait_for_text(self, text: str, limit: float) -> None:
        """Wait until the log holds ``text``. Raises `StillWaitingError`, `ProgramEndedError`."""

        def written() -> bool:
            if text in self.text():
                return True
            self.require_running()
            return False

        until(written, f"{text!r} from {self.name}", limit)

    def signal(self, number: int) -> None:
        """Send signal ``number`` to the program alone."""
        self._process.send_signal(number)

    def stop(self, number: int = SIGTERM) -> int:
        """End the program with signal ``number``, or with SIGKILL if that is not enough.

        Returns its exit status, negative for a signal; one that has ended already is no error.
        """
        self._process.send_signal(number)
        try:
            return self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, SIGKILL)
            return self._process.wait()
