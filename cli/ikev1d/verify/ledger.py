"""The daemon's list of all that it has in the kernel, for the process that looks at the kernel.

One line for an object, its kind and its name (`ownership`), then an empty line.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from cli.ikev1d.data_paths import DataPaths
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.verify.ownership import name_by, name_policy, name_sa, name_session

AGAIN = b"again\n"
"""What the reader says when it wants the ledger as it is now."""

BATCH = 32
"""Clients before other work gets its turn: each takes some 10 microseconds."""


@dataclass(slots=True)
class Ledger:
    """What the daemon has, by kind, and the IDs of its processes."""

    pids: set[int] = field(default_factory=set)
    holdings: dict[str, set[str]] = field(default_factory=dict)


def read_ledger(source: BinaryIO) -> Ledger:
    """Read a ledger to its empty line."""
    ledger = Ledger()
    for line in source:
        kind, _, name = line.decode().rstrip("\n").partition(" ")
        if not kind:
            break
        if kind == "pid":
            ledger.pids.add(int(name))
        else:
            ledger.holdings.setdefault(kind, set()).add(name)
    return ledger


async def write_ledger(sas: KernelSas, data_paths: DataPaths) -> AsyncGenerator[bytes]:
    """The ledger in pieces, with turns for other work between them."""
    yield our_pid()
    for kind_and_names in (_of_sas(sas), _of_data_paths(data_paths)):
        for batch in _batches(kind_and_names):
            yield batch
            await asyncio.sleep(0)
    yield b"\n"


def our_pid() -> bytes:
    """The line with the process ID."""
    return f"pid {os.getpid()}\n".encode()


def _batches(entries: Iterable[list[str]]) -> Iterator[bytes]:
    batch: list[str] = []
    for number, lines in enumerate(entries):
        if number % BATCH == 0 and batch:
            yield "".join(batch).encode()
            batch.clear()
        batch += lines
    yield "".join(batch).encode()


def _of_sas(sas: KernelSas) -> Iterator[list[str]]:
    """The lines of each client, and of the policies that block L2TP in clear."""
    for things in sas.holdings():
        yield [
            *(f"sa {name_sa(sa)}\n" for sa in things.sas),
            *(f"policy {name_policy(policy)}\n" for policy in things.policies),
        ]


def _of_data_paths(data_paths: DataPaths) -> Iterator[list[str]]:
    """The lines of each session."""
    for path in data_paths.holdings():
        lines = []
        if path.in_kernel:
            lines.append(f"session {name_session(path.tunnel_id, path.session_id)}\n")
        if path.interface and path.link is not None:
            address = path.link.peer_address
            lines.append(f"interface {path.interface}\n")
            lines.append(f"route {name_by(address, path.interface)}\n")
            if path.link.proxy_arp is not None:
                lines.append(f"proxy {name_by(address, path.link.proxy_arp)}\n")
        yield lines
