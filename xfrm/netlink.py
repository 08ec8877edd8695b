"""NETLINK_XFRM sockets: one for requests, and pyroute2's for dumps and for notifications.

Linux carries out a NETLINK_XFRM request inside the system call that sends it, so its answer can be
read at once. `RequestSocket.exchange` does that: several requests go out in one datagram, and
nothing else runs on the event loop before all of them are answered, so a batch cannot be cancelled
half way. Dumps come in parts, which are awaited.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket, NetlinkRequest

from xfrm.constants import NETLINK_XFRM, Group, MessageType
from xfrm.errors import KernelError
from xfrm.events import Event, Resync, decode_event
from xfrm.flat import HEADER, FlatMessage
from xfrm.marshal import MarshalXfrm, explanation
from xfrm.sockets import HasOptions, enlarge_receive_buffer

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11

EVENT_BUFFER = 4 * 1024 * 1024
"""Octets. An EXPIRE takes about 1 kB of it, so the SAs of 2000 clients may expire at once."""

ANSWER_BUFFER = 1024 * 1024
"""Octets. An acknowledgement takes about 1 kB of it, an SA 2 kB."""

_SEQUENCE_NUMBERS = 0x7FFFFFFF
_LARGEST_DATAGRAM = 65536
_ANSWER = struct.Struct("=IHHIIi")
"""A header, and the first member of struct nlmsgerr: minus the errno, 0 where all went well."""

_ANSWERED = frozenset({MessageType.ALLOCSPI, MessageType.GETSA, MessageType.GETPOLICY})
"""Requests that are answered by a message, or an error."""


class Request(Struct, frozen=True):
    """The body of a message, its netlink type, and flags beside NLM_F_REQUEST and NLM_F_ACK."""

    body: bytes
    """What follows the header: a multiple of four octets."""
    type: MessageType
    flags: int = 0


class Answer(Struct):
    """What became of a request: 0 or an errno, the kernel's words on it, the message that came."""

    errno: int
    detail: str | None = None
    message: bytes | None = None


class XfrmSocket(socket.socket):
    """A NETLINK_XFRM socket that does not wait. Making one raises KernelError."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            super().__init__(socket.AF_NETLINK, kind, NETLINK_XFRM)
            self.bind((0, 0))
            _keep_keys_back(self)
        except OSError as error:
            raise KernelError(error.errno or 0, "open", "NETLINK_XFRM socket") from error
        enlarge_receive_buffer(self, ANSWER_BUFFER)


class RequestSocket:
    """Sends requests and gets their answers."""

    def __init__(self) -> None:
        self._socket: XfrmSocket | None = None
        self._number = 1
        self._buffer = memoryview(bytearray(_LARGEST_DATAGRAM))

    def open(self) -> None:
        """Make the socket. Raises KernelError."""
        self._socket = XfrmSocket()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """Send the requests in one datagram; give the answer to each, in the same order.

        The kernel carries out all of them, also those behind one it refuses. ENOBUFS as the answer
        means that the kernel had no room for it: whether the request was carried out is unknown.
        """
        if not requests:
            return []
        assert self._socket is not None, "it is open"
        first, count = self._number, len(requests)
        self._number = (first + count) % _SEQUENCE_NUMBERS
        parts: list[bytes] = []
        for number, request in enumerate(requests, first):
            flags = NLM_F_REQUEST | request.flags
            # Refusals come in any case, and before the last answer: one acknowledgement is enough.
            if number == first + count - 1 and request.type not in _ANSWERED:
                flags |= NLM_F_ACK
            length = HEADER.size + len(request.body)
            parts.append(HEADER.pack(length, request.type, flags, number, 0))
            parts.append(request.body)
        try:
            self._socket.send(b"".join(parts))
        except OSError as error:
            return [Answer(error.errno or errno.EIO) for _ in requests]
        answers = [Answer(0) for _ in requests]
        read: set[int] = set()
        lost = False
        while count - 1 not in read:
            try:
                read.add(self._read_answer(self._socket, answers, first))
            except BlockingIOError:
                lost = True
                break
            except OSError as error:
                # Tells once that answers were dropped; others may still wait behind.
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
        if lost:
            for place, answer in enumerate(answers):
                if place not in read:
                    answer.errno = errno.ENOBUFS
        return answers

    def _read_answer(self, sock: XfrmSocket, answers: list[Answer], first: int) -> int:
        """Read a datagram, which is one answer, and tell its place.

        That is beside the list for an answer that nobody waits for any more.
        """
        size = sock.recv_into(self._buffer)
        _, kind, _, number, _, code = _ANSWER.unpack_from(self._buffer)
        place: int = number - first
        if 0 <= place < len(answers):
            answer = answers[place]
            if kind != NLMSG_ERROR:
                answer.message = bytes(self._buffer[:size])
            elif code:
                answer.errno = -code
                answer.detail = explanation(bytes(self._buffer[:size]))
        return place


class _ListeningSocket(AsyncNetlinkSocket):
    marshal_class = MarshalXfrm

    def __init__(self) -> None:
        super().__init__(family=NETLINK_XFRM)

    async def open(self) -> None:
        """Make the socket. Raises KernelError."""
        try:
            await self.setup_endpoint()
            # Multicasts pass over a socket without a port; (0, 0) has the kernel choose one.
            self.socket.bind((0, 0))
            _keep_keys_back(self)
        except OSError as error:
            raise KernelError(error.errno or 0, "open", "NETLINK_XFRM socket") from error


class DumpSocket(_ListeningSocket):
    """Gets everything of one kind."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = asyncio.Lock()

    async def dump(self, message: FlatMessage, message_type: int) -> list[FlatMessage]:
        """Get everything of one kind. Raises KernelError."""
        async with self._lock:  # the kernel answers a second one with EBUSY
            request = NetlinkRequest(
                self, message, msg_type=message_type, msg_flags=NLM_F_REQUEST | NLM_F_DUMP
            )
            try:
                await request.send()
                return [part async for part in request.response()]
            except NetlinkError as error:
                raise KernelError(error.code, "dump", MessageType(message_type).name) from None


class EventSocket(_ListeningSocket):
    """Receives notifications."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        super().__init__()
        self._on_event = on_event

    async def listen(self, groups: Sequence[Group]) -> None:
        """Open and join the groups. Raises KernelError."""
        await self.open()
        enlarge_receive_buffer(self, EVENT_BUFFER)
        for group in groups:
            self.add_membership(group)

    def enqueue(self, data: bytes, addr: Any) -> None:
        """Take a datagram of the kernel, or the error that pyroute2 makes one of."""
        for message in self.marshal.parse(data):
            error = message["header"]["error"]
            if error is None:
                event = decode_event(message)
                if event is not None:
                    self._on_event(event)
            elif error.code == errno.ENOBUFS:
                self._error_event.clear()  # the socket goes on working
                self._on_event(Resync())


def _keep_keys_back(sock: HasOptions) -> None:
    """Have refused requests, which may hold keys, come back without payload, and with words."""
    sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
