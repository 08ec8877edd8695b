"""NETLINK_XFRM sockets on pyroute2's asyncio core.

Linux carries out a NETLINK_XFRM request inside the system call that sends it, so its answer can be
read at once. `RequestSocket.exchange` does that: several requests go out in one datagram, and
nothing else runs on the event loop before all of them are answered, so a batch cannot be cancelled
half way. Dumps come in parts, which are awaited.
"""

import asyncio
import errno
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pyroute2.netlink import NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ERROR
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nlsocket import AsyncNetlinkSocket, NetlinkRequest

from xfrm.constants import NETLINK_XFRM, Group, MessageType
from xfrm.errors import KernelError
from xfrm.events import Event, Resync, decode_event
from xfrm.flat import FlatMessage
from xfrm.marshal import MarshalXfrm, acknowledged
from xfrm.sockets import enlarge_receive_buffer

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11

EVENT_BUFFER = 4 * 1024 * 1024
"""Octets. An EXPIRE takes about 1 kB of it, so the SAs of 2000 clients may expire at once."""

_FIRST_SEQUENCE_NUMBER = 0x10000
"""pyroute2 numbers its own requests below this."""
_SEQUENCE_NUMBERS = 0x70000000
_LARGEST_DATAGRAM = 65536

_ANSWERED = frozenset({MessageType.ALLOCSPI, MessageType.GETSA, MessageType.GETPOLICY})
"""Requests that need no acknowledgement: the answer is a message, or an error."""


@dataclass(frozen=True, slots=True)
class Request:
    """A message with its netlink type, and flags beside NLM_F_REQUEST and NLM_F_ACK."""

    message: FlatMessage
    type: int
    flags: int = 0


@dataclass(slots=True)
class Answer:
    """What became of a request: 0 or an errno, the kernel's words on it, the message that came."""

    errno: int
    detail: str | None = None
    message: FlatMessage | None = None


class _XfrmSocket(AsyncNetlinkSocket):
    marshal_class = MarshalXfrm

    def __init__(self) -> None:
        super().__init__(family=NETLINK_XFRM)

    async def open(self) -> None:
        """Make the socket. Raises KernelError."""
        try:
            await self.setup_endpoint()
            # Multicasts pass over a socket without a port; (0, 0) has the kernel choose one.
            self.socket.bind((0, 0))
            # A refused request comes back without its payload, which may hold keys.
            self.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
            self.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        except OSError as error:
            raise KernelError(error.errno or 0, "open", "NETLINK_XFRM socket") from error


class RequestSocket(_XfrmSocket):
    """Sends requests and gets their answers."""

    def __init__(self) -> None:
        super().__init__()
        self._counter = itertools.count()
        self._dump_lock = asyncio.Lock()

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """Send the requests in one datagram; give the answer to each, in the same order.

        The kernel carries out all of them, also those behind one it refuses. ENOBUFS as the answer
        means that the kernel had no room for it: whether the request was carried out is unknown.
        """
        pending: dict[int, Answer] = {}
        data = bytearray()
        for request in requests:
            number = _FIRST_SEQUENCE_NUMBER + next(self._counter) % _SEQUENCE_NUMBERS
            acknowledge = 0 if request.type in _ANSWERED else NLM_F_ACK
            request.message["header"].update(
                type=request.type,
                flags=NLM_F_REQUEST | acknowledge | request.flags,
                sequence_number=number,
            )
            request.message.encode()
            data += request.message.data
            pending[number] = Answer(errno.ENOBUFS)
        answers = list(pending.values())
        try:
            self.send(data)
        except OSError as error:
            return [Answer(error.errno or errno.EIO) for _ in requests]
        while pending:
            try:
                self._read_answer(pending)
            except BlockingIOError:
                break
            except OSError as error:
                # Tells once that answers were dropped; others may still wait behind.
                if error.errno != errno.ENOBUFS:
                    raise
        return answers

    def _read_answer(self, pending: dict[int, Answer]) -> None:
        data = self.recv(_LARGEST_DATAGRAM)
        number = acknowledged(data)
        if number in pending:
            pending.pop(number).errno = 0
            return
        for message in self.marshal.parse(data):
            number = message["header"]["sequence_number"]
            answer = pending.pop(number, None)
            if answer is None:
                self.enqueue(data, None)  # a part of a dump that goes on meanwhile
                return
            if message["header"]["type"] == NLMSG_ERROR:
                answer.errno = -message["error"]
                answer.detail = message["message"]
            else:
                answer.errno = 0
                answer.message = message

    async def dump(self, message: FlatMessage, message_type: int) -> list[FlatMessage]:
        """Get everything of one kind. Raises KernelError."""
        async with self._dump_lock:  # the kernel answers a second one with EBUSY
            request = NetlinkRequest(
                self, message, msg_type=message_type, msg_flags=NLM_F_REQUEST | NLM_F_DUMP
            )
            try:
                await request.send()
                return [part async for part in request.response()]
            except NetlinkError as error:
                raise KernelError(error.code, "dump", MessageType(message_type).name) from None


class EventSocket(_XfrmSocket):
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
