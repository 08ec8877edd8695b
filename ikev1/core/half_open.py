"""The table of half-open Phase 1 SAs: who may be in it, and how many."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator

from ikev1.core.context import Context
from ikev1.core.ike_sa import IkeSa
from ikev1.core.waiting_room import LARGEST, First, Origin, WaitingRoom

UNDER_WAY = 64
"""Main Modes that are under way side by side in any case. Their messages wait for each other: at
100 ms of work for each, on a very slow machine, the last ends after 6 s, before its client gives up
or is taken for one that does not exist."""
PACE = 2.0
"""Seconds: as many more may be under way as have ended well in these. So it doubles and doubles as
long as the gateway has time, which it has where clients are far away or slow, and what it has begun
never takes it much longer than this."""
ANSWER_TIME = 8.0
"""Seconds that a client has for its next message before it is not counted as under way any more."""
RUSH = 0.5
"""The part of those who begin that must have answered of late for it to be a rush, not a flood."""
MEMORY = 1 / 64
"""What the last one counts in that part."""
WAITING = 5
"""First messages that may wait for each place in the table."""


class HalfOpen:
    """The Main Modes under way, and the first messages that wait for one to end.

    In a rush, as when all clients come back after a restart, no more are begun than can be finished
    within seconds, see `UNDER_WAY` and `PACE`. Were all begun, all would end late, at the same
    time, and most after their client has given up. The others wait for their turn, which costs next
    to nothing. Under way is who is expected to go on: a client that falls silent keeps nobody out
    for longer than `ANSWER_TIME`, and one whose answer we owe counts however long that takes us.

    In a flood, where most of those who begin do not answer because their addresses are forged, who
    has not answered message 2 does not count: the whole table is theirs, the oldest gives way, and
    who does exist gets through if it answers before so many others have come. All first messages
    are put by then, to be served one at a time after what clients send who have begun.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._sas: dict[Origin, IkeSa] = {}
        self._unanswered: OrderedDict[Origin, IkeSa] = OrderedDict()
        """Those whose client has not answered message 2, so that its address may be forged, the
        oldest first."""
        self._expected: OrderedDict[Origin, float] = OrderedDict()
        """When they began, for those of them that still have time."""
        self._going_on: OrderedDict[Origin, float] = OrderedDict()
        """The others that still have time, by their last message."""
        self._answered: deque[float] = deque()
        """When others have answered, not counted so far: `_answering` counts both sorts after the
        same time, or each burst of answers would look like the end of a flood."""
        self._done: deque[float] = deque()
        """When Main Modes have ended well, within `PACE`."""
        self._sources: Counter[str] = Counter()
        self._answering = 1.0
        """The part of those who began that have answered, of late."""
        self._begun: dict[Origin, bytes] = {}
        """The cookie pair of each Main Mode of late: its message 1 may come again."""
        self.waiting = WaitingRoom()

    def __iter__(self) -> Iterator[IkeSa]:
        return iter(tuple(self._sas.values()))

    def __len__(self) -> int:
        return len(self._sas)

    def is_empty(self) -> bool:
        """Whether nothing is left, no count of a source either."""
        return not (
            self._sas
            or self._unanswered
            or self._expected
            or self._going_on
            or self._sources
            or self._begun
            or self.waiting
        )

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

    # --- who may begin ---------------------------------------------------------------------------

    def may_begin(self, first: First) -> bool:
        """Whether this message 1 is served now; if not, it waits, or is dropped."""
        settings, context, path = self._context.settings, self._context, first.path
        if first.origin not in self.waiting:
            source = path.remote
            if self._sources[source] + self.waiting.of(source) >= settings.half_open_per_address:
                context.drop(path, "half-open-limit-of-address")
                return False
        large = len(first.datagram) > LARGEST
        at_once = large or not (self.waiting or self._flooded)
        if at_once and self._has_room():
            return True
        if large:
            context.drop(path, "half-open-limit")
            return False
        left = self.waiting.enter(first, WAITING * settings.half_open_limit)
        if left is not None:
            context.drop(left.path, "half-open-limit")
        return False

    def next_waiting(self) -> First | None:
        """The message 1 whose turn has come, if any."""
        return self.waiting.next(self._context.now) if self._has_room() else None

    def next_turn(self) -> float | None:
        """When `next_waiting` may have one: at once, in which case it is 0, or later."""
        if not self.waiting:
            return None
        if self._has_room():
            return 0.0
        waited_for = (self._expected, self._going_on)
        return min(next(iter(times.values())) for times in waited_for if times) + ANSWER_TIME

    def _has_room(self) -> bool:
        """Whether one more may begin."""
        now, limit = self._context.now, self._context.settings.half_open_limit
        self._count_out()
        while self._done and now - self._done[0] >= PACE:
            self._done.popleft()
        under_way = len(self._going_on) + (0 if self._flooded else len(self._expected))
        if under_way >= min(UNDER_WAY + len(self._done), limit):
            return False
        return len(self._sas) < limit or self._gives_way() is not None

    def _count_out(self) -> None:
        """Expect no more of those whose time is over, but for those that wait for us."""
        over = self._context.now - ANSWER_TIME
        while self._expected and next(iter(self._expected.values())) <= over:
            self._expected.popitem(last=False)
            self._observe(answered=False)
        while self._answered and self._answered[0] <= over:
            self._answered.popleft()
            self._observe(answered=True)
        while self._going_on and next(iter(self._going_on.values())) <= over:
            origin, _ = self._going_on.popitem(last=False)
            exchange = self._sas[origin].main_mode
            if exchange is not None and exchange.ticket is not None:
                self._going_on[origin] = self._context.now

    @property
    def _flooded(self) -> bool:
        return self._answering <= RUSH

    def _observe(self, *, answered: bool) -> None:
        self._answering += MEMORY * (answered - self._answering)

    def _gives_way(self) -> IkeSa | None:
        """Who makes room in a full table, if anybody does: silent ones first, and the oldest.

        Who is kept out repeats message 1 and gets in later, while who is pushed out repeats
        message 3, which nobody understands any more.
        """
        for origin, sa in self._unanswered.items():
            return sa if self._flooded or origin not in self._expected else None
        return next((sa for at, sa in self._sas.items() if at not in self._going_on), None)

    # --- who is there ----------------------------------------------------------------------------

    def add(self, sa: IkeSa) -> None:
        """Take in an SA whose message 1 may begin."""
        if len(self._sas) >= self._context.settings.half_open_limit:
            oldest = self._gives_way()
            if oldest is not None:
                self.forget(oldest)
                self._context.drop(oldest.path, "half-open-limit")
        origin = sa.origin
        self._context.ike_sas[sa.cookies] = sa
        self._sas[origin] = self._unanswered[origin] = sa
        self._expected[origin] = self._context.now
        self._begun[origin] = sa.cookies
        self._sources[origin[1]] += 1

    def goes_on(self, sa: IkeSa) -> None:
        """A later message of its client has come."""
        if self._unanswered.pop(sa.origin, None) is not None:
            self._expected.pop(sa.origin, None)
            self._answered.append(self._context.now)
        self._going_on[sa.origin] = self._context.now
        self._going_on.move_to_end(sa.origin)

    def leave(self, sa: IkeSa) -> None:
        """Main Mode has ended, one way or the other."""
        origin = sa.origin
        del self._sas[origin]
        self._unanswered.pop(origin, None)
        self._going_on.pop(origin, None)
        expected = self._expected.pop(origin, None) is not None
        if expected and sa.main_mode is not None and sa.main_mode.replies:
            self._observe(answered=False)
        if sa.established:
            self._done.append(self._context.now)
        source = origin[1]
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
