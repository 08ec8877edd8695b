"""What every SA of the kernel has carried, without all else that is known of it.

With ten thousand clients a dump has twenty thousand SAs. It is read in pieces, between which the
event loop serves others, and of each SA no more is decoded than tells it from others.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR

from xfrm import messages
from xfrm.constants import NETLINK_XFRM, MessageType
from xfrm.errors import KernelError
from xfrm.flat import HEADER
from xfrm.packing import NUMBERS, find_attribute, only
from xfrm.selectors import unpack_address

PIECE = 8192
"""Octets read at a time. The kernel makes no larger datagrams of a dump than are asked for: a dozen
SAs, some 100 microseconds."""

_MARK = struct.Struct("=I")
_ERROR = struct.Struct("=i")


class SaName(NamedTuple):
    """What tells an SA from all others of the kernel."""

    spi: int
    dst: str
    mark: int
    """0 for none."""


_SA = only(messages.usersa_info.fields, "id_daddr", "id_spi", "curlft_bytes", "family")
_ATTRIBUTES = HEADER.size + _SA.size


async def dump_usage() -> AsyncIterator[list[tuple[SaName, int]]]:
    """Every SA and its octets, in pieces. Raises KernelError."""
    body = bytes(messages.usersa_id.layout.size)
    flags = NLM_F_REQUEST | NLM_F_DUMP
    request = HEADER.pack(HEADER.size + len(body), MessageType.GETSA, flags, 1, 0) + body
    loop = asyncio.get_running_loop()
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    try:
        with socket.socket(socket.AF_NETLINK, kind, NETLINK_XFRM) as sock:
            sock.send(request)
            while True:
                piece = await loop.sock_recv(sock, PIECE)
                yield list(parse_usage(piece))
                if _ends(piece):
                    return
                await asyncio.sleep(0)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, "dump", MessageType.GETSA.name) from error


def parse_usage(datagram: bytes) -> Iterator[tuple[SaName, int]]:
    """The SAs of one datagram of a dump. Raises OSError where it is a refusal."""
    start = 0
    while start + HEADER.size <= len(datagram):
        length, number, _, _, _ = HEADER.unpack_from(datagram, start)
        if number == NLMSG_ERROR:
            (code,) = _ERROR.unpack_from(datagram, start + HEADER.size)
            raise OSError(-code, "refused")
        if number == MessageType.NEWSA:
            address, spi, octets, family = _SA.unpack_from(datagram, start + HEADER.size)
            mark = _mark(datagram, start + _ATTRIBUTES, start + length)
            yield SaName(int.from_bytes(spi), unpack_address(family, address), mark), octets
        start += max(length + 3 & ~3, HEADER.size)


def _mark(datagram: bytes, offset: int, end: int) -> int:
    found = find_attribute(datagram, offset, end, NUMBERS["XFRMA_MARK"])
    return int(_MARK.unpack_from(datagram, found[1])[0]) if found else 0


def _ends(datagram: bytes) -> bool:
    """Whether the dump's end is in this datagram, which it closes."""
    start = number = 0
    while start + HEADER.size <= len(datagram):
        length, number, _, _, _ = HEADER.unpack_from(datagram, start)
        start += max(length + 3 & ~3, HEADER.size)
    return bool(number == NLMSG_DONE)
