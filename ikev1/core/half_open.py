"""The table of half-open Phase 1 SAs: who may be in it, and how many."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator

from ikev1.core.context import Context
from ikev1.core.effects import Path
from ikev1.core.ike_sa import IkeSa

RUSH_TIME = 8.0
"""Seconds that a client has for its message 3 in a rush, as after a restart: for us, not for the
network, as its message waits in our socket behind two thousand, at 3 ms each."""
FINISH_TIME = 10.0
"""Seconds that one has for all of Main Mode, where all have answered."""
RUSH = 0.5
"""The part of those who begin that must have answered of late for it to be a rush, not a flood."""
MEMORY = 1 / 64
"""What the last one counts in that part."""

Origin = tuple[bytes, str, int]
"""Initiator cookie and source of message 1, which has no responder cookie yet."""


class HalfOpen:
    """The Main Modes under way."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sas: dict[Origin, IkeSa] = {}
        self._unanswered: OrderedDict[Origin, IkeSa] = OrderedDict()
        """Those whose client may not have answered message 2, the oldest first."""
        self._sources: Counter[str] = Counter()
        self._answering = 1.0
        """The part of those who began that have answered, of late."""
        self._begun: dict[Origin, bytes] = {}
        """The cookie pair of each Main Mode of late: its message 1 may come again."""

    def __iter__(self) -> Iterator[IkeSa]:
        return iter(tuple(self._sas.values()))

    def __len__(self) -> int:
        return len(self._sas)

    def is_empty(self) -> bool:
        """Whether nothing is left, no count of a source either."""
        return not (self._sas or self._unanswered or self._sources or self._begun)

    def find(self, origin: Origin) -> IkeSa | None:
        """The SA that this message 1 has made."""
        return self._sas.get(origin)

    def has_begun(self, origin: Origin) -> bool:
        """Whether this message 1 has made an SA of late, be it under way or not."""
        return origin in self._begun

    def forget_beginning(self, origin: Origin, cookies: bytes) -> None:
        """Its message 1 comes no more."""
        if self._begun.get(origin) == cookies:
            del self._begun[origin]

    def room_for(self, path: Path) -> bool:
        """Whether one more fits.

        In a full table the oldest gives way whose client has not answered message 2 and so may not
        exist; where all have, the oldest of all, after `FINISH_TIME`. Where most do answer, so that
        it is no flood, the former has its time too: whoever is kept out repeats message 1 and gets
        in later, while who is pushed out repeats message 3, which nobody understands any more.
        """
        settings = self._context.settings
        if self._sources[path.remote] >= settings.half_open_per_address:
            self._context.drop(path, "half-open-limit-of-address")
            return False
        if len(self._sas) >= settings.half_open_limit:
            silent = self._oldest_unanswered()
            oldest = silent or next(iter(self._sas.values()))
            rush_time = RUSH_TIME if self._answering > RUSH else 0.0
            has_time = FINISH_TIME if silent is None else rush_time
            if self._context.now - oldest.created < has_time:
                self._context.drop(path, "half-open-limit")
                return False
            self.forget(oldest)
            self._context.drop(oldest.path, "half-open-limit")
        return True

    def add(self, sa: IkeSa) -> None:
        """Take in an SA whose message 1 has come."""
        self._context.ike_sas[sa.cookies] = sa
        self._sas[sa.origin] = self._unanswered[sa.origin] = sa
        self._begun[sa.origin] = sa.cookies
        self._sources[sa.origin[1]] += 1

    def leave(self, sa: IkeSa) -> None:
        """Main Mode has ended, one way or the other."""
        del self._sas[sa.origin]
        self._unanswered.pop(sa.origin, None)
        if sa.main_mode is not None and sa.main_mode.replies:
            answered = 0.0 if _unanswered(sa) else 1.0
            self._answering += MEMORY * (answered - self._answering)
        source = sa.origin[1]
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    def forget(self, sa: IkeSa) -> None:
        """Main Mode has failed: nothing of the SA is kept."""
        self.leave(sa)
        self._begun.pop(sa.origin, None)
        self._context.forget_cookies(sa)
        if sa.main_mode is not None:
            sa.main_mode.close()

    def _oldest_unanswered(self) -> IkeSa | None:
        """Each is looked at once after it has answered, however often this is asked."""
        while self._unanswered:
            origin, sa = next(iter(self._unanswered.items()))
            if _unanswered(sa):
                return sa
            del self._unanswered[origin]
        return None


def _unanswered(sa: IkeSa) -> bool:
    """Whether our message 2 has had no answer, so that the client's address may be forged."""
    exchange = sa.main_mode
    return exchange is not None and exchange.awaits is not None and exchange.replies == 1
