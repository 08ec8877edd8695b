"""What clients call their tunnels, kept in a file for the run that follows a crash.

A client that goes on in a tunnel of an earlier run heeds no StopCCN without its own number
(`l2tp.core.strays`). The file has a record for each number that a tunnel of ours can have, so that
a write is one system call. It is beside the control socket, in /run, and so ends with the machine.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from l2tp.core.strays import Standing

RECORD = struct.Struct("=HHH")
"""The client's tunnel ID, 0 for none, the Ns that it waits for, and the one that we wait for."""
RECORDS = 0x10000
MODE = 0o600


class TunnelMemory:
    """The file. What cannot be written is not remembered, and nothing else is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def open(self) -> dict[int, Standing]:
        """Begin anew; what an earlier run has left, by our tunnel ID. Raises OSError.

        If it had several processes, each had a file of its own, which is removed.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, MODE)
        tunnels = _read(os.pread(self._file, RECORDS * RECORD.size, 0))
        os.ftruncate(self._file, 0)
        for own in self._path.parent.glob(f"{self._path.name}.[0-9]*"):
            tunnels |= _read(own.read_bytes())
            own.unlink()
        return tunnels

    def keep(self, tunnel_id: int, standing: Standing) -> None:
        """A tunnel is up, or has come further."""
        self._write(tunnel_id, RECORD.pack(standing.peer_tunnel_id, standing.ns, standing.nr))

    def drop(self, tunnel_id: int) -> None:
        """A tunnel has ended, and its client has been told."""
        self._write(tunnel_id, bytes(RECORD.size))

    def close(self) -> None:
        """Forget everything: every client has been told."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._path.unlink(missing_ok=True)

    def _write(self, tunnel_id: int, record: bytes) -> None:
        if self._file is not None:
            os.pwrite(self._file, record, tunnel_id * RECORD.size)


class KnownTunnels(TunnelMemory):
    """One of several files of one run, which takes over what was `known` before all of them."""

    def __init__(self, path: Path, known: dict[int, Standing]) -> None:
        super().__init__(path)
        self._known = known

    def open(self) -> dict[int, Standing]:
        """Begin anew; what an earlier run has left, by our tunnel ID. Raises OSError."""
        super().open()
        return self._known


def _read(data: bytes) -> dict[int, Standing]:
    whole = data[: len(data) // RECORD.size * RECORD.size]
    records = (Standing(*record) for record in RECORD.iter_unpack(whole))
    return {number: record for number, record in enumerate(records) if record.peer_tunnel_id}
