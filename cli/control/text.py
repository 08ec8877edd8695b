"""Text that may come from a peer, for people to see."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    r"""Return `text` safe to show on a terminal and in a log: it may come from a peer.

    Control and format characters (newlines, ANSI escapes, bidirectional overrides) become escapes
    such as \x1b, a backslash becomes \\, and what exceeds `limit` characters is cut with an
    ellipsis.
    """
    if len(text) <= limit and text.isprintable() and "\\" not in text:
        return text
    cut = len(text) > limit
    shown = "".join(
        char if char.isprintable() and char != "\\" else _escape(char) for char in text[:limit]
    )
    return f"{shown}…" if cut else shown


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
