"""chap-secrets under arbitrary bytes, and written in every way of quoting."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cli.ikev1d.config import ConfigError
from cli.ikev1d.config.chap_secrets import parse

FILE = Path("chap-secrets")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def double_quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def single_quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def octal(word: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in word.encode()) or '""'


def hexadecimal(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode()) or "''"


QUOTINGS = st.sampled_from([double_quoted, single_quoted, octal, hexadecimal])
GAPS = st.sampled_from([" ", "\t", "  ", " \\\n "])


@given(st.lists(st.tuples(WORDS, QUOTINGS, GAPS), min_size=3, max_size=5))
def test_words_survive_every_quoting(parts: list[tuple[str, object, str]]) -> None:
    line = "".join(gap + quote(word) for word, quote, gap in parts)  # type: ignore[operator]
    (entry,) = parse(f"# first\n{line} # end\n".encode(), FILE)
    words = [word for word, _, _ in parts]
    assert [entry.client, entry.server] == words[:2]
    assert entry.secret.reveal() == words[2].encode()
    rest = words[3:]
    assert list(entry.addresses) == (rest[: rest.index("--")] if "--" in rest else rest)


@given(st.binary() | st.text(alphabet="ab \"'\\\n#*-x17").map(str.encode))
def test_any_bytes_are_entries_or_a_config_error(data: bytes) -> None:
    last = data.count(b"\n") + 1
    try:
        lines = [entry.place.line or 0 for entry in parse(data, FILE)]
    except ConfigError as error:
        lines = [error.place.line or 0]
    assert lines == sorted(set(lines))
    assert all(1 <= line <= last for line in lines)
