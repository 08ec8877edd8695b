import socket
import struct

from xfrm.sockets import (
    IP_PKTINFO,
    SO_MARK,
    PacketInfo,
    packet_info,
    send_ancillary,
    through_sa,
)


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


def test_policy_that_asks_for_an_sa() -> None:
    """struct xfrm_userpolicy_info, then struct xfrm_user_tmpl, as linux/xfrm.h has them."""
    policy = through_sa(0x4C320007)
    assert len(policy) == 168 + 64
    family, *_ = struct.unpack_from("=H", policy, 40)
    direction, action = struct.unpack_from("=BB", policy, 160)
    assert (family, direction, action) == (socket.AF_INET, 0, 0)
    assert policy[:40] == bytes(40), "whatever the addresses and ports"
    address, spi, protocol = struct.unpack_from("=16sIB", policy, 168)
    assert (address, spi, protocol) == (bytes(16), 0, socket.IPPROTO_ESP)
    family, source, reqid, mode = struct.unpack_from("=H2x16sIB", policy, 168 + 24)
    assert (family, source, reqid, mode) == (socket.AF_INET, bytes(16), 0x4C320007, 0)
    assert policy[-12:] == b"\xff" * 12, "whatever the algorithms"
