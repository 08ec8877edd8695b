"""Bounded reading: every length check of the L2TP and PPP codecs happens here.

A ``Cursor`` never reads past its window and never moves back. A ``Layout`` is a construct whose
extent is the rest of its stream, read through a cursor: it composes with every other construct,
and costs a tenth of an interpreted ``Struct``.
"""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from construct import Construct, ConstructError, SizeofError

from l2tp.errors import ProtocolError

_U16 = struct.Struct(">H")


class Cursor:
    """A window of octets that is read from front to back.

    ``base`` is the offset of the window in ``unit``, so that errors name the place in the whole.
    """

    __slots__ = ("base", "data", "position", "unit")

    def __init__(self, data: bytes, unit: str, base: int = 0) -> None:
        self.data = data
        self.unit = unit
        self.base = base
        self.position = 0

    @property
    def remaining(self) -> int:
        """Octets not read yet."""
        return len(self.data) - self.position

    @property
    def offset(self) -> int:
        """Position of the next octet in the whole unit."""
        return self.base + self.position

    def fail(self, reason: str, *, error: int = 0) -> NoReturn:
        """Raise ProtocolError at this place."""
        raise ProtocolError(reason, self.offset, unit=self.unit, error=error)

    def take(self, count: int, what: str) -> bytes:
        """Read ``count`` octets; raises ProtocolError when the window holds fewer."""
        end = self.position + count
        if count < 0 or end > len(self.data):
            self.fail(f"{what} is cut short")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def rest(self) -> bytes:
        """Read all that is left."""
        piece = self.data[self.position :]
        self.position = len(self.data)
        return piece

    def u8(self, what: str) -> int:
        """Read one octet."""
        return self.take(1, what)[0]

    def u16(self, what: str) -> int:
        """Read two octets, network order."""
        value: int = _U16.unpack(self.take(2, what))[0]
        return value


class Layout(Construct):
    """A construct over the rest of the stream; subclasses give ``decode`` and ``encode``."""

    unit = "message"

    def decode(self, cursor: Cursor) -> Any:
        """Read one value; what stays unread is an error unless the layout says otherwise."""
        raise NotImplementedError

    def encode(self, value: Any) -> bytes:
        """Octets of ``value``."""
        raise NotImplementedError

    def _parse(self, stream: Any, context: Any, path: Any) -> Any:
        cursor = Cursor(stream.read(), self.unit)
        value = self.decode(cursor)
        if cursor.remaining:
            cursor.fail("octets are left over")
        return value

    def _build(self, obj: Any, stream: Any, context: Any, path: Any) -> Any:
        stream.write(self.encode(obj))
        return obj

    def _sizeof(self, context: Any, path: Any) -> int:
        raise SizeofError(path=path)


def parse_exactly(layout: Construct, data: bytes, unit: str, error: int = 0) -> Any:
    """Parse all of ``data``; whatever construct or struct raise becomes ProtocolError."""
    try:
        return layout.parse(data)
    except (ConstructError, struct.error):
        # Not chained: construct's texts may quote the bytes, and they may be a password.
        raise ProtocolError(f"malformed {unit}", unit=unit, error=error) from None


def printable(octets: bytes) -> str:
    """Text from a peer, fit for one line of a log: whatever could steer a terminal becomes "?"."""
    text = octets.decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "?" for character in text)
