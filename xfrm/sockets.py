"""Options and ancillary data of the UDP sockets an IPsec gateway needs, for IPv4."""

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from xfrm.constants import UDP_ENCAP, Direction, UdpEncap
from xfrm.errors import KernelError
from xfrm.model import Policy, Selector, Template
from xfrm.policy_codec import pack_policy, pack_template

IP_PKTINFO = 8
IP_MTU_DISCOVER = 10
IP_PMTUDISC_DONT = 0
IP_XFRM_POLICY = 17
SO_RCVBUFFORCE = 33
SO_MARK = 36
SO_RCVMARK = 75
"""Linux 5.19 and later: a received packet's mark arrives as an SO_MARK control message."""

_PKTINFO = struct.Struct("=i4s4s")
_MARK = struct.Struct("=I")

ANCILLARY_SIZE = socket.CMSG_SPACE(_PKTINFO.size) + socket.CMSG_SPACE(_MARK.size)
"""Octets of control messages to ask recvmsg for."""

Ancillary = list[tuple[int, int, bytes]]


class PacketInfo(NamedTuple):
    """What the control messages of a received datagram say."""

    local_address: str
    """Where it was sent to; "0.0.0.0" without `report_packet_info`."""
    mark: int
    """0 for none, and without `report_packet_info`."""


class HasOptions(Protocol):
    """A socket, or pyroute2's."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """As socket.setsockopt."""


def enlarge_receive_buffer(sock: HasOptions, octets: int) -> None:
    """Let so much wait in a socket, whatever net.core.rmem_max is: 200 kB by default."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, octets)
    except PermissionError:  # root of a user namespace; the limit of the system applies
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)


def bypass_ipsec(sock: socket.socket) -> None:
    """Let this socket speak in clear, whatever the policies of the machine say.

    An IKE daemon needs that for its own messages. Raises KernelError.
    """
    for direction in (Direction.IN, Direction.OUT):
        _set(sock, socket.IPPROTO_IP, IP_XFRM_POLICY, _allow(direction), "bypass_ipsec")


def through_sa(reqid: int) -> bytes:
    """Make the value of IP_XFRM_POLICY for a socket that takes in ESP of SAs with this reqid alone.

    The SAs are of transport mode. What the socket sends is left to the machine's policies.
    """
    return _allow(Direction.IN) + pack_template(Template(src=None, dst=None, reqid=reqid))


def _allow(direction: Direction) -> bytes:
    """A policy that lets everything pass, save what templates behind it ask for."""
    return pack_policy(Policy(Selector(), direction))


def accept_esp_in_udp(sock: socket.socket) -> None:
    """Let the kernel take ESP out of this socket's datagrams (RFC 3948 section 3.5).

    What starts with four zero octets, the non-ESP marker, still reaches the socket; keepalives of
    one octet do not. Raises KernelError.
    """
    _set(sock, socket.IPPROTO_UDP, UDP_ENCAP, UdpEncap.ESPINUDP, "accept_esp_in_udp")


def accept_esp_among_ike(sock: socket.socket) -> bool:
    """Let the kernel take ESP out of an IKE socket's datagrams, if it can.

    That is what starts with eight zero octets, the non-IKE marker, where IKE has a cookie
    (draft-ietf-ipsec-udp-encaps-00). Whether it can: Linux before 6.10 does.
    """
    try:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UdpEncap.ESPINUDP_NON_IKE)
    except OSError:
        return False
    return True


def allow_fragments(sock: socket.socket) -> None:
    """Let routers fragment what this socket sends: never set "don't fragment". Raises KernelError.

    An IKE message of more than the path carries would otherwise be lost, and its repetitions too,
    where a firewall keeps the ICMP messages back that tell.
    """
    _set(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT, "allow_fragments")


def report_packet_info(sock: socket.socket) -> None:
    """Have each datagram come with its local address and its mark. Raises KernelError."""
    _set(sock, socket.IPPROTO_IP, IP_PKTINFO, 1, "report_packet_info")
    _set(sock, socket.SOL_SOCKET, SO_RCVMARK, 1, "report_packet_info")


def packet_info(ancillary: Iterable[tuple[int, int, bytes]]) -> PacketInfo:
    """Read the control messages that recvmsg gave."""
    local_address, mark = "0.0.0.0", 0  # noqa: S104  what an absent one stands for
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _, local, _ = _PKTINFO.unpack_from(data)
            local_address = socket.inet_ntoa(local)
        elif level == socket.SOL_SOCKET and kind == SO_MARK:
            (mark,) = _MARK.unpack_from(data)
    return PacketInfo(local_address, mark)


def send_ancillary(local_address: str | None = None, mark: int = 0) -> Ancillary:
    """Make control messages for sendmsg: the source address to use, the mark to carry.

    The mark needs CAP_NET_ADMIN; sendmsg raises PermissionError without it.
    """
    ancillary: Ancillary = []
    if local_address is not None:
        info = _PKTINFO.pack(0, socket.inet_aton(local_address), bytes(4))
        ancillary.append((socket.IPPROTO_IP, IP_PKTINFO, info))
    if mark:
        ancillary.append((socket.SOL_SOCKET, SO_MARK, _MARK.pack(mark)))
    return ancillary


def _set(sock: socket.socket, level: int, option: int, value: int | bytes, operation: str) -> None:
    try:
        sock.setsockopt(level, option, value)
    except OSError as error:
        raise KernelError(error.errno or 0, operation, "UDP socket") from error
