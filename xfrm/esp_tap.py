"""Reports ESP that is for no SA of ours, which the kernel drops without telling anybody.

A packet socket sees a copy of every packet, but a classic BPF program in the kernel lets through
only ESP, bare or in UDP (RFC 3948 section 2.1), whose SPI has not the stamp of ours: the upper bits
of its product with a multiplier, modulo 2^32. What belongs to living SAs costs a few instructions
in the kernel and never wakes the program up. A flood is read slowly, and the rest of it lost.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from xfrm import bpf
from xfrm.constants import IPPROTO_ESP, IPPROTO_UDP
from xfrm.errors import KernelError

ETH_P_IP = 0x0800
SO_ATTACH_FILTER = 26
NAT_T_PORT = 4500
"""RFC 3947 section 4."""
SNAP_LENGTH = 128
"""Octets of a packet to read: the longest IPv4 header, a UDP header and an SPI take 72."""
RECEIVE_BUFFER = 64 * 1024
"""Octets: some hundred packets."""
AT_ONCE = 50
"""Packets read in one `PAUSE`."""
PAUSE = 0.25
"""Seconds between two looks at the socket."""

_PACKET_HOST = 0
"""linux/if_packet.h: for this machine."""
_FRAGMENT_OFFSET = 0x1FFF


@dataclass(frozen=True, slots=True)
class StrayEsp:
    """An ESP packet under an SPI without the stamp. Ports are 0 where it is not in UDP."""

    spi: int
    source: str
    destination: str
    source_port: int
    destination_port: int
    size: int
    """Octets of ESP, headers of IP and UDP not counted."""


def program(multiplier: int, shift: int, stamp: int) -> bytes:
    """The filter: lets through the ESP whose SPI times `multiplier`, shifted, is not `stamp`."""
    # Packets begin with their IP header. A load beyond the end of a packet drops it.
    lines: list[bpf.Line] = [
        (bpf.LD_W_ABS, "", "", bpf.PKTTYPE),
        (bpf.JEQ_K, "", "drop", _PACKET_HOST),
        (bpf.LD_H_ABS, "", "", 6),
        (bpf.JSET_K, "drop", "", _FRAGMENT_OFFSET),
        (bpf.LDX_B_MSH, "", "", 0),  # X = length of the IP header
        (bpf.LD_B_ABS, "", "", 9),
        (bpf.JEQ_K, "esp", "", IPPROTO_ESP),
        (bpf.JEQ_K, "", "drop", IPPROTO_UDP),
        (bpf.LD_H_IND, "", "", 2),
        (bpf.JEQ_K, "", "drop", NAT_T_PORT),
        (bpf.LD_W_IND, "", "", 8),
        (bpf.JEQ_K, "drop", "check", 0),  # the non-ESP marker
        (bpf.LD_W_IND, "", "", 0),  # esp
        (bpf.MUL_K, "", "", multiplier),  # check
        (bpf.RSH_K, "", "", shift),
        (bpf.JEQ_K, "drop", "", stamp),
        (bpf.RET_K, "", "", SNAP_LENGTH),
        (bpf.RET_K, "", "", 0),  # drop
    ]
    return bpf.assemble(lines, {"esp": 12, "check": 13, "drop": len(lines) - 1})


def parse(packet: bytes) -> StrayEsp | None:
    """Read what the filter has let through; None if it is cut short."""
    try:
        header = (packet[0] & 15) * 4
        (total,) = struct.unpack_from("!H", packet, 2)
        source, destination = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
        ports, esp = (0, 0), header
        if packet[9] == IPPROTO_UDP:
            ports, esp = struct.unpack_from("!HH", packet, header), header + 8
        (spi,) = struct.unpack_from("!I", packet, esp)
    except (struct.error, IndexError, OSError):
        return None
    return StrayEsp(spi, source, destination, *ports, total - esp)


class EspTap:
    """Calls `report` for stray ESP. Opening it needs CAP_NET_RAW."""

    def __init__(self, report: Callable[[StrayEsp], None]) -> None:
        self._report = report
        self._socket: socket.socket | None = None
        self._again: asyncio.TimerHandle | None = None

    def open(self, multiplier: int, shift: int, stamp: int) -> None:
        """Begin to listen; the numbers are those of `program`. Raises KernelError."""
        code = program(multiplier, shift, stamp)
        try:
            self._socket = tap = socket.socket(
                socket.AF_PACKET,
                socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                socket.htons(ETH_P_IP),
            )
            bpf.attach(tap, SO_ATTACH_FILTER, code)
            tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            # What has come before the filter was there.
            with suppress(BlockingIOError):
                while True:
                    tap.recv(1)
        except OSError as error:
            self.close()
            raise KernelError(error.errno or 0, "esp_tap", "packet socket") from error
        self._listen()

    def close(self) -> None:
        """Stop listening."""
        if self._again is not None:
            self._again.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _listen(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        """Read what there is, up to `AT_ONCE`, and look again after `PAUSE`."""
        loop = asyncio.get_running_loop()
        assert self._socket is not None
        loop.remove_reader(self._socket)
        self._again = loop.call_later(PAUSE, self._listen)
        for _ in range(AT_ONCE):
            try:
                packet = self._socket.recv(SNAP_LENGTH)
            except OSError:
                return
            stray = parse(packet)
            if stray is not None:
                self._report(stray)
