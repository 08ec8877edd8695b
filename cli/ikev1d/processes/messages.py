"""What the processes of the gateway tell each other, over the one that has started them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import msgspec

_HEAD = struct.Struct("!Ii")
"""Octets of the message, and whom it is for."""

ALL = -1
"""All other workers."""
SUPERVISOR = -2


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """One message."""


class Ready(Message, frozen=True):
    """A worker could begin."""


class Begin(Message, frozen=True):
    """All can: serve."""


class FlowSeen(Message, frozen=True):
    """A client may send in this flow."""

    mark: int
    local: str
    peer: str
    port: int


class FlowEnded(Message, frozen=True):
    """A client is gone."""

    mark: int


class EndUser(Message, frozen=True):
    """End the sessions of a user, and say so to `worker`."""

    user: str
    cause: str
    worker: int
    ticket: int


class UserEnded(Message, frozen=True):
    """Done."""

    ticket: int


class EndClient(Message, frozen=True):
    """End the clients with a claim of this name."""

    key: int
    cause: str


class L2tp(Message, frozen=True):
    """A datagram that has come to the wrong worker."""

    payload: bytes
    source: str
    port: int
    local: str
    mark: int


AnyMessage = Ready | Begin | FlowSeen | FlowEnded | EndUser | UserEnded | EndClient | L2tp

_DECODER: msgspec.msgpack.Decoder[AnyMessage] = msgspec.msgpack.Decoder(AnyMessage)
_ENCODER = msgspec.msgpack.Encoder()


def decode(octets: bytes) -> AnyMessage:
    """Read a message."""
    return _DECODER.decode(octets)


class Channel:
    """One end of the line between a worker and the supervisor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, sock: socket.socket) -> Channel:
        """Make a channel of a connected stream socket."""
        return cls(*await asyncio.open_connection(sock=sock))

    def send(self, to: int, message: AnyMessage) -> None:
        """Send a message to a worker, to `ALL` others or to the `SUPERVISOR`."""
        self.forward(to, _ENCODER.encode(message))

    def forward(self, to: int, octets: bytes) -> None:
        """Send a message as it came; it is lost if the other side has gone."""
        if not self._writer.is_closing():
            self._writer.write(_HEAD.pack(len(octets), to) + octets)

    async def frames(self) -> AsyncIterator[tuple[int, bytes]]:
        """What comes, and for whom it is, until the other side has gone."""
        try:
            while True:
                size, to = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                yield to, await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, OSError):
            return

    def close(self) -> None:
        """Close it."""
        self._writer.close()
