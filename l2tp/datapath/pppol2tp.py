"""PPPoL2TP sockets: the kernel's L2TP tunnels and sessions (uapi linux/if_pppol2tp.h).

A connected UDP socket becomes a tunnel when a PPPoL2TP socket is connected to it with session ID 0,
and gets a session with each further one. The kernel then takes data messages of known sessions off
the UDP socket; everything else, control messages above all, still reaches the program.

Python's `socket` has no addresses for AF_PPPOX, hence connect() through ctypes.
"""

import ctypes
import socket
import struct
from fcntl import ioctl

from l2tp.datapath import Counters
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.ioctls import PPPIOCGCHAN, PPPIOCGL2TPSTATS

AF_PPPOX = 24
PX_PROTO_OL2TP = 1

SOL_PPPOL2TP = 273
PPPOL2TP_SO_SENDSEQ = 3
PPPOL2TP_SO_LNSMODE = 4

# struct sockaddr_pppol2tp, packed: family, protocol; pid and descriptor of the UDP socket; its
# peer, which the kernel asks the UDP socket for; our tunnel and session ID, then the peer's.
_ADDRESS = struct.Struct("=HIii16xHHHH")

# struct pppol2tp_ioc_stats: tunnel and session ID, a flag, then counters.
STATISTICS = struct.Struct("=HHI8Q")

_libc = ctypes.CDLL(None, use_errno=True)


class PppoL2tpSocket:
    """A tunnel or a session of the kernel; it ends when this is closed, or the process ends."""

    def __init__(
        self, udp: int, tunnel_id: int, session_id: int, peer_tunnel_id: int, peer_session_id: int
    ) -> None:
        """Make a session of the tunnel over the UDP socket `udp`.

        With 0 as both session IDs make the tunnel itself. Raises DataPathError.
        """
        kind = "session" if session_id else "tunnel"
        self._name = f"{tunnel_id}/{session_id}" if session_id else str(tunnel_id)
        try:
            self._socket = socket.socket(
                AF_PPPOX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, PX_PROTO_OL2TP
            )
        except OSError as error:
            raise DataPathError(error.errno or 0, "PPPoL2TP socket", self._name) from error
        address = _ADDRESS.pack(
            AF_PPPOX,
            PX_PROTO_OL2TP,
            0,
            udp,
            tunnel_id,
            session_id,
            peer_tunnel_id,
            peer_session_id,
        )
        if _libc.connect(self._socket.fileno(), address, len(address)) < 0:
            self._socket.close()
            raise DataPathError(ctypes.get_errno(), f"PPPoL2TP {kind}", self._name)

    def number_packets(self) -> None:
        """Put sequence numbers on the data messages we send (RFC 2661 section 5.4).

        Raises DataPathError.
        """
        try:
            self._socket.setsockopt(SOL_PPPOL2TP, PPPOL2TP_SO_LNSMODE, 1)
            self._socket.setsockopt(SOL_PPPOL2TP, PPPOL2TP_SO_SENDSEQ, 1)
        except OSError as error:
            raise DataPathError(error.errno or 0, "PPPoL2TP options", self._name) from error

    def channel(self) -> int:
        """The number of the PPP channel of this session. Raises DataPathError."""
        try:
            number = ioctl(self._socket.fileno(), PPPIOCGCHAN, bytes(4))
        except OSError as error:
            raise DataPathError(error.errno or 0, "PPPoL2TP channel", self._name) from error
        return int(struct.unpack("=i", number)[0])

    def counters(self) -> Counters:
        """Count the PPP frames of this session. Raises DataPathError."""
        try:
            packed = ioctl(self._socket.fileno(), PPPIOCGL2TPSTATS, bytes(STATISTICS.size))
        except OSError as error:
            raise DataPathError(error.errno or 0, "PPPoL2TP counters", self._name) from error
        (_, _, _, sent, sent_bytes, send_errors, received, received_bytes, late, _, errors) = (
            STATISTICS.unpack(packed)
        )
        return Counters(
            received_packets=received,
            received_bytes=received_bytes,
            receive_errors=errors + late,
            sent_packets=sent,
            sent_bytes=sent_bytes,
            send_errors=send_errors,
        )

    def close(self) -> None:
        """End the session or the tunnel."""
        self._socket.close()
