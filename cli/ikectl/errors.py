"""What a command that works on files cannot do."""

from __future__ import annotations


class CommandError(Exception):
    """The command did nothing. The text says what is wrong, and what to do."""
