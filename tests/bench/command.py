"""How daemons are started for a bench: ours with instruments, any on a kernel without ESP."""

import subprocess
import sys
from pathlib import Path

from interop.facilities import missing_on_host
from interop.kernel import REPOSITORY


def ikev1d(*instruments: str) -> tuple[str, ...]:
    """`tests.bench.daemon` with what it takes; arguments of the daemon itself may follow."""
    pretend = ["--pretend-esp"] if missing_on_host() else []
    # Tests are not installed.
    python = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable)
    return (*python, "-m", "tests.bench.daemon", *pretend, *instruments, "--")


def pretend_esp(directory: Path) -> Path | None:
    """A library in `directory` that lets daemons other than ours believe in ESP.

    None where the kernel has it. Raises FileNotFoundError without a C compiler.
    """
    if not missing_on_host():
        return None
    library = directory / "pretend_esp.so"
    source = Path(__file__).with_name("pretend_esp.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library
