"""Frozen values with secrets in them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Discreet(Struct, frozen=True):
    """A frozen struct whose repr, and so every log and every error, leaves out the octets in it."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, value) for name, value in fields if not isinstance(value, bytes)]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"
