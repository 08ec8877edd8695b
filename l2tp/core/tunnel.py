"""One control connection as its responder, RFC 2661 section 7.2.1.

``TABLE`` says which message is taken in which state and what it does; a message without a row is
an improper sequence and clears the connection (section 7.1). Messages of calls go to the session
they name.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from l2tp.core.effects import Dropped, DropReason, Peer, Send, TunnelDown, TunnelUp
from l2tp.core.liveness import Liveness
from l2tp.core.messages import (
    CHALLENGE_SIZE,
    cdn,
    challenge_response,
    hello,
    icrp,
    sccrp,
    stopccn,
)
from l2tp.core.session import Session
from l2tp.core.settings import HINT_INTERVAL, MAX_IDS
from l2tp.core.shared import Shared
from l2tp.core.transport import FULL_CYCLE, Transport
from l2tp.errors import ProtocolError
from l2tp.wire.attributes import Attributes, read_attributes
from l2tp.wire.avp import ResultCode
from l2tp.wire.enums import AvpType, CdnResult, GeneralError, MessageType, StopResult
from l2tp.wire.packet import ControlMessage, DataMessage, build

# A tunnel without a call is of no use to a roadwarrior; time enough to place the first one.
EMPTY_TIMEOUT = 60.0

# A fault in these ends the call they are about, if anything; StopCCN ends the tunnel anyway.
_FAULT_TOLERANT = frozenset(
    {
        MessageType.OCRQ,
        MessageType.OCRP,
        MessageType.OCCN,
        MessageType.ICRQ,
        MessageType.ICRP,
        MessageType.ICCN,
        MessageType.CDN,
        MessageType.WEN,
        MessageType.SLI,
        MessageType.STOPCCN,
    }
)


class TunnelState(Enum):
    """States of a control connection; a tunnel exists from its first SCCRQ on."""

    IDLE = "idle"
    WAIT_CONNECT = "wait-ctl-conn"
    ESTABLISHED = "established"
    STOPPING = "stopping"  # our StopCCN waits for its acknowledgement
    STOPPED = "stopped"  # the peer's StopCCN came; its repetitions are still acknowledged
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class PeerNames:
    """How the peer calls itself."""

    host_name: str
    vendor_name: str
    firmware: int | None


class Tunnel:
    """One control connection."""

    def __init__(
        self, shared: Shared, tunnel_id: int, peer_tunnel_id: int, peer: Peer, now: float
    ) -> None:
        self.tunnel_id = tunnel_id
        self.peer_tunnel_id = peer_tunnel_id
        self.peer = peer
        self.names = PeerNames("", "", None)
        self.state = TunnelState.IDLE
        self.since = now
        self.cause = ""
        self.sessions: dict[int, Session] = {}
        self.scheduled: float | None = None
        self.wrong_claims = 0
        """How often somebody without a tunnel has named this one, but no session of it."""
        self.client_settings = shared.settings.of_client(peer.mark)
        self._shared = shared
        self._transport = Transport(self._transmit)
        self._transport.peer_tunnel_id = peer_tunnel_id
        self._challenge: bytes | None = None
        self._now = now
        self._liveness = Liveness(self.client_settings, now)
        self._empty_deadline: float | None = now + EMPTY_TIMEOUT
        self._linger_deadline: float | None = None
        self._quiet_until = now
        """When a peer may next be told about a call that is not there."""
        self._was_established = False
        self._peer_knows = False

    @property
    def is_live(self) -> bool:
        """Whether it is up or coming up."""
        return self.state in (TunnelState.WAIT_CONNECT, TunnelState.ESTABLISHED)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen: gone, or its StopCCN was acknowledged."""
        return self._is_confirmed or self.state is TunnelState.GONE

    @property
    def ended_unheard(self) -> bool:
        """Whether it is over and was up, and the peer may not know that it is over."""
        return self._was_established and not (self._peer_knows or self._is_confirmed)

    @property
    def _is_confirmed(self) -> bool:
        """Whether the peer has acknowledged our StopCCN."""
        return self.state is TunnelState.STOPPING and self._transport.is_idle

    @property
    def sequence(self) -> tuple[int, int]:
        """The Ns that the peer waits for, and the one that we wait for."""
        return self._transport.awaited

    # Entry points.

    def receive(self, message: ControlMessage, peer: Peer, now: float) -> None:
        """Take a control message; its sender's address becomes the one we answer to."""
        self._now = now
        self._liveness.heard(now)
        self.peer = peer
        self._put_off_echoes(now)
        for due in self._transport.receive(message, now):
            self._handle(due)
        self._transport.acknowledge()

    def data_received(self, message: DataMessage, peer: Peer, now: float) -> None:
        """Take a data message; its sender's address becomes the one we answer to."""
        self._now = now
        self._liveness.heard(now)
        self.peer = peer
        session = self.sessions.get(message.session_id)
        if session is None:
            self._drop(DropReason.UNKNOWN_SESSION, f"data for session {message.session_id}")
            self._disown(message.session_id)
            return
        session.data_received(message, now)

    def _disown(self, session_id: int) -> None:
        """Tell the peer that it goes on in a call that is not there, from time to time.

        Not while what we have said may still be on its way: it may have been this.
        """
        if self._now < self._quiet_until or not self._transport.is_idle or not self.is_live:
            return
        self._quiet_until = self._now + HINT_INTERVAL
        error = GeneralError.INVALID_SESSION
        payload = cdn(session_id, CdnResult.GENERAL_ERROR, error, "this call has ended")
        self._transport.send(0, payload, self._now)

    def seen(self, now: float) -> None:
        """The peer gave a sign of life elsewhere, as by traffic through a data path."""
        self._liveness.heard(now)

    def reachable(self, now: float) -> None:
        """The peer gave a sign of life in a layer below: it need not be asked for now."""
        self._liveness.reached(now)
        self._put_off_echoes(now)

    def _put_off_echoes(self, now: float) -> None:
        for session in self.sessions.values():
            session.link.put_off_echo(now)

    def send(self, session_id: int, payload: bytes, now: float) -> None:
        """Send a control message about the peer's ``session_id``."""
        self._transport.send(session_id, payload, now)
        self._shared.touched.add(self)

    def stop(
        self,
        cause: str,
        now: float,
        result: StopResult = StopResult.CLEAR,
        error: GeneralError = GeneralError.NONE,
        *,
        silent: bool = False,
    ) -> None:
        """End the tunnel and all its calls: Terminate-Requests, then StopCCN.

        ``silent`` says that the peer does not answer in its last call.
        """
        if not self.is_live:
            return
        self._now = now
        self._end_sessions(cause, reachable=True)
        self._transport.send_last(stopccn(self.tunnel_id, result, error, cause), now)
        self._down(TunnelState.STOPPING, cause, silent=silent)

    def vanish(self, cause: str, now: float, *, known: bool = False) -> None:
        """End the tunnel without sending, as nothing would arrive; ``known``: or need not."""
        self._now = now
        self._peer_knows = known or self._peer_knows
        self._down(TunnelState.GONE, cause)

    def forget(self, session: Session, now: float) -> None:
        """Drop a session that ended."""
        self.sessions.pop(session.session_id, None)
        self._shared.sessions.pop(session.session_id, None)
        self._quiet_until = now + FULL_CYCLE
        if not self.sessions:
            self._empty_deadline = now + EMPTY_TIMEOUT

    def deadline(self) -> float | None:
        """When ``advance`` wants to run next."""
        due = [self._transport.deadline, self._linger_deadline]
        if self.is_live:
            due.append(self._empty_deadline)
            due.append(self._hello_deadline())
            due.extend(session.deadline() for session in self.sessions.values())
        return min((time for time in due if time is not None), default=None)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        self._now = now
        if self._transport.advance(now):
            self._unanswered()
        if self._linger_deadline is not None and now >= self._linger_deadline:
            self.state = TunnelState.GONE
        if not self.is_live:
            return
        for session in list(self.sessions.values()):
            session.advance(now)
        if self._empty_deadline is not None and now >= self._empty_deadline:
            self.stop("no call in time", now)
        hello_deadline = self._hello_deadline()
        if hello_deadline is not None and now >= hello_deadline:
            self._transport.send(0, hello(), now)

    # Control messages.

    def _handle(self, message: ControlMessage) -> None:
        try:
            attributes = read_attributes(message.payload, self._shared.settings.shared_secret)
        except ProtocolError as failure:
            self._refuse(failure)
            return
        if not attributes.message_type.is_known:
            if attributes.message_mandatory:
                cause = f"unknown message type {int(attributes.message_type)}"
                error = GeneralError.UNKNOWN_MANDATORY_AVP
                self.stop(cause, self._now, StopResult.GENERAL_ERROR, error)
            return
        action = TABLE.get((self.state, attributes.message_type))
        if action is None:
            cause = f"{attributes.message_type} in state {self.state.value}"
            self.stop(cause, self._now, StopResult.FSM_ERROR)
            return
        if attributes.fault is not None and attributes.message_type not in _FAULT_TOLERANT:
            self._refuse(attributes.fault)
            return
        try:
            action(self, attributes, message.session_id)
        except ProtocolError as failure:
            self._refuse(failure)

    def _refuse(self, failure: ProtocolError) -> None:
        self.stop(failure.reason, self._now, StopResult.GENERAL_ERROR, GeneralError(failure.error))

    def _accept(self, attributes: Attributes, session_id: int) -> None:
        """SCCRQ: the LNS has checked what it must hold."""
        settings = self._shared.settings
        self.names = PeerNames(
            attributes.get(AvpType.HOST_NAME, ""),
            attributes.get(AvpType.VENDOR_NAME, ""),
            attributes.get(AvpType.FIRMWARE_REVISION),
        )
        self._transport.open_window(attributes.get(AvpType.RECEIVE_WINDOW_SIZE))
        response = None
        if settings.shared_secret is not None:
            self._challenge = self._shared.random(CHALLENGE_SIZE)
            if AvpType.CHALLENGE in attributes:
                response = challenge_response(
                    MessageType.SCCRP, settings.shared_secret, attributes.get(AvpType.CHALLENGE)
                )
        self.state = TunnelState.WAIT_CONNECT
        self._transport.send(
            0, sccrp(settings, self.tunnel_id, self._challenge, response), self._now
        )

    def _establish(self, attributes: Attributes, session_id: int) -> None:
        """SCCCN."""
        if not self._is_authentic(attributes):
            cause = "tunnel authentication failed: the shared secrets differ"
            self.stop(cause, self._now, StopResult.NOT_AUTHORIZED)
            return
        self.state = TunnelState.ESTABLISHED
        self._was_established = True
        self.since = self._now
        names = self.names
        self._shared.emit(
            TunnelUp(
                self.tunnel_id,
                self.peer_tunnel_id,
                self.peer,
                names.host_name,
                names.vendor_name,
                names.firmware,
            )
        )

    def _is_authentic(self, attributes: Attributes) -> bool:
        secret = self._shared.settings.shared_secret
        if secret is None or self._challenge is None:
            return True
        expected = challenge_response(MessageType.SCCCN, secret, self._challenge)
        return hmac.compare_digest(attributes.get(AvpType.CHALLENGE_RESPONSE, b""), expected)

    def _stopped(self, attributes: Attributes, session_id: int) -> None:
        """StopCCN from the peer: everything ends, but its repetitions are still acknowledged."""
        result: ResultCode = attributes.get(AvpType.RESULT_CODE, ResultCode(0))
        text = f" ({result.message})" if result.message else ""
        self._peer_knows = True
        self._linger_deadline = self._now + FULL_CYCLE
        self._down(TunnelState.STOPPED, f"peer sent StopCCN {StopResult(result.code)}{text}")

    def _call(self, attributes: Attributes, session_id: int) -> None:
        """ICRQ: a call comes in."""
        peer_session_id = attributes.require(AvpType.ASSIGNED_SESSION_ID)
        shared = self._shared
        if attributes.fault is not None:
            fault = attributes.fault
            self._refuse_call(peer_session_id, GeneralError(fault.error), fault.reason)
            return
        taken = {session.peer_session_id for session in self.sessions.values()}
        if not peer_session_id or peer_session_id in taken:
            error = GeneralError.INVALID_SESSION
            self._refuse_call(peer_session_id, error, "session ID is 0 or in use")
            return
        full = len(self.sessions) >= shared.settings.max_sessions_per_tunnel
        if full or len(shared.sessions) >= MAX_IDS:
            self._refuse_call(peer_session_id, GeneralError.NO_RESOURCES, "too many sessions")
            return
        number = shared.unused_id(
            shared.sessions, [session.session_id for session in shared.paths.values()]
        )
        session = Session(shared, self, number, peer_session_id, self._now)
        self.sessions[number] = shared.sessions[number] = session
        self._empty_deadline = None
        self._transport.send(peer_session_id, icrp(number), self._now)

    def _refuse_outgoing(self, attributes: Attributes, session_id: int) -> None:
        """OCRQ: there is nobody to call from here."""
        number = attributes.get(AvpType.ASSIGNED_SESSION_ID, 0)
        payload = cdn(0, CdnResult.NO_FACILITIES, message="no outgoing calls")
        self._transport.send(number, payload, self._now)

    def _refuse_call(self, peer_session_id: int, error: GeneralError, cause: str) -> None:
        payload = cdn(0, CdnResult.GENERAL_ERROR, error, cause)
        self._transport.send(peer_session_id, payload, self._now)

    def _to_session(self, attributes: Attributes, session_id: int) -> None:
        """A message about a call; a CDN may name it by the peer's number alone."""
        session = self.sessions.get(session_id)
        if session is None and attributes.message_type is MessageType.CDN:
            number = attributes.get(AvpType.ASSIGNED_SESSION_ID)
            session = next(
                (each for each in self.sessions.values() if each.peer_session_id == number), None
            )
        if session is None:
            detail = f"{attributes.message_type} for session {session_id}"
            self._drop(DropReason.UNKNOWN_SESSION, detail)
            return
        session.handle(attributes, self._now)

    def _ignored(self, attributes: Attributes, session_id: int) -> None:
        """Hello wants nothing but its acknowledgement."""

    # Timers and the end.

    def _hello_deadline(self) -> float | None:
        """When to ask whether the peer lives: not if a call's PPP asks, which proves more."""
        if self.state is not TunnelState.ESTABLISHED or not self._transport.is_idle:
            return None
        if any(session.link.asks for session in self.sessions.values()):
            return None
        return self._liveness.hello_deadline()

    def _unanswered(self) -> None:
        """The peer acknowledges nothing: it is gone, unless there is reason to ask again."""
        asked = self._transport.oldest_unacknowledged
        if self.state is TunnelState.ESTABLISHED and asked is not None:
            pause = self._liveness.pause(asked, self._now)
            if pause is not None:
                self._transport.start_over(self._now, pause)
                return
        self._down(TunnelState.GONE, "peer does not answer in L2TP", silent=True)

    def _down(self, state: TunnelState, cause: str, *, silent: bool = False) -> None:
        was_live = self.is_live
        self.state = state
        self._end_sessions(cause, reachable=False)
        if was_live:
            self.cause = cause
            self._shared.emit(TunnelDown(self.tunnel_id, self.peer, cause, silent))

    def _end_sessions(self, cause: str, *, reachable: bool) -> None:
        for session in list(self.sessions.values()):
            session.end_with_tunnel(cause, self._now, reachable=reachable)

    def _transmit(self, message: ControlMessage) -> None:
        self._shared.emit(Send(self.peer, build(message)))

    def _drop(self, reason: DropReason, detail: str) -> None:
        self._shared.emit(Dropped(self.peer, reason, detail))


_Action = Callable[[Tunnel, Attributes, int], None]
_S, _M = TunnelState, MessageType

TABLE: dict[tuple[TunnelState, MessageType], _Action] = {
    (_S.IDLE, _M.SCCRQ): Tunnel._accept,
    (_S.WAIT_CONNECT, _M.SCCCN): Tunnel._establish,
    (_S.WAIT_CONNECT, _M.STOPCCN): Tunnel._stopped,
    (_S.WAIT_CONNECT, _M.HELLO): Tunnel._ignored,
    (_S.ESTABLISHED, _M.STOPCCN): Tunnel._stopped,
    (_S.ESTABLISHED, _M.HELLO): Tunnel._ignored,
    (_S.ESTABLISHED, _M.ICRQ): Tunnel._call,
    (_S.ESTABLISHED, _M.OCRQ): Tunnel._refuse_outgoing,
    (_S.ESTABLISHED, _M.ICCN): Tunnel._to_session,
    (_S.ESTABLISHED, _M.CDN): Tunnel._to_session,
    (_S.ESTABLISHED, _M.WEN): Tunnel._to_session,
    (_S.ESTABLISHED, _M.SLI): Tunnel._to_session,
    (_S.STOPPING, _M.STOPCCN): Tunnel._stopped,
}
