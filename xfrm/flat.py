"""Unpacking a declared netlink structure in one `struct` call.

pyroute2 walks a message field by field, which costs 210 microseconds for the 45 fields and the
attributes of an SA. `Layout` turns the same declaration, the `fields` of a class, into one
`struct.Struct`, and `FlatMessage` decodes whole messages with it. The declaration stays the only
one: `xfrm.packing` and pyroute2's own methods read it too, and a test holds all to the same bytes.
"""

import socket
import struct
from collections.abc import Iterable
from typing import Any, ClassVar

from pyroute2.netlink import NLA_F_NESTED, NLA_F_NET_BYTEORDER, nlmsg
from pyroute2.netlink.exceptions import NetlinkDecodeError

Fields = tuple[tuple[str, str], ...]
"""(name, struct format) in wire order. Formats starting with ">" are in network order, "x" pads,
and a last format "s" takes what is left of the attribute."""

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""
ATTRIBUTE = struct.Struct("=HH")
"""struct nlattr: length, type."""
_ATTRIBUTE_TYPE = ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER)


class Layout:
    """A C structure: reads its members as a dict.

    A structure whose only member is called "value" is that value itself instead of a dict, as
    pyroute2's atomic attributes are.
    """

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        members = [(name, fmt) for name, fmt in fields if not fmt.endswith("x")]
        fixed = [(name, fmt) for name, fmt in members if fmt != "s"]
        self.tail = members[-1][0] if members and members[-1][1] == "s" else None
        self.atomic = [name for name, _ in members] == ["value"]
        self._struct = struct.Struct("=" + "".join(f.lstrip(">") for _, f in fields if f != "s"))
        self.size = self._struct.size
        self._names = tuple(name for name, _ in fixed)
        # One Struct has one byte order, so members in network order are swapped beside it.
        self._swapped = [
            (index, socket.ntohs if fmt == ">H" else socket.ntohl)
            for index, (_, fmt) in enumerate(fixed)
            if fmt.startswith(">")
        ]

    def unpack(self, data: bytes | bytearray, offset: int, end: int) -> Any:
        """Read the structure at `offset`. Raises struct.error when it does not end before `end`."""
        if offset + self.size > end:
            raise struct.error(f"{end - offset} octets of {self.size}")
        values = list(self._struct.unpack_from(data, offset))
        for index, swap in self._swapped:
            values[index] = swap(values[index])
        tail = bytes(data[offset + self.size : end]) if self.tail else None
        if self.atomic:
            return tail if self.tail else values[0]
        members = dict(zip(self._names, values, strict=True))
        if self.tail:
            members[self.tail] = tail
        return members


def zero_octets(fields: Fields) -> dict[str, bytes]:
    """Say what absent octet strings are encoded as: pyroute2's own default is the number 0."""
    return {name: b"" for name, fmt in fields if fmt.endswith("s")}


class _Attribute:
    """How one entry of an nla_map is read."""

    __slots__ = ("layout", "name", "repeated", "type")

    def __init__(self, number: int, name: str, nla_class: Any) -> None:
        self.type = number
        self.name = name
        self.layout = Layout(getattr(nla_class, "element", nla_class.fields))
        self.repeated = hasattr(nla_class, "element")

    def unpack(self, data: bytes | bytearray, offset: int, end: int) -> Any:
        if not self.repeated:
            return self.layout.unpack(data, offset, end)
        starts = range(offset, end, self.layout.size)
        return [self.layout.unpack(data, start, end) for start in starts]


class FlatMessage(nlmsg):
    """A netlink message that decodes itself through flat layouts.

    `attrs` holds (name, value) pairs, in wire order.
    """

    layout: ClassVar[Layout]
    _by_type: ClassVar[dict[int, _Attribute]]

    def __init_subclass__(cls) -> None:
        cls.layout = Layout(cls.fields)
        cls.defaults = zero_octets(cls.fields)
        attributes = [
            _Attribute(number, name, getattr(cls, kind))
            for number, (name, kind) in enumerate(cls.nla_map)
            if kind != "none"
        ]
        cls._by_type = {attribute.type: attribute for attribute in attributes}

    def __repr__(self) -> str:
        """Name the attributes but not their values: pyroute2 logs whole messages, keys included."""
        members = {name: self[name] for name in self if name not in ("header", "attrs")}
        return f"{type(self).__name__}({members}, attrs={[name for name, _ in self['attrs']]})"

    def decode(self) -> None:
        """Read the message that starts at `offset` of `data`.

        Attributes this class does not name are left out, as another kernel may add some. Raises
        NetlinkDecodeError when a length does not fit.
        """
        try:
            self._decode()
        except struct.error as error:
            raise NetlinkDecodeError(error) from error
        self.decoded = True

    def _decode(self) -> None:
        data, start = self.data, self.offset
        length, number, flags, sequence_number, pid = HEADER.unpack_from(data, start)
        self.length = length
        self["header"] = {
            "length": length,
            "type": number,
            "flags": flags,
            "sequence_number": sequence_number,
            "pid": pid,
        }
        end = min(start + length, len(data))
        offset = start + HEADER.size
        self.update(self.layout.unpack(data, offset, end))
        offset += self.layout.size + 3 & ~3
        attributes: list[tuple[str, Any]] = []
        while offset + ATTRIBUTE.size <= end:
            length, number = ATTRIBUTE.unpack_from(data, offset)
            if length < ATTRIBUTE.size or offset + length > end:
                raise struct.error(f"attribute of {length} octets in {end - offset}")
            attribute = self._by_type.get(number & _ATTRIBUTE_TYPE)
            if attribute is not None:
                value = attribute.unpack(data, offset + ATTRIBUTE.size, offset + length)
                attributes.append((attribute.name, value))
            offset += length + 3 & ~3
        self["attrs"] = attributes
