"""Last words: what the clients are to be told should the daemon be killed.

After a crash the keys of all Phase 1 SAs are lost, and with them every way to tell a client
something that it believes. So the Deletes for it are made and sealed in advance, and kept in a file
beside the control socket, in memory (/run): the next run sends them. They hold no key and nothing
secret; who steals them can end sessions, once. The file has a slot for each client, so that a
change costs one short write.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path as FilePath

import msgspec

from cli.ikev1d.run_files import RunFile
from ikev1.core.effects import Path, Send

SLOT = 512
"""Octets: two Deletes with the sizes of SHA-512 and 16 SPIs take some 400."""
_LENGTH = 2
_NOTHING = bytes(_LENGTH)

_Words = list[tuple[str, int, str, int, bool, bytes]]


class Farewells:
    """The file. Without it, as when it cannot be opened, nothing is kept."""

    def __init__(self, path: FilePath) -> None:
        self._file = RunFile(path)
        self._slots: dict[int, int] = {}
        """By mark."""
        self._free: list[int] = []

    def open(self) -> list[Send]:
        """Begin anew; what an earlier run would have said. Raises OSError."""
        earlier = self._file.open()
        slots = (file[at : at + SLOT] for file in earlier for at in range(0, len(file), SLOT))
        return [send for slot in slots for send in _read(slot)]

    def keep(self, mark: int, words: Sequence[Send]) -> None:
        """Keep these, and no others, for the client with this mark."""
        record = msgspec.msgpack.encode(
            [
                (
                    send.path.local,
                    send.path.local_port,
                    send.path.remote,
                    send.path.remote_port,
                    send.path.encapsulated,
                    send.datagram,
                )
                for send in words
            ]
        )
        if len(record) > SLOT - _LENGTH:
            self.forget(mark)
            return
        slot = self._slots.get(mark)
        if slot is None:
            slot = self._slots[mark] = heapq.heappop(self._free) if self._free else len(self._slots)
        self._file.write(len(record).to_bytes(_LENGTH, "big") + record, slot * SLOT)

    def forget(self, mark: int) -> None:
        """Keep nothing for this client."""
        slot = self._slots.pop(mark, None)
        if slot is not None:
            heapq.heappush(self._free, slot)
            self._file.write(_NOTHING, slot * SLOT)

    def close(self) -> None:
        """Remove the file: everybody has been told."""
        self._file.close()


def _read(slot: bytes) -> list[Send]:
    """The words in a slot; none of one that is empty or damaged."""
    length = int.from_bytes(slot[:_LENGTH], "big")
    if not length:
        return []
    try:
        words = msgspec.msgpack.decode(slot[_LENGTH : _LENGTH + length], type=_Words)
    except msgspec.DecodeError:
        return []
    return [
        Send(Path(local, local_port, remote, remote_port, encapsulated), datagram)
        for local, local_port, remote, remote_port, encapsulated, datagram in words
    ]
