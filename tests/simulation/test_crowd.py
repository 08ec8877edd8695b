"""The simulation as CI runs it: a minute of a few fixed seeds, and of one that is new each day."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import report, seed_of_today
from tests.simulation.world import Plan

PLANS = (
    Plan(seed=1, clients=300, hours=0.01),
    Plan(seed=2, clients=60, hours=0.25),
    Plan(seed=3, clients=12, hours=2.0),
    Plan(seed=seed_of_today(), clients=60, hours=0.25),
)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"seed {plan.seed}")
def test_a_crowd_lives_and_leaves_nothing_behind(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    text = report(plan)
    with capsys.disabled():
        print(f"\n{text}")
