"""The reliable delivery of control messages, RFC 2661 section 5.8, as a client runs it."""

from dataclasses import dataclass, field

from interop.lac.profiles import L2tpProfile
from l2tp.wire.packet import ControlMessage, build

_MODULO = 0x10000
_HALF = 0x8000


@dataclass(slots=True)
class ControlChannel:
    """What is sent and not acknowledged, what waits for room, what came last."""

    profile: L2tpProfile
    peer_tunnel: int = 0
    ns: int = 0
    nr: int = 0
    given_up: bool = False
    resend_at: float | None = None
    _waiting: list[tuple[int, bytes]] = field(default_factory=list)
    _unacknowledged: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Session, Ns and AVPs of each."""
    _interval: float = 0.0
    _tries: int = 0

    @property
    def idle(self) -> bool:
        """Whether everything is acknowledged."""
        return not self._unacknowledged and not self._waiting

    def send(self, session: int, payload: bytes, now: float) -> list[bytes]:
        """Queue a message; what may go out at once."""
        self._waiting.append((session, payload))
        return self._push(now)

    def acknowledgement(self) -> bytes:
        """An empty message (ZLB)."""
        return self._build(0, self.ns, b"")

    def acknowledged(self, nr: int, now: float) -> list[bytes]:
        """Take a Nr; what may go out now."""
        before = len(self._unacknowledged)
        self._unacknowledged = [
            sent for sent in self._unacknowledged if (nr - sent[1] - 1) % _MODULO >= _HALF
        ]
        if len(self._unacknowledged) == before:
            return []
        self._restart(now)
        return self._push(now)

    def is_next(self, ns: int) -> bool:
        """Whether a message is the one that is expected; it then counts as received."""
        if ns != self.nr:
            return False
        self.nr = (self.nr + 1) % _MODULO
        return True

    def advance(self, now: float) -> list[bytes]:
        """Repeat what is due; sets `given_up` after the last try."""
        if self.resend_at is None or now < self.resend_at:
            return []
        schedule = self.profile.retransmission
        self._tries += 1
        if self._tries > schedule.tries:
            self.given_up = True
            self.resend_at = None
            return []
        self._interval = min(schedule.cap, self._interval * schedule.factor)
        self.resend_at = now + self._interval
        return [self._build(*sent) for sent in self._unacknowledged]

    def stop(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._unacknowledged.clear()
        self.resend_at = None

    def _push(self, now: float) -> list[bytes]:
        datagrams = []
        while self._waiting and len(self._unacknowledged) < self.profile.window:
            session, payload = self._waiting.pop(0)
            self._unacknowledged.append((session, self.ns, payload))
            datagrams.append(self._build(session, self.ns, payload))
            self.ns = (self.ns + 1) % _MODULO
        if datagrams and self.resend_at is None:
            self._restart(now)
        return datagrams

    def _restart(self, now: float) -> None:
        self._tries = 0
        self._interval = self.profile.retransmission.base
        self.resend_at = now + self._interval if self._unacknowledged else None

    def _build(self, session: int, ns: int, payload: bytes) -> bytes:
        return build(ControlMessage(self.peer_tunnel, session, ns, self.nr, payload))
