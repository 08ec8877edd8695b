"""How many files the process may have open: what bounds the number of sessions first."""

from __future__ import annotations

import resource

FILES_OF_A_SESSION = 5
"""The tunnel's UDP socket, PPPoL2TP sockets of tunnel and session, channel and unit of PPP."""
FILES_OF_THE_GATEWAY = 64
"""Sockets of IKE, L2TP, netlink and control, what Python has open, and some to spare."""


def file_limit() -> int:
    """How many files may be open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_file_limit() -> None:
    """Take as many as we may: systemd gives 1024, and 524288 to who asks (systemd.exec(5))."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def files_for(sessions: int) -> int:
    """How many files so many sessions take."""
    return FILES_OF_THE_GATEWAY + FILES_OF_A_SESSION * sessions
