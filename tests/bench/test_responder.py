"""CPU time and memory of the daemon beside charon, measured as `docs/bench.md` is, but briefly."""

import json
import subprocess
import sys

from interop.kernel import REPOSITORY
from tests.bench.memory import engine_grown

ENGINE_BUDGET = 16_000
"""Octets of a session in the engine; it takes half of it."""


def rounds(suite: str) -> dict[str, list[float]]:
    """Microseconds a client by responder, one for each round."""
    command = [sys.executable, "-m", "interop.kernel", "--host", "--timeout", "300", "--"]
    command += [sys.executable, "-m", "tests.bench.responder", "--json", "--suite", suite]
    command += ["--rounds", "7", "--count", "100"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])[suite]
    return found


def ratio(mine: list[float], others: list[float]) -> float:
    """Of the rounds that the machine has disturbed least."""
    return min(mine) / min(others)


# On an idle machine the ratios are 0.5, 0.87 and 0.82; see docs/bench.md.


def test_main_mode_is_cheaper_than_charons() -> None:
    found = rounds("aes256-sha256-modp2048")
    assert ratio(found["ikev1d"], found["charon, as installed"]) < 0.8
    assert ratio(found["ikev1d"], found["charon, tuned"]) < 1.2


def test_main_mode_of_old_clients_is_not_dearer_than_charons() -> None:
    found = rounds("3des-sha1-modp1024")
    assert ratio(found["ikev1d"], found["charon, as installed"]) < 1.1


def test_engine_keeps_little_of_a_session() -> None:
    assert engine_grown(100, 600) < ENGINE_BUDGET
