"""What has been played so far: a folder for each cell, with its results and what tells why."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from interop.matrix.results import Cell, Result, Verdict, from_json, to_json

RESULTS = "results.json"


class Record:
    """The folders below ``directory``. A cell that is played again takes the place of its former.

    Its folder has results when it has been played to its end; a run that broke off leaves none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def begin(self, cell: Cell) -> Path:
        """Return an empty folder for a cell that is about to be played."""
        self.forget(cell)
        folder = self.directory / cell.folder
        folder.mkdir(parents=True)
        return folder

    def finish(self, cell: Cell, results: Iterable[Result], about: Mapping[str, str]) -> None:
        """Keep what came of it; ``about`` says which gateway it was, and when."""
        (self.directory / cell.folder / RESULTS).write_text(to_json(results, about))

    def played(self, cell: Cell) -> tuple[list[Result], dict[str, str]] | None:
        """Return the results of a cell with what `finish` was told; None if there are none."""
        file = self.directory / cell.folder / RESULTS
        return from_json(file.read_text()) if file.exists() else None

    def forget(self, cell: Cell) -> None:
        """Drop what is known of a cell."""
        shutil.rmtree(self.directory / cell.folder, ignore_errors=True)

    def failed(self, cell: Cell) -> bool:
        """Whether a step of the cell is known to have failed."""
        played = self.played(cell)
        return played is not None and any(r.verdict is Verdict.FAILED for r in played[0])

    def left(self, cells: Iterable[Cell], *, missing: bool, failed: bool) -> list[Cell]:
        """Return those of the cells that have not been played, those that have failed, or both."""
        return [
            cell
            for cell in cells
            if (missing and self.played(cell) is None) or (failed and self.failed(cell))
        ]
