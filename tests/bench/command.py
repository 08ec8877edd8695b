"""The command that starts our daemon with instruments."""

import sys

from interop.facilities import missing_on_host
from interop.kernel import REPOSITORY


def ikev1d(*instruments: str) -> tuple[str, ...]:
    """`tests.bench.daemon` with what it takes; arguments of the daemon itself may follow."""
    pretend = ["--pretend-esp"] if missing_on_host() else []
    # Tests are not installed.
    python = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable)
    return (*python, "-m", "tests.bench.daemon", *pretend, *instruments, "--")
