"""What clients call their tunnels, kept in a file for the run that follows a crash.

A client that goes on in a tunnel of an earlier run heeds no StopCCN without its own number
(`l2tp.core.strays`). The file has a record for each number that a tunnel of ours can have, so that
a write is one system call. It is beside the control socket, in /run, and so ends with the machine.
"""

from __future__ import annotations

import struct
from pathlib import Path

from cli.ikev1d.run_files import RunFile
from l2tp.core.strays import Standing

RECORD = struct.Struct("=HHH")
"""The client's tunnel ID, 0 for none, the Ns that it waits for, and the one that we wait for."""
RECORDS = 0x10000


class TunnelMemory:
    """The file. What cannot be written is not remembered, and nothing else is lost."""

    def __init__(self, path: Path) -> None:
        self._file = RunFile(path, RECORDS * RECORD.size)

    def open(self) -> dict[int, Standing]:
        """Begin anew; what an earlier run has left, by our tunnel ID. Raises OSError."""
        tunnels: dict[int, Standing] = {}
        for file in self._file.open():
            tunnels |= _read(file)
        return tunnels

    def keep(self, tunnel_id: int, standing: Standing) -> None:
        """A tunnel is up, or has come further."""
        self._write(tunnel_id, RECORD.pack(standing.peer_tunnel_id, standing.ns, standing.nr))

    def drop(self, tunnel_id: int) -> None:
        """A tunnel has ended, and its client has been told."""
        self._write(tunnel_id, bytes(RECORD.size))

    def close(self) -> None:
        """Forget everything: every client has been told."""
        self._file.close()

    def _write(self, tunnel_id: int, record: bytes) -> None:
        self._file.write(record, tunnel_id * RECORD.size)


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
