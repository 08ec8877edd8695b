"""An engine's timer: it runs at the deadline set last, whichever were set before."""

import asyncio

from cli.ikev1d.timer import Timer

FAR = 3600.0
NEAR = 0.01


async def times_of_actions(*deadlines: float | None) -> list[float]:
    """Seconds at which the action runs where deadlines are set so far from now."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ran: list[float] = []
    done = asyncio.Event()

    def action() -> None:
        ran.append(loop.time() - begun)
        done.set()

    timer = Timer(action)
    for deadline in deadlines:
        timer.set(None if deadline is None else begun + deadline)
    loop.call_at(begun + 3 * NEAR, done.set)
    await done.wait()
    timer.cancel()
    return ran


def test_runs_at_an_earlier_deadline_than_the_first() -> None:
    ran = asyncio.run(times_of_actions(FAR, NEAR))
    assert len(ran) == 1


def test_runs_no_sooner_than_a_later_deadline() -> None:
    ran = asyncio.run(times_of_actions(NEAR, 2 * NEAR))
    assert len(ran) == 1
    assert ran[0] >= 2 * NEAR - 0.001  # the loop's clock, to its resolution


def test_does_not_run_at_a_deadline_that_has_been_put_far_off() -> None:
    assert asyncio.run(times_of_actions(NEAR, FAR)) == []


def test_does_not_run_without_a_deadline() -> None:
    assert asyncio.run(times_of_actions(NEAR, None)) == []


def test_a_deadline_after_none_is_kept() -> None:
    ran = asyncio.run(times_of_actions(NEAR, None, 2 * NEAR))
    assert len(ran) == 1
