"""What is other today than it was when the device was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from interop.emulation.complaints import Complaint, Step
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
    if then[-1:] == [Step.UP]:
        differences += map(str, complaints)
        if step is None and complaints:
            step = complaints[0].step
    return Verdict(step, tuple(differences), tuple(_answers(recorded, today)))


def _answers(recorded: Attempt, today: Attempt | None) -> list[str]:
    then = answers(recorded)
    now = answers(today) if today is not None else {}
    return [
        f"{step}: {', '.join(then[step])}; today: {', '.join(now[step])}"
        for step in ORDER
        if step in then and step in now and then[step] != now[step]
    ]
