"""``python -m interop.matrix``: plays the matrix and writes its page; `make interop`.

Cells that have been played stay until they are played again, so that a long run can be taken up
where it ended, and those that failed be played once more.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from interop.kernel import REPOSITORY
from interop.matrix import page
from interop.matrix.clients import ROWS
from interop.matrix.play import LANES
from interop.matrix.positions import POSITIONS
from interop.matrix.record import Record
from interop.matrix.results import Cell, Result, Verdict, to_json

OUTPUT = REPOSITORY / "build" / "interop"
CELL_LIMIT = 240
"""Seconds that a cell may take on average before the kernel is ended."""


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _cells(options: argparse.Namespace) -> list[Cell]:
    """The cells that are asked for, in the order of the table."""
    return [
        Cell(row.name, auth, position)
        for row in ROWS.values()
        for auth in row.auths
        for position in POSITIONS
        if row.name in (options.client or ROWS)
        and auth in (options.auth or row.auths)
        and position in (options.position or POSITIONS)
        and (not options.only or Cell(row.name, auth, position) in options.only)
    ]


def _play(
    cells: Sequence[Cell], output: Path, lanes: int, log: Path, gateway: Sequence[str]
) -> int:
    """Play cells in a kernel; its exit status."""
    limit = CELL_LIMIT * len(cells)
    command = [
        *(sys.executable, "-m", "interop.kernel", "--timeout", str(limit)),
        *("--share", str(output), "--"),
        *(sys.executable, "-m", "interop.matrix.play", "--lanes", str(lanes)),
        *(str(output), _revision(), *(cell.name for cell in cells)),
        *(("--gateway", str(Path(gateway[0]).resolve()), *gateway[1:]) if gateway else ()),
    ]
    with log.open("w") as file:
        return subprocess.run(
            command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False
        ).returncode


def _write(
    results: Sequence[Result], revisions: Sequence[str], seconds: float, output: Path
) -> dict[str, str]:
    """Write the page and the file for programs; what they say about themselves."""
    about = {
        "revision": ", ".join(dict.fromkeys(revisions)),
        "date": time.strftime("%Y-%m-%d"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "seconds": f"{seconds:.0f}",
    }
    (output / "matrix.json").write_text(to_json(results, about))
    (output / "index.html").write_text(page.page(results, about, *_titles(), output))
    return about


def _titles() -> tuple[dict[str, str], dict[str, str]]:
    positions = {position.name: position.title for position in POSITIONS.values()}
    return positions, {row.name: row.title for row in ROWS.values()}


def main() -> int:
    """Run the command line; 1 if a step failed or a cell could not be played."""
    parser = argparse.ArgumentParser(prog="python -m interop.matrix", description=__doc__)
    parser.add_argument("--client", choices=ROWS, action="append", help="this one alone")
    parser.add_argument("--auth", action="append", help="psk or certificate alone")
    parser.add_argument("--position", choices=POSITIONS, action="append", help="this one alone")
    parser.add_argument(
        "--only", type=Cell.named, nargs="+", metavar="CLIENT:AUTH:POSITION", help="these cells"
    )
    parser.add_argument("--missing", action="store_true", help="only what has not been played")
    parser.add_argument("--failed", action="store_true", help="only what has failed")
    parser.add_argument("--report", action="store_true", help="play nothing, write the page")
    parser.add_argument("--kernels", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--lanes", type=int, default=LANES, help="positions at once in a kernel")
    parser.add_argument(
        "--gateway", nargs="+", default=(), metavar="FILE", help="what Python runs as it"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--markdown", type=Path, help="write the table for the documentation here")
    options = parser.parse_args()
    output: Path = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    record = Record(output)
    chosen = _cells(options)
    cells = [] if options.report else chosen
    if options.missing or options.failed:
        cells = record.left(cells, missing=options.missing, failed=options.failed)
    for cell in cells:
        record.forget(cell)
    begun = time.monotonic()
    # Neighbours go to different kernels: they take as long as each other.
    shares = [share for k in range(options.kernels) if (share := cells[k :: options.kernels])]
    with ThreadPoolExecutor(len(shares) or 1) as pool:
        runs = [
            pool.submit(
                _play,
                share,
                output,
                options.lanes,
                output / f"kernel-{number}.log",
                options.gateway,
            )
            for number, share in enumerate(shares)
        ]
        ended = [run.result() for run in runs]
    for number, status in enumerate(ended):
        if status:
            print(f"a kernel ended with status {status}: see {output}/kernel-{number}.log")
    seconds = time.monotonic() - begun
    found = [played for cell in chosen if (played := record.played(cell)) is not None]
    results = [result for of_cell, _ in found for result in of_cell]
    about = _write(results, [about["revision"] for _, about in found], seconds, output)
    if options.markdown:
        options.markdown.write_text(page.markdown(results, about, *_titles()))
    for result in results:
        if result.verdict is Verdict.FAILED:
            print(f"FAILED {result.cell}: {result.step.heading}: {result.detail.splitlines()[0]}")
    absent = [cell for cell in chosen if record.played(cell) is None]
    if absent:
        print(f"{len(absent)} cells not played, the first of them {absent[0]}")
    print(f"{page.summary(results)}, in {seconds:.0f} s; see {output}/index.html")
    return int(bool(absent) or any(result.verdict is Verdict.FAILED for result in results))


if __name__ == "__main__":
    sys.exit(main())
