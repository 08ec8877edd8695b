"""``python -m interop.matrix.play OUTPUT CELL...``: plays cells of one position.

To be run in the lab's kernel. CELL is ``CLIENT:AUTH``. The results go to ``OUTPUT/results.json``,
and what tells why to a folder for each cell beside it.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from interop.capture import Capture
from interop.errors import LabError
from interop.matrix.clients import ROWS, MatrixClient, Row
from interop.matrix.credentials import SECTION, gateway_files
from interop.matrix.life import IMPATIENT, STEPS, Lives
from interop.matrix.positions import POSITIONS, Position
from interop.matrix.results import Cell, Result, Step, Verdict, to_json, unfinished
from interop.scenarios.play import check_gone
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS

DETAIL = 600
"""Characters of a failure's text, from its end; all of it is in the cell's folder."""


class Evidence:
    """What the programs of a cell write, kept in a folder of its own."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._stage = stage
        self._begins = {log: log.stat().st_size for log in self._logs()}

    def _logs(self) -> list[Path]:
        machines = [host.directory for host in self._stage.lab.hosts.values()]
        return [log for machine in machines for log in machine.glob("*.log") if log.is_file()]

    def write(self, name: str, text: str) -> None:
        """Keep a text."""
        (self._folder / name).write_text(text)

    def collect(self, capture: Path) -> None:
        """Keep the capture, and what every log has gained; empty ones are left out."""
        for log in self._logs():
            gained = log.read_bytes()[self._begins.get(log, 0) :]
            if gained and log.name != "keeper.log":
                (self._folder / f"{log.parent.name}-{log.name}").write_bytes(gained)
        shutil.move(capture, self._folder / "internet.pcap")


def play(
    stage: Stage,
    position: Position,
    row: Row,
    auth: str,
    output: Path,
    steps: Sequence[Step] = tuple(Step),
) -> list[Result]:
    """Let the clients of a cell live; a result for each of the steps."""
    cell = Cell(row.name, auth, position.name)
    stage.lab.note(f"--- {cell}")
    evidence = Evidence(stage, output / cell.folder)
    capture = Capture(stage.lab["internet"], "east0")
    results: list[Result] = []
    clients: list[MatrixClient] = []
    try:
        results = _steps(stage, position, row, cell, clients, evidence, steps)
    finally:
        with _settled(stage):
            for client in clients:
                client.stop()
        capture.packets()
        evidence.collect(capture.path)
    return results + unfinished(cell, steps[len(results) :])


def _steps(
    stage: Stage,
    position: Position,
    row: Row,
    cell: Cell,
    clients: list[MatrixClient],
    evidence: Evidence,
    steps: Sequence[Step],
) -> list[Result]:
    lives = Lives(stage, clients)
    results: list[Result] = []
    for step in steps:
        unable = row.unable.get(step, "")
        if position.nat and row.unable_behind_nat:
            unable = row.unable_behind_nat
        if unable:
            results.append(Result(cell, step, Verdict.UNABLE, unable))
            continue
        begun = time.monotonic()
        try:
            if step is Step.CONNECT:
                for machine, user in position.callers:
                    clients.append(row.make(stage, machine, user, cell.auth))
            STEPS[step](lives)
        except (LabError, OSError) as error:
            seconds = time.monotonic() - begun
            evidence.write(f"{step}.failure", f"{type(error).__name__}: {error}\n")
            detail = f"{type(error).__name__}: {str(error)[-DETAIL:]}"
            stage.lab.note(f"{step}: FAILED: {detail}")
            results.append(Result(cell, step, Verdict.FAILED, detail, seconds))
            break
        seconds = time.monotonic() - begun
        stage.lab.note(f"{step}: {seconds:.1f} s")
        results.append(Result(cell, step, Verdict.PASSED, "", seconds))
    return results


@contextmanager
def _settled(stage: Stage) -> Iterator[None]:
    """Leave the stage as it was found, for the next cell: with a new gateway, if need be."""
    try:
        yield
        check_gone(stage)
    except LabError as error:
        stage.lab.note(f"another gateway for the next client: {error}")
        with suppress(LabError):
            stage.gateway.stop()
        stage.gateway.start()


def play_position(
    position: Position,
    cells: Sequence[tuple[Row, str]],
    output: Path,
    steps: Sequence[Step] = tuple(Step),
) -> None:
    """Play cells of one position, each client on the same machines as the one before it."""
    extra: dict[str, str] = {**IMPATIENT, "[certificate]": SECTION}
    topology = position.topology()
    if topology.gateway_address != GATEWAY_ADDRESS:
        extra["gateway"] = f'public_address = "{GATEWAY_ADDRESS}"'
    results: list[Result] = []
    directory = output / "lab" / position.name
    with Stage(topology, directory, extra=extra, files=gateway_files()) as stage:
        for row, auth in cells:
            results += play(stage, position, row, auth, output, steps)
            (output / "results.json").write_text(to_json(results, {}))


def main() -> int:
    """Run the command line; its exit status says whether the run, not its cells, went well."""
    parser = argparse.ArgumentParser(prog="python -m interop.matrix.play", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("position", choices=POSITIONS)
    parser.add_argument("cells", nargs="+", metavar="CLIENT:AUTH")
    options = parser.parse_args()
    cells = [(ROWS[name], auth) for name, auth in (cell.split(":") for cell in options.cells)]
    play_position(POSITIONS[options.position], cells, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
