"""The ISAKMP payloads once more, in plain interpreted construct.

Written from RFC 2408, RFC 2407 and RFC 3947 alone, to hold `ikev1.wire` against: same octets in,
same fields out, same octets refused. Counts are not bounded here.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from construct import (
    Bytes,
    Check,
    Computed,
    Const,
    Construct,
    ConstructError,
    FixedSized,
    FocusedSeq,
    GreedyBytes,
    GreedyRange,
    IfThenElse,
    Int8ub,
    Int16ub,
    Int32ub,
    Prefixed,
    RepeatUntil,
    Struct,
    Terminated,
    len_,
    this,
)

HEADER = Struct(
    "initiator_cookie" / Bytes(8),
    Check(lambda header: header.initiator_cookie != bytes(8)),
    "responder_cookie" / Bytes(8),
    "next_payload" / Int8ub,
    "version" / Const(0x10, Int8ub),
    "exchange_type" / Int8ub,
    Check(lambda header: header.exchange_type != 0 and not 34 <= header.exchange_type <= 44),
    "flags" / Int8ub,
    "message_id" / Int32ub,
    "length" / Int32ub,
    Check(this.length == this._params.size),
)


def _all_of(item: Construct) -> Construct:
    return FocusedSeq("items", "items" / GreedyRange(item), Terminated)


def _chain_of(item: Construct, kind: int) -> Construct:
    return FocusedSeq(
        "items",
        "items" / RepeatUntil(lambda item, items, context: item.next != kind, item),
        Terminated,
    )


ATTRIBUTE = Struct(
    "format" / Int16ub,
    "type" / Computed(this.format & 0x7FFF),
    "value" / IfThenElse(this.format >= 0x8000, Int16ub, Prefixed(Int16ub, GreedyBytes)),
)

TRANSFORM = Struct(
    "next" / Int8ub,
    Check(lambda transform: transform.next in {0, 3}),
    "reserved" / Int8ub,
    "length" / Int16ub,
    "number" / Int8ub,
    "transform_id" / Int8ub,
    "reserved2" / Int16ub,
    "attributes" / FixedSized(this.length - 8, _all_of(ATTRIBUTE)),
)

PROPOSAL = Struct(
    "next" / Int8ub,
    Check(lambda proposal: proposal.next in {0, 2}),
    "reserved" / Int8ub,
    "length" / Int16ub,
    "number" / Int8ub,
    "protocol_id" / Int8ub,
    "spi_size" / Int8ub,
    Check(
        lambda proposal: (
            proposal.spi_size in {2: {4}, 3: {4}, 4: {2, 4}}.get(proposal.protocol_id, range(17))
        )
    ),
    "count" / Int8ub,
    "spi" / Bytes(this.spi_size),
    "transforms" / FixedSized(this.length - 8 - this.spi_size, _chain_of(TRANSFORM, 3)),
    Check(len_(this.transforms) == this.count),
)

SA = Struct(
    "doi" / Int32ub,
    "situation" / IfThenElse(this.doi == 1, Int32ub, Computed(0)),
    "proposals"
    / IfThenElse(
        lambda sa: sa.doi == 1 and sa.situation == 1, _chain_of(PROPOSAL, 2), Computed(())
    ),
    "opaque" / GreedyBytes,
)

RAW = Struct("data" / GreedyBytes)

DATA = Struct("data" / GreedyBytes, Check(len_(this.data) > 0))

IDENTIFICATION = Struct(
    "id_type" / Int8ub,
    "protocol" / Int8ub,
    "port" / Int16ub,
    "data" / GreedyBytes,
    Check(
        lambda identification: (
            len(identification.data)
            in {1: {4}, 4: {8}, 7: {8}, 5: {16}, 6: {32}, 8: {32}}.get(
                identification.id_type, range(65536)
            )
        )
    ),
)

CERTIFICATE = Struct("encoding" / Int8ub, "data" / GreedyBytes, Check(len_(this.data) > 0))

CERTIFICATE_REQUEST = Struct("encoding" / Int8ub, "data" / GreedyBytes)

NOTIFICATION = Struct(
    "doi" / Int32ub,
    "protocol_id" / Int8ub,
    "spi_size" / Int8ub,
    Check(this.spi_size <= 16),
    "notify_type" / Int16ub,
    "spi" / Bytes(this.spi_size),
    "data" / GreedyBytes,
)

DELETE = Struct(
    "doi" / Int32ub,
    "protocol_id" / Int8ub,
    "spi_size" / Int8ub,
    Check(
        lambda delete: (
            delete.spi_size
            in {1: {16}, 2: {4}, 3: {4}, 4: {2, 4}}.get(delete.protocol_id, range(1, 17))
        )
    ),
    "count" / Int16ub,
    Check(this.count > 0),
    "spis" / Bytes(this.spi_size)[this.count],
    Terminated,
)

NAT_OA = Struct(
    "id_type" / Int8ub,
    "reserved" / Bytes(3),
    "address" / GreedyBytes,
    Check(lambda nat_oa: len(nat_oa.address) == {1: 4, 5: 16}.get(nat_oa.id_type)),
)

FRAGMENT = Struct(
    "fragment_id" / Int16ub,
    "number" / Int8ub,
    Check(this.number > 0),
    "flags" / Int8ub,
    "data" / GreedyBytes,
    Check(len_(this.data) > 0),
)

BODIES: dict[int, Construct] = {
    1: SA,
    4: DATA,
    5: IDENTIFICATION,
    6: CERTIFICATE,
    7: CERTIFICATE_REQUEST,
    8: DATA,
    9: DATA,
    10: DATA,
    11: NOTIFICATION,
    12: DELETE,
    13: DATA,
    15: DATA,
    16: NAT_OA,
    20: DATA,
    21: NAT_OA,
    130: DATA,
    131: NAT_OA,
    132: FRAGMENT,
}

GENERIC = Struct(
    "next" / Int8ub,
    "reserved" / Int8ub,
    "length" / Int16ub,
    Check(this.length > 4),
    "body" / Bytes(this.length - 4),
)

# What has no meaning in a chain: its end, the parts of an SA, and the payloads of version 2.
REFUSED = {0, 2, 3, *range(33, 55)}


@dataclass(frozen=True)
class Parsed:
    """A payload as plain construct reads it."""

    kind: int
    reserved: int
    body: bytes
    fields: Any


def parse_chain(first: int, data: bytes) -> tuple[list[Parsed], bytes]:
    """The payloads and what follows the last; raises ConstructError."""
    stream = BytesIO(data)
    payloads = []
    kind = first
    while kind != 0:
        if kind in REFUSED:
            msg = f"payload type {kind}"
            raise ConstructError(msg)
        generic = GENERIC.parse_stream(stream)
        fields = BODIES.get(kind, RAW).parse(generic.body)
        payloads.append(Parsed(kind, generic.reserved, generic.body, fields))
        kind = generic.next
    return payloads, stream.read()


def agrees(value: Any, fields: Any) -> bool:
    """Whether a value of `ikev1.wire` has in each of its fields what plain construct read."""
    if isinstance(value, tuple):
        return len(value) == len(fields) and all(map(agrees, value, fields))
    names = getattr(type(value), "__match_args__", None)
    if names is None:
        return bool(value == fields)
    # The number of the payload is not part of its body.
    return all(
        agrees(getattr(value, name), fields[name])
        for name in names
        if name != "type" or name in fields
    )
