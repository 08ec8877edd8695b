"""Shares out what comes to a UDP port among processes that each have a socket there.

The sockets are bound with SO_REUSEPORT, in the order of the processes, and one of them is given a
classic BPF program, which the kernel runs over each datagram from its UDP payload on: what it
returns is the number of the socket. They must stay open as long as the gateway runs, for the last
socket of the port takes the number of one that is closed. Connected sockets there, such as those of
L2TP tunnels, go before the program.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from xfrm import bpf

SO_ATTACH_REUSEPORT_CBPF = 51
_MULTIPLIER = 0x9E3779B1
"""Mixes the bits of an address, as in `ikev1.core.spi`."""
_SHIFT = 16
_SOURCE = 12
"""Where an IPv4 header has the source address."""
_COOKIE = 8
"""Octets of an ISAKMP cookie: the initiator's, then the responder's (RFC 2408 section 3.1)."""
_INDEX = 2
"""Where a cookie of ours has the octet that tells the process, behind the stamp."""


def home(address: str, count: int) -> int:
    """The process that first messages from an address go to, of `count`."""
    return ((int(IPv4Address(address)) * _MULTIPLIER & 0xFFFFFFFF) >> _SHIFT) % count


def by_cookie(count: int, stamp: int, header: int) -> bytes:
    """By the cookie of ours in an ISAKMP header `header` octets into the datagram, or by `home`.

    Ours is the responder's cookie, or the initiator's where we have begun. `stamp` is what the
    upper 16 bits of all our cookies are.
    """
    initiator, responder = header, header + _COOKIE
    lines: list[bpf.Line] = [
        (bpf.LD_H_ABS, "", "", responder),
        (bpf.JEQ_K, "responder", "", stamp),
        (bpf.LD_H_ABS, "", "", initiator),
        (bpf.JEQ_K, "initiator", "", stamp),
        (bpf.LD_W_ABS, "", "", bpf.FROM_IP_HEADER + _SOURCE),
        (bpf.MUL_K, "", "", _MULTIPLIER),
        (bpf.RSH_K, "", "", _SHIFT),
        (bpf.MOD_K, "", "", count),
        (bpf.RET_A, "", "", 0),
        (bpf.LD_B_ABS, "", "", responder + _INDEX),  # responder
        (bpf.MOD_K, "", "", count),
        (bpf.RET_A, "", "", 0),
        (bpf.LD_B_ABS, "", "", initiator + _INDEX),  # initiator
        (bpf.MOD_K, "", "", count),
        (bpf.RET_A, "", "", 0),
    ]
    return bpf.assemble(lines, {"responder": 9, "initiator": 12})


def by_mark(count: int, base: int, mask: int) -> bytes:
    """By the mark that the packet has got from its SA: their numbers above `base` take turns."""
    lines: list[bpf.Line] = [
        (bpf.LD_W_ABS, "", "", bpf.MARK),
        (bpf.AND_K, "", "", mask),
        (bpf.SUB_K, "", "", base),
        (bpf.DIV_K, "", "", mask & -mask),
        (bpf.MOD_K, "", "", count),
        (bpf.RET_A, "", "", 0),
    ]
    return bpf.assemble(lines, {})


def steer(sock: bpf.Descriptor, program: bytes) -> None:
    """Have a program choose among all the sockets that are bound to one place. Raises OSError.

    `sock` is any of them.
    """
    bpf.attach(sock, SO_ATTACH_REUSEPORT_CBPF, program)
