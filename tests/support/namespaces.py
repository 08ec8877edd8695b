"""Two network namespaces joined by a veth pair, and what is seen on it. Needs root."""

import ctypes
import itertools
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

GATEWAY = "192.0.2.1"
CLIENT = "192.0.2.2"
INTERFACE = "veth0"

TIMEOUT = 20.0
"""Seconds to wait for what must come: far more than an embedded kernel ever takes."""

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PACKET_OUTGOING = 4

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def ip(*commands: str, namespace: str | None = None) -> None:
    """Give iproute2 several commands in one process: starting one is dear in an embedded kernel."""
    where = ["-netns", namespace] if namespace else []
    batch = "\n".join(commands)
    subprocess.run(["ip", *where, "-batch", "-"], input=batch, check=True, text=True)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A network namespace; what is made inside `with namespace:` belongs to it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        self._outside: list[int] = []

    def ip(self, *commands: str) -> None:
        ip(*commands, namespace=self.name)

    def show(self, what: str) -> str:
        """The answer of iproute2, one line for each object."""
        command = ["ip", "-netns", self.name, "-oneline", *what.split()]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def udp(self, port: int, address: str = "0.0.0.0") -> socket.socket:
        with self:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(TIMEOUT)
        sock.bind((address, port))
        return sock

    def sysctl(self, name: str, value: str) -> None:
        with self:
            Path("/proc/sys", *name.split(".")).write_text(value)

    def __enter__(self) -> Self:
        self._outside.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        _enter(self._descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        outside = self._outside.pop()
        _enter(outside)
        os.close(outside)

    def close(self) -> None:
        os.close(self._descriptor)


@dataclass
class Lab:
    gateway: Namespace
    client: Namespace


@contextmanager
def lab() -> Iterator[Lab]:
    number = f"{os.getpid()}-{next(_numbers)}"
    names = f"gateway-{number}", f"client-{number}"
    ip(*(f"netns add {name}" for name in names))
    try:
        ip(f"link add {INTERFACE} netns {names[0]} type veth peer {INTERFACE} netns {names[1]}")
        made = Lab(*map(Namespace, names))
        for namespace, address in ((made.gateway, GATEWAY), (made.client, CLIENT)):
            namespace.ip(
                "link set lo up",
                f"address add {address}/24 dev {INTERFACE}",
                f"link set {INTERFACE} up",
            )
        yield made
        made.gateway.close()
        made.client.close()
    finally:
        ip(*(f"netns delete {name}" for name in names))


@dataclass(frozen=True)
class Packet:
    """An IPv4 packet seen on the wire."""

    source: str
    destination: str
    protocol: int
    payload: bytes
    """What follows the IP header."""
    dont_fragment: bool = False

    @property
    def ports(self) -> tuple[int, int]:
        source, destination = struct.unpack_from("!HH", self.payload)
        return source, destination

    @property
    def esp(self) -> tuple[int, int]:
        """SPI and sequence number of ESP, plain or in UDP."""
        offset = 8 if self.protocol == socket.IPPROTO_UDP else 0
        spi, sequence = struct.unpack_from("!II", self.payload, offset)
        return spi, sequence


class Capture:
    """Sees the IPv4 packets that arrive in a namespace, before any of its rules do."""

    def __init__(self, namespace: Namespace, interface: str = INTERFACE) -> None:
        with namespace:
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)
            )
        self._socket.bind((interface, ETH_P_ALL))
        self._socket.setblocking(False)

    def packets(self) -> list[Packet]:
        """All that came since the last call."""
        packets: list[Packet] = []
        while True:
            try:
                data, (_, ethertype, kind, *_) = self._socket.recvfrom(65535)
            except BlockingIOError:
                return packets
            if ethertype != 0x0800 or kind == PACKET_OUTGOING:
                continue
            header = (data[0] & 15) * 4
            (length,) = struct.unpack_from("!H", data, 2)
            source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
            payload, dont_fragment = data[header:length], bool(data[6] & 0x40)
            packets.append(Packet(source, destination, data[9], payload, dont_fragment))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
