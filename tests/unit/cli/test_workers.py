"""Public-key work in threads: answers come to the event loop, faults too."""

import asyncio
import os
from typing import Any

from cli.ikev1d.workers import Workers
from ikev1.core.effects import ComputeDh, GenerateDh
from ikev1.core.exchange import PublicKeyWork
from ikev1.crypto.dh import DhError, DhResult, KeyPair
from ikev1.wire.enums import Group

NO_GROUP = 99
PEER = KeyPair.generate(Group.MODP_1024, os.urandom)


async def answers(*questions: PublicKeyWork) -> tuple[list[object], list[object]]:
    """What comes of the questions: answers, and errors that the loop has reported."""
    given: list[object] = []
    reported: list[object] = []
    all_there = asyncio.Event()

    def one_more(what: list[object], item: object) -> None:
        what.append(item)
        if len(given) + len(reported) == len(questions):
            all_there.set()

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        one_more(reported, context["exception"])

    asyncio.get_running_loop().set_exception_handler(report)
    workers = Workers(os.urandom, threads=2)
    for question in questions:
        workers.do(question, lambda answer: one_more(given, answer))
    assert workers.waiting == len(questions)
    await all_there.wait()
    assert workers.waiting == 0
    workers.close()
    return given, reported


def test_every_question_is_answered() -> None:
    questions = [ComputeDh(number, Group.MODP_1024, PEER.public) for number in range(5)]
    given, _ = asyncio.run(answers(*questions))
    for answer in given:
        assert isinstance(answer, DhResult)
        assert PEER.agree(answer.public) == answer.shared


def test_a_public_value_that_is_refused_is_an_answer() -> None:
    given, reported = asyncio.run(answers(ComputeDh(1, Group.MODP_1024, bytes(128))))
    assert (type(given[0]), reported) == (DhError, [])


def test_a_fault_is_the_loop_s_to_report_and_others_are_served() -> None:
    questions = [GenerateDh(number, NO_GROUP) for number in range(3)]
    given, reported = asyncio.run(answers(*questions, GenerateDh(3, Group.MODP_1024)))
    assert [type(error) for error in reported] == [DhError] * 3
    assert len(given) == 1


def test_closed_workers_answer_nothing_more() -> None:
    async def closed_at_once() -> int:
        workers = Workers(os.urandom, threads=1)
        given: list[object] = []
        for number in range(20):
            workers.do(GenerateDh(number, Group.MODP_4096), given.append)
        workers.close()
        (thread,) = workers.threads
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0)
        return len(given)

    assert asyncio.run(closed_at_once()) <= 1
