"""Traffic through the lab: pings, and TCP transfers whose content is checked."""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from interop.errors import LabError
from interop.netns import CommandError, Host

PORT = 5001
# struct tcp_info of uapi linux/tcp.h, of which Python names nothing.
_TCP_INFO_SIZE = 232
_TOTAL_RETRANS = 100
_DSACK_DUPS = 216
_U32 = struct.Struct("=I")

SOCKET_LIMIT = 60.0
"""Seconds without progress until a transfer counts as stuck."""
BLOCK = bytes(range(256)) * 256
"""Content of a transfer; each block is sent XORed with its number's low byte."""


class TransferError(LabError):
    """What arrived is not what was sent."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A finished transfer: bytes, and the sender's address as the receiver saw it."""

    size: int
    seconds: float
    source: str
    lost: int
    """Segments that TCP had to send again, less those that had arrived all the same."""


def ping(host: Host, address: str, count: int = 1, size: int = 56) -> bool:
    """Whether ``address`` answers all of ``count`` pings with ``size`` bytes of data."""
    command = ("ping", "-n", "-i", "0.2", "-W", "3", "-c", str(count), "-s", str(size), address)
    try:
        return f" {count} received" in host.run(*command)
    except CommandError:
        return False


def _block(number: int) -> bytes:
    return BLOCK.translate(bytes(value ^ (number & 0xFF) for value in range(256)))


def _send(connection: socket.socket, enough: Callable[[int], bool]) -> tuple[int, bytes]:
    """Send blocks until there are ``enough`` of them; their number and their hash."""
    digest = hashlib.sha256()
    number = 0
    while not enough(number):
        block = _block(number)
        digest.update(block)
        connection.sendall(block)
        number += 1
    connection.shutdown(socket.SHUT_WR)
    return number, digest.digest()


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
    return _transfer(sender, receiver, address, lambda number: number >= blocks, port)


@contextmanager
def transferring(
    sender: Host, receiver: Host, address: str, port: int = PORT, pause: float = 0.0
) -> Iterator[Future[Transfer]]:
    """Keep a transfer going for the length of the block, then end it and compare hashes.

    With a ``pause``, in seconds after each block, what gets lost is not lost by overload. Raises
    what `transfer` raises, at the end of the block.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            running = pool.submit(
                _transfer,
                sender,
                receiver,
                address,
                lambda number: number > 0 and over.wait(pause),
                port,
            )
            yield running
        finally:
            over.set()
        running.result()


def _transfer(
    sender: Host, receiver: Host, address: str, enough: Callable[[int], bool], port: int
) -> Transfer:
    received: list[bytes] = []
    sources: list[str] = []
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
            accepted, (source, _) = listener.accept()
            sources.append(source)
            with accepted:
                accepted.settimeout(SOCKET_LIMIT)
                received.append(_receive(accepted))

        server = threading.Thread(target=serve)
        begun = time.monotonic()
        server.start()
        connection.connect((address, port))
        blocks, sent = _send(connection, enough)
        server.join()
        seconds = time.monotonic() - begun
        lost = _lost(connection)
    if received != [sent]:
        raise TransferError(f"{sender.name} to {receiver.name}: the content has changed")
    return Transfer(blocks * len(BLOCK), seconds, sources[0], lost)


def _lost(connection: socket.socket) -> int:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
    (sent_again,) = _U32.unpack_from(info, _TOTAL_RETRANS)
    (needlessly,) = _U32.unpack_from(info, _DSACK_DUPS)
    return int(sent_again - needlessly)
