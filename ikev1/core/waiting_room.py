"""First messages of Main Mode that wait because enough Main Modes are under way."""

from __future__ import annotations

from collections import Counter, OrderedDict

from msgspec import Struct

from ikev1.core.effects import Path
from ikev1.wire.header import Header

Origin = tuple[bytes, str, int]
"""Initiator cookie and source of message 1, which has no responder cookie yet."""

PATIENCE = 45.0
"""Seconds after which who has not repeated message 1 is not there any more: strongSwan's longest
pause is 42 s, that of the others 16 to 32."""
LARGEST = 1500
"""Octets. A larger one, which comes in fragments, does not wait; it comes again."""


class First(Struct, frozen=True):
    """A message 1, and when it came last."""

    header: Header
    datagram: bytes
    path: Path
    heard: float

    @property
    def origin(self) -> Origin:
        """Whose it is."""
        return (self.header.initiator_cookie, self.path.remote, self.path.remote_port)


class WaitingRoom:
    """Who waits for an answer to message 1: a datagram each, no SA and no timer.

    The one heard last is served first. It is the surest to be still there; those that give up and
    those that never were sink to the bottom, where they fall out. First come, first served would
    have everybody served when he has just given up, once all wait longer than they can.
    """

    def __init__(self) -> None:
        self._firsts: OrderedDict[Origin, First] = OrderedDict()
        self._sources: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._firsts)

    def __contains__(self, origin: object) -> bool:
        return origin in self._firsts

    def of(self, address: str) -> int:
        """How many wait at an address."""
        return self._sources[address]

    def enter(self, first: First, limit: int) -> First | None:
        """Wait, or go on waiting, for one heard just now; who has to leave, if over the limit."""
        origin = first.origin
        if origin not in self._firsts:
            self._sources[origin[1]] += 1
        self._firsts[origin] = first
        self._firsts.move_to_end(origin)
        if len(self._firsts) <= limit:
            return None
        return self._remove(next(iter(self._firsts)))

    def next(self, now: float) -> First | None:
        """Whose turn it is, who is then in here no more."""
        if self._firsts:
            first = self._remove(next(reversed(self._firsts)))
            if now - first.heard < PATIENCE:
                return first
            self.clear()
        return None

    def clear(self) -> None:
        """Nobody waits."""
        self._firsts.clear()
        self._sources.clear()

    def _remove(self, origin: Origin) -> First:
        source = origin[1]
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        return self._firsts.pop(origin)
