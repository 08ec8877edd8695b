"""The cursor-based layouts accept what plain interpreted construct accepts, and read the same."""

from __future__ import annotations

from typing import Any

from construct import (
    Bytes,
    Check,
    Construct,
    ConstructError,
    GreedyBytes,
    GreedyRange,
    Int8ub,
    Int16ub,
    Struct,
    Terminated,
    this,
)
from hypothesis import given
from hypothesis import strategies as st

from l2tp.errors import ProtocolError
from l2tp.wire.avp import build_avps, parse_avps
from l2tp.wire.packet import ControlMessage, parse
from l2tp.wire.ppp import build_options, parse_options, parse_packet

CONTROL = Struct(
    "flags" / Int16ub,
    Check((this.flags & 0xCA0F) == 0xC802),
    "length" / Int16ub,
    "tunnel_id" / Int16ub,
    "session_id" / Int16ub,
    "ns" / Int16ub,
    "nr" / Int16ub,
    "payload" / Bytes(this.length - 12),
    "trailing" / GreedyBytes,
)
AVPS = Struct(
    "items"
    / GreedyRange(
        Struct(
            "flags" / Int16ub,
            "vendor" / Int16ub,
            "type" / Int16ub,
            "value" / Bytes((this.flags & 0x3FF) - 6),
        )
    ),
    Terminated,
)
OPTIONS = Struct(
    "items"
    / GreedyRange(
        Struct("type" / Int8ub, "length" / Int8ub, "value" / Bytes(this.length - 2)),
    ),
    Terminated,
)
PACKET = Struct(
    "code" / Int8ub,
    "identifier" / Int8ub,
    "length" / Int16ub,
    "data" / Bytes(this.length - 4),
    "padding" / GreedyBytes,
)


def oracle(layout: Construct, octets: bytes) -> Any:
    """What plain construct makes of it, None if nothing."""
    try:
        return layout.parse(octets)
    except ConstructError:
        return None


headers = st.tuples(
    st.sampled_from([b"\xc8\x02", b"\xc9\x02", b"\xff\xf2", b"\xca\x02", b"\xc8\x03", b"\x88\x02"]),
    st.integers(0, 40).map(lambda size: size.to_bytes(2)),
    st.binary(max_size=30),
).map(b"".join)


@given(headers)
def test_control_headers(octets: bytes) -> None:
    expected = oracle(CONTROL, octets)
    try:
        message = parse(octets)
    except ProtocolError:
        assert expected is None
        return
    assert isinstance(message, ControlMessage)
    for name in ("tunnel_id", "session_id", "ns", "nr", "payload", "trailing"):
        assert getattr(message, name) == expected[name]


avp_octets = st.lists(
    st.tuples(
        st.integers(0, 14).map(lambda size: (0x8000 | size).to_bytes(2)), st.binary(max_size=10)
    ).map(b"".join),
    max_size=5,
).map(b"".join)


@given(avp_octets)
def test_avp_lists(octets: bytes) -> None:
    expected = oracle(AVPS, octets)
    try:
        avps = parse_avps(octets)
    except ProtocolError:
        assert expected is None
        return
    assert [(avp.vendor, avp.type, avp.value) for avp in avps] == [
        (item.vendor, item.type, item.value) for item in expected["items"]
    ]
    assert build_avps(avps) == octets


@given(st.lists(st.integers(0, 6), max_size=14).map(bytes) | st.binary(max_size=20))
def test_options(octets: bytes) -> None:
    expected = oracle(OPTIONS, octets)
    try:
        options = parse_options(octets)
    except ProtocolError:
        assert expected is None
        return
    assert [(option.type, option.value) for option in options] == [
        (item.type, item.value) for item in expected["items"]
    ]
    assert build_options(options) == octets


@given(st.lists(st.integers(0, 9), max_size=12).map(bytes) | st.binary(max_size=20))
def test_control_packets(octets: bytes) -> None:
    expected = oracle(PACKET, octets)
    try:
        packet = parse_packet(octets)
    except ProtocolError:
        assert expected is None
        return
    for name in ("code", "identifier", "data", "padding"):
        assert getattr(packet, name) == expected[name]
