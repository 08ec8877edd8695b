"""A small world of the simulation, and that a seed says all about one. See docs/simulation.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.world import Plan, simulate

ROOT = Path(__file__).resolve().parents[2]


def test_a_small_crowd_lives_and_leaves_nothing_behind() -> None:
    outcome = simulate(Plan(seed=1, clients=15, hours=0.4))
    assert outcome.dial_ins > 15
    assert outcome.steps > 5000


def test_a_seed_says_all() -> None:
    """Not even the order of sets is another, which Python draws anew for each process."""
    command = [sys.executable, "-m", "tests.simulation", "--seed=7", "--clients=4", "--hours=0.1"]
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = os.environ | {"PYTHONHASHSEED": other}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert simulate(Plan(seed=7, clients=4, hours=0.1)).digest in done.stdout
