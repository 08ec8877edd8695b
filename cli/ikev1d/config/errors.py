"""What is wrong with a configuration, where, and what to write instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; None where no line can be named. Printed as file:line."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        return str(self.file) if self.line is None else f"{self.file}:{self.line}"


class ConfigError(Exception):
    """The configuration cannot be used. The text never holds a secret.

    `key` is the key path, such as "ike.encryption[2]", "" where the file as a whole is meant;
    `allowed` lists what may stand there, `remedy` is what to do.
    """

    def __init__(
        self, place: Place, key: str, problem: str, *, allowed: str = "", remedy: str = ""
    ) -> None:
        self.place = place
        self.key = key
        self.problem = problem
        self.allowed = allowed
        self.remedy = remedy
        text = f"{place}: {key}: {problem}" if key else f"{place}: {problem}"
        if allowed:
            text += f"; allowed: {allowed}"
        if remedy:
            text += f"; {remedy}"
        super().__init__(text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return 'did you mean "x"?' with the nearest of `known`, or "" where none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else ""
