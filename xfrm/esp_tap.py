"""Reports ESP that is for no SA of ours, which the kernel drops without telling anybody.

A packet socket sees a copy of every packet, but a classic BPF program in the kernel lets through
only ESP, bare or in UDP (RFC 3948 section 2.1), whose SPI has not the stamp of ours: the upper bits
of its product with a multiplier, modulo 2^32. What belongs to living SAs costs a few instructions
in the kernel and never wakes the program up. A flood is read slowly, and the rest of it lost.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

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

# linux/bpf_common.h, linux/filter.h
_LD_W_ABS, _LD_H_ABS, _LD_B_ABS = 0x20, 0x28, 0x30
_LD_W_IND, _LD_H_IND = 0x40, 0x48
_LDX_B_MSH = 0xB1
_MUL_K, _RSH_K = 0x24, 0x74
_JEQ_K, _JSET_K = 0x15, 0x45
_RET_K = 0x06
_PKTTYPE = 0xFFFFF000 + 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE."""
_PACKET_HOST = 0
"""linux/if_packet.h: for this machine."""
_FRAGMENT_OFFSET = 0x1FFF

_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")


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
    lines: list[tuple[int, str, str, int]] = [
        (_LD_W_ABS, "", "", _PKTTYPE),
        (_JEQ_K, "", "drop", _PACKET_HOST),
        (_LD_H_ABS, "", "", 6),
        (_JSET_K, "drop", "", _FRAGMENT_OFFSET),
        (_LDX_B_MSH, "", "", 0),  # X = length of the IP header
        (_LD_B_ABS, "", "", 9),
        (_JEQ_K, "esp", "", IPPROTO_ESP),
        (_JEQ_K, "", "drop", IPPROTO_UDP),
        (_LD_H_IND, "", "", 2),
        (_JEQ_K, "", "drop", NAT_T_PORT),
        (_LD_W_IND, "", "", 8),
        (_JEQ_K, "drop", "check", 0),  # the non-ESP marker
        (_LD_W_IND, "", "", 0),  # esp
        (_MUL_K, "", "", multiplier),  # check
        (_RSH_K, "", "", shift),
        (_JEQ_K, "drop", "", stamp),
        (_RET_K, "", "", SNAP_LENGTH),
        (_RET_K, "", "", 0),  # drop
    ]
    labels = {"esp": 12, "check": 13, "drop": len(lines) - 1}

    def distance(label: str, line: int) -> int:
        return labels[label] - line - 1 if label else 0

    return b"".join(
        _INSTRUCTION.pack(code, distance(yes, line), distance(no, line), k)
        for line, (code, yes, no, k) in enumerate(lines)
    )


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
        buffer = ctypes.create_string_buffer(code, len(code))
        count = len(code) // _INSTRUCTION.size
        argument = _PROGRAM.pack(count, ctypes.addressof(buffer))
        try:
            self._socket = tap = socket.socket(
                socket.AF_PACKET,
                socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                socket.htons(ETH_P_IP),
            )
            tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, argument)
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
