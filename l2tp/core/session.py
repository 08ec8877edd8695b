"""One call in a tunnel and the PPP link in it, RFC 2661 section 7.4.2 (incoming call, LNS).

``TABLE`` says which message is taken in which state and what it does; a message without a row ends
the call with a CDN.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from l2tp.core.data import DataMessages
from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    CloseDataPath,
    ConfigureLink,
    DataPathFailed,
    DataPathOpened,
    DeliverPacket,
    Dropped,
    DropReason,
    OpenDataPath,
    Peer,
    Send,
    SendFrame,
    SessionDown,
    SessionUp,
)
from l2tp.core.messages import cdn
from l2tp.core.shared import Shared
from l2tp.errors import ProtocolError
from l2tp.pool import AddressInUseError, PoolExhaustedError
from l2tp.ppp.auth import AuthAnswer, AuthRequest
from l2tp.ppp.link import (
    Authenticated,
    AuthenticationFailed,
    Finished,
    FrameOut,
    Link,
    LinkEvent,
    NeedAuthentication,
    NetworkUp,
    Phase,
)
from l2tp.ppp.settings import AuthProtocol
from l2tp.wire.attributes import Attributes
from l2tp.wire.avp import ResultCode
from l2tp.wire.enums import AvpType, CdnResult, GeneralError, MessageType
from l2tp.wire.packet import DataMessage
from l2tp.wire.ppp import IP_FRAME, ip_packet

if TYPE_CHECKING:
    from l2tp.core.tunnel import Tunnel

# From ICRP to ICCN; the client has nothing to wait for in between.
CONNECT_TIMEOUT = 30.0


class SessionState(Enum):
    """States of an incoming call at the LNS."""

    WAIT_CONNECT = "wait-connect"
    ESTABLISHED = "established"
    ENDED = "ended"


class Session:
    """One call; created by an ICRQ that was accepted."""

    def __init__(
        self, shared: Shared, tunnel: Tunnel, session_id: int, peer_session_id: int, now: float
    ) -> None:
        self.session_id = session_id
        self.peer_session_id = peer_session_id
        self.tunnel = tunnel
        self.state = SessionState.WAIT_CONNECT
        self.since = now
        self.user = ""
        self.auth_protocol: AuthProtocol | None = None
        self.address: IPv4Address | None = None
        self.mtu = 0
        self.attached = False
        self.in_user_space = False
        self.link = Link(
            shared.settings.ppp, tunnel.client_settings.echo, shared.random, self._link_event
        )
        self._shared = shared
        self._now = now
        self._connect_deadline: float | None = now + CONNECT_TIMEOUT
        self._end_result = CdnResult.ADMINISTRATIVE
        self._data = DataMessages()
        self._asked_at: Peer | None = None

    @property
    def phase(self) -> str:
        """State of the call until it is established, then the phase of its link."""
        established = self.state is SessionState.ESTABLISHED
        return self.link.phase.value if established else self.state.value

    @property
    def carries_packets(self) -> bool:
        """Whether IP packets pass between the peer and a data path in user space."""
        return self.in_user_space and self.mtu > 0 and self.link.phase is Phase.NETWORK

    # Control messages.

    def handle(self, attributes: Attributes, now: float) -> None:
        """Take a control message that is addressed to this call."""
        self._now = now
        action = TABLE.get((self.state, attributes.message_type))
        if attributes.fault is not None and attributes.message_type is not MessageType.CDN:
            fault = attributes.fault
            self.end(fault.reason, now, CdnResult.GENERAL_ERROR, GeneralError(fault.error))
        elif action is None:
            cause = f"{attributes.message_type} in state {self.state.value}"
            self.end(cause, now, CdnResult.GENERAL_ERROR, GeneralError.INVALID_SESSION)
        else:
            action(self, attributes)

    def _connected(self, attributes: Attributes) -> None:
        self.state = SessionState.ESTABLISHED
        self._connect_deadline = None
        self._data.sequencing = AvpType.SEQUENCING_REQUIRED in attributes
        self.link.start(self._now)

    def _disconnected(self, attributes: Attributes) -> None:
        result: ResultCode = attributes.get(AvpType.RESULT_CODE, ResultCode(0))
        text = f" ({result.message})" if result.message else ""
        self._end(f"peer sent CDN {CdnResult(result.code)}{text}")

    def _ignored(self, attributes: Attributes) -> None:
        """WEN and SLI tell of modems and async framing."""

    # Data.

    def data_received(self, message: DataMessage, now: float) -> None:
        """Take a data message that came over the L2TP socket."""
        if self.state is not SessionState.ESTABLISHED:
            self._drop(DropReason.UNKNOWN_SESSION, f"data in state {self.state.value}")
            return
        if not self._data.in_sequence(message):
            self._drop(DropReason.OUT_OF_SEQUENCE)
            return
        packet = ip_packet(message.payload) if self.carries_packets else None
        if packet is None:
            self.frame_received(message.payload, now)
            return
        self.link.seen(now)
        self._shared.emit(DeliverPacket(self.session_id, packet))

    def packet_sent(self, packet: bytes) -> None:
        """Take an IP packet for the peer from the data path in user space."""
        if self.carries_packets:
            self._send_data(IP_FRAME + packet)

    def frame_received(self, octets: bytes, now: float) -> None:
        """Take a PPP frame."""
        self._now = now
        try:
            self.link.receive(octets, now)
        except ProtocolError as failure:
            self._drop(DropReason.MALFORMED, str(failure))

    def ask(self) -> None:
        """Ask the peer whether it is there."""
        self.link.ask()

    def ask_at(self, peer: Peer) -> None:
        """The same of one that may be the peer, under another mark."""
        self._asked_at = peer
        self.link.ask()
        self._asked_at = None

    # Answers of the host.

    def login_answered(self, request: AuthRequest, answer: AuthAnswer, now: float) -> None:
        """Hand the answer to an Authenticate to the link."""
        self._now = now
        self.link.answer(request, answer, now)

    def path_answered(self, answer: DataPathOpened | DataPathFailed, now: float) -> None:
        """Go on with IPCP over the data path, or end the call for want of one."""
        self._now = now
        if isinstance(answer, DataPathFailed):
            if self.state is SessionState.ESTABLISHED:
                self._end_result = CdnResult.NO_FACILITIES_NOW
                self.link.close(f"no data path: {answer.reason}", now)
            return
        if self.state is SessionState.ENDED or self.address is None:
            self._shared.emit(CloseDataPath(self.session_id))
            return
        self.attached = True
        self.in_user_space = answer.in_user_space
        self.link.attach(self.address, now)
        for frame in self.link.take_waiting():
            self.frame_received(frame, now)

    # Timers and the end.

    def deadline(self) -> float | None:
        """When ``advance`` wants to run next."""
        due = (self._connect_deadline, self.link.deadline())
        return min((time for time in due if time is not None), default=None)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        self._now = now
        if self._connect_deadline is not None and now >= self._connect_deadline:
            self.end("no ICCN in time", now, CdnResult.NOT_IN_TIME)
            return
        self.link.advance(now)

    def end(
        self,
        cause: str,
        now: float,
        result: CdnResult = CdnResult.ADMINISTRATIVE,
        error: GeneralError = GeneralError.NONE,
        message: str | None = None,
    ) -> None:
        """End the call at once: Terminate-Request, CDN, and everything released.

        The peer is told ``message``, by default the cause.
        """
        if self.state is SessionState.ENDED:
            return
        self._now = now
        self.link.abort(now)
        text = cause if message is None else message
        self.tunnel.send(self.peer_session_id, cdn(self.session_id, result, error, text), now)
        self._end(cause)

    def end_with_tunnel(self, cause: str, now: float, *, reachable: bool) -> None:
        """End the call as its tunnel ends, which needs no CDN (RFC 2661 section 5.7)."""
        self._now = now
        if reachable:
            self.link.abort(now)
        self._end(cause)

    def _end(self, cause: str) -> None:
        """Release everything; the link says nothing more."""
        self.state = SessionState.ENDED
        if self.attached:
            self._shared.emit(CloseDataPath(self.session_id))
            self.attached = False
        self._shared.settings.pool.release(self.session_id)
        self.tunnel.forget(self, self._now)
        self._shared.emit(
            SessionDown(self.session_id, self.tunnel.peer, self.user, self.address, cause)
        )

    # What the link says.

    def _link_event(self, event: LinkEvent) -> None:
        if self.state is SessionState.ENDED:
            return
        match event:
            case FrameOut():
                self._send_frame(event.octets)
            case NeedAuthentication():
                self._ask_login(event.request)
            case AuthenticationFailed():
                peer = self.tunnel.peer
                self._shared.emit(
                    AuthFailed(self.session_id, peer, event.user, event.reason, event.remedy)
                )
            case Authenticated():
                self._authenticated(event)
            case NetworkUp():
                self._network_up(event)
            case Finished():
                self._finished(event)

    def _finished(self, event: Finished) -> None:
        """The link is over, and with a peer's last one that fell silent the whole tunnel."""
        if event.silent:
            self.end(event.cause, self._now, CdnResult.LOST_CARRIER)
            if not self.tunnel.sessions:
                self.tunnel.stop(event.cause, self._now, silent=True)
        else:
            # The cause may tell an unknown user from a wrong password: not the peer's business.
            self.end(event.cause, self._now, self._end_result, message="")

    def _send_frame(self, octets: bytes) -> None:
        if self._asked_at is None and self.attached and not self.in_user_space:
            self._shared.emit(SendFrame(self.session_id, octets))
        else:
            self._send_data(octets)

    def _send_data(self, frame: bytes) -> None:
        tunnel = self.tunnel
        message = self._data.make(tunnel.peer_tunnel_id, self.peer_session_id, frame)
        self._shared.emit(Send(self._asked_at or tunnel.peer, message))

    def _ask_login(self, request: AuthRequest) -> None:
        ticket = self._shared.ticket()
        self._shared.logins[ticket] = (self, request)
        self._shared.emit(Authenticate(ticket, self.session_id, self.tunnel.peer, request))

    def _authenticated(self, event: Authenticated) -> None:
        self.user = event.user
        self.auth_protocol = event.protocol
        try:
            self.address = self._lease(event)
        except PoolExhaustedError as failure:
            self._end_result = CdnResult.NO_FACILITIES_NOW
            self.link.close(str(failure), self._now)
            return
        ticket = self._shared.ticket()
        self._shared.paths[ticket] = self
        peer = self.link.lcp.peer
        self._shared.emit(
            OpenDataPath(
                ticket,
                self.session_id,
                self.peer_session_id,
                self.tunnel.tunnel_id,
                self.tunnel.peer_tunnel_id,
                self.tunnel.peer,
                peer_mru=peer.mru,
                mru=self.link.lcp.mru,
                pfc=peer.pfc,
                acfc=peer.acfc,
                sequencing=self._data.sequencing,
            )
        )

    def _lease(self, event: Authenticated) -> IPv4Address:
        """An address; a user's own one is taken from the session that still holds it.

        That session is as a rule the same user's, from before the client lost its network.
        """
        pool = self._shared.settings.pool
        try:
            return pool.lease(self.session_id, event.user, event.address)
        except AddressInUseError as conflict:
            holder = self._shared.sessions[conflict.holder]
            holder.end("replaced by a newer login of the same user", self._now)
        return pool.lease(self.session_id, event.user, event.address)

    def _network_up(self, event: NetworkUp) -> None:
        if self.address is None or self.auth_protocol is None:
            return
        ppp = self._shared.settings.ppp
        self.mtu = event.mtu
        self.since = self._now
        self._shared.emit(
            ConfigureLink(self.session_id, ppp.local_address, self.address, event.mtu)
        )
        self._shared.emit(
            SessionUp(
                self.session_id,
                self.tunnel.tunnel_id,
                self.tunnel.peer,
                self.user,
                self.address,
                ppp.dns,
                self.auth_protocol,
                event.mtu,
            )
        )

    def _drop(self, reason: DropReason, detail: str = "") -> None:
        self._shared.emit(Dropped(self.tunnel.peer, reason, detail))


TABLE: dict[tuple[SessionState, MessageType], Callable[[Session, Attributes], None]] = {
    (SessionState.WAIT_CONNECT, MessageType.ICCN): Session._connected,
    (SessionState.WAIT_CONNECT, MessageType.CDN): Session._disconnected,
    (SessionState.WAIT_CONNECT, MessageType.WEN): Session._ignored,
    (SessionState.WAIT_CONNECT, MessageType.SLI): Session._ignored,
    (SessionState.ESTABLISHED, MessageType.CDN): Session._disconnected,
    (SessionState.ESTABLISHED, MessageType.WEN): Session._ignored,
    (SessionState.ESTABLISHED, MessageType.SLI): Session._ignored,
}
