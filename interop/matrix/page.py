"""The matrix as a page for people: HTML, with everything about a failure one click away."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from types import MappingProxyType

from interop.matrix.absent import ABSENT
from interop.matrix.results import Cell, Result, Step, Verdict

SIGNS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASSED: "✓",
        Verdict.FAILED: "✗",
        Verdict.UNABLE: "-",
        Verdict.REFUSED: "⊘",
        Verdict.NOT_REACHED: "·",
    }
)
TITLES: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.FAILED: "What failed",
        Verdict.UNABLE: "What clients cannot do",
        Verdict.REFUSED: "What is refused by design",
    }
)
"""The lists of reasons below the table."""
LOG_TAIL = 40
"""Lines of a log that the page itself shows."""

_LEGEND = """<p>✓ passed &ensp; ✗ failed &ensp; - the client cannot &ensp; ⊘ refused by design
&ensp; · not reached</p>"""
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1c2430; }
table { border-collapse: collapse; }
th { text-align: left; font-weight: 600; padding: .2rem .6rem; }
th.position { border-left: 2px solid #9aa5b1; text-align: center; }
th.step { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 400;
          font-size: 12px; padding: .4rem .1rem; }
td { width: 1.5rem; height: 1.5rem; text-align: center; border: 1px solid #e3e7ec; }
td.first { border-left: 2px solid #9aa5b1; }
td.passed { background: #d5f0dc; color: #14602a; }
td.failed { background: #f6c6c2; color: #8a1509; }
td.unable, td.refused, td.not-reached { background: #f4f5f7; color: #67717d; }
td a { color: inherit; display: block; }
section { border-top: 1px solid #cdd4db; margin-top: 1.5rem; }
pre { background: #f4f5f7; padding: .7rem; overflow-x: auto; font-size: 12px; }
"""


def page(
    results: Sequence[Result],
    about: Mapping[str, str],
    positions: Mapping[str, str],
    clients: Mapping[str, str],
    evidence: Path,
) -> str:
    """Write the page.

    ``positions`` and ``clients`` give the names for people, in the order of the columns and rows;
    ``evidence`` is the directory in which the page will be, with a folder for each cell.
    """
    failures = [result for result in results if result.verdict is Verdict.FAILED]
    parts = [
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Interop matrix</title>",
        f"<style>{_STYLE}</style>\n<h1>Interop matrix</h1>",
        f"<p>{escape(summary(results))}</p>",
        f"<p>{escape(', '.join(f'{name} {value}' for name, value in about.items()))}</p>",
        _table(results, positions, clients),
        _LEGEND,
        *(_failure(result, evidence, positions, clients) for result in failures),
        _reasons(results, Verdict.UNABLE, clients),
        _reasons(results, Verdict.REFUSED, clients),
        _absent(),
    ]
    return "\n".join(parts) + "\n"


def summary(results: Iterable[Result]) -> str:
    """Return the counts, for people: "212 steps passed, 3 failed"."""
    verdicts = [result.verdict for result in results]
    counts = [f"{verdicts.count(Verdict.PASSED)} steps passed"]
    counts += [
        f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict if verdict in verdicts
    ][1 if Verdict.PASSED in verdicts else 0 :]
    return ", ".join(counts)


_MARKDOWN_HEAD = """# The interop matrix

Made by `make interop` and `python -m interop.matrix --report --markdown docs/matrix.md`; what is
played is in [lab.md](lab.md#the-matrix). {summary}.
Date {date}, commit {revision}, kernel {kernel}.

A field holds the number of steps that passed, of {steps}, or the one that failed; "refused" is what
the gateway refuses by design, as it should; an empty one has not been played.

"""


def markdown(
    results: Sequence[Result],
    about: Mapping[str, str],
    positions: Mapping[str, str],
    clients: Mapping[str, str],
) -> str:
    """Return the matrix as a page of the documentation: a line for each client and kind of proof.

    A field holds the number of steps that passed, or where it stopped; reasons follow.
    """
    parts = [
        _MARKDOWN_HEAD.format(
            summary=summary(results).capitalize(), steps=len(Step), **dict(about)
        ),
        _markdown_table(results, positions, clients),
        *(_markdown_reasons(results, verdict, positions, clients) for verdict in TITLES),
        "\n## What is not there\n\n",
        *(f"- {name}: {reason}\n" for name, reason in ABSENT.items()),
    ]
    return "".join(parts)


def _markdown_reasons(
    results: Iterable[Result],
    verdict: Verdict,
    positions: Mapping[str, str],
    clients: Mapping[str, str],
) -> str:
    """A list of what was said of the steps with this verdict, each thing once, and of where."""
    where: dict[tuple[str, str], dict[str, None]] = {}
    for result in results:
        if result.verdict is verdict:
            cell, said = result.cell, result.detail.splitlines()[0]
            if verdict is Verdict.FAILED:
                head = f"{clients[cell.client]}, {cell.auth}, {positions[cell.position]}"
            else:
                head = clients[cell.client]
            where.setdefault((head, said), {})[result.step.heading] = None
    if not where:
        return ""
    lines = [f"- {head}: {_which(steps)}{said}" for (head, said), steps in where.items()]
    return "\n".join([f"\n## {TITLES[verdict]}\n", *lines]) + "\n"


def _which(steps: Iterable[str]) -> str:
    """The steps that something was said of, unless it is all of them."""
    named = list(steps)
    return "" if len(named) == len(Step) else f"{', '.join(named)}: "


def _markdown_table(
    results: Sequence[Result], positions: Mapping[str, str], clients: Mapping[str, str]
) -> str:
    by_cell = _by_cell(results)
    shown = [name for name in positions if any(cell.position == name for cell in by_cell)]
    head = ["client", "proof", *(positions[name] for name in shown)]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    for client, auth in _rows(by_cell, clients):
        fields = [_field(by_cell.get(Cell(client, auth, position), {})) for position in shown]
        lines.append(f"| {' | '.join([clients[client], auth, *fields])} |")
    return "\n".join(lines) + "\n"


def _field(steps: Mapping[Step, Result]) -> str:
    if not steps:
        return ""
    failed = [step for step, result in steps.items() if result.verdict is Verdict.FAILED]
    if failed:
        return f"✗ {failed[0].heading}"
    if any(result.verdict is Verdict.REFUSED for result in steps.values()):
        return "refused"
    passed = sum(result.verdict is Verdict.PASSED for result in steps.values())
    unable = sum(result.verdict is Verdict.UNABLE for result in steps.values())
    if not passed:
        return "cannot"
    return f"✓ {passed}" + (f", {unable} not in this client" if unable else "")


def _by_cell(results: Iterable[Result]) -> dict[Cell, dict[Step, Result]]:
    by_cell: dict[Cell, dict[Step, Result]] = {}
    for result in results:
        by_cell.setdefault(result.cell, {})[result.step] = result
    return by_cell


def _rows(by_cell: Iterable[Cell], clients: Mapping[str, str]) -> list[tuple[str, str]]:
    order = list(clients)
    rows = {(cell.client, cell.auth) for cell in by_cell}
    return sorted(rows, key=lambda row: (order.index(row[0]), row[1]))


def _table(
    results: Sequence[Result], positions: Mapping[str, str], clients: Mapping[str, str]
) -> str:
    by_cell = _by_cell(results)
    shown = [name for name in positions if any(cell.position == name for cell in by_cell)]
    heads = "".join(
        f"<th class=position colspan={len(Step)}>{escape(positions[name])}" for name in shown
    )
    steps = "".join(f"<th class=step>{escape(step.heading)}" for _ in shown for step in Step)
    lines = [f"<table>\n<tr><th rowspan=2>client<th rowspan=2>proof{heads}\n<tr>{steps}"]
    for client, auth in _rows(by_cell, clients):
        squares = "".join(
            _square(by_cell.get(Cell(client, auth, position), {}).get(step), first=not index)
            for position in shown
            for index, step in enumerate(Step)
        )
        lines.append(f"<tr><th>{escape(clients[client])}<th>{escape(auth)}{squares}")
    return "\n".join([*lines, "</table>"])


def _square(result: Result | None, *, first: bool) -> str:
    if result is None:
        return f"<td class={'first' if first else 'none'}>"
    classes = f"{'first ' if first else ''}{result.verdict.replace(' ', '-')}"
    sign = SIGNS[result.verdict]
    hint = f"{result.cell}: {result.step.heading}: {result.verdict}"
    if result.verdict is Verdict.PASSED:
        hint += f" in {result.seconds:.1f} s"
    if result.verdict is Verdict.FAILED:
        sign = f'<a href="#{escape(result.anchor)}">{sign}</a>'
    return f'<td class="{classes}" title="{escape(hint)}">{sign}'


def _failure(
    result: Result, evidence: Path, positions: Mapping[str, str], clients: Mapping[str, str]
) -> str:
    cell = result.cell
    title = (
        f"{clients[cell.client]}, {cell.auth}, {positions[cell.position]}: {result.step.heading}"
    )
    folder = evidence / cell.folder
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    links = ", ".join(f'<a href="{escape(cell.folder)}/{f.name}">{f.name}</a>' for f in files)
    logs = "".join(_log(file) for file in files if file.suffix == ".log")
    return (
        f'<section id="{escape(result.anchor)}"><h2>{escape(title)}</h2>'
        f"<pre>{escape(result.detail)}</pre><p>After {result.seconds:.1f} s. {links}</p>{logs}"
        "</section>"
    )


def _log(file: Path) -> str:
    lines = file.read_text(errors="replace").splitlines()[-LOG_TAIL:]
    text = escape("\n".join(lines))
    return f"<details><summary>the end of {escape(file.name)}</summary><pre>{text}</pre></details>"


def _reasons(results: Iterable[Result], verdict: Verdict, clients: Mapping[str, str]) -> str:
    reasons = {
        (clients[result.cell.client], result.step.heading, result.detail)
        for result in results
        if result.verdict is verdict
    }
    if not reasons:
        return ""
    items = "".join(
        f"<li>{escape(client)}, {escape(step)}: {escape(reason)}"
        for client, step, reason in sorted(reasons)
    )
    return f"<section><h2>{TITLES[verdict]}</h2><ul>{items}</ul></section>"


def _absent() -> str:
    items = "".join(f"<li>{escape(name)}: {escape(why)}" for name, why in ABSENT.items())
    return f"<section><h2>What is not there</h2><ul>{items}</ul></section>"
