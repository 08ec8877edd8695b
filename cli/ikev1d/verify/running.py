"""What only the running daemon knows about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.open_files import files_for
from cli.ikev1d.verify.findings import note, ok, warning

FULL = 0.8
"""Share of a table from which on it counts as nearly full."""
SHOWN = 10
"""Clients named in one finding."""


@dataclass(frozen=True, slots=True)
class RunningFacts:
    """The daemon at one moment."""

    half_open: int
    addresses: int
    """Of the pool."""
    leased: int
    file_limit: int
    """How many files the process may have open."""
    stray_leases: int
    """Addresses kept for sessions that are no more."""
    lost_events: int
    """Times that the kernel told us it had dropped events since the start."""
    waiting: tuple[str, ...]
    """Sections of the configuration that wait for a restart."""
    changed: bool
    """Whether the configuration file is newer than what is in force."""
    no_kernel_path: str
    """Why the kernel can carry no session at all; "" if it can."""
    in_user_space: Mapping[str, str]
    """Why a client's session is carried in user space, by client."""


def check_running(facts: RunningFacts, config: Config) -> Iterator[Finding]:
    """Judge it."""
    yield from _check_tables(facts, config)
    yield from _check_configuration(facts, config)
    yield from _check_data_paths(facts)
    if facts.lost_events:
        yield note(
            "daemon.lost_events",
            f"the kernel dropped events {facts.lost_events} times since the start",
            "the gateway has compared what it has with the kernel's each time, and lost nothing",
            "sysctl -w net.core.rmem_max=8388608 where it happens often",
        )


def _check_tables(facts: RunningFacts, config: Config) -> Iterator[Finding]:
    limit = config.ike.half_open_limit
    if facts.half_open >= FULL * limit:
        yield warning(
            "daemon.half_open",
            f"{facts.half_open} of {limit} half-open Phase 1 exchanges are in use",
            "when it is full the oldest make room: most of those who begin do not go on, as in a "
            "flood; a rush, as after a restart, waits in turn and does not fill it",
            f"ike.half_open_limit, see {config.where('ike.half_open_limit')}",
        )
    else:
        yield ok("daemon.half_open", f"{facts.half_open} of {limit} half-open exchanges are in use")
    if facts.leased >= FULL * facts.addresses:
        yield warning(
            "daemon.pool",
            f"{facts.leased} of {facts.addresses} addresses of the pool are in use",
            "who dials in when all are used is refused",
            f"enlarge ppp.pool, see {config.where('ppp.pool')}",
        )
    else:
        yield ok("daemon.pool", f"{facts.leased} of {facts.addresses} addresses are in use")
    needed = files_for(facts.addresses)
    if needed > facts.file_limit:
        yield warning(
            "daemon.files",
            f"the process may have {facts.file_limit} files open, and clients with all "
            f"{facts.addresses} addresses of the pool take {needed}",
            "when they are used up, who dials in gets no data path",
            f"LimitNOFILE={needed} in the unit's [Service], then systemctl restart ikev1d",
        )
    else:
        yield ok("daemon.files", f"the {facts.file_limit} files allowed suffice for the whole pool")
    if facts.stray_leases:
        yield warning(
            "daemon.leases",
            f"{facts.stray_leases} addresses are kept for sessions that are no more",
            "nobody else gets them",
            "systemctl restart ikev1d frees them; please report it with the log",
        )


def _check_configuration(facts: RunningFacts, config: Config) -> Iterator[Finding]:
    if facts.waiting:
        yield warning(
            "daemon.restart",
            f"changes of {', '.join(f'[{name}]' for name in facts.waiting)} wait for a restart",
            "the gateway serves with the old values, which clients have been told",
            "systemctl restart ikev1d",
        )
    if facts.changed:
        yield note(
            "daemon.reload",
            f"{config.path} has been changed since it was read",
            "the gateway serves with the old values",
            "systemctl reload ikev1d",
        )


def _check_data_paths(facts: RunningFacts) -> Iterator[Finding]:
    if facts.no_kernel_path:
        yield warning(
            "daemon.data_path",
            f"every session is carried in user space: {facts.no_kernel_path}",
            "at a fraction of the kernel's speed",
            "see the findings about the kernel",
        )
    elif facts.in_user_space:
        named = [f"{client} ({cause})" for client, cause in facts.in_user_space.items()]
        more = ", …" if len(named) > SHOWN else ""
        yield note(
            "daemon.data_path",
            f"carried in user space: {', '.join(named[:SHOWN])}{more}",
            "their packets pass through the daemon, so that nobody else behind the same NAT can "
            "send in their place; they are slower",
        )
