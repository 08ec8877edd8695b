"""What the processes of the gateway keep each other off: record locks on files.

A claim is a lock on one octet of a file without content (fcntl(2), "advisory record locking"). The
kernel decides in the same call who has it, and ends the claims of a process with the process. An
address is the octet with its number, everything else one that a hash names. The kernel goes through
all locks of a file, save that neighbours are one, so there are several files.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import Counter
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path

_FLOCK = struct.Struct("@hhqqi0q")
"""struct flock: type, whence, start, length, process."""
DIRECTORY = "claims"
"""Of the files, beside the control socket."""
FILES = 64
"""Twenty thousand clients are some 300 locks in each: a few microseconds."""
NEIGHBOURS = 256
"""Addresses that have one file."""
_NAMED = 1 << 60
"""Octets from here on are named by hashes of 56 bits: two of ten thousand are one in 10^9 cases."""


def key_of(*parts: bytes) -> int:
    """The octet that stands for something with these parts."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(4, "big") + part)
    return _NAMED | int.from_bytes(digest.digest()[:7], "big")


class Claims:
    """The claims of one process. A forked one does not inherit them, and opens the file anew."""

    def __init__(self, directory: Path) -> None:
        """Open the files. Raises OSError."""
        directory.mkdir(mode=0o700, exist_ok=True)
        # Once only: a process that closes any descriptor of a file gives up all its locks on it.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._files = [os.open(directory / f"{n}", flags, 0o600) for n in range(FILES)]
        self._held: Counter[int] = Counter()

    def close(self) -> None:
        """Give up everything."""
        for file in self._files:
            os.close(file)

    def _file(self, octet: int) -> int:
        return self._files[(octet if octet >= _NAMED else octet // NEIGHBOURS) % FILES]

    def take(self, address: IPv4Address) -> bool:
        """Keep the others off an address; False if one of them has it."""
        try:
            fcntl.lockf(self._file(int(address)), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(address))
        except BlockingIOError:
            return False
        return True

    def give_back(self, address: IPv4Address) -> None:
        """Let the others have it again."""
        fcntl.lockf(self._file(int(address)), fcntl.LOCK_UN, 1, int(address))

    def hold(self, key: int) -> None:
        """Let the others know that we have something of this name; they may have it too."""
        if not self._held[key]:
            fcntl.lockf(self._file(key), fcntl.LOCK_SH | fcntl.LOCK_NB, 1, key)
        self._held[key] += 1

    def drop(self, key: int) -> None:
        """We have one less."""
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
            fcntl.lockf(self._file(key), fcntl.LOCK_UN, 1, key)

    def elsewhere(self, key: int) -> bool:
        """Whether another process has something of this name."""
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, key, 1, 0)
        answer = fcntl.fcntl(self._file(key), fcntl.F_GETLK, question)
        kind: int = _FLOCK.unpack(answer)[0]
        return kind != fcntl.F_UNLCK
