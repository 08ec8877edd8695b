"""Diffie-Hellman off the event loop, for the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ikev1.core.effects import ComputeDh
from ikev1.crypto.dh import DhError, DhResult, generate_and_agree


def _compute(question: ComputeDh, random: Callable[[int], bytes]) -> DhResult | DhError:
    try:
        return generate_and_agree(question.group, question.peer_public, random)
    except DhError as error:
        return error


class DhWorkers:
    """One thread for each core, but one core is left to the loop.

    GMP's groups (2, and 15 and above) leave the GIL to the loop too. OpenSSL's hold it, for 0.3 ms
    of the 0.6 that group 14 takes.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        threads = max(1, (os.cpu_count() or 1) - 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dh")

    def compute(self, question: ComputeDh, answer: Callable[[DhResult | DhError], None]) -> None:
        """Call `answer` later, from the loop; a bad public value is an answer too."""

        def done(future: asyncio.Future[DhResult | DhError]) -> None:
            if not future.cancelled():
                answer(future.result())

        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, _compute, question, self._random)
        work.add_done_callback(done)

    def close(self) -> None:
        """End the threads; what they compute is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
