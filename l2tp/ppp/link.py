"""One PPP link as the network server sees it, RFC 1661 section 3.

The phases, in order:

* ESTABLISH: LCP negotiates. The peer may speak first: many start their PPP only when the L2TP
  call is acknowledged, and a request sent before that is lost and costs the 3 s to the next one.
* AUTHENTICATE: the peer proves who it is; each login goes out as ``NeedAuthentication``.
* ATTACH: the login was good (``Authenticated``), and the host is setting up the data path. Until
  now every frame crossed the L2TP socket in user space. The peer knows nothing of the move, and
  its first IPCP request follows the CHAP Success at once; so in this phase frames wait, in order
  and from whichever side they come, and ``attach`` takes them up.
* NETWORK: IPCP runs over the data path; ``NetworkUp`` when it opens.
* TERMINATE: LCP says good-bye; ``Finished`` with the cause ends the link in every case.

A link that went past authentication never goes back: a peer that starts LCP anew is cut off, as the
data path would stay open to it meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from l2tp.ppp.auth import (
    AuthAccepted,
    AuthAnswer,
    Authenticator,
    AuthRejected,
    AuthRequest,
    Outcome,
)
from l2tp.ppp.chap import ChapAuthenticator
from l2tp.ppp.fsm_table import State
from l2tp.ppp.ipcp import Ipcp
from l2tp.ppp.lcp import Lcp
from l2tp.ppp.pap import PapAuthenticator
from l2tp.ppp.settings import PUT_OFF, AuthProtocol, EchoSettings, PppSettings
from l2tp.wire.cursor import printable
from l2tp.wire.enums import Protocol
from l2tp.wire.ppp import parse_frame, parse_packet

# A client sends IPCP, IPv6CP and CCP requests at once and repeats them every 3 s.
MAX_WAITING_FRAMES = 16
# How long the peer may take to speak first.
FIRST_WORD = 1.0


class Phase(Enum):
    """Where a link is; see the module's text."""

    ESTABLISH = "lcp"
    AUTHENTICATE = "auth"
    ATTACH = "attach"
    NETWORK = "network"
    TERMINATE = "terminate"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class FrameOut:
    """Send this frame: protocol field and information, without address and control."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class NeedAuthentication:
    """Have this login checked and hand the answer to ``Link.answer``."""

    request: AuthRequest


@dataclass(frozen=True, slots=True)
class AuthenticationFailed:
    """A login was refused, or none could be agreed upon; ``user`` is printable."""

    user: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The peer is ``user``: set up the data path, then call ``Link.attach``."""

    user: str
    address: IPv4Address | None
    protocol: AuthProtocol


@dataclass(frozen=True, slots=True)
class NetworkUp:
    """IPCP is open; ``mtu`` is the largest packet to send to the peer."""

    mtu: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The link is over."""

    cause: str
    silent: bool = False
    """Whether the peer does not answer any more."""


LinkEvent = (
    FrameOut | NeedAuthentication | AuthenticationFailed | Authenticated | NetworkUp | Finished
)


class Link:
    """A PPP link; ``emit`` takes what it has to say, in order."""

    def __init__(
        self,
        settings: PppSettings,
        echo: EchoSettings,
        random: Callable[[int], bytes],
        emit: Callable[[LinkEvent], None],
    ) -> None:
        self.phase = Phase.ESTABLISH
        self.lcp = Lcp(settings, random, self._send, self._lcp_changed, self._protocol_rejected)
        self._settings = settings
        self._echo_settings = echo
        self._random = random
        self._emit = emit
        self._authenticator: Authenticator | None = None
        self._auth_protocol = Protocol.CHAP
        self._pending: AuthRequest | None = None
        self._ipcp: Ipcp | None = None
        self._ipcp_heard = False
        self._network_up = False
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING_FRAMES)
        self._start_deadline: float | None = None
        self._setup_deadline: float | None = None
        self._echo_deadline: float | None = None
        self._seen = 0.0
        self._cause = ""

    # Entry points.

    def start(self, now: float) -> None:
        """The lower layer is up."""
        self._setup_deadline = now + self._settings.setup_timeout
        self._start_deadline = now + FIRST_WORD
        self.lcp.open(now)

    def receive(self, octets: bytes, now: float) -> None:
        """Take a frame; raises ProtocolError when it is malformed, and then nothing changed."""
        if self.phase is Phase.ATTACH:
            self._waiting.append(octets)
            return
        if self.phase is Phase.DEAD:
            return
        frame = parse_frame(octets)
        self.seen(now)
        if frame.protocol is Protocol.LCP:
            self._receive_lcp(frame.information, now)
        elif frame.protocol is self._auth_protocol and self._authenticator is not None:
            self._receive_login(self._authenticator, frame.information, now)
        elif self.phase is Phase.NETWORK:
            self._receive_network(frame.protocol, frame.information, now)

    def answer(self, request: AuthRequest, answer: AuthAnswer, now: float) -> None:
        """Answer ``NeedAuthentication``; ignored when LCP has started anew since."""
        if request is not self._pending or self._authenticator is None:
            return
        self._pending = None
        protocol = self.lcp.auth
        outcome = self._authenticator.answer(answer, now)
        if isinstance(answer, AuthAccepted):
            self.phase = Phase.ATTACH
            self._emit(Authenticated(answer.user, answer.address, protocol))
            return
        self._refuse(request, answer)
        if outcome is Outcome.REJECTED:
            self.close(f"authentication failed: {answer.reason}", now)

    def attach(self, address: IPv4Address, now: float) -> None:
        """The data path is up: negotiate IPCP, with ``address`` for the peer."""
        if self.phase is not Phase.ATTACH:
            return
        self.phase = Phase.NETWORK
        self._ipcp = Ipcp(self._settings, address, self._send, self._ipcp_changed)
        self.seen(now)
        self._ipcp.open(now)
        self._ipcp.up(now)

    def take_waiting(self) -> list[bytes]:
        """The frames that came while the data path was being set up, to be received now."""
        frames = list(self._waiting)
        self._waiting.clear()
        return frames

    def seen(self, now: float) -> None:
        """The peer gave a sign of life: the next LCP echo can wait."""
        self.lcp.unanswered_echoes = 0
        if self.phase is Phase.NETWORK and self._echo_settings.interval:
            self._seen = now
            self._echo_deadline = now + self._echo_settings.interval

    def put_off_echo(self, now: float) -> None:
        """The peer gave a sign of life in a layer below: the next LCP echo can wait, a while."""
        if self._echo_deadline is not None and not self.lcp.unanswered_echoes:
            interval = self._echo_settings.interval
            latest = self._seen + PUT_OFF * interval
            self._echo_deadline = max(self._echo_deadline, min(now + interval, latest))

    @property
    def asks(self) -> bool:
        """Whether it asks its peer from time to time if it lives."""
        return self._echo_deadline is not None

    def close(self, cause: str, now: float) -> None:
        """Terminate the link; ``Finished`` follows once the peer agrees or stays silent."""
        if self.phase in (Phase.TERMINATE, Phase.DEAD):
            return
        self._terminate(cause)
        self.lcp.close(now)

    def abort(self, now: float) -> None:
        """Terminate without waiting: one Terminate-Request at most, and no ``Finished``."""
        said = self.phase in (Phase.TERMINATE, Phase.DEAD)
        self._terminate("")
        self.phase = Phase.DEAD
        if not said:
            self.lcp.close(now)

    def deadline(self) -> float | None:
        """When ``advance`` wants to run next."""
        due = (
            self.lcp.deadline,
            self._authenticator.deadline if self._authenticator else None,
            self._ipcp.deadline if self._ipcp else None,
            self._start_deadline,
            self._setup_deadline,
            self._echo_deadline,
        )
        return min((time for time in due if time is not None), default=None)

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        if self._start_deadline is not None and now >= self._start_deadline:
            self._speak(now)
        self.lcp.advance(now)
        if self._authenticator is not None and self._authenticator.advance(now):
            self.close("peer did not authenticate in time", now)
        if self._ipcp is not None:
            self._advance_ipcp(self._ipcp, now)
        if self._setup_deadline is not None and now >= self._setup_deadline:
            self.close(f"not up within {self._settings.setup_timeout:g} s", now)
        if self._echo_deadline is not None and now >= self._echo_deadline:
            self._echo(now)

    # LCP.

    def _speak(self, now: float) -> None:
        self._start_deadline = None
        self.lcp.up(now)

    def _receive_lcp(self, information: bytes, now: float) -> None:
        if self._start_deadline is not None:
            self._speak(now)
        self.lcp.receive(information, now)
        if self.lcp.hung_up:
            self._finish(self._cause or "peer hung up")
        elif self.phase is Phase.NETWORK and self.lcp.state is not State.OPENED:
            self.close(self.lcp.failure or "peer started LCP anew", now)

    def _lcp_changed(self, state: State, now: float) -> None:
        if state is State.CLOSED:
            self._finish(self._cause or self.lcp.failure or "LCP closed")
        elif state is State.OPENED:
            self._start_authentication(now)
        elif self.phase is Phase.AUTHENTICATE:
            self.phase = Phase.ESTABLISH
            self._authenticator = self._pending = None

    def _protocol_rejected(self, protocol: Protocol, now: float) -> None:
        if protocol is Protocol.LCP:
            self.lcp.reject(now)
        elif protocol is Protocol.IPCP and self._ipcp is not None:
            self._ipcp.reject(now)
        elif protocol is self._auth_protocol and self.phase is Phase.AUTHENTICATE:
            self.close(f"peer rejected {protocol}", now)

    def ask(self) -> None:
        """Send an LCP echo now, whatever the interval; nothing before the network phase."""
        if self.phase is Phase.NETWORK:
            self.lcp.send_echo()

    def _echo(self, now: float) -> None:
        if self.lcp.unanswered_echoes >= self._echo_settings.failures:
            # One Terminate-Request; nobody is there to confirm it.
            self._cause = "peer does not answer LCP echo"
            self.lcp.close(now)
            self._finish(self._cause, silent=True)
            return
        self._echo_deadline = now + self._echo_settings.interval
        self.lcp.send_echo()

    # Authentication.

    def _start_authentication(self, now: float) -> None:
        self.phase = Phase.AUTHENTICATE
        protocol = self.lcp.auth
        if protocol is AuthProtocol.PAP:
            self._auth_protocol = Protocol.PAP
            self._authenticator = PapAuthenticator(self._send)
        else:
            self._auth_protocol = Protocol.CHAP
            self._authenticator = ChapAuthenticator(
                self._settings.auth_name,
                self._random,
                self._send,
                microsoft=protocol is AuthProtocol.MSCHAPV2,
                retries=self._settings.auth_retries,
            )
        self._authenticator.start(now)

    def _receive_login(self, authenticator: Authenticator, octets: bytes, now: float) -> None:
        request = authenticator.receive(parse_packet(octets), now)
        if request is not None:
            self._pending = request
            self._emit(NeedAuthentication(request))

    def _refuse(self, request: AuthRequest, answer: AuthRejected) -> None:
        user = printable(request.user.encode("utf-8", "surrogateescape"))
        self._emit(AuthenticationFailed(user, answer.reason, answer.remedy))

    # Network layer.

    def _receive_network(self, protocol: Protocol, information: bytes, now: float) -> None:
        ipcp = self._ipcp
        if protocol is Protocol.IPCP and ipcp is not None:
            self._ipcp_heard = True
            ipcp.receive(information, now)
            if ipcp.hung_up:
                self.close("peer closed IPCP", now)
        elif protocol is not Protocol.IP:
            self.lcp.reject_protocol(protocol, information)

    def _advance_ipcp(self, ipcp: Ipcp, now: float) -> None:
        """Repeat our request, and before it, to a peer that speaks no IPCP yet, the Success.

        A peer whose Success was lost waits in the authentication phase: it discards IPCP there,
        and CHAP has nothing that makes it ask again.
        """
        due = ipcp.deadline is not None and now >= ipcp.deadline
        if due and not self._ipcp_heard and self._authenticator is not None:
            self._authenticator.repeat()
        ipcp.advance(now)

    def _ipcp_changed(self, state: State, now: float) -> None:
        if state is State.CLOSED:
            self.close((self._ipcp.failure if self._ipcp else "") or "IPCP closed", now)
        elif not self._network_up:
            self._network_up = True
            self._setup_deadline = None
            self._emit(NetworkUp(min(self._settings.mtu, self.lcp.peer.mru)))

    # The end.

    def _terminate(self, cause: str) -> None:
        self._cause = cause
        self.phase = Phase.TERMINATE
        self._authenticator = self._pending = self._ipcp = None
        self._start_deadline = self._setup_deadline = self._echo_deadline = None
        self._waiting.clear()

    def _finish(self, cause: str, *, silent: bool = False) -> None:
        if self.phase is Phase.DEAD:
            return
        self._terminate(cause)
        self.phase = Phase.DEAD
        if self.lcp.remedy:
            self._emit(AuthenticationFailed("", self.lcp.failure, self.lcp.remedy))
        self._emit(Finished(cause, silent))

    def _send(self, protocol: Protocol, packet: bytes) -> None:
        self._emit(FrameOut(protocol.to_bytes(2) + packet))
