"""Secrets that do not show themselves."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A preshared key or a password. Printing it, formatting it or logging it shows none of it."""

    __slots__ = ("_value",)

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The secret itself; text is in UTF-8."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: no copy of it leaves the process by accident."""
        raise TypeError("a Secret is not to be pickled")
