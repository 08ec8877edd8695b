"""The gateway's IKE sockets, UDP 500 and 4500.

Each wake-up reads one datagram, which may take a millisecond to serve, or a few that take next to
nothing, before other sockets and timers have their turn: so of a crowd at the door those who have
begun are found soon. Each answer leaves from the address that the question was sent to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache

from cli.ikev1d.logs import ClientLog
from ikev1.core.effects import Path
from ikev1.core.natt import NON_ESP_MARKER
from xfrm.sockets import (
    Ancillary,
    accept_esp_among_ike,
    accept_esp_in_udp,
    allow_fragments,
    bypass_ipsec,
    enlarge_receive_buffer,
    packet_info,
    report_packet_info,
    send_ancillary,
)
from xfrm.steering import by_cookie, steer

IKE_PORT = 500
NAT_T_PORT = 4500
"""RFC 3947 section 4."""
MAX_DATAGRAM = 65_535
AT_ONCE = 16
"""Datagrams that are read before the event loop goes on, as long as none of them is work."""
ANCILLARY_SIZE = 128
"""Octets of control messages: IP_PKTINFO and SO_MARK take 52."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets: some 5000 first messages that come at once after a restart."""
CLIENTS_OF_LATE = 1024
"""Paths that are kept."""
ANY_ADDRESS = "0.0.0.0"  # noqa: S104  every address of the gateway is served unless it says which


class DatagramSocket:
    """A UDP socket that says where each datagram was sent to."""

    def __init__(
        self,
        address: str,
        port: int,
        prepare: Callable[[socket.socket], None],
        *,
        shared: bool = False,
    ) -> None:
        """Bind; `prepare` sets what must hold before the first datagram. Raises OSError.

        With `shared`, sockets of other processes of the gateway may be bound there too.
        """
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            reuse = socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR
            self._socket.setsockopt(socket.SOL_SOCKET, reuse, 1)
            enlarge_receive_buffer(self._socket, RECEIVE_BUFFER)
            report_packet_info(self._socket)
            allow_fragments(self._socket)
            prepare(self._socket)
            self._socket.bind((address, port))
        except BaseException:
            self._socket.close()
            raise

    def start(self, receive: Callable[[bytes, str, str, int], bool]) -> None:
        """Call `receive(datagram, local address, remote address, remote port)` for each.

        It tells whether that was work.
        """
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._receive, receive)

    def send(self, datagram: bytes, local: str, remote: str, port: int) -> None:
        """Send one datagram from `local`. Raises OSError."""
        self._socket.sendmsg((datagram,), _from(local), 0, (remote, port))

    def close(self) -> None:
        """Close the socket."""
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
        self._socket.close()

    def fileno(self) -> int:
        """The file descriptor."""
        return self._socket.fileno()

    def _receive(self, receive: Callable[[bytes, str, str, int], bool]) -> None:
        for _ in range(AT_ONCE):
            try:
                data, ancillary, _, (remote, port) = self._socket.recvmsg(
                    MAX_DATAGRAM, ANCILLARY_SIZE
                )
            except OSError:
                return  # nothing left, an ICMP error of something sent before, or a bad checksum
            if receive(data, packet_info(ancillary).local_address, remote, port):
                return


class IkeSockets:
    """The sockets of UDP 500 and 4500, exempt from IPsec, the latter with ESP in it."""

    def __init__(self, addresses: Sequence[str], *, shared: bool = False) -> None:
        """Bind to `addresses`, or to all of the machine if there are none. Raises OSError.

        With `shared`, sockets of other processes of the gateway may be bound there too.
        """
        self._log = ClientLog("ikev1d.udp")
        self._sockets: dict[tuple[str, int], DatagramSocket] = {}
        self.esp_on_ike_port = True
        """Whether the kernel takes ESP out of UDP 500 too, for the oldest draft of NAT-T."""
        try:
            for address in addresses or (ANY_ADDRESS,):
                for port, prepare in ((IKE_PORT, self._ike), (NAT_T_PORT, _nat_t)):
                    bound = DatagramSocket(address, port, prepare, shared=shared)
                    self._sockets[address, port] = bound
        except BaseException:
            self.close()
            raise

    def _ike(self, sock: socket.socket) -> None:
        bypass_ipsec(sock)
        self.esp_on_ike_port = accept_esp_among_ike(sock) and self.esp_on_ike_port

    def start(self, receive: Callable[[bytes, Path], bool]) -> None:
        """Give each datagram to `receive`, which tells whether that was work."""
        if not self.esp_on_ike_port:
            self._log.info(
                "the kernel takes no ESP out of UDP 500: a client behind a NAT that knows draft 00"
                " of NAT traversal alone gets none"
            )
        for datagram_socket in self._sockets.values():
            port = datagram_socket.port

            def received(
                data: bytes, local: str, remote: str, remote_port: int, port: int = port
            ) -> bool:
                return receive(data, Path(local, port, remote, remote_port, port == NAT_T_PORT))

            datagram_socket.start(received)

    def send(self, path: Path, datagram: bytes) -> None:
        """Send a datagram; what cannot be sent is lost, as on any network."""
        datagram_socket = self._sockets.get((path.local, path.local_port)) or self._sockets.get(
            (ANY_ADDRESS, path.local_port)
        )
        if datagram_socket is None:
            return
        try:
            datagram_socket.send(datagram, path.local, path.remote, path.remote_port)
        except OSError as error:
            self._log.warning("datagram not sent", peer=path, cause=error)

    def close(self) -> None:
        """Close all sockets."""
        for datagram_socket in self._sockets.values():
            datagram_socket.close()
        self._sockets.clear()

    def share_out(self, count: int, cookie_stamp: int) -> None:
        """Have the kernel choose, among `count` of these that are bound alike, for each datagram.

        This must be the first of them. Raises OSError.
        """
        for datagram_socket in self._sockets.values():
            header = len(NON_ESP_MARKER) if datagram_socket.port == NAT_T_PORT else 0
            steer(datagram_socket, by_cookie(count, cookie_stamp, header))


@lru_cache
def _from(local: str) -> Ancillary:
    """The control messages for an answer from one of our addresses."""
    return send_ancillary(local)


@lru_cache(maxsize=CLIENTS_OF_LATE)
def _path(local: str, local_port: int, remote: str, remote_port: int) -> Path:
    """The path of a datagram; most belong to an exchange of which others have just come."""
    return Path(local, local_port, remote, remote_port, local_port == NAT_T_PORT)


def _nat_t(sock: socket.socket) -> None:
    bypass_ipsec(sock)
    accept_esp_in_udp(sock)
