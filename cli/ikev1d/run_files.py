"""Files that outlive a run, for the one after a crash: beside the control socket, in /run.

So they end with the machine. A gateway of several processes has one for each: NAME.INDEX.
"""

from __future__ import annotations

import os
from pathlib import Path

MODE = 0o600


def of_process(path: Path, index: int) -> Path:
    """The name of a file that each of several processes has for itself."""
    return path.with_name(f"{path.name}.{index}")


class RunFile:
    """One such file. Until it is open, and where it cannot be opened, nothing is kept."""

    def __init__(self, path: Path, limit: int = -1) -> None:
        """Of an earlier run `limit` octets are read; -1: all."""
        self._path = path
        self._limit = limit
        self._file: int | None = None

    def open(self) -> list[bytes]:
        """Begin anew; what each process of an earlier run has left. Raises OSError.

        Their own files are removed.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, MODE)
        with open(self._file, "rb", closefd=False) as file:
            earlier = [file.read(self._limit)]
        os.ftruncate(self._file, 0)
        for own in sorted(self._path.parent.glob(f"{self._path.name}.[0-9]*")):
            with own.open("rb") as file:
                earlier.append(file.read(self._limit))
            own.unlink()
        return earlier

    def write(self, octets: bytes, at: int) -> None:
        """Write at an offset: one system call."""
        if self._file is not None:
            os.pwrite(self._file, octets, at)

    def close(self) -> None:
        """Remove the file: what is in it holds no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._path.unlink(missing_ok=True)
