"""Diffie-Hellman for the engine: in place where it is short, in threads where it is long."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ikev1.core.effects import ComputeDh
from ikev1.crypto.dh import Cost, DhError, DhResult, cost, generate_and_agree

Answer = Callable[[DhResult | DhError], None]


class DhWorkers:
    """Computes Diffie-Hellman, with a thread for each core but one, which is left to the loop.

    A short computation is done in place: a thread would cost a third more, and hold up the event
    loop as long, by the GIL.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        threads = max(1, (os.cpu_count() or 1) - 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dh")

    def compute(self, question: ComputeDh, answer: Answer) -> None:
        """Call `answer`, at once or later from the loop; a bad public value is an answer too."""
        if cost(question.group) is Cost.SHORT:
            answer(self._run(question))
            return

        def done(future: asyncio.Future[DhResult | DhError]) -> None:
            if not future.cancelled():
                answer(future.result())

        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._threads, self._run, question).add_done_callback(done)

    def _run(self, question: ComputeDh) -> DhResult | DhError:
        try:
            return generate_and_agree(question.group, question.peer_public, self._random)
        except DhError as error:
            return error

    def close(self) -> None:
        """End the threads; what they compute is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
