"""All benchmarks one after the other: `python -m tests.bench`, as root, about a quarter of an hour.

The tables are those of docs/bench.md. Main Mode alone needs no ESP and is measured on the host's
kernel; what needs ESP, on the host's if it has it, else in the embedded one.
"""

import os
import platform
import sys
from pathlib import Path

from interop import kernel
from interop.facilities import missing_on_host
from tests.bench import codec

HOST, ESP = False, None
"""Which kernel: the host's, or any with ESP."""

PARTS: tuple[tuple[str, bool | None, tuple[str, ...]], ...] = (
    ("Main Mode alone", HOST, ("responder",)),
    ("Main Mode alone, one client at a time", HOST, ("responder", "--concurrency", "1")),
    ("Main Mode and Quick Mode", ESP, ("responder", "--quick-modes", "1", "--count", "100")),
    ("Where it goes", HOST, ("breakdown",)),
    ("Status of thousands of clients", HOST, ("status",)),
    ("Memory of a session", ESP, ("memory",)),
    ("Memory of a session in the engine", HOST, ("memory", "--engine")),
)


def machine() -> str:
    """Describe it in a line."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in cpus if "model name" in line), "?")
    esp = "embedded" if missing_on_host() else "host's"
    return (
        f"{os.cpu_count()} cores of {model}, Linux {platform.release()}, ESP in the {esp} kernel,"
        f" Python {platform.python_version()}; load average {os.getloadavg()[0]:.1f}"
    )


def main() -> int:
    """Run them all; 1 if one failed."""
    print(machine(), flush=True)
    print(f"\n## Codec, microseconds\n\n{codec.table()}", flush=True)
    status = 0
    for title, embedded, (module, *arguments) in PARTS:
        print(f"\n## {title}\n", flush=True)
        command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
        status = kernel.run(command, embedded=embedded) or status
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
