"""``python -m interop.matrix``: plays the matrix and writes its page; `make interop`.

Each position is played in a kernel of its own, two at a time.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interop.kernel import REPOSITORY
from interop.matrix import page
from interop.matrix.clients import ROWS, Row
from interop.matrix.positions import POSITIONS
from interop.matrix.results import Cell, Result, Step, Verdict, from_json, to_json

OUTPUT = REPOSITORY / "build" / "interop"
POSITION_LIMIT = 3600
"""Seconds that one position may take with all its clients."""


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _play(position: str, cells: Sequence[tuple[Row, str]], output: Path) -> list[Result]:
    """Play one position in a kernel; what is missing afterwards has failed with the kernel."""
    parts = output / "parts" / position
    parts.mkdir(parents=True)
    names = [f"{row.name}:{auth}" for row, auth in cells]
    command = [
        *(sys.executable, "-m", "interop.kernel", "--timeout", str(POSITION_LIMIT)),
        *("--share", str(output), "--"),
        *(sys.executable, "-m", "interop.matrix.play", str(parts), position, *names),
    ]
    with (parts / "run.log").open("w") as log:
        done = subprocess.run(
            command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    file = parts / "results.json"
    results = from_json(file.read_text())[0] if file.exists() else []
    for folder in (parts / position).glob("*"):
        (output / position).mkdir(exist_ok=True)
        folder.rename(output / position / folder.name)
    played = {(result.cell.client, result.cell.auth) for result in results}
    for row, auth in cells:
        if (row.name, auth) not in played:
            detail = f"not played: the run ended with status {done.returncode}; see {parts}/run.log"
            cell = Cell(row.name, auth, position)
            results.append(Result(cell, Step.CONNECT, Verdict.FAILED, detail))
    print(f"{position}: {page.summary(results)}", flush=True)
    return results


def main() -> int:
    """Run the command line; 1 if a step failed."""
    parser = argparse.ArgumentParser(prog="python -m interop.matrix", description=__doc__)
    parser.add_argument("--client", choices=ROWS, action="append", help="this one alone")
    parser.add_argument("--position", choices=POSITIONS, action="append", help="this one alone")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--markdown", type=Path, help="write the table for the documentation here")
    options = parser.parse_args()
    rows = [row for row in ROWS.values() if row.name in (options.client or ROWS)]
    cells = [(row, auth) for row in rows for auth in row.auths]
    output: Path = options.output.resolve()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    begun = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        runs = [
            pool.submit(_play, position, cells, output)
            for position in options.position or POSITIONS
        ]
        results = [result for run in runs for result in run.result()]
    about = {
        "revision": _revision(),
        "date": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "seconds": f"{time.monotonic() - begun:.0f}",
    }
    positions = {position.name: position.title for position in POSITIONS.values()}
    clients = {row.name: row.title for row in ROWS.values()}
    (output / "matrix.json").write_text(to_json(results, about))
    (output / "index.html").write_text(page.page(results, about, positions, clients, output))
    if options.markdown:
        options.markdown.write_text(page.markdown(results, positions, clients))
    for result in results:
        if result.verdict is Verdict.FAILED:
            print(f"FAILED {result.cell}: {result.step.heading}: {result.detail.splitlines()[0]}")
    print(f"{page.summary(results)}; see {output}/index.html")
    return int(any(result.verdict is Verdict.FAILED for result in results))


if __name__ == "__main__":
    sys.exit(main())
