"""Captures: tcpdump on a machine of the lab, and a reader of what it wrote."""

import secrets
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from signal import SIGINT

from interop.errors import LabError
from interop.netns import Host
from interop.wait import until

START_LIMIT = 30.0
"""Seconds until tcpdump listens."""

IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_ESP = 50
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_EXPERIMENT = 0x88B5
"""For local use (IEEE 802)."""
MARK_SIZE = 46
"""Bytes that make the shortest Ethernet frame."""
ETHERNET_HEADER = 14
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
MAGIC_MICROSECONDS = 0xA1B2C3D4
NON_ESP_MARKER = bytes(4)


class CaptureFormatError(LabError):
    """A file is no capture of a kind this reader knows."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One IPv4 packet. ``time`` is in seconds since 1970; no TCP or UDP: ports 0, body in payload.

    A fragment that is not the first has ports 0 too.
    """

    time: float
    source: str
    destination: str
    protocol: int
    source_port: int
    destination_port: int
    payload: bytes

    @property
    def is_esp(self) -> bool:
        """Whether it is ESP, bare or in UDP (RFC 3948 section 2)."""
        if self.protocol == IPPROTO_ESP:
            return True
        return (
            self.protocol == IPPROTO_UDP
            and 4500 in (self.source_port, self.destination_port)
            and len(self.payload) > len(NON_ESP_MARKER)
            and not self.payload.startswith(NON_ESP_MARKER)
        )

    @property
    def is_ike(self) -> bool:
        """Whether it is an ISAKMP message on port 500, or on 4500 behind its marker."""
        if self.protocol != IPPROTO_UDP:
            return False
        ports = (self.source_port, self.destination_port)
        return 500 in ports or (4500 in ports and self.payload.startswith(NON_ESP_MARKER))


def parse_ipv4(data: bytes, time: float = 0.0) -> Packet | None:
    """Take an IPv4 packet apart; None if it is something else or cut off."""
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    header = (data[0] & 15) * 4
    total, fragment = struct.unpack_from("!H2xH", data, 2)
    protocol = data[9]
    body = data[header:total]
    ports = (0, 0)
    if protocol in (IPPROTO_TCP, IPPROTO_UDP) and fragment & 0x1FFF == 0 and len(body) >= 8:
        ports = struct.unpack_from("!HH", body)
        body = body[
            8 if protocol == IPPROTO_UDP else (body[12] >> 4) * 4 if len(body) > 12 else 0 :
        ]
    source, destination = (str(IPv4Address(data[at : at + 4])) for at in (12, 16))
    return Packet(time, source, destination, protocol, *ports, bytes(body))


def parse_ethernet(frame: bytes, time: float = 0.0) -> Packet | None:
    """Take the IPv4 packet out of an Ethernet frame; None if there is none in it."""
    if int.from_bytes(frame[12:14], "big") != ETHERTYPE_IPV4:
        return None
    return parse_ipv4(frame[ETHERNET_HEADER:], time)


def read_pcap(path: Path) -> Iterator[Packet]:
    """Yield the IPv4 packets of a capture in order; a packet cut off at the end is left out.

    Raises `CaptureFormatError`.
    """
    data = path.read_bytes()
    if len(data) < 24:
        raise CaptureFormatError(f"{path}: {len(data)} bytes are no pcap header")
    order = "<" if struct.unpack_from("<I", data)[0] == MAGIC_MICROSECONDS else ">"
    magic, linktype = struct.unpack_from(f"{order}I16xI", data)
    parse = {LINKTYPE_ETHERNET: parse_ethernet, LINKTYPE_RAW: parse_ipv4}.get(linktype)
    if magic != MAGIC_MICROSECONDS or parse is None:
        raise CaptureFormatError(f"{path}: magic {magic:#x}, link type {linktype}")
    at = 24
    while at + 16 <= len(data):
        seconds, micros, captured = struct.unpack_from(f"{order}III", data, at)
        at += 16
        if at + captured > len(data):
            return
        packet = parse(data[at : at + captured], seconds + micros / 1e6)
        if packet is not None:
            yield packet
        at += captured


class Capture:
    """tcpdump on one interface of ``host``, listening once it is made, until `packets` or the end.

    The file is ``HOST-INTERFACE.pcap`` in the machine's folder.
    """

    def __init__(self, host: Host, interface: str) -> None:
        self._host = host
        self._interface = interface
        self.path = host.directory / f"{host.name}-{interface}.pcap"
        command = ["tcpdump", "-n", "-U", "--immediate-mode", "-Z", "root", "-i", interface]
        self._process = host.start(f"tcpdump-{interface}", *command, "-w", str(self.path))
        self._process.wait_for_text("listening on", START_LIMIT)

    def packets(self) -> list[Packet]:
        """End the capture and return what it has seen.

        tcpdump forgets what it has not yet read when it is ended, so a marked frame goes out last,
        and it is ended when it has written that one. The neighbour ignores its EtherType.
        """
        if self._process.running:
            mark = secrets.token_bytes(MARK_SIZE)
            with self._host.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
                sender.bind((self._interface, 0))
                sender.send(bytes(12) + ETHERTYPE_EXPERIMENT.to_bytes(2, "big") + mark)
            until(lambda: mark in self.path.read_bytes(), "tcpdump to catch up", START_LIMIT)
            self._process.stop(SIGINT)
        return list(read_pcap(self.path))
