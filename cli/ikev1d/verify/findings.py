"""Findings by their level."""

from __future__ import annotations

from cli.control import Finding, Level


def ok(check: str, what: str) -> Finding:
    """All is well here."""
    return Finding(check=check, level=Level.OK, what=what)


def note(check: str, what: str, why: str = "", remedy: str = "") -> Finding:
    """Worth knowing; nothing needs to be done."""
    return Finding(check=check, level=Level.NOTE, what=what, why=why, remedy=remedy)


def warning(check: str, what: str, why: str, remedy: str) -> Finding:
    """Some clients fail, or something will."""
    return Finding(check=check, level=Level.WARNING, what=what, why=why, remedy=remedy)


def failure(check: str, what: str, why: str, remedy: str) -> Finding:
    """No client can work like this, or the gateway does not start."""
    return Finding(check=check, level=Level.FAILURE, what=what, why=why, remedy=remedy)
