"""The DHCPINFORM of a client, as an IP packet (RFC 2131 sections 2 and 3.4)."""

import struct
from ipaddress import IPv4Address

from interop.ip import udp_packet
from interop.ppp.profiles import Dhcpinform

SERVER_PORT, CLIENT_PORT = 67, 68
_BROADCAST = IPv4Address("255.255.255.255")
_MAGIC = bytes.fromhex("63825363")
_INFORM, _ACK = 8, 5
# op, htype, hlen, hops, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, sname and file.
_HEADER = struct.Struct(">4BIHH4s12x16s192x")
_OPTION_END = 255


def inform(profile: Dhcpinform, address: IPv4Address, number: int) -> bytes:
    """Make the packet; `number` counts the tries from 1, and is the transaction ID."""
    header = _HEADER.pack(1, 8, 6, 0, number, 0, 0, address.packed, profile.chaddr)
    options = bytes((53, 1, _INFORM))
    if profile.client_id:
        options += bytes((61, len(profile.client_id))) + profile.client_id
    options += bytes((55, len(profile.parameters), *profile.parameters, _OPTION_END))
    return udp_packet(address, _BROADCAST, CLIENT_PORT, SERVER_PORT, header + _MAGIC + options)


def acknowledged(payload: bytes) -> bool:
    """Whether a datagram from port 67 to port 68 is a DHCPACK, as its first option must tell."""
    options = payload[_HEADER.size :]
    return options.startswith(_MAGIC + bytes((53, 1, _ACK)))
