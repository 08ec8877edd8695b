"""Wire layouts: construct classes that read from a bounded cursor.

Plain interpreted construct takes most of a millisecond for a usual SA payload, and what its
`compile()` makes accepts truncated input. A Layout keeps construct's face (`parse`, `build`, and a
place inside other constructs) and reads through Cursor with precompiled structs. Declarations stay
construct's: `Record(Certificate, "encoding" / Open(Int8ub, CertEncoding), "data" / Rest())`.
"""

import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from operator import attrgetter
from typing import Any, Generic, TypeVar

from construct import Adapter, Bytes, Construct, FormatField, SizeofError

from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import OpenEnum
from ikev1.wire.limits import DEFAULT_LIMITS, Limits

V = TypeVar("V")


class Layout(Construct, Generic[V]):
    """A construct given by two methods: `decode` from a cursor and `encode` to octets."""

    def decode(self, cursor: Cursor) -> V:
        """Read one value; raises ProtocolError and nothing else."""
        raise NotImplementedError

    def encode(self, value: V) -> bytes:
        """Exactly the octets `decode` makes `value` of; struct.error or ValueError if none are."""
        raise NotImplementedError

    def parse(self, data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> V:
        """Read a value that takes up all of `data`; raises ProtocolError."""
        cursor = Cursor(data, limits=limits)
        value = self.decode(cursor)
        cursor.finish()
        return value

    def build(self, value: V) -> bytes:
        """Octets of `value`; raises ValueError if a field does not fit its place."""
        try:
            return self.encode(value)
        except struct.error as error:
            msg = f"{type(value).__name__}: {error}"
            raise ValueError(msg) from error

    # What construct calls when a Layout is part of another construct.

    def _parse(self, stream: BytesIO, context: object, path: str) -> V:
        start = stream.tell()
        cursor = Cursor(stream.read())
        value = self.decode(cursor)
        stream.seek(start + cursor.position)
        return value

    def _build(self, obj: V, stream: BytesIO, context: object, path: str) -> V:
        stream.write(self.build(obj))
        return obj

    def _sizeof(self, context: object, path: str) -> int:
        raise SizeofError(path=path)


class Open(Adapter):
    """A fixed number shown as a member of an open enum."""

    def __init__(self, number: FormatField, enum: type[OpenEnum]) -> None:
        super().__init__(number)
        self.enum = enum

    def _decode(self, obj: int, context: object, path: str) -> OpenEnum:
        return self.enum(obj)

    def _encode(self, obj: int, context: object, path: str) -> int:
        return obj


class Rest(Layout[bytes]):
    """All octets left in the window, at least `minimum`."""

    def __init__(self, minimum: int = 0) -> None:
        super().__init__()
        self.minimum = minimum

    def decode(self, cursor: Cursor) -> bytes:
        """Read the rest of the window."""
        start, end = cursor.position, cursor.end
        if end - start < self.minimum:
            cursor.fail("nothing in it")
        cursor.position = end
        return cursor.data[start:end]

    def encode(self, value: bytes) -> bytes:
        """As it is."""
        return value


class Record(Layout[V]):
    """A frozen value class: fixed fields in the order of the wire, then at most one Layout.

    The fixed fields are construct's own (`Int8ub`, `Int16ub`, `Int32ub`, `Bytes(n)`, or `Open` over
    a number) and are read by one struct.
    """

    def __init__(self, value: Callable[..., V], *fields: Construct) -> None:
        super().__init__()
        self._value = value
        names = [field.name for field in fields]
        kinds = [field.subcon for field in fields]
        self._tail: Layout[Any] | None = None
        if isinstance(kinds[-1], Layout):
            self._tail = kinds.pop()
            self._tail_of = attrgetter(names.pop())
        # Most payloads are one string of octets.
        self._tail_alone = None if kinds else self._tail
        self.head = struct.Struct("!" + "".join(_format(kind) for kind in kinds))
        self._head_of = _getter(names)
        self._enums = [
            (at, kind.enum.named(), kind.enum)
            for at, kind in enumerate(kinds)
            if isinstance(kind, Open)
        ]
        self._sizes = [
            (at, kind.length) for at, kind in enumerate(kinds) if isinstance(kind, Bytes)
        ]

    def decode(self, cursor: Cursor) -> V:
        """Read the fixed fields, then the tail."""
        if self._tail_alone is not None:
            return self._value(self._tail_alone.decode(cursor))
        fields = list(cursor.unpack(self.head))
        for at, named, enum in self._enums:
            number = fields[at]
            fields[at] = named[number] if number in named else enum(number)
        if self._tail is not None:
            fields.append(self._tail.decode(cursor))
        return self._value(*fields)

    def encode(self, value: V) -> bytes:
        """Write the fixed fields, then the tail."""
        if self._tail_alone is not None:
            return self._tail_alone.encode(self._tail_of(value))
        fields = self._head_of(value)
        for at, size in self._sizes:
            # struct would cut or fill them.
            if len(fields[at]) != size:
                msg = f"{type(value).__name__}: {len(fields[at])} octets where {size} have to be"
                raise ValueError(msg)
        head = self.head.pack(*fields)
        if self._tail is None:
            return head
        return head + self._tail.encode(self._tail_of(value))

    def _sizeof(self, context: object, path: str) -> int:
        if self._tail is not None:
            raise SizeofError(path=path)
        return self.head.size


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Gives the attributes of these names, always as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _format(kind: Construct) -> str:
    """The struct code of a fixed field."""
    if isinstance(kind, Open):
        kind = kind.subcon
    if isinstance(kind, Bytes):
        return f"{kind.length}s"
    code: str = kind.fmtstr.removeprefix(">")
    return code
