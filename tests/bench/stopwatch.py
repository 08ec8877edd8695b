"""Exclusive CPU time of the parts of a running program, taken by wrapping their functions.

A wrapper reads the thread's CPU clock before and after; what a nested part takes is not the outer
one's. What the wrapper itself costs is measured beforehand and taken off.
"""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import thread_time_ns
from typing import Any

MILLISECOND = 1_000_000
CALIBRATION = 20_000
"""Calls of nothing that are timed."""


@dataclass(slots=True)
class Part:
    """What was spent on one part. Times in nanoseconds."""

    spent: int = 0
    calls: int = 0
    longest: int = 0
    """The longest call, with all that is nested in it."""
    over: int = 0
    """Calls that took longer than a millisecond, likewise."""


@dataclass(slots=True)
class Stopwatch:
    """Times functions; `watch` them before the program uses them."""

    parts: dict[str, Part] = field(default_factory=dict)
    _nested: threading.local = field(default_factory=threading.local)
    _inside: int = 0
    """Nanoseconds of a wrapper that pass between its two readings."""
    _outside: int = 0
    """Nanoseconds of a wrapper that do not, and so fall to the part around."""

    def calibrate(self) -> None:
        """Measure what the wrappers cost, in the thread that will run them."""
        self._inside = self._outside = 0
        empty = self.wrapped("calibration", lambda: None)
        begun = thread_time_ns()
        for _ in range(CALIBRATION):
            empty()
        total = (thread_time_ns() - begun) // CALIBRATION
        self._inside = self.parts.pop("calibration").spent // CALIBRATION
        self._outside = total - self._inside

    def watch(self, part: str, owner: Any, *names: str) -> None:
        """Time attributes of a module or a class under the name of a part."""
        for name in names:
            setattr(owner, name, self.wrapped(part, getattr(owner, name)))

    def wrapped(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function`, timed."""
        counts = self.parts.setdefault(part, Part())
        local = self._nested

        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            nested: list[int] = local.__dict__.setdefault("nested", [0])
            nested.append(0)
            begun = thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                took = thread_time_ns() - begun
                counts.spent += took - nested.pop() - self._inside
                counts.calls += 1
                counts.longest = max(counts.longest, took)
                counts.over += took > MILLISECOND
                nested[-1] += took + self._outside

        return timed

    def reset(self) -> None:
        """Count from zero."""
        for part in self.parts.values():
            part.spent = part.calls = part.longest = part.over = 0
