"""Public-key work off the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ikev1.core.effects import ComputeDh
from ikev1.crypto.dh import DhError, DhResult, generate_and_agree


class DhWorkers:
    """Threads that compute Diffie-Hellman: one for each core, but one core is left to the loop."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        threads = max(1, (os.cpu_count() or 1) - 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dh")

    async def compute(self, question: ComputeDh) -> DhResult | DhError:
        """Answer the engine's question; a bad public value is an answer too."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads,
                generate_and_agree,
                question.group,
                question.peer_public,
                self._random,
            )
        except DhError as error:
            return error

    def close(self) -> None:
        """End the threads; what they compute is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
