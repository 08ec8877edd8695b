"""Where each key of a TOML document stands.

`tomllib` tells no lines, so this module walks over the text of a document that tomllib has accepted
and notes the line of every table, key and array element. It relies on that: what it sees is valid
TOML 1.0, and it only has to find its way through strings, comments and brackets.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from cli.ikev1d.config.errors import Place

Key = tuple[str | int, ...]
"""A key path: the names of tables and keys, and the index of an array's element."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\r\n]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_KEY_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def show(key: Key) -> str:
    """Return the key path as people write it: "ike.encryption[2]"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def parse_key(text: str) -> Key:
    """Return the key path that `show` prints as `text`."""
    return tuple(int(index) if index else name for name, index in _KEY_PART.findall(text))


class Source:
    """The lines of one document."""

    def __init__(self, path: Path, text: str) -> None:
        """`text` is a document that tomllib accepts."""
        self.path = path
        self.lines: Mapping[Key, int] = _Walk(text).lines

    def place(self, key: Key) -> Place:
        """Where `key` stands; where it is absent, the nearest table around it that is there."""
        while key and key not in self.lines:
            key = key[:-1]
        return Place(self.path, self.lines.get(key))


class _Walk:
    """One pass over a document: `lines` is its result."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._line_at = 0
        self._counts: dict[Key, int] = {}
        self._document()

    def _document(self) -> None:
        table: Key = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header("[[", "]]")
            elif self._text[self._at] == "[":
                table = self._header("[", "]")
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, opening: str, closing: str) -> Key:
        line = self._here()
        self._at += len(opening)
        names = self._dotted_key()
        self._at += len(closing)
        key: Key = ()
        for name in names[:-1]:
            key = self._newest((*key, name))
            self.lines.setdefault(key, line)
        key = (*key, names[-1])
        if opening == "[[":
            self._counts[key] = self._counts.get(key, -1) + 1
            self.lines.setdefault(key, line)
            key = (*key, self._counts[key])
        self.lines.setdefault(key, line)
        return key

    def _newest(self, key: Key) -> Key:
        """A header goes through an array of tables by its newest element."""
        return (*key, self._counts[key]) if key in self._counts else key

    def _pair(self, table: Key) -> None:
        line = self._here()
        key = table
        for name in self._dotted_key():
            key = (*key, name)
            self.lines.setdefault(key, line)
        self._at += len("=")
        self._skip(_SPACE)
        self._value(key)

    def _value(self, key: Key) -> None:
        opening = self._text[self._at]
        if opening == "[":
            self._array(key)
        elif opening == "{":
            self._inline_table(key)
        elif opening in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_BARE_VALUE)

    def _array(self, key: Key) -> None:
        self._at += len("[")
        index = 0
        self._skip(_BLANK)
        while self._text[self._at] != "]":
            element = (*key, index)
            self.lines[element] = self._here()
            self._value(element)
            index += 1
            self._separator()
        self._at += len("]")

    def _inline_table(self, key: Key) -> None:
        self._at += len("{")
        self._skip(_BLANK)
        while self._text[self._at] != "}":
            self._pair(key)
            self._separator()
        self._at += len("}")

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += len(",")
            self._skip(_BLANK)

    def _dotted_key(self) -> list[str]:
        names = [self._key_name()]
        while self._text[self._at] == ".":
            self._at += len(".")
            names.append(self._key_name())
        return names

    def _key_name(self) -> str:
        """One name and the blanks on both its sides."""
        self._skip(_SPACE)
        if self._text[self._at] in "\"'":
            quoted = self._skip(_STRING)
            name = str(tomllib.loads(f"name = {quoted}")["name"])
        else:
            name = self._skip(_BARE_KEY)
        self._skip(_SPACE)
        return name

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        assert found is not None, f"not TOML at character {self._at}"
        self._at = found.end()
        return found[0]

    def _here(self) -> int:
        """The line of the current position; positions only grow, so each newline counts once."""
        self._line += self._text.count("\n", self._line_at, self._at)
        self._line_at = self._at
        return self._line
