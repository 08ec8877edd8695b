"""Tunnels and sessions as status output shows them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from l2tp.core.effects import Peer
from l2tp.core.session import Session
from l2tp.core.tunnel import Tunnel
from l2tp.ppp.settings import AuthProtocol


@dataclass(frozen=True, slots=True)
class TunnelView:
    """One tunnel; ``since`` is when it was asked for or came up.

    One that ended stays, not ``is_live``, until the other side knows; ``cause`` says why.
    """

    tunnel_id: int
    peer_tunnel_id: int
    peer: Peer
    state: str
    is_live: bool
    since: float
    host_name: str
    vendor_name: str
    firmware: int | None
    session_ids: tuple[int, ...]
    cause: str


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session; ``state`` is the call's until it is established, then the PPP link's phase."""

    session_id: int
    peer_session_id: int
    tunnel_id: int
    peer: Peer
    state: str
    is_up: bool
    since: float
    user: str
    auth_protocol: AuthProtocol | None
    address: IPv4Address | None
    peer_mru: int
    mtu: int


def view_tunnel(tunnel: Tunnel) -> TunnelView:
    """A tunnel as it is now."""
    return TunnelView(
        tunnel.tunnel_id,
        tunnel.peer_tunnel_id,
        tunnel.peer,
        tunnel.state.value,
        tunnel.is_live,
        tunnel.since,
        tunnel.names.host_name,
        tunnel.names.vendor_name,
        tunnel.names.firmware,
        tuple(tunnel.sessions),
        tunnel.cause,
    )


def view_session(session: Session) -> SessionView:
    """A session as it is now."""
    return SessionView(
        session.session_id,
        session.peer_session_id,
        session.tunnel.tunnel_id,
        session.tunnel.peer,
        session.phase,
        bool(session.mtu),
        session.since,
        session.user,
        session.auth_protocol,
        session.address,
        session.link.lcp.peer.mru,
        session.mtu,
    )
