"""What is other today than it was when the device was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from interop.emulation.complaints import Complaint, Step
from interop.replay.deeds import deeds
from interop.replay.steps import ORDER, answers, passed
from interop.replay.transcript import Attempt


@dataclass(frozen=True, slots=True)
class Verdict:
    """`differences` are of the outcome; `answers` are the gateway's that only look different."""

    step: Step | None
    """The first at which the outcome is another."""
    differences: tuple[str, ...]
    answers: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the device fares as it did."""
        return not self.differences

    def __str__(self) -> str:
        lines = [*self.differences, *(f"other, but taken: {answer}" for answer in self.answers)]
        return "\n".join(lines) or "as recorded"


def compare(
    recorded: Attempt, today: Attempt | None, complaints: Sequence[Complaint] = ()
) -> Verdict:
    """Compare an attempt with its replay, None if nothing of that reached the gateway's engine.

    `complaints` are the replayed device's, the one that stopped it among them.
    """
    then = passed(recorded)
    now = passed(today) if today is not None else []
    differences: list[str] = []
    step: Step | None = None
    if len(now) < len(then):
        step = ORDER[len(now)]
        differences.append(f"{step}: the recorded device went on, today's does not")
    elif len(now) > len(then):
        step = ORDER[len(then)]
        differences.append(f"{step}: the recorded device stopped here, today's goes on")
    if step is None and today is not None:
        step, of_deeds = _deeds(recorded, today)
        differences += of_deeds
    if then[-1:] == [Step.UP]:
        differences += map(str, complaints)
        if step is None and complaints:
            step = complaints[0].step
    return Verdict(step, tuple(differences), tuple(_answers(recorded, today)))


def _deeds(recorded: Attempt, today: Attempt) -> tuple[Step | None, list[str]]:
    """What came of the device's deeds: the first that ended otherwise, and in words all of them.

    What today's device has done more often than the recorded one is not looked at.
    """
    first: Step | None = None
    differences: list[str] = []
    left = list(deeds(today))
    for deed in deeds(recorded):
        again = next((one for one in left if one.step == deed.step), None)
        if again is not None:
            left.remove(again)
        done = again is not None and again.done
        if done != deed.done:
            first = first or deed.step
            then, now = ("done", "not") if deed.done else ("not done", "it is")
            differences.append(f"{deed.step}: then {then}, today {now}")
    return first, differences


def _answers(recorded: Attempt, today: Attempt | None) -> list[str]:
    then = answers(recorded)
    now = answers(today) if today is not None else {}
    return [
        f"{step}: {', '.join(then[step])}; today: {', '.join(now[step])}"
        for step in ORDER
        if step in then and step in now and then[step] != now[step]
    ]
