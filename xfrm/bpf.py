"""Classic BPF programs, as the kernel takes them for sockets (linux/filter.h, linux/bpf_common.h).

A program is a list of lines: code, where to go if a test is true and if it is not, and a number. A
place to go is a label, or "" for the next line. A load beyond the end of a packet ends a program
with 0.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Protocol

LD_W_ABS, LD_H_ABS, LD_B_ABS = 0x20, 0x28, 0x30
LD_W_IND, LD_H_IND = 0x40, 0x48
LDX_B_MSH = 0xB1
SUB_K, MUL_K, DIV_K, AND_K, RSH_K, MOD_K = 0x14, 0x24, 0x34, 0x54, 0x74, 0x94
JEQ_K, JSET_K = 0x15, 0x45
RET_K, RET_A = 0x06, 0x16

FROM_IP_HEADER = 0xFFF00000
"""SKF_NET_OFF: added to the place of a load."""
PKTTYPE = 0xFFFFF000 + 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE."""
MARK = 0xFFFFF000 + 20
"""SKF_AD_OFF + SKF_AD_MARK."""

Line = tuple[int, str, str, int]


class Descriptor(Protocol):
    """Something with a file descriptor."""

    def fileno(self) -> int:
        """The file descriptor."""


_INSTRUCTION = struct.Struct("=HBBI")
_PROGRAM = struct.Struct("@HP")


def assemble(lines: Sequence[Line], labels: Mapping[str, int]) -> bytes:
    """The program; `labels` gives the numbers of lines."""

    def distance(label: str, line: int) -> int:
        return labels[label] - line - 1 if label else 0

    return b"".join(
        _INSTRUCTION.pack(code, distance(yes, line), distance(no, line), k)
        for line, (code, yes, no, k) in enumerate(lines)
    )


def attach(sock: Descriptor, option: int, program: bytes) -> None:
    """Give a socket a program, by one of the options that take one. Raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // _INSTRUCTION.size
    argument = _PROGRAM.pack(count, ctypes.addressof(buffer))
    same = socket.socket(fileno=os.dup(sock.fileno()))
    with same:
        same.setsockopt(socket.SOL_SOCKET, option, argument)
