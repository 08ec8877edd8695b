"""The lines of TOML keys, for any document, against what tomllib makes of it."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cli.ikev1d.config.source import Key, Source

NASTY = st.text(alphabet="ab \"'[]{}=,.#\\\n", max_size=6)
BARE = st.text(alphabet="abZ09_-", min_size=1, max_size=3)
COMMENT = st.sampled_from(["", " ", " # note", ' # "[x] = {'])


def basic(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def long(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""'


def literal(text: str) -> str:
    return "'" + text.replace("'", "").replace("\n", "") + "'"


def long_literal(text: str) -> str:
    return "'''" + text.replace("'", "") + "'''"


KEYS = BARE | NASTY.map(basic) | NASTY.map(literal)
DOTTED = st.lists(KEYS, min_size=1, max_size=3).map(" . ".join)
SCALARS = (
    st.sampled_from(["1", "-0x1f", "3.5e2", "true", "1979-05-27 07:32:00", "inf"])
    | NASTY.map(basic)
    | NASTY.map(long)
    | NASTY.map(literal)
    | NASTY.map(long_literal)
)


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arrays = st.lists(st.tuples(inner, COMMENT), max_size=3).map(
        lambda items: "[\n" + "".join(f"{item},{comment}\n" for item, comment in items) + "]"
    )
    tables = st.lists(st.tuples(KEYS, inner), max_size=3).map(
        lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
    )
    return arrays | tables


VALUES = st.recursive(SCALARS, containers, max_leaves=6)
STATEMENTS = (
    st.tuples(DOTTED, VALUES, COMMENT).map(lambda part: f"{part[0]} = {part[1]}{part[2]}")
    | st.tuples(DOTTED, COMMENT).map(lambda part: f"[{part[0]}]{part[1]}")
    | st.tuples(DOTTED, COMMENT).map(lambda part: f"[[ {part[0]} ]]{part[1]}")
    | COMMENT
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A TOML document: of drawn statements, those that are valid after the ones before them."""
    text = ""
    for statement in draw(st.lists(STATEMENTS, max_size=8)):
        try:
            tomllib.loads(text + statement)
        except tomllib.TOMLDecodeError:
            continue
        text += f"{statement}\n"
    return text


def keys(value: Any, key: Key = ()) -> Iterator[Key]:
    if key:
        yield key
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from keys(inner, (*key, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from keys(inner, (*key, index))


@given(documents())
def test_every_key_has_a_line_and_nothing_else_has(text: str) -> None:
    assert set(Source(Path("x"), text).lines) == set(keys(tomllib.loads(text)))


@given(documents(), st.integers(min_value=0, max_value=5))
def test_lines_above_move_every_line_down(text: str, count: int) -> None:
    before = Source(Path("x"), text).lines
    after = Source(Path("x"), "# line\n" * count + text).lines
    assert after == {key: line + count for key, line in before.items()}


@given(documents())
def test_the_line_is_where_the_document_without_it_lacks_the_key(text: str) -> None:
    lines = text.split("\n")
    for key, line in Source(Path("x"), text).lines.items():
        above = "\n".join(lines[: line - 1])
        try:
            document = tomllib.loads(above)
        except tomllib.TOMLDecodeError:
            # The line is inside of a value that begins above.
            continue
        assert key not in set(keys(document))
