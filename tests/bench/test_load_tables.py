"""The tables of a load: what is divided by what, and that failures are told."""

from typing import Any

from tests.bench.load_tables import Found, Level, Storm, read, tables

REPORT: dict[str, Any] = {
    "clients": 30,
    "connected": 28,
    "setup": {"p50": 1500.0, "p90": 2000.0, "p99": 12_340.0, "max": 13_000.0},
    "attempts": {"timeout": 7},
    "failures": {"refused": 2},
    "initiator_cpu": 3.25,
}


def found(name: str, factor: float) -> Found:
    return Found(
        name,
        main_modes={"preshared key": [0.004 * factor, 0.002 * factor, 0.9]},
        crowd=REPORT,
        before=30_000_000,
        levels=[
            Level(100, 100, 0.5 * factor, 31_000_000, 100, 0.2 * factor),
            Level(300, 200, 1.0, 33_000_000, 200, 0.8),
        ],
        sessions=299,
        rest=0.5,
        lost={"refused": 1},
        storm=Storm(12.6, 9.0, REPORT),
    )


def cells(name: str, page: str) -> list[str]:
    """Of the row with this name."""
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def rows(title: str, page: str) -> list[list[str]]:
    """Of the table under this heading, without its head."""
    section = page.split(f"### {title}\n")[1].split("###", maxsplit=1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


PAGE = tables([found("ikev1d", 1.0), found("charon", 2.0)])


def test_main_modes_are_the_median_of_the_rounds() -> None:
    (row,) = rows("Main Modes alone in a second of CPU time", PAGE)
    assert row == ["preshared key", "250", "125"]


def test_arrivals_and_rekeys_are_of_each_level() -> None:
    assert rows("CPU time of a client that arrives, ms", PAGE) == [
        ["from 0 to 100 sessions", "5.00", "10.00"],
        ["from 100 to 300 sessions", "5.00", "5.00"],
    ]
    assert rows("Quick Mode rekeys in a second of CPU time", PAGE)[0][1:] == ["500", "250"]


def test_memory_is_what_is_added_from_one_level_to_the_next() -> None:
    memory = rows("Memory of a session, kB", PAGE)
    assert [row[1] for row in memory] == ["10.0", "10.0"]


def test_what_failed_is_told_by_cause() -> None:
    assert cells("back", PAGE) == ["28", "28"]
    assert cells("gave up and dialled again", PAGE)[0] == "timeout 7"
    assert cells("not back", PAGE)[0] == "refused 2"
    assert cells("lost before the restart", PAGE)[0] == "refused 1"
    assert cells("of a crowd behind few addresses", PAGE)[0] == "28 of 30"
    assert cells("half of them, 99 of 100 in, s", PAGE)[0] == "1.5, 12.3"


def test_who_was_not_restarted_has_a_dash() -> None:
    spared = found("pluto", 1.0)
    spared.storm = None
    assert cells("back in, s", tables([spared])) == ["-"]


def test_the_tables_of_a_run_that_was_cut_off_have_what_there_is() -> None:
    early, late = found("ikev1d", 3.0), found("ikev1d", 1.0)
    other = Found("pluto", main_modes={"preshared key": [0.005]}, levels=late.levels[:1])
    other.storm = late.storm
    lines = ["2 cores of AMD", early.as_json(), late.as_json(), other.as_json(), "### 12:00 pluto"]
    page = tables(read(lines))
    assert rows("Main Modes alone in a second of CPU time", page) == [
        ["preshared key", "250", "200"]
    ]
    arrivals = rows("CPU time of a client that arrives, ms", page)
    assert [row[1:] for row in arrivals] == [["5.00", "5.00"], ["5.00", "-"]]
    assert cells("back", page) == ["28", "28"]
    assert cells("of a crowd behind few addresses", page) == ["28 of 30", "-"]
