"""What the LNS asks of its host and tells it: the values its entry points return.

``Authenticate`` and ``OpenDataPath`` carry a ticket, to be answered with ``Lns.complete``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

from l2tp.ppp.auth import AuthRequest
from l2tp.ppp.settings import AuthProtocol
from l2tp.wire.packet import DataMessage


@dataclass(frozen=True, slots=True)
class Peer:
    """An L2TP endpoint as seen behind its SA: the SA's mark and both ends of the UDP flow."""

    mark: int
    local: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.address}:{self.port} mark {self.mark:#x}"


class DropReason(Enum):
    """Why a datagram or frame was ignored."""

    CLEARTEXT = "came outside IPsec"
    MALFORMED = "malformed"
    WRONG_MARK = "tunnel belongs to another client"
    UNKNOWN_TUNNEL = "unknown tunnel"
    UNKNOWN_SESSION = "unknown session"
    NO_TUNNEL = "only an SCCRQ may come without a tunnel ID"
    OUT_OF_SEQUENCE = "data message came late or twice"


@dataclass(frozen=True, slots=True)
class Send:
    """Send a datagram to the peer's UDP port, under its mark."""

    peer: Peer
    datagram: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check a login; complete with AuthAccepted or AuthRejected."""

    ticket: int
    session_id: int
    peer: Peer
    request: AuthRequest


@dataclass(frozen=True, slots=True)
class OpenDataPath:
    """Set up the data path; complete with DataPathOpened or DataPathFailed.

    ``peer_mru`` is the largest PPP packet the peer takes, ``mru`` the largest it may send.
    ``pfc`` and ``acfc``: the peer takes compressed protocol, address and control fields.
    ``sequencing``: data messages must bear sequence numbers (RFC 2661 section 5.4).
    """

    ticket: int
    session_id: int
    peer_session_id: int
    tunnel_id: int
    peer_tunnel_id: int
    peer: Peer
    peer_mru: int
    mru: int
    pfc: bool
    acfc: bool
    sequencing: bool


@dataclass(frozen=True, slots=True)
class ConfigureLink:
    """IPCP is open: give the data path its addresses and MTU."""

    session_id: int
    local: IPv4Address
    address: IPv4Address
    mtu: int


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send a PPP frame (protocol field and information) through the data path."""

    session_id: int
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeliverPacket:
    """Hand an IPv4 packet from the peer to the session's data path, which is in user space."""

    session_id: int
    packet: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseDataPath:
    """Take down the data path of a session that was opened."""

    session_id: int


@dataclass(frozen=True, slots=True)
class Strayed:
    """A client without a tunnel goes on in one that is not there; it has been told to dial."""

    peer: Peer
    tunnel_id: int


@dataclass(frozen=True, slots=True)
class TunnelClaimed:
    """A client without a tunnel goes on in the one of another mark, by all its numbers.

    Answered with `Lns.claim_decided`, after `Lns.continued` where the two clients are one.
    """

    peer: Peer
    owner_mark: int
    message: DataMessage = field(repr=False)


@dataclass(frozen=True, slots=True)
class DialledAnew:
    """A client that has a tunnel begins another one."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class TunnelUp:
    """A control connection is established."""

    tunnel_id: int
    peer_tunnel_id: int
    peer: Peer
    host_name: str
    vendor_name: str
    firmware: int | None


@dataclass(frozen=True, slots=True)
class TunnelRefused:
    """An SCCRQ was answered with StopCCN, without keeping anything of it."""

    peer: Peer
    host_name: str
    cause: str


@dataclass(frozen=True, slots=True)
class TunnelDown:
    """A control connection ended; its sessions ended before."""

    tunnel_id: int
    peer: Peer
    cause: str
    silent: bool = False
    """Whether it ended because the client does not answer in L2TP, or not in its last session."""


@dataclass(frozen=True, slots=True)
class SessionUp:
    """A user is connected."""

    session_id: int
    tunnel_id: int
    peer: Peer
    user: str
    address: IPv4Address
    dns: tuple[IPv4Address, ...]
    auth_protocol: AuthProtocol
    mtu: int


@dataclass(frozen=True, slots=True)
class SessionDown:
    """A session ended, whether it was up or not; ``user`` is empty before authentication."""

    session_id: int
    peer: Peer
    user: str
    address: IPv4Address | None
    cause: str


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """A login was refused, or no way to log in could be agreed upon."""

    session_id: int
    peer: Peer
    user: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something received was ignored."""

    peer: Peer
    reason: DropReason
    detail: str = ""


Effect = (
    Send
    | Authenticate
    | OpenDataPath
    | ConfigureLink
    | SendFrame
    | DeliverPacket
    | CloseDataPath
    | Strayed
    | TunnelClaimed
    | DialledAnew
    | TunnelUp
    | TunnelRefused
    | TunnelDown
    | SessionUp
    | SessionDown
    | AuthFailed
    | Dropped
)


@dataclass(frozen=True, slots=True)
class DataPathOpened:
    """Answer to OpenDataPath: the session has its data path.

    One in the kernel takes the data messages off the L2TP socket: frames come from it through
    ``Lns.frame_received`` and go to it as ``SendFrame``. With one ``in_user_space`` the data
    messages still cross that socket: IP packets go to it as ``DeliverPacket`` and come from it
    through ``Lns.packet_sent``.
    """

    in_user_space: bool = False


@dataclass(frozen=True, slots=True)
class DataPathFailed:
    """Answer to OpenDataPath: nothing was set up, and why."""

    reason: str
