"""What `tests.bench.load` has found, as the tables of docs/bench.md."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Level:
    """A daemon with so many sessions. Times in seconds of CPU, memory in octets."""

    sessions: int
    arrivals: int
    arrival: float
    memory: int
    rekeys: int
    rekeying: float


@dataclass(frozen=True, slots=True)
class Storm:
    """All have come back. Times in seconds; `report` is the initiator's."""

    elapsed: float
    cpu: float
    report: dict[str, Any]


@dataclass(slots=True)
class Found:
    """What was found of one daemon."""

    name: str
    main_modes: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of CPU time of each Main Mode alone, by way of proof, one for each round."""
    crowd: dict[str, Any] = field(default_factory=dict)
    """The initiator's report of clients that share addresses."""
    before: int = 0
    """Octets of memory without clients."""
    levels: list[Level] = field(default_factory=list)
    sessions: int = 0
    """What it counts itself, with the clients of the last level at rest."""
    rest: float = 0.0
    """Seconds of CPU time a minute, with the clients of the last level."""
    lost: dict[str, int] = field(default_factory=dict)
    """Of the clients before the storm, by cause."""
    storm: Storm | None = None

    def as_json(self) -> str:
        """What there is so far, on one line."""
        return json.dumps(asdict(self))


def read(lines: Iterable[str]) -> list[Found]:
    """The last of what was found of each daemon, from lines among which there may be others."""
    found: dict[str, Found] = {}
    for line in lines:
        if line.startswith("{"):
            fields = json.loads(line)
            fields["levels"] = [Level(**level) for level in fields["levels"]]
            fields["storm"] = fields["storm"] and Storm(**fields["storm"])
            found[fields["name"]] = Found(**fields)
    return list(found.values())


def tables(found: Sequence[Found]) -> str:
    """All of them, with their headings; a dash for what has not been measured."""
    names = [one.name for one in found]
    ways = list(dict.fromkeys(way for one in found for way in one.main_modes))
    most = max((level.sessions for one in found for level in one.levels), default=0)
    parts = [
        ("Main Modes alone in a second of CPU time", names, _main_modes(found, ways)),
        ("CPU time of a client that arrives, ms", names, _levels(found, _arrival)),
        ("Quick Mode rekeys in a second of CPU time", names, _levels(found, _rekeys)),
        ("Memory of a session, kB", names, _levels(found, _memory)),
        (
            f"{most} sessions at rest, and all back after a restart",
            names,
            _end(found),
        ),
    ]
    return "\n".join(f"### {title}\n\n{_table(heads, rows)}\n" for title, heads, rows in parts)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    heads = list(heads)
    lines = [f"| | {' | '.join(heads)} |", f"| --- |{' --: |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _main_modes(found: Sequence[Found], ways: Iterable[str]) -> Iterable[Sequence[str]]:
    """The median of the rounds."""
    for way in ways:
        rounds = [one.main_modes.get(way) for one in found]
        yield [way, *(f"{1 / statistics.median(it):.0f}" if it else "-" for it in rounds)]


def _levels(found: Sequence[Found], cell: Callable[[Found, int], str]) -> Iterable[Sequence[str]]:
    below = 0
    most = max((len(one.levels) for one in found), default=0)
    longest = next((one.levels for one in found if len(one.levels) == most), [])
    for number, level in enumerate(longest):
        name = f"from {below} to {level.sessions} sessions"
        yield [name, *(cell(one, number) if number < len(one.levels) else "-" for one in found)]
        below = level.sessions


def _arrival(found: Found, number: int) -> str:
    level = found.levels[number]
    return f"{1000 * level.arrival / level.arrivals:.2f}"


def _rekeys(found: Found, number: int) -> str:
    level = found.levels[number]
    return f"{level.rekeys / level.rekeying:.0f}"


def _memory(found: Found, number: int) -> str:
    level = found.levels[number]
    before = found.levels[number - 1].memory if number else found.before
    return f"{(level.memory - before) / level.arrivals / 1000:.1f}"


def _end(found: Sequence[Found]) -> Iterable[Sequence[str]]:
    def row(name: str, cell: Callable[[Found, Storm], str]) -> Sequence[str]:
        return [name, *("-" if one.storm is None else cell(one, one.storm) for one in found)]

    yield row("of a crowd behind few addresses", lambda one, _: _crowd(one.crowd))
    yield row("memory in all, MB", lambda one, _: f"{one.levels[-1].memory / 1e6:.0f}")
    yield row("sessions after a minute of rest", lambda one, _: f"{one.sessions}")
    yield row("CPU time of a minute of rest, s", lambda one, _: f"{one.rest:.2f}")
    yield row("lost before the restart", lambda one, _: _causes(one.lost))
    yield row("back in, s", lambda _, storm: f"{storm.elapsed:.0f}")
    yield row("half of them, 99 of 100 in, s", lambda _, storm: _seconds(storm.report["setup"]))
    yield row("back", lambda _, storm: f"{storm.report['connected']}")
    yield row("gave up and dialled again", lambda _, storm: _causes(storm.report["attempts"]))
    yield row("not back", lambda _, storm: _causes(storm.report["failures"]))
    yield row("CPU time of the daemon, s", lambda _, storm: f"{storm.cpu:.1f}")
    yield row("of the clients, s", lambda _, storm: f"{storm.report['initiator_cpu']:.1f}")


def _crowd(report: dict[str, Any]) -> str:
    return f"{report['connected']} of {report['clients']}" if report else "-"


def _seconds(latency: dict[str, float] | None) -> str:
    return f"{latency['p50'] / 1000:.1f}, {latency['p99'] / 1000:.1f}" if latency else "-"


def _causes(counts: dict[str, int]) -> str:
    return ", ".join(f"{cause} {count}" for cause, count in counts.items()) or "none"
