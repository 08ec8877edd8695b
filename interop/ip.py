"""Just enough IPv4, UDP and ICMP to send a checked packet and to know its answer."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

_IP = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">4H")
_ECHO = struct.Struct(">BBHHH")
ICMP, UDP = 1, 17
_TTL = 64
_ECHO_REQUEST, _ECHO_REPLY = 8, 0


@dataclass(frozen=True, slots=True)
class IpPacket:
    """An IPv4 packet without options or fragments."""

    source: IPv4Address
    destination: IPv4Address
    protocol: int
    payload: bytes


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def build(packet: IpPacket) -> bytes:
    """Octets of a packet."""
    addresses = packet.source.packed, packet.destination.packed
    size = _IP.size + len(packet.payload)
    first = _IP.pack(0x45, 0, size, 0, 0, _TTL, packet.protocol, 0, *addresses)
    header = _IP.pack(0x45, 0, size, 0, 0, _TTL, packet.protocol, checksum(first), *addresses)
    return header + packet.payload


def parse(octets: bytes) -> IpPacket | None:
    """Read a packet; None if it is none, is damaged or is a fragment."""
    if len(octets) < _IP.size or octets[0] != 0x45 or checksum(octets[: _IP.size]):
        return None
    _, _, size, _, fragment, _, protocol, _, source, destination = _IP.unpack_from(octets)
    if size > len(octets) or fragment & 0x3FFF:
        return None
    body = octets[_IP.size : size]
    return IpPacket(IPv4Address(source), IPv4Address(destination), protocol, body)


def udp_packet(
    source: IPv4Address, destination: IPv4Address, sport: int, dport: int, data: bytes
) -> bytes:
    """A UDP datagram in an IP packet, with its checksum."""
    size = _UDP.size + len(data)
    pseudo = source.packed + destination.packed + struct.pack(">HH", UDP, size)
    sum_ = checksum(pseudo + _UDP.pack(sport, dport, size, 0) + data) or 0xFFFF
    payload = _UDP.pack(sport, dport, size, sum_) + data
    return build(IpPacket(source, destination, UDP, payload))


def udp_fields(payload: bytes) -> tuple[int, int, bytes] | None:
    """Source port, destination port and data of a UDP datagram."""
    if len(payload) < _UDP.size:
        return None
    sport, dport, size, _ = _UDP.unpack_from(payload)
    return sport, dport, payload[_UDP.size : size]


def udp_datagram(sport: int, dport: int, data: bytes) -> bytes:
    """A UDP datagram without a checksum, as RFC 3948 section 3.1.2 lets one be."""
    return _UDP.pack(sport, dport, _UDP.size + len(data), 0) + data


def echo_request(source: IPv4Address, destination: IPv4Address, number: int, data: bytes) -> bytes:
    """An ICMP echo in an IP packet."""
    return build(IpPacket(source, destination, ICMP, _echo(_ECHO_REQUEST, number, data)))


def echo_reply(request: IpPacket) -> bytes | None:
    """The answer to an ICMP echo; None if it is none."""
    if request.protocol != ICMP or request.payload[:1] != bytes((_ECHO_REQUEST,)):
        return None
    _, _, _, _, number = _ECHO.unpack_from(request.payload)
    body = _echo(_ECHO_REPLY, number, request.payload[_ECHO.size :])
    return build(IpPacket(request.destination, request.source, ICMP, body))


def echoed(packet: IpPacket) -> bytes | None:
    """What an ICMP echo reply carries; None if it is none."""
    if packet.protocol != ICMP or packet.payload[:1] != bytes((_ECHO_REPLY,)):
        return None
    return packet.payload[_ECHO.size :]


def _echo(kind: int, number: int, data: bytes) -> bytes:
    first = _ECHO.pack(kind, 0, 0, 0, number) + data
    return _ECHO.pack(kind, 0, checksum(first), 0, number) + data
