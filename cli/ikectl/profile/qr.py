"""A QR code for the terminal."""

from __future__ import annotations

import io

import segno

_BRIGHT_ON_BLACK = "\x1b[97;40m"
_RESET = "\x1b[0m"


def draw(url: str, *, colours: bool) -> str:
    """Return the code as lines of half blocks.

    A block is light. With `colours` it is so on a terminal with a light background, too.
    """
    out = io.StringIO()
    segno.make_qr(url).terminal(out=out, compact=True)
    lines = out.getvalue().rstrip("\n")
    if not colours:
        return lines
    return "\n".join(f"{_BRIGHT_ON_BLACK}{line}{_RESET}" for line in lines.split("\n"))
