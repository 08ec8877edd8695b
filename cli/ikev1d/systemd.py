"""The notification of systemd's Type=notify services (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Tell the service manager, where one waits: "READY=1" or "STOPPING=1"."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
        suppress(OSError),  # a manager that has gone must not keep us from working or stopping
    ):
        channel.sendto(state.encode(), address)
