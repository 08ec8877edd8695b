"""Public-key work off the event loop, for the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread

from ikev1.core.effects import AgreeDh, ComputeDh, GenerateDh, ProveClaim, Sign, Signed, SignFailed
from ikev1.core.exchange import PublicKeyWork
from ikev1.crypto.dh import DhError, KeyPair, generate_and_agree
from ikev1.x509.claim import prove
from ikev1.x509.errors import CertificateError

Answer = Callable[[object], None]


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
    it, for 0.3 ms of the 0.6 that group 14 takes. They take from a plain queue: an executor makes a
    future for each question, with locks that nobody waits at.
    """

    def __init__(self, random: Callable[[int], bytes], threads: int | None = None) -> None:
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._limit = threads or max(1, (os.cpu_count() or 1) - 1)
        self.threads: list[Thread] = []
        """As many as have been needed so far."""
        self._questions: SimpleQueue[tuple[PublicKeyWork, Answer] | None] = SimpleQueue()
        """None ends a thread."""
        self.waiting = 0
        """Questions without an answer so far."""

    def do(self, question: PublicKeyWork, answer: Answer) -> None:
        """Call `answer` later, from the loop."""
        self.waiting += 1
        self._questions.put((question, answer))
        if len(self.threads) < min(self.waiting, self._limit):
            thread = Thread(target=self._run, name=f"public-key-{len(self.threads)}")
            self.threads.append(thread)
            thread.start()

    def _run(self) -> None:
        while (asked := self._questions.get()) is not None:
            question, answer = asked
            try:
                done = partial(answer, work(question, self._random))
            except Exception as error:  # a fault of ours is the loop's to report, as any other
                done = partial(_raise, error)
            try:
                self._loop.call_soon_threadsafe(self._done, done)
            except RuntimeError:  # the loop is closed
                return

    def _done(self, done: Callable[[], None]) -> None:
        self.waiting -= 1
        done()

    def close(self) -> None:
        """End the threads; what they compute is not waited for."""
        with suppress(Empty):
            while True:
                self._questions.get_nowait()
        for _ in self.threads:
            self._questions.put(None)


def _raise(error: Exception) -> None:
    raise error
