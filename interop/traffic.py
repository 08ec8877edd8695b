"""Traffic through the lab: pings, and TCP transfers whose content is checked."""

import hashlib
import socket
import threading
import time
from dataclasses import dataclass

from interop.errors import LabError
from interop.netns import CommandError, Host

PORT = 5001
SOCKET_LIMIT = 60.0
"""Seconds without progress until a transfer counts as stuck."""
BLOCK = bytes(range(256)) * 256
"""Content of a transfer; each block is sent XORed with its number's low byte."""


class TransferError(LabError):
    """What arrived is not what was sent."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A finished transfer."""

    size: int
    seconds: float


def ping(host: Host, address: str, count: int = 1, size: int = 56) -> bool:
    """Whether ``address`` answers all of ``count`` pings with ``size`` bytes of data."""
    command = ("ping", "-n", "-i", "0.2", "-W", "3", "-c", str(count), "-s", str(size), address)
    try:
        return f" {count} received" in host.run(*command)
    except CommandError:
        return False


def _block(number: int) -> bytes:
    return BLOCK.translate(bytes(value ^ (number & 0xFF) for value in range(256)))


def _send(connection: socket.socket, blocks: int) -> bytes:
    digest = hashlib.sha256()
    for number in range(blocks):
        block = _block(number)
        digest.update(block)
        connection.sendall(block)
    connection.shutdown(socket.SHUT_WR)
    return digest.digest()


def _receive(connection: socket.socket) -> bytes:
    digest = hashlib.sha256()
    while data := connection.recv(1 << 16):
        digest.update(data)
    return digest.digest()


def transfer(
    sender: Host, receiver: Host, address: str, size: int = 1 << 20, port: int = PORT
) -> Transfer:
    """Send about ``size`` bytes by TCP to ``receiver``, which has ``address``, and compare hashes.

    Transfers to one address at once need a ``port`` each. Raises `TransferError`, and OSError (a
    TimeoutError too) if the connection fails.
    """
    blocks = max(1, size // len(BLOCK))
    received: list[bytes] = []
    with (
        receiver.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        sender.socket(socket.AF_INET, socket.SOCK_STREAM) as connection,
    ):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(SOCKET_LIMIT)
        connection.settimeout(SOCKET_LIMIT)
        listener.bind((address, port))
        listener.listen()

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(SOCKET_LIMIT)
                received.append(_receive(accepted))

        server = threading.Thread(target=serve)
        begun = time.monotonic()
        server.start()
        connection.connect((address, port))
        sent = _send(connection, blocks)
        server.join()
        seconds = time.monotonic() - begun
    if received != [sent]:
        raise TransferError(f"{sender.name} to {receiver.name}: the content has changed")
    return Transfer(blocks * len(BLOCK), seconds)
