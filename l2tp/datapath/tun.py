"""The data path in user space: a TUN interface whose IP packets this program carries itself.

For sessions that the kernel's L2TP cannot carry, or not safely: see `l2tp.datapath.flows`. The
data messages cross the listening socket both ways, with all that the engine checks in them; here
is the network interface alone. It ends with the process, like everything of the kernel data path.
"""

import asyncio
import errno
import os
import struct
from collections.abc import Callable
from fcntl import ioctl

from l2tp.datapath import Counters, LinkSettings
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.interface import Interfaces, ProxyArp
from l2tp.datapath.ioctls import TUNSETIFF
from l2tp.datapath.udp import BURST

_DEVICE = "/dev/net/tun"
_NAME_PATTERN = b"l2tp%d"
"""The kernel puts in the lowest number that is free."""
_LARGEST_PACKET = 65535
_IPV4 = 4

IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

# struct ifreq: name, flags, and what TUNSETIFF has no use for.
_IFREQ = struct.Struct("16sH22x")


class TunDataPath:
    """The data path of one session in user space.

    `on_packet` gets the IPv4 packets for the peer.
    """

    def __init__(self, interfaces: Interfaces, on_packet: Callable[[bytes], None]) -> None:
        """Make the interface; it stays down until `configure`. Raises DataPathError."""
        self._interfaces = interfaces
        self._on_packet = on_packet
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._reading = False
        self._proxy_arp: ProxyArp | None = None
        self._received_packets = self._received_bytes = self._receive_errors = 0
        self._sent_packets = self._sent_bytes = 0
        try:
            self._file = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise DataPathError(error.errno or 0, f"open {_DEVICE}", "") from error
        try:
            answer = ioctl(self._file, TUNSETIFF, _IFREQ.pack(_NAME_PATTERN, IFF_TUN | IFF_NO_PI))
        except OSError as error:
            os.close(self._file)
            raise DataPathError(error.errno or 0, "TUNSETIFF", _DEVICE) from error
        self._name: str = _IFREQ.unpack(answer)[0].rstrip(b"\0").decode()

    @property
    def interface(self) -> str | None:
        """Name of the network interface; None before `configure`."""
        return self._name if self._reading else None

    async def configure(self, settings: LinkSettings) -> None:
        """Bring up the network interface and let IP packets through. Raises DataPathError."""
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "configure", "closed session")
        await self._interfaces.configure(self._name, settings)
        self._loop.add_reader(self._file, self._read)
        self._reading = True
        if settings.proxy_arp is not None:
            await self.start_proxy_arp(settings.proxy_arp, settings.peer_address)

    async def start_proxy_arp(self, interface: str, address: str) -> None:
        """Answer ARP requests for the peer's address. Raises DataPathError."""
        self._proxy_arp = await self._interfaces.start_proxy_arp(interface, address)

    def deliver(self, packet: bytes) -> bool:
        """Take an IPv4 packet from the peer. False if the kernel did not take it."""
        if not self._reading:
            return False
        try:
            os.write(self._file, packet)
        except OSError:  # the interface is down, or no memory
            self._receive_errors += 1
            return False
        self._received_packets += 1
        self._received_bytes += len(packet)
        return True

    def counters(self) -> Counters:
        """Count the IP packets so far."""
        return Counters(
            received_packets=self._received_packets,
            received_bytes=self._received_bytes,
            receive_errors=self._receive_errors,
            sent_packets=self._sent_packets,
            sent_bytes=self._sent_bytes,
            send_errors=0,
        )

    async def close(self) -> None:
        """Remove the interface. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._reading:
            self._stop_reading()
        # The kernel waits for every user of an interface to let go: not for the event loop.
        await asyncio.to_thread(os.close, self._file)
        if self._proxy_arp is not None:
            await self._interfaces.stop_proxy_arp(self._proxy_arp)

    def _stop_reading(self) -> None:
        self._reading = False
        self._loop.remove_reader(self._file)

    def _read(self) -> None:
        for _ in range(BURST):
            try:
                packet = os.read(self._file, _LARGEST_PACKET)
            except BlockingIOError:
                return
            except OSError:  # somebody else removed the interface, or set it down
                self._stop_reading()
                return
            if packet[0] >> 4 != _IPV4:  # the kernel looks for IPv6 routers on any interface
                continue
            self._sent_packets += 1
            self._sent_bytes += len(packet)
            self._on_packet(packet)
            if not self._reading:  # closed by the callback
                return
