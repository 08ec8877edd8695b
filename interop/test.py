"""``python -m interop.test [FILE...]``: every test of the project, as `make test` and CI run it.

The tests without a kernel, and mypy, run on the host. The files of tests/kernel run in kernels of
their own, small ones together; the output of a run comes in one piece when it is over. One run more
goes on at once than there are processors, since clients wait at times. What measures comes last,
when nothing else runs. With FILEs only those run, in a kernel.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
KERNEL_TESTS = REPOSITORY / "tests" / "kernel"
HOST_TESTS = ("tests/arch", "tests/unit", "tests/property", "tests/simulation")
MEASUREMENTS = "tests/bench"
RUN_LIMIT = 900
"""Seconds that the tests of one kernel may take."""
TOLD = 12
"""How many of the slowest files are named at the end."""

INSTALLED_KERNEL = ("test_xfrm.py", "test_gateway_draft_00.py")
"""Files with tests of ESP behind a non-IKE marker, which Linux had until 6.9."""

TOGETHER = (
    ("test_gateway_crowd.py",),
    ("test_gateway_liveness.py", "test_gateway_certificates.py", "test_gateway_pki.py"),
    ("test_gateway_rekeys.py", "test_emulated_clients.py"),
    ("test_gateway_faults.py", "test_gateway_replacement.py"),
    ("test_matrix.py", "test_gateway_workers.py", "test_load.py"),
    ("test_gateway_fragments.py", "test_gateway_verify.py"),
    ("test_gateway_dial_in.py", "test_gateway_users.py", "test_device_lab.py"),
    ("test_gateway_nat_positions.py",),
    ("test_gateway_refusals.py", "test_gateway_restart.py", "test_gateway_cleartext.py"),
    INSTALLED_KERNEL,
    ("test_lab.py", "test_pppol2tp.py", "test_pki_tools.py"),
    ("test_shared_flow.py", "test_tun.py", "test_esp_tap.py", "test_control_permissions.py"),
)
"""Files that share a kernel, the longest runs first, so that none is left alone at the end.

To start a kernel and pytest in it takes as much as a small file. Other files run by themselves.
"""

_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")
_DURATION = re.compile(r" *([\d.]+)s (?:setup|call|teardown) +(\S+?)::")
_DURATIONS_END = re.compile(r"\(\d+ durations < |=+ slowest durations =+")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that is over, with what it wrote, less the durations of its tests."""

    status: int
    output: str
    durations: dict[str, float]
    """Seconds of each file."""

    def counts(self) -> Counter[str]:
        """The counts of pytest's closing line."""
        lines = self.output.splitlines()
        closing = next((line for line in reversed(lines) if " in " in line), "")
        return Counter({kind: int(number) for number, kind in _COUNT.findall(closing)})


def _run(*command: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    durations: dict[str, float] = defaultdict(float)
    kept = []
    for line in done.stdout.splitlines():
        if match := _DURATION.match(line):
            durations[match[2]] += float(match[1])
        elif not _DURATIONS_END.match(line):
            kept.append(line)
    return Done(done.returncode, "\n".join(kept).strip(), durations)


def _pytest(*arguments: str) -> Done:
    return _run("pytest", "--durations=0", *arguments)


def _in_kernel(files: Sequence[Path]) -> Done:
    which = ["--installed"] if any(file.name in INSTALLED_KERNEL for file in files) else []
    pytest = [sys.executable, "-m", "pytest", "--durations=0", *map(str, files)]
    return _run("interop.kernel", "--timeout", str(RUN_LIMIT), *which, "--", *pytest)


def kernel_runs(files: Sequence[Path]) -> list[list[Path]]:
    """Put files together that share a kernel, in the order in which to begin the runs."""
    by_name = {file.name: file for file in files}
    named = [[by_name.pop(name) for name in names if name in by_name] for names in TOGETHER]
    return [[file] for file in by_name.values()] + [run for run in named if run]


def main(arguments: Sequence[str]) -> int:
    """Run all tests, or those of some files; the exit status is 0 if all passed."""
    begun = time.monotonic()
    total: Counter[str] = Counter()
    durations: dict[str, float] = {}
    status = 0

    def take(name: str, done: Done) -> None:
        nonlocal status, total
        print(f"--- {name}\n{done.output}", flush=True)
        total += done.counts()
        durations.update(done.durations)
        status = status or done.status

    files = [Path(name).resolve() for name in arguments] or sorted(KERNEL_TESTS.glob("test_*.py"))
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        on_host = (
            {}
            if arguments
            else {
                "types": pool.submit(_run, "mypy"),
                "on the host": pool.submit(_pytest, *HOST_TESTS),
            }
        )
        in_kernel = {
            f"in the kernel: {', '.join(file.name for file in run)}": pool.submit(_in_kernel, run)
            for run in kernel_runs(files)
        }
        for name, run in {**on_host, **in_kernel}.items():
            take(name, run.result())
    if not arguments:
        take("measurements", _pytest(MEASUREMENTS))
    slowest = sorted(durations.items(), key=lambda item: -item[1])[:TOLD]
    told = ", ".join(f"{Path(file).name} {seconds:.0f} s" for file, seconds in slowest)
    print(f"--- the slowest files: {told}")
    print(f"--- all tests in {time.monotonic() - begun:.0f} s")
    failed = total["failed"] + total["error"] or int(status != 0)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
