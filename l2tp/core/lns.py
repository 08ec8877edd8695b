"""The L2TP network server: all tunnels and sessions behind one UDP socket, sans-IO.

A datagram reaches a tunnel by its tunnel ID, which is ours and random, and only under the mark of
the client that made the tunnel. Nothing but a complete SCCRQ makes a tunnel; everything else
without a tunnel ID is dropped unanswered, as is whatever came in clear (mark 0).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from l2tp.core.claims import Claims
from l2tp.core.effects import (
    DataPathFailed,
    DataPathOpened,
    DialledAnew,
    Dropped,
    DropReason,
    Effect,
    Peer,
    Send,
    TunnelClaimed,
    TunnelRefused,
)
from l2tp.core.messages import stopccn
from l2tp.core.sccrq import RefusalError, check
from l2tp.core.settings import LnsSettings
from l2tp.core.shared import Shared
from l2tp.core.strays import Standing, Strays
from l2tp.core.transport import FULL_CYCLE
from l2tp.core.tunnel import Tunnel, TunnelState
from l2tp.core.tunnels import Tunnels
from l2tp.core.views import SessionView, TunnelView, view_session, view_tunnel
from l2tp.errors import ProtocolError
from l2tp.pool import AddressPool
from l2tp.ppp.auth import AuthAccepted, AuthRejected
from l2tp.wire.attributes import Attributes, read_attributes
from l2tp.wire.enums import AvpType, GeneralError, MessageType, StopResult
from l2tp.wire.packet import ControlMessage, DataMessage, build, parse

Result = AuthAccepted | AuthRejected | DataPathOpened | DataPathFailed


class Lns:
    """The engine. Entry points return effects to be carried out in order; times are seconds."""

    def __init__(self, settings: LnsSettings, random: Callable[[int], bytes]) -> None:
        self._settings = settings
        self._shared = Shared(settings, random)
        self._strays = Strays(self._shared)
        self._tunnels = Tunnels(self._strays)
        self._claims = Claims(self._shared)

    # Received.

    def receive(self, datagram: bytes, peer: Peer, now: float) -> list[Effect]:
        """Take a datagram from the L2TP socket."""
        if not peer.mark:
            self._drop(peer, DropReason.CLEARTEXT)
            return self._drain()
        try:
            message = parse(datagram)
        except ProtocolError as failure:
            self._drop(peer, DropReason.MALFORMED, str(failure))
            return self._drain()
        if message.tunnel_id:
            self._to_tunnel(message, peer, now)
        elif isinstance(message, ControlMessage):
            self._without_tunnel(message, peer, now)
        else:
            self._drop(peer, DropReason.NO_TUNNEL, "data message")
        return self._drain()

    def claim_decided(self, claim: TunnelClaimed, now: float) -> list[Effect]:
        """Take the message of a claim: of the tunnel's owner, if it has become that."""
        tunnel = self._tunnels.by_id.get(claim.message.tunnel_id)
        if tunnel is not None and tunnel.peer.mark == claim.peer.mark:
            self._to_tunnel(claim.message, claim.peer, now)
        else:
            self._turn_away(claim.message, tunnel, claim.peer, now)
        return self._drain()

    def frame_received(self, session_id: int, frame: bytes, now: float) -> list[Effect]:
        """Take a PPP frame (protocol field first) that a data path hands to the engine."""
        session = self._shared.sessions.get(session_id)
        if session is not None:
            session.tunnel.seen(now)
            session.frame_received(frame, now)
            self._tunnels.settle(session.tunnel)
        return self._drain()

    def packet_sent(self, session_id: int, packet: bytes) -> list[Effect]:
        """Take an IPv4 packet for the peer from a session's data path in user space."""
        session = self._shared.sessions.get(session_id)
        if session is not None:
            session.packet_sent(packet)
        return self._drain()

    def moved_to_user_space(self, session_id: int) -> None:
        """The host has put another data path, in user space, in the place of a session's own."""
        session = self._shared.sessions.get(session_id)
        if session is not None and session.attached:
            session.in_user_space = True

    def activity(self, session_id: int, now: float) -> list[Effect]:
        """Traffic came through a session's data path: no Hello or LCP echo is needed for now."""
        session = self._shared.sessions.get(session_id)
        if session is not None:
            session.tunnel.seen(now)
            session.link.seen(now)
            self._tunnels.settle(session.tunnel)
        return self._drain()

    def reachable(self, mark: int, now: float) -> None:
        """The client has shown by other ways than L2TP that it is there: questions can wait."""
        for tunnel in self._tunnels.of_client(mark):
            tunnel.reachable(now)

    def ask(self, session_id: int) -> list[Effect]:
        """Ask the peer of a session whether it is there; an unknown ID is no error."""
        session = self._shared.sessions.get(session_id)
        if session is not None:
            session.ask()
            self._tunnels.settle(session.tunnel)
        return self._drain()

    def ask_at(self, mark: int, other: int, address: str) -> list[Effect]:
        """Ask whether the client with mark `other`, at this address, has the sessions of `mark`."""
        for tunnel in self._tunnels.of_client(mark):
            for session in tunnel.sessions.values():
                session.ask_at(replace(tunnel.peer, mark=other, address=address))
        return self._drain()

    # Answers.

    def complete(self, ticket: int, result: Result, now: float) -> list[Effect]:
        """Take the answer to an effect with a ticket; one that is no longer awaited is ignored."""
        if isinstance(result, AuthAccepted | AuthRejected):
            login = self._shared.logins.pop(ticket, None)
            if login is not None:
                session, request = login
                session.login_answered(request, result, now)
                self._tunnels.settle(session.tunnel)
        else:
            path = self._shared.paths.pop(ticket, None)
            if path is not None:
                path.path_answered(result, now)
                self._tunnels.settle(path.tunnel)
        return self._drain()

    # Time.

    def advance(self, now: float) -> list[Effect]:
        """Run the timers that are due."""
        for tunnel in self._tunnels.due(now):
            tunnel.advance(now)
            self._tunnels.settle(tunnel)
        return self._drain()

    def next_deadline(self) -> float | None:
        """When ``advance`` is to be called next; None while nothing is due ever."""
        return self._tunnels.next_deadline()

    # Earlier runs.

    def standing(self, tunnel_id: int) -> Standing | None:
        """What the next run must know of a tunnel to tell its client that it has ended."""
        tunnel = self._tunnels.by_id.get(tunnel_id)
        return Standing.of(tunnel) if tunnel is not None else None

    def remember(self, tunnels: Mapping[int, Standing]) -> None:
        """Take over what an earlier run knew of its tunnels, by their numbers."""
        for tunnel_id, standing in tunnels.items():
            self._strays.add(tunnel_id, standing)

    # The end.

    def client_moved(self, mark: int, address: str) -> None:
        """The client's SAs lead to another address now, so its L2TP comes from there."""
        self._tunnels.follow(mark, address)

    def continued(self, other: int, mark: int, address: str, now: float) -> list[Effect]:
        """The client with mark `other` goes on under this mark, from this address."""
        for tunnel in self._tunnels.of_client(other):
            peer = replace(tunnel.peer, mark=mark, address=address)
            if any(own.peer == peer and own.is_live for own in self._tunnels.of_client(mark)):
                tunnel.vanish("the client dialled anew", now, known=True)
                self._tunnels.settle(tunnel)
                continue
            self._tunnels.hand_over(tunnel, peer)
        self._strays.forget_client(other)
        self._claims.forget_client(other)
        return self._drain()

    def end_older(self, mark: int, now: float, reason: str) -> list[Effect]:
        """Drop all tunnels of a client but the newest, which it has forgotten."""
        for tunnel in self._tunnels.of_client(mark)[:-1]:
            tunnel.vanish(reason, now, known=True)
            self._tunnels.settle(tunnel)
        return self._drain()

    def client_gone(self, mark: int, now: float, reason: str) -> list[Effect]:
        """The client's SAs are gone: drop its tunnels, as nothing can be sent."""
        for tunnel in self._tunnels.of_client(mark):
            tunnel.vanish(reason, now)
            self._tunnels.settle(tunnel)
        self._strays.forget_client(mark)
        self._claims.forget_client(mark)
        return self._drain()

    def close_client(self, mark: int, now: float, reason: str) -> list[Effect]:
        """End all tunnels of a client."""
        for tunnel in self._tunnels.of_client(mark):
            tunnel.stop(reason, now)
            self._tunnels.settle(tunnel)
        return self._drain()

    def close_tunnel(self, tunnel_id: int, now: float, reason: str) -> list[Effect]:
        """End one tunnel; an unknown ID is no error."""
        tunnel = self._tunnels.by_id.get(tunnel_id)
        if tunnel is not None:
            tunnel.stop(reason, now)
            self._tunnels.settle(tunnel)
        return self._drain()

    def close_session(self, session_id: int, now: float, reason: str) -> list[Effect]:
        """End one session; an unknown ID is no error."""
        session = self._shared.sessions.get(session_id)
        if session is not None:
            session.end(reason, now)
            self._tunnels.settle(session.tunnel)
        return self._drain()

    def close_all(self, now: float, reason: str = "server is shutting down") -> list[Effect]:
        """End everything; ``tunnels`` is empty once all clients have acknowledged it.

        The StopCCNs are repeated for as long as the host goes on.
        """
        for tunnel in list(self._tunnels.by_id.values()):
            tunnel.stop(reason, now, StopResult.SHUTTING_DOWN)
            if tunnel.state is TunnelState.STOPPED:
                tunnel.vanish(reason, now)
            self._tunnels.settle(tunnel)
        return self._drain()

    # Status.

    def tunnels(self) -> list[TunnelView]:
        """All tunnels, those that are stopping too."""
        return [view_tunnel(tunnel) for tunnel in self._tunnels.by_id.values()]

    def sessions(self) -> list[SessionView]:
        """All sessions, those that are coming up too."""
        return [view_session(session) for session in self._shared.sessions.values()]

    def of_client(self, mark: int) -> tuple[list[TunnelView], list[SessionView]]:
        """The tunnels and sessions of one client, the oldest first."""
        tunnels = self._tunnels.of_client(mark)
        sessions = [session for tunnel in tunnels for session in tunnel.sessions.values()]
        return [*map(view_tunnel, tunnels)], [*map(view_session, sessions)]

    @property
    def tunnel_count(self) -> int:
        """How many tunnels there are."""
        return len(self._tunnels)

    def session_ids(self) -> frozenset[int]:
        """The numbers of all sessions."""
        return frozenset(self._shared.sessions)

    @property
    def pool(self) -> AddressPool:
        """The addresses that clients get."""
        return self._settings.pool

    def peer_of(self, session_id: int) -> Peer | None:
        """Where the peer of a session is."""
        session = self._shared.sessions.get(session_id)
        return session.tunnel.peer if session is not None else None

    # Inside.

    def _to_tunnel(self, message: ControlMessage | DataMessage, peer: Peer, now: float) -> None:
        tunnel = self._tunnels.by_id.get(message.tunnel_id)
        if tunnel is None or tunnel.peer.mark != peer.mark:
            if self._tunnels.has_client(peer.mark) or not self._claims.made(message, tunnel, peer):
                self._turn_away(message, tunnel, peer, now)
        elif isinstance(message, ControlMessage):
            tunnel.receive(message, peer, now)
            self._tunnels.settle(tunnel)
        else:
            tunnel.data_received(message, peer, now)
            self._tunnels.settle(tunnel)

    def _turn_away(
        self,
        message: ControlMessage | DataMessage,
        tunnel: Tunnel | None,
        peer: Peer,
        now: float,
    ) -> None:
        """Drop what is for no tunnel of its sender, and tell it if it has none."""
        reason = DropReason.UNKNOWN_TUNNEL if tunnel is None else DropReason.WRONG_MARK
        self._drop(peer, reason, f"tunnel {message.tunnel_id}")
        if not self._tunnels.has_client(peer.mark):
            self._strays.answer(message, peer, now)

    def _without_tunnel(self, message: ControlMessage, peer: Peer, now: float) -> None:
        """Take an SCCRQ, or a StopCCN of a peer that never saw our SCCRP."""
        if not message.payload:
            self._drop(peer, DropReason.NO_TUNNEL, "ZLB")
            return
        try:
            attributes = read_attributes(message.payload, self._settings.shared_secret)
        except ProtocolError as failure:
            self._drop(peer, DropReason.MALFORMED, str(failure))
            return
        peer_tunnel_id = attributes.get(AvpType.ASSIGNED_TUNNEL_ID, 0)
        tunnel = self._tunnels.find(peer, peer_tunnel_id)
        if attributes.message_type is MessageType.STOPCCN and tunnel is not None:
            if tunnel.state is TunnelState.WAIT_CONNECT:
                tunnel.receive(message, peer, now)
                self._tunnels.settle(tunnel)
        elif attributes.message_type is not MessageType.SCCRQ:
            self._drop(peer, DropReason.NO_TUNNEL, str(attributes.message_type))
        elif not peer_tunnel_id or message.ns or message.session_id:
            self._drop(peer, DropReason.MALFORMED, "SCCRQ without tunnel ID or out of sequence")
        elif tunnel is not None and self._is_repetition(tunnel, now):
            tunnel.receive(message, peer, now)
            self._tunnels.settle(tunnel)
        else:
            self._open(message, attributes, peer, now)

    def _is_repetition(self, tunnel: Tunnel, now: float) -> bool:
        """Whether an SCCRQ with a tunnel's own ID repeats the one that made it.

        It may come late, but not later than all the peer's repetitions take; after that the peer
        has started over and means a new tunnel.
        """
        if tunnel.state is TunnelState.WAIT_CONNECT:
            return True
        return tunnel.state is TunnelState.ESTABLISHED and now < tunnel.since + FULL_CYCLE

    def _open(
        self, message: ControlMessage, attributes: Attributes, peer: Peer, now: float
    ) -> None:
        peer_tunnel_id = attributes.get(AvpType.ASSIGNED_TUNNEL_ID)
        dials_anew = self._tunnels.has_client(peer.mark)
        try:
            check(attributes, self._settings.shared_secret)
            self._replace(peer, peer_tunnel_id, now)
            self._make_room(peer)
        except RefusalError as refusal:
            self._refuse(refusal, attributes, peer)
            return
        if dials_anew:
            self._shared.emit(DialledAnew(peer))
        tunnel_id = self._shared.unused_id(
            self._tunnels.by_id, self._strays.tunnel_ids, self._settings.foreign_tunnel_ids
        )
        tunnel = Tunnel(self._shared, tunnel_id, peer_tunnel_id, peer, now)
        self._tunnels.add(tunnel)
        tunnel.receive(message, peer, now)
        self._tunnels.settle(tunnel)

    def _replace(self, peer: Peer, peer_tunnel_id: int, now: float) -> None:
        """Drop what a client that dials anew has forgotten.

        No known client runs two tunnels over one UDP flow, and the kernel could not tell them
        apart; so whoever begins another one over it has lost the first.
        """
        for tunnel in self._tunnels.of_client(peer.mark):
            if tunnel.peer == peer and (tunnel.is_live or tunnel.peer_tunnel_id == peer_tunnel_id):
                tunnel.vanish("the client dialled anew", now, known=True)
                self._tunnels.settle(tunnel)

    def _make_room(self, peer: Peer) -> None:
        """Hold the limits; a tunnel that is stopping gives way to the client's next one."""
        own = self._tunnels.of_client(peer.mark)
        if len(own) >= self._settings.max_tunnels_per_client:
            for tunnel in own:
                if not tunnel.is_live:
                    self._tunnels.remove(tunnel)
        if len(self._tunnels.of_client(peer.mark)) >= self._settings.max_tunnels_per_client:
            cause = "too many tunnels of this client"
            raise RefusalError(cause, StopResult.GENERAL_ERROR, GeneralError.NO_RESOURCES)
        if len(self._tunnels) >= self._settings.max_tunnels:
            cause = "too many tunnels"
            raise RefusalError(cause, StopResult.GENERAL_ERROR, GeneralError.NO_RESOURCES)

    def _refuse(self, refusal: RefusalError, attributes: Attributes, peer: Peer) -> None:
        """Answer with a StopCCN that is not repeated: the peer repeats its SCCRQ if it is lost."""
        cause = str(refusal)
        payload = stopccn(
            self._shared.unused_id(self._tunnels.by_id), refusal.result, refusal.error, cause
        )
        answer = ControlMessage(
            attributes.get(AvpType.ASSIGNED_TUNNEL_ID), session_id=0, ns=0, nr=1, payload=payload
        )
        self._shared.emit(Send(peer, build(answer)))
        self._shared.emit(TunnelRefused(peer, attributes.get(AvpType.HOST_NAME, ""), cause))

    def _drain(self) -> list[Effect]:
        """End of a call: tunnels that another tunnel's call has changed are settled too."""
        for tunnel in self._shared.take_touched():
            self._tunnels.settle(tunnel)
        return self._shared.drain()

    def _drop(self, peer: Peer, reason: DropReason, detail: str = "") -> None:
        self._shared.emit(Dropped(peer, reason, detail))
