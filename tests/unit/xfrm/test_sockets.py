import socket
import struct

from xfrm.sockets import IP_PKTINFO, SO_MARK, PacketInfo, packet_info, send_ancillary


def test_packet_info_is_read() -> None:
    info = struct.pack("=i4s4s", 3, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 255]))
    ancillary = [
        (socket.IPPROTO_IP, IP_PKTINFO, info),
        (socket.SOL_SOCKET, SO_MARK, struct.pack("=I", 0x80000001)),
        (socket.SOL_SOCKET, 99, b"something else"),
    ]
    assert packet_info(ancillary) == PacketInfo("192.0.2.1", 0x80000001)


def test_nothing_was_reported() -> None:
    assert packet_info([]) == PacketInfo("0.0.0.0", 0)


def test_ancillary_for_sending() -> None:
    assert send_ancillary("192.0.2.1", 7) == [
        (
            socket.IPPROTO_IP,
            IP_PKTINFO,
            struct.pack("=i4s4s", 0, bytes([192, 0, 2, 1]), bytes(4)),
        ),
        (socket.SOL_SOCKET, SO_MARK, struct.pack("=I", 7)),
    ]
    assert send_ancillary() == []
