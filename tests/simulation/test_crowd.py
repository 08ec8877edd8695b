"""The simulation as CI runs it: a minute of fixed seeds."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import run
from tests.simulation.world import Plan

THOUSANDS = Plan(seed=1, clients=2040, hours=0.01, peace=20.0)
"""All dial in within 18 seconds; a minute later they leave."""
HOURS = Plan(seed=3, clients=12, hours=2.0)
CROWD = Plan(seed=5, clients=60, hours=0.5)


def test_thousands_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    outcome, text = run(THOUSANDS)
    with capsys.disabled():
        print(f"\n{text}")
    assert outcome.peak >= 2000


def test_hours_of_a_few(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = run(HOURS)
    with capsys.disabled():
        print(f"\n{text}")


def test_a_crowd_lives_and_leaves_nothing_behind(capsys: pytest.CaptureFixture[str]) -> None:
    outcome, text = run(CROWD)
    with capsys.disabled():
        print(f"\n{text}")
    assert outcome.counts["Phase 1 renewed by the gateway"]
