"""Commands that cannot outlive us, and the signals we pass on to them."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

GRACE = 15.0
"""Seconds a signalled command has to end."""
TIMED_OUT = 124
"""Exit status after a time limit, as timeout(1) has it."""


def contained(arguments: Sequence[str], namespaces: Sequence[str] = ()) -> list[str]:
    """Prefix a command so that it, and all it starts, ends at the latest when we end.

    ``namespaces`` are options of unshare(1), beside those for a PID namespace.
    """
    prefix = "setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL"
    return [*prefix.split(), *namespaces, *arguments]


@contextmanager
def signals_to(forward: Callable[[int], None]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM to ``forward``; the second one is a KeyboardInterrupt.

    Only the main thread can catch signals: in another one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        forward(number)

    caught = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
