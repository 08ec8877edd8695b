"""A TUN interface of a lab machine: IPv4 packets as a file."""

import fcntl
import os
import struct

from interop.netns import Host

DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_IFREQ = struct.Struct("16sH22x")
_LARGEST = 65535


class Tun:
    """The interface ``name`` on ``host``. It goes with `close`."""

    def __init__(self, host: Host, name: str) -> None:
        self.name = name
        self._host = host
        with host.entered():
            self.file = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            fcntl.ioctl(self.file, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TUN | _IFF_NO_PI))

    def configure(self, address: str, mtu: int) -> None:
        """Give it its address and bring it up. Raises `CommandError`."""
        lines = f"address add {address}/32 dev {self.name}\nlink set {self.name} mtu {mtu} up\n"
        self._host.run("ip", "-batch", "-", stdin=lines)

    def read(self) -> bytes | None:
        """The next packet; None if there is none."""
        try:
            return os.read(self.file, _LARGEST)
        except BlockingIOError:
            return None

    def write(self, packet: bytes) -> None:
        """Hand a packet to the machine."""
        os.write(self.file, packet)

    def close(self) -> None:
        """Remove the interface."""
        os.close(self.file)
