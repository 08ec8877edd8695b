"""``python -m interop.test``: every test of the project, as `make test` and CI run it.

The tests without a kernel run on the host. Those in tests/kernel run file by file, each in a kernel
of its own, two at a time; their output comes in one piece when a file is done. What measures comes
last, when nothing else runs.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KERNEL_TESTS = REPOSITORY / "tests" / "kernel"
HOST_TESTS = ("tests/arch", "tests/unit", "tests/property", "tests/simulation")
MEASUREMENTS = "tests/bench"
FILE_LIMIT = 900
"""Seconds that the tests of one file may take."""

_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")


def _pytest(*arguments: str, kernel: bool = False) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *arguments]
    if kernel:
        limit = ["--timeout", str(FILE_LIMIT), "--"]
        command = [sys.executable, "-m", "interop.kernel", *limit, *command]
    return subprocess.run(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )


def _counts(output: str) -> Counter[str]:
    """The counts of pytest's closing line."""
    closing = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    return Counter({kind: int(number) for number, kind in _COUNT.findall(closing)})


def main() -> int:
    """Run all tests; the exit status is 0 if all passed."""
    begun = time.monotonic()
    total: Counter[str] = Counter()
    status = 0

    def take(name: str, done: subprocess.CompletedProcess[str]) -> None:
        nonlocal status, total
        print(f"--- {name}\n{done.stdout.strip()}", flush=True)
        total += _counts(done.stdout)
        status = status or done.returncode

    # The longest first, so that no kernel is left with a long file alone at the end.
    files = sorted(KERNEL_TESTS.glob("test_*.py"), key=lambda file: -file.stat().st_size)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        host = pool.submit(_pytest, *HOST_TESTS)
        runs = {file: pool.submit(_pytest, str(file), kernel=True) for file in files}
        take("on the host", host.result())
        for file, run in runs.items():
            take(f"in the kernel: {file.name}", run.result())
    take("measurements", _pytest(MEASUREMENTS))
    print(f"--- all tests in {time.monotonic() - begun:.0f} s")
    failed = total["failed"] + total["error"] or int(status != 0)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
