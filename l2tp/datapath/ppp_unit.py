"""/dev/ppp: the channel of a session and the unit that is its network interface.

A channel carries PPP frames to and from the session. A unit connected to it takes IP packets out of
the channel, and hands the control frames of network protocols (IPCP) to its own file descriptor;
those of the link (LCP, authentication) stay with the channel's. Frames are read and written as two
octets of protocol and the information. The kernel expands compressed protocol, address and control
fields of what it receives, and over L2TP compresses none of what it sends, so neither option of LCP
needs to be told to it.
"""

import asyncio
import os
import struct
from collections.abc import Callable
from contextlib import ExitStack
from fcntl import ioctl

from l2tp.datapath.errors import DataPathError
from l2tp.datapath.ioctls import PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCNEWUNIT, PPPIOCSMRU
from l2tp.datapath.udp import BURST

_DEVICE = "/dev/ppp"
_LARGEST_FRAME = 65536
_INT = struct.Struct("=i")
_ANY_UNIT = -1

FIRST_LINK_PROTOCOL = 0xC000
"""RFC 1661 section 2: from here on, a protocol number is of the link, not of a network protocol."""


class _PppFile:
    """An open /dev/ppp whose frames go to a callback."""

    def __init__(self, on_frame: Callable[[bytes], None]) -> None:
        """Open it. Raises DataPathError."""
        self._on_frame = on_frame
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        try:
            self._file = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise DataPathError(error.errno or 0, f"open {_DEVICE}", "") from error

    def _control(self, request: int, value: int, operation: str) -> int:
        try:
            answer = ioctl(self._file, request, _INT.pack(value))
        except OSError as error:
            raise DataPathError(error.errno or 0, operation, _DEVICE) from error
        return int(_INT.unpack(answer)[0])

    def _start_reading(self) -> None:
        self._loop.add_reader(self._file, self._read)

    def _read(self) -> None:
        for _ in range(BURST):
            if self._stopped:  # by the callback
                return
            try:
                frame = os.read(self._file, _LARGEST_FRAME)
            except BlockingIOError:
                return
            except OSError:  # the channel is gone
                frame = b""
            if not frame:
                self.stop()
                return
            self._on_frame(frame)

    def send(self, frame: bytes) -> bool:
        """Send a frame. False if the kernel did not take it."""
        try:
            os.write(self._file, frame)
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Give no more frames to the callback."""
        self._stopped = True
        self._loop.remove_reader(self._file)

    def close(self) -> None:
        """Close the file: a unit's interface goes with it, which takes a while.

        After `stop` this may be done in another thread.
        """
        if not self._stopped:
            self.stop()
        os.close(self._file)


class Channel(_PppFile):
    """The PPP channel of a session."""

    def __init__(self, number: int, on_frame: Callable[[bytes], None]) -> None:
        """Attach to the channel called `number`. Raises DataPathError."""
        super().__init__(on_frame)
        with ExitStack() as undo:
            undo.callback(self.close)
            self._control(PPPIOCATTCHAN, number, "PPPIOCATTCHAN")
            undo.pop_all()
        self._start_reading()

    def connect(self, unit: "Unit") -> None:
        """Make the unit carry this channel's packets. Raises DataPathError."""
        self._control(PPPIOCCONNECT, unit.number, "PPPIOCCONNECT")


class Unit(_PppFile):
    """A PPP network interface, called ppp and its number."""

    def __init__(self, mru: int, on_frame: Callable[[bytes], None]) -> None:
        """Make the interface. `mru` is the largest packet the peer may send.

        Raises DataPathError.
        """
        super().__init__(on_frame)
        with ExitStack() as undo:
            undo.callback(self.close)
            self.number = self._control(PPPIOCNEWUNIT, _ANY_UNIT, "PPPIOCNEWUNIT")
            self._control(PPPIOCSMRU, mru, "PPPIOCSMRU")
            undo.pop_all()
        self.interface = f"ppp{self.number}"
        self._start_reading()
