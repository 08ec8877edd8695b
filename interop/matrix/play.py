"""``python -m interop.matrix.play OUTPUT REVISION CELL...``: plays cells, CLIENT:AUTH:POSITION.

To be run in the lab's kernel. Each position has a stage of its own; several live side by side, as
most of a client's life is waiting. What came of a cell goes to `interop.matrix.record`.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from signal import SIGKILL

from interop.capture import Capture
from interop.errors import LabError
from interop.gateway import DAEMON
from interop.kernel import artefacts
from interop.matrix.clients import ROWS, MatrixClient, Row
from interop.matrix.credentials import SECTION, gateway_files
from interop.matrix.life import IMPATIENT, STEPS, Lives
from interop.matrix.positions import POSITIONS, Position
from interop.matrix.record import Record
from interop.matrix.results import Cell, Result, Step, Verdict, unfinished
from interop.netns import Host
from interop.peers.emulated import EmulatedMachine
from interop.scenarios.play import check_gone
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS
from interop.wait import until

LANES = 4
"""Positions in one kernel at once: with more, none has the processor when it needs it."""
CLEAR_LIMIT = 10.0
"""Seconds until a killed program is gone."""
DETAIL = 600
"""Characters of a failure's text, from its end; all of it is in the cell's folder."""


class RemarksError(LabError):
    """The gateway broke rules that the client is not known to mind, as others may."""


class Evidence:
    """What the programs of a cell write, kept in a folder of its own."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._folder = folder
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
    folder: Path,
    steps: Sequence[Step] = tuple(Step),
) -> list[Result]:
    """Let the clients of a cell live; a result for each of the steps."""
    cell = Cell(row.name, auth, position.name)
    stage.lab.note(f"--- {cell}")
    evidence = Evidence(stage, folder)
    capture = Capture(stage.lab["internet"], "east0")
    results: list[Result] = []
    clients: list[MatrixClient] = []
    try:
        results = _steps(stage, position, row, cell, clients, evidence, steps)
    finally:
        with _settled(stage, checked=bool(results) and results[-1].verdict is Verdict.PASSED):
            for client in clients:
                client.stop()
            _clear(stage, position)
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
        unable = row.unable_in.get(position.name, row.unable.get(step, ""))
        if unable:
            results.append(Result(cell, step, Verdict.UNABLE, unable))
            continue
        if row.refused and step is not Step.CONNECT:
            results.append(Result(cell, step, Verdict.REFUSED, row.refused))
            continue
        begun = time.monotonic()
        try:
            if row.connect is not None:
                for machine, _ in position.callers:
                    evidence.write(f"{machine}-answer.log", row.connect(stage, machine, cell.auth))
            else:
                if step is Step.CONNECT:
                    for machine, user in position.callers:
                        clients.append(row.make(stage, machine, user, cell.auth))
                STEPS[step](lives)
                _check_remarks(clients, step)
        except (LabError, OSError) as error:
            seconds = time.monotonic() - begun
            evidence.write(f"{step}.failure", f"{type(error).__name__}: {error}\n")
            detail = f"{type(error).__name__}: {str(error)[-DETAIL:]}"
            stage.lab.note(f"{step}: FAILED: {detail}")
            results.append(Result(cell, step, Verdict.FAILED, detail, seconds))
            break
        seconds = time.monotonic() - begun
        stage.lab.note(f"{step}: {seconds:.1f} s")
        verdict = Verdict.REFUSED if row.refused else Verdict.PASSED
        results.append(Result(cell, step, verdict, row.refused, seconds))
    return results


def _check_remarks(clients: Sequence[MatrixClient], step: Step) -> None:
    """See that an emulated client has nothing to remark upon, though it would not give up for it.

    While its network is down there is no end of that.
    """
    if step is Step.VANISH:
        return
    for client in clients:
        if isinstance(client, EmulatedMachine) and client.remarks:
            raise RemarksError("; ".join(str(remark) for remark in client.remarks))


def _clear(stage: Stage, position: Position) -> None:
    """End what a client has left on its machine that could not be made, or not be stopped."""
    for machine, _ in position.callers:
        host = stage.lab[machine]
        for pid, name in host.processes().items():
            stage.lab.note(f"{name} ({pid}) still runs on {machine}")
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)
        until(partial(_free, host), f"{machine} to be free", CLEAR_LIMIT)


def _free(host: Host) -> bool:
    return not host.processes()


@contextmanager
def _settled(stage: Stage, *, checked: bool) -> Iterator[None]:
    """Leave the stage as it was found, for the next cell: with a new gateway, if need be.

    The last step of a life, if it has passed, has ``checked`` that already.
    """
    try:
        yield
        if not checked:
            check_gone(stage)
    except LabError as error:
        stage.lab.note(f"another gateway for the next client: {error}")
        with suppress(LabError):
            stage.gateway.stop()
        stage.gateway.start()


def play_position(
    position: Position,
    cells: Sequence[tuple[Row, str]],
    record: Record,
    directory: Path,
    about: Mapping[str, str],
    steps: Sequence[Step] = tuple(Step),
    gateway: Sequence[str] = DAEMON,
) -> list[Result]:
    """Play cells of one position, each client on the same machines as the one before it.

    The machines' logs go below ``directory``; ``about`` is for the record. ``gateway`` is what
    Python runs as the gateway, with arguments of its own.
    """
    extra: dict[str, str] = {**IMPATIENT, "[certificate]": SECTION}
    topology = position.topology()
    if topology.gateway_address != GATEWAY_ADDRESS:
        extra["gateway"] = f'public_address = "{GATEWAY_ADDRESS}"'
    results: list[Result] = []
    with ExitStack() as open_stage:
        with _alone(directory.parent):
            stage = open_stage.enter_context(
                Stage(topology, directory, extra=extra, files=gateway_files(), program=gateway)
            )
        for row, auth in cells:
            cell = Cell(row.name, auth, position.name)
            found = play(stage, position, row, auth, record.begin(cell), steps)
            record.finish(cell, found, about)
            results += found
    return results


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep the other programs of this run from the block while one is in it.

    Stages that are all built at once get in each other's way until none is ready in time.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _lane(record: Record, revision: str, gateway: Sequence[str], cells: Sequence[Cell]) -> None:
    """Play cells of one position in a program, and in another one what it leaves if it breaks."""
    log = artefacts() / f"{cells[0].position}.log"
    command = [sys.executable, "-m", "interop.matrix.play", str(record.directory), revision]
    while cells:
        with log.open("a") as file:
            names = [cell.name for cell in cells]
            other = ["--gateway", *gateway] if gateway is not DAEMON else []
            subprocess.run(
                [*command, "--here", *names, *other],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                check=False,
            )
        left = [cell for cell in cells if record.played(cell) is None]
        for broken in left[:1]:
            detail = f"the player broke off: {log.read_text()[-DETAIL:]}"
            first = Result(broken, Step.CONNECT, Verdict.FAILED, detail)
            record.begin(broken)
            record.finish(broken, [first, *unfinished(broken, list(Step)[1:])], _about(revision))
        cells = left[1:]


def _about(revision: str) -> dict[str, str]:
    return {"revision": revision, "date": time.strftime("%Y-%m-%d")}


def main() -> int:
    """Run the command line; its exit status says whether the run, not its cells, went well."""
    parser = argparse.ArgumentParser(prog="python -m interop.matrix.play", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("revision", help="what the gateway is, for the record")
    parser.add_argument("cells", nargs="+", type=Cell.named, metavar="CLIENT:AUTH:POSITION")
    parser.add_argument("--lanes", type=int, default=LANES, help="positions at once")
    parser.add_argument("--gateway", nargs="+", default=DAEMON, help="what Python runs as it")
    parser.add_argument("--here", action="store_true", help="in this program; one position")
    options = parser.parse_args()
    record = Record(options.output)
    cells: list[Cell] = options.cells
    positions = dict.fromkeys(cell.position for cell in cells)
    if options.here:
        (name,) = positions
        rows = [(ROWS[cell.client], cell.auth) for cell in cells]
        about = _about(options.revision)
        directory = artefacts() / name
        play_position(POSITIONS[name], rows, record, directory, about, gateway=options.gateway)
        return 0
    with ThreadPoolExecutor(options.lanes) as pool:
        lanes = [
            pool.submit(
                _lane,
                record,
                options.revision,
                options.gateway,
                [cell for cell in cells if cell.position == name],
            )
            for name in positions
        ]
        for lane in lanes:
            lane.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
