"""An event loop whose clock jumps: everything that is due later waits in one queue, in order.

The daemon's own code runs on it, and so do the clients and the network: each callback is one step,
and a run depends on nothing but the seed. There is no I/O, and no thread.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CROWD_OF_CANCELLED = 10_000
"""Cancelled timers in the queue before they are taken out."""


class StrayError(Exception):
    """What asyncio would have written to its log: an exception that nobody awaited."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop, made by `virtual_loop`.

    `after_step` is called after each callback; what it raises ends the run.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.after_step: Callable[[], None] = lambda: None
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self._cancelled = 0
        self._failure: BaseException | None = None

    def time(self) -> float:
        """Seconds since the beginning of the run."""
        return self._now

    @property
    def waiting(self) -> int:
        """Timers in the queue, those that have been cancelled too."""
        return len(self._later)

    def run_until(self, deadline: float) -> None:
        """Do all that is due up to a moment, which is then the present."""
        asyncio._set_running_loop(self)
        try:
            while self._next(deadline):
                self._ready.popleft()._run()
                self.steps += 1
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                self.after_step()
        finally:
            asyncio._set_running_loop(None)
        self._now = max(self._now, deadline)

    def _next(self, deadline: float) -> bool:
        """Move what is due next to the front; False where that is after the deadline."""
        while not self._ready:
            if not self._later or self._later[0][0] > deadline:
                return False
            when, _, handle = heapq.heappop(self._later)
            if handle.cancelled():
                self._cancelled -= 1
                continue
            self._now = max(self._now, when)
            self._ready.append(handle)
        return True

    # --- what asyncio and the daemon ask of a loop -----------------------------------------------

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """At the end of what is due now."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """In so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """At a moment; after what was set for the same moment before."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        handle._scheduled = True  # type: ignore[attr-defined]  # so that `cancel` tells us
        self._number += 1
        heapq.heappush(self._later, (when, self._number, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._cancelled += 1
        if self._cancelled > CROWD_OF_CANCELLED and self._cancelled * 2 > len(self._later):
            self._later = [entry for entry in self._later if not entry[2].cancelled()]
            heapq.heapify(self._later)
            self._cancelled = 0

    def kill(self, is_theirs: Callable[[object], bool]) -> None:
        """End a process: its callbacks, by what they call, and all tasks: nobody else has any."""
        self._ready = deque(it for it in self._ready if not is_theirs(_callback(it)))
        for _, _, handle in self._later:
            if not handle.cancelled() and is_theirs(_callback(handle)):
                handle.cancel()
        tasks = asyncio.all_tasks(self)
        for task in sorted(tasks, key=lambda task: int(task.get_name().rpartition("-")[2])):
            task.cancel()

    def run_in_executor(
        self, executor: object, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """What a thread is to do is done at once."""
        future: asyncio.Future[T] = self.create_future()
        future.set_result(func(*args))
        return future

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None
    ) -> asyncio.Task[T]:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=name)

    def run_until_complete(self, future: Coroutine[Any, Any, T]) -> T:  # type: ignore[override]
        """Run as long as a coroutine takes."""
        task = self.create_task(future)
        while not task.done():
            before = self.steps
            self.run_until(self._later[0][0] if self._later and not self._ready else self._now)
            assert self.steps > before or self._later, "the coroutine waits for nothing"
        return task.result()

    def is_running(self) -> bool:
        """Whether a step is being done."""
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        """Never: there is nothing to close."""
        return False

    def get_debug(self) -> bool:
        """No."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """End the run: where the daemon would log an exception and go on, something is wrong."""
        error = context.get("exception")
        self._failure = error if error is not None else StrayError(context["message"])


def _callback(handle: asyncio.Handle) -> object:
    return getattr(handle, "_callback")  # noqa: B009  # asyncio shows it to nobody


def virtual_loop() -> VirtualLoop:
    """A loop at the beginning of time."""
    return VirtualLoop()  # type: ignore[abstract]  # what is missing is I/O, which nobody does
