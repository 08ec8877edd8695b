"""Public-key work off the event loop, for the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

from ikev1.core.effects import AgreeDh, ComputeDh, GenerateDh, ProveClaim, Sign, Signed, SignFailed
from ikev1.core.exchange import PublicKeyWork
from ikev1.crypto.dh import DhError, KeyPair, generate_and_agree
from ikev1.x509.claim import prove
from ikev1.x509.errors import CertificateError


def work(question: PublicKeyWork, random: Callable[[int], bytes]) -> object:
    """The answer to a question; what went wrong is one too."""
    match question:
        case ComputeDh():
            try:
                return generate_and_agree(question.group, question.peer_public, random)
            except DhError as error:
                return error
        case GenerateDh():
            return KeyPair.generate(question.group, random)
        case AgreeDh():
            try:
                return question.own.agree(question.peer_public)
            except DhError as error:
                return error
        case ProveClaim():
            try:
                return prove(question.claim, question.trusts, datetime.now(UTC))
            except CertificateError as error:
                return error
        case Sign():
            try:
                return Signed(question.key.sign(question.hash, question.proof))
            except OSError as error:
                return SignFailed(str(error))


class Workers:
    """One thread for each core, but one core is left to the loop; or so many `threads`.

    GMP's groups (2, and 15 and above) and RSA leave the GIL to the loop too. OpenSSL's groups hold
    it, for 0.3 ms of the 0.6 that group 14 takes.
    """

    def __init__(self, random: Callable[[int], bytes], threads: int | None = None) -> None:
        self._random = random
        threads = threads or max(1, (os.cpu_count() or 1) - 1)
        self.waiting = 0
        """Questions without an answer so far."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="public-key")

    def do(self, question: PublicKeyWork, answer: Callable[[object], None]) -> None:
        """Call `answer` later, from the loop."""
        loop = asyncio.get_running_loop()

        def done(future: Future[object]) -> None:  # runs in the thread
            if not future.cancelled() and not loop.is_closed():
                loop.call_soon_threadsafe(self._done, future, answer)

        self.waiting += 1
        # A future of asyncio's around this one would take as long as all of the way there and back.
        self._threads.submit(work, question, self._random).add_done_callback(done)

    def _done(self, future: Future[object], answer: Callable[[object], None]) -> None:
        self.waiting -= 1
        answer(future.result())

    def close(self) -> None:
        """End the threads; what they compute is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
