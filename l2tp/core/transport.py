"""Reliable delivery of control messages, RFC 2661 section 5.8 and appendix A.

Messages go out as far as the peer's window and slow start allow; the oldest one that is not
acknowledged is repeated with growing pauses. What arrives is handed on in order and once.
An acknowledgement never waits for a message to ride on: some clients do nothing until it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from l2tp.wire.packet import ControlMessage

# RFC 2661 section 5.8: first repetition after 1 s, doubling up to at least 8 s, five or more times.
FIRST_RETRANSMIT = 1.0
RETRANSMIT_CAP = 8.0
MAX_RETRANSMITS = 6
# How long a peer may go on repeating a message that we have acknowledged: all its repetitions.
FULL_CYCLE = 31.0
# Messages that we hold ahead of a missing one; also what we advertise.
RECEIVE_WINDOW = 8
# RFC 2661 section 4.4.3: the peer's window when it does not say.
DEFAULT_PEER_WINDOW = 4
# Messages waiting for the peer's window: a peer that never acknowledges cannot make more of us.
MAX_QUEUED = 64

_MODULUS = 0x10000
_HALF = 0x8000


@dataclass(slots=True)
class _Sent:
    ns: int
    session_id: int
    payload: bytes
    at: float


class Transport:
    """One control connection's sequence numbers and timers."""

    def __init__(self, transmit: Callable[[ControlMessage], None]) -> None:
        self.peer_tunnel_id = 0
        self.peer_window = DEFAULT_PEER_WINDOW
        self.deadline: float | None = None
        self._transmit = transmit
        self._ns = 0
        self._nr = 0
        self._sent: deque[_Sent] = deque()
        self._queued: deque[tuple[int, bytes]] = deque()
        self._held: dict[int, ControlMessage] = {}
        self._retransmits = 0
        self._window = 1
        self._threshold = DEFAULT_PEER_WINDOW
        self._growth = 0
        self._acknowledge_due = False

    @property
    def is_idle(self) -> bool:
        """Whether everything sent has been acknowledged."""
        return not self._sent and not self._queued

    @property
    def oldest_unacknowledged(self) -> float | None:
        """When the message that waits longest was first sent, or ``start_over`` called for it."""
        return self._sent[0].at if self._sent else None

    @property
    def awaited(self) -> tuple[int, int]:
        """The Ns that the peer waits for, as far as we know, and the one that we wait for."""
        return (self._sent[0].ns if self._sent else self._ns), self._nr

    def open_window(self, size: int | None) -> None:
        """Take the peer's Receive Window Size AVP; None when it sent none."""
        self.peer_window = max(1, DEFAULT_PEER_WINDOW if size is None else size)
        self._threshold = self.peer_window

    def send(self, session_id: int, payload: bytes, now: float) -> None:
        """Send a message reliably to the peer's ``session_id`` (0 for the tunnel itself)."""
        if len(self._queued) < MAX_QUEUED:
            self._queued.append((session_id, payload))
        self._fill_window(now)

    def send_last(self, payload: bytes, now: float) -> None:
        """Send a StopCCN at once: nothing that waits matters now, nor does the peer's window."""
        self._queued.clear()
        self._put_new(0, payload, now)

    def receive(self, message: ControlMessage, now: float) -> list[ControlMessage]:
        """Take a control message; returns those that are now due to be handled."""
        self._acknowledged(message.nr, now)
        if not message.payload:
            return []
        self._acknowledge_due = True
        if (message.ns - self._nr) % _MODULUS < RECEIVE_WINDOW:
            self._held.setdefault(message.ns, message)
        due = []
        while self._nr in self._held:
            due.append(self._held.pop(self._nr))
            self._nr = (self._nr + 1) % _MODULUS
        return due

    def acknowledge(self) -> None:
        """Send a ZLB for what was received, unless a message that went out has said it."""
        if self._acknowledge_due:
            self._put(self._ns, 0, b"")

    def advance(self, now: float) -> bool:
        """Repeat what is due; True once the peer has been given up."""
        if self.deadline is None or now < self.deadline:
            return False
        if self._retransmits >= MAX_RETRANSMITS:
            self.deadline = None
            return True
        self._retransmits += 1
        self._threshold = max(1, self._window // 2)
        self._window = 1
        self._growth = 0
        oldest = self._sent[0]
        self._put(oldest.ns, oldest.session_id, oldest.payload)
        self._arm(now)
        return False

    def start_over(self, now: float, pause: float) -> None:
        """Go on repeating after all, with the full count again, after a pause."""
        self._retransmits = 0
        if self._sent:
            self._sent[0].at = now
            self.deadline = now + pause

    def _acknowledged(self, nr: int, now: float) -> None:
        if (self._ns - nr) % _MODULUS > len(self._sent):
            return  # neither new nor something we sent
        progress = False
        while self._sent and (self._sent[0].ns - nr) % _MODULUS >= _HALF:
            self._sent.popleft()
            self._grow()
            progress = True
        if progress:
            self._retransmits = 0
            self._arm(now)
            self._fill_window(now)

    def _grow(self) -> None:
        """Slow start up to the threshold, then one more for each full window."""
        if self._window < self._threshold:
            self._window += 1
            return
        self._growth += 1
        if self._growth >= self._window:
            self._growth = 0
            self._window = min(self._window + 1, self.peer_window)

    def _fill_window(self, now: float) -> None:
        while self._queued and len(self._sent) < min(self._window, self.peer_window):
            session_id, payload = self._queued.popleft()
            self._put_new(session_id, payload, now)

    def _put_new(self, session_id: int, payload: bytes, now: float) -> None:
        self._sent.append(_Sent(self._ns, session_id, payload, now))
        self._put(self._ns, session_id, payload)
        self._ns = (self._ns + 1) % _MODULUS
        if len(self._sent) == 1:
            self._arm(now)

    def _arm(self, now: float) -> None:
        pause = min(FIRST_RETRANSMIT * 2**self._retransmits, RETRANSMIT_CAP)
        self.deadline = now + pause if self._sent else None

    def _put(self, ns: int, session_id: int, payload: bytes) -> None:
        self._acknowledge_due = False
        self._transmit(ControlMessage(self.peer_tunnel_id, session_id, ns, self._nr, payload))
