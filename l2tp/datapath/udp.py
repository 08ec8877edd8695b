"""UDP sockets for L2TP: one that listens, and one connected socket for each kernel tunnel.

Between its bind() and its connect() a tunnel's socket is the best match for datagrams of every
client, and may keep some of them. They are not lost: each datagram comes with its own source, mark
and local address, and goes up whichever socket it came from. Whose it is, the mark and the tunnel
ID inside say, never the socket.

SO_REUSEPORT rather than SO_REUSEADDR lets the sockets share port 1701: it shares among sockets of
one user ID, while with SO_REUSEADDR any local user could bind the port, too, and take datagrams.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from l2tp.datapath.errors import DataPathError

L2TP_PORT = 1701

IP_PKTINFO = 8
IP_XFRM_POLICY = 17
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
SO_MARK = 36
SO_RCVMARK = 75

_PKTINFO = struct.Struct("=i4s4s")
_MARK = struct.Struct("=I")
_ANCILLARY_SIZE = socket.CMSG_SPACE(_PKTINFO.size) + socket.CMSG_SPACE(_MARK.size)
_LARGEST_DATAGRAM = 65535

LISTENER_BUFFER = 4 << 20
"""Octets, each way. Every packet of every session in user space crosses the listening socket; while
the program is busy they wait here: a third of a second of a full 100 Mbit/s line. Usual sizes hold
a few dozen packets, less than one burst of TCP."""

BURST = 32
"""Datagrams or frames read in one go before other work gets its turn."""


class Address(NamedTuple):
    """An IPv4 address and a UDP port."""

    host: str
    port: int = L2TP_PORT


@dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram as it was received, with the mark of the SA it came through (0: none)."""

    payload: bytes = field(repr=False)
    source: Address
    local_address: str
    mark: int


def new_socket() -> socket.socket:
    """A UDP socket that is not bound yet."""
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_INET, kind)


def bind(sock: socket.socket, local: Address, mark: int = 0, *, listens: bool) -> None:
    """Bind a socket that serves one tunnel, or listens for all. Raises DataPathError."""
    operation = "set options"
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVMARK, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        operation = "bind"
        sock.bind(local)
        if listens:
            operation = "set the buffer size"
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, LISTENER_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, LISTENER_BUFFER)
    except OSError as error:
        what = f"UDP {local.host}:{local.port}"
        raise DataPathError(error.errno or 0, operation, what) from error


class L2tpSocket:
    """A UDP socket on the event loop."""

    def __init__(self, on_datagram: Callable[[Datagram], None]) -> None:
        self._on_datagram = on_datagram
        self._socket = new_socket()
        self._loop = asyncio.get_running_loop()
        self._stopped = False

    def open(self, local: Address, peer: Address | None = None, mark: int = 0) -> None:
        """Bind to `local`, connect to `peer` if there is one, and begin to read.

        What the kernel itself sends through the socket carries `mark`. Raises DataPathError.
        """
        bind(self._socket, local, mark, listens=peer is None)
        if peer is not None:
            self.connect(peer)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def set_mark(self, mark: int) -> None:
        """Have what the kernel itself sends through the socket carry another mark.

        Raises DataPathError.
        """
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        except OSError as error:
            raise DataPathError(error.errno or 0, "set the mark", "UDP socket") from error

    def connect(self, peer: Address) -> None:
        """Send to `peer` and take from there alone, from now on. Raises DataPathError."""
        try:
            self._socket.connect(peer)
        except OSError as error:
            what = f"UDP {peer.host}:{peer.port}"
            raise DataPathError(error.errno or 0, "connect", what) from error

    def set_policy(self, policy: bytes) -> None:
        """Have an IPsec policy (the value of IP_XFRM_POLICY) for this socket alone.

        Raises DataPathError.
        """
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_XFRM_POLICY, policy)
        except OSError as error:
            raise DataPathError(error.errno or 0, "set the IPsec policy", "UDP socket") from error

    def fileno(self) -> int:
        """The file descriptor."""
        return self._socket.fileno()

    def send(
        self, payload: bytes, destination: Address, local_address: str | None = None, mark: int = 0
    ) -> bool:
        """Send a datagram from `local_address`, through the SA of `mark`. False if it was lost."""
        ancillary = []
        if local_address is not None:
            info = _PKTINFO.pack(0, socket.inet_aton(local_address), bytes(4))
            ancillary.append((socket.IPPROTO_IP, IP_PKTINFO, info))
        if mark:
            ancillary.append((socket.SOL_SOCKET, SO_MARK, _MARK.pack(mark)))
        try:
            self._socket.sendmsg([payload], ancillary, 0, destination)
        except OSError:  # no SA (EPERM, EAGAIN), no route, no memory: as if lost on the way
            return False
        return True

    def stop(self) -> None:
        """Give no more datagrams to the callback."""
        self._stopped = True
        self._loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        """Give the port back. After `stop` this may be done in another thread."""
        if not self._stopped:
            self.stop()
        self._socket.close()

    def _read(self) -> None:
        for _ in range(BURST):
            try:
                payload, ancillary, _, source = self._socket.recvmsg(
                    _LARGEST_DATAGRAM, _ANCILLARY_SIZE
                )
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for something sent before
                continue
            local_address, mark = "0.0.0.0", 0  # noqa: S104  not asked for
            for level, kind, data in ancillary:
                if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                    local_address = socket.inet_ntoa(_PKTINFO.unpack_from(data)[1])
                elif (level, kind) == (socket.SOL_SOCKET, SO_MARK):
                    (mark,) = _MARK.unpack_from(data)
            self._on_datagram(Datagram(payload, Address(*source), local_address, mark))
            if self._stopped:  # by the callback
                return
