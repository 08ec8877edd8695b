"""Packs a declared netlink structure from a few of its members, by position, in one `struct` call.

Of the 45 members of an SA most are zero in all that the kernel is asked. `only` makes a
`struct.Struct` of the others out of the declaration that `xfrm.flat` decodes by, and `attribute`
one of a whole attribute. pyroute2 walks a message field by field, 210 microseconds for
XFRM_MSG_NEWSA; a test holds its octets and these to be the same.
"""

import struct
from collections.abc import Callable
from functools import partial
from itertools import groupby

from xfrm.flat import ATTRIBUTE, Fields
from xfrm.messages import xfrmmsg

PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
"""By the last two bits of a length: what fills it up to a multiple of four octets."""

NUMBERS = {name: number for number, (name, _) in enumerate(xfrmmsg.nla_map)}
"""The attributes, XFRMA_*."""


def only(fields: Fields, *names: str) -> struct.Struct:
    """The structure with these members, in the order of the wire; all others are zero, or skipped.

    Members in network order are octets, as `int.to_bytes` makes them. A name can stand for an
    embedded structure, "sel" for `sel_daddr` and all that follows; that is octets, too. Raises
    ValueError where the declaration has no such members, or not in this order.
    """
    embedded = set(names) - {name for name, _ in fields}

    def chosen(field: tuple[str, str]) -> str:
        name = field[0]
        prefix = name.partition("_")[0]
        return name if name in names else prefix if prefix in embedded else ""

    formats, found = [], []
    for name, group in groupby((field for field in fields if field[1] != "s"), chosen):
        members = [fmt for _, fmt in group]
        size = struct.calcsize("=" + "".join(fmt.lstrip(">") for fmt in members))
        if not name:
            formats.append(f"{size}x")
            continue
        found.append(name)
        octets = len(members) > 1 or members[0].startswith(">")
        formats.append(f"{size}s" if octets else members[0])
    if found != list(names):
        raise ValueError(f"{names} are not members in this order, {found} are")
    return struct.Struct("=" + "".join(formats))


def attribute(name: str, *members: str) -> Callable[..., bytes]:
    """What packs an attribute of this name, with its header, from these members."""
    structure = _headed(name, members)
    padded = struct.Struct(f"{structure.format}{-structure.size % 4}x")
    return partial(padded.pack, structure.size, NUMBERS[name])


def attribute_head(name: str, *members: str) -> Callable[..., bytes]:
    """What packs the beginning of an attribute, from the octets that follow and these members."""
    structure = _headed(name, members)

    def pack(tail: int, *values: int | bytes) -> bytes:
        return structure.pack(structure.size + tail, NUMBERS[name], *values)

    return pack


def _headed(name: str, members: tuple[str, ...]) -> struct.Struct:
    declared = getattr(xfrmmsg, dict(xfrmmsg.nla_map)[name])
    structure = only(declared.fields, *members)
    return struct.Struct(ATTRIBUTE.format + structure.format.removeprefix("="))


def find_attribute(
    message: bytes, offset: int, end: int, *wanted: int
) -> tuple[int, int, int] | None:
    """The first attribute of these numbers: its number, and where its value begins and ends."""
    while offset + ATTRIBUTE.size <= end:
        length, number = ATTRIBUTE.unpack_from(message, offset)
        if number in wanted:
            return number, offset + ATTRIBUTE.size, min(offset + length, end)
        offset += max(length + 3 & ~3, ATTRIBUTE.size)
    return None
