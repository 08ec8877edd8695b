"""What the matrix remembers of cells, so that a run can be taken up again."""

from pathlib import Path

from interop.matrix.record import Record
from interop.matrix.results import Cell, Result, Step, Verdict

CELL = Cell("strongswan", "psk", "no-nat")
OTHER = Cell("strongswan", "psk", "both-nat")
GREEN = Cell("libreswan", "psk", "no-nat")
ABOUT = {"revision": "abc"}


def results(verdict: Verdict) -> list[Result]:
    return [Result(CELL, Step.CONNECT, verdict, "why", 1.0)]


def test_a_cell_that_was_played_is_remembered_with_what_it_was_played_on(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin(CELL)
    record.finish(CELL, results(Verdict.PASSED), ABOUT)
    assert Record(tmp_path).played(CELL) == (results(Verdict.PASSED), ABOUT)
    assert Record(tmp_path).played(OTHER) is None
    assert not record.failed(CELL)


def test_what_failed_is_told_from_what_was_not_played(tmp_path: Path) -> None:
    record = Record(tmp_path)
    for cell, verdict in ((CELL, Verdict.FAILED), (GREEN, Verdict.PASSED)):
        record.begin(cell)
        record.finish(cell, results(verdict), ABOUT)
    cells = [CELL, OTHER, GREEN]
    assert record.left(cells, missing=True, failed=False) == [OTHER]
    assert record.left(cells, missing=False, failed=True) == [CELL]
    assert record.left(cells, missing=True, failed=True) == [CELL, OTHER]


def test_a_run_that_breaks_off_leaves_its_cell_unplayed(tmp_path: Path) -> None:
    record = Record(tmp_path)
    (record.begin(CELL) / "old.log").write_text("of the former run")
    record.finish(CELL, results(Verdict.PASSED), ABOUT)
    assert list(record.begin(CELL).iterdir()) == []
    assert record.played(CELL) is None


def test_a_cell_has_a_name_for_the_command_line() -> None:
    assert Cell.named(CELL.name) == CELL
