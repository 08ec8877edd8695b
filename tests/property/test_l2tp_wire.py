"""L2TP codec: every value survives its bytes, every bytes either parse or raise ProtocolError."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from l2tp.errors import ProtocolError
from l2tp.wire.attributes import read_attributes
from l2tp.wire.avp import VALUES, Avp, build_avps, decode_value, make_avp, parse_avps
from l2tp.wire.enums import AvpType, MessageType
from l2tp.wire.hidden import hide, reveal
from l2tp.wire.packet import ControlMessage, DataMessage, build, parse
from tests.support.l2tp_client import APPLE, WINDOWS, L2tpClient, avp, control

u16 = st.integers(0, 0xFFFF)
octets = st.binary(max_size=64)

avps = st.builds(
    Avp,
    u16.map(AvpType),
    st.binary(max_size=40),
    mandatory=st.booleans(),
    hidden=st.booleans(),
    vendor=u16,
    reserved=st.integers(0, 15).map(lambda bits: bits << 10),
)
control_messages = st.builds(
    ControlMessage,
    u16,
    u16,
    u16,
    u16,
    octets,
    reserved=st.sampled_from([0, 0x0100, 0x2000, 0x00F0, 0x35F0]),
    trailing=octets,
)


@st.composite
def data_messages(draw: st.DrawFn) -> DataMessage:
    sequenced = draw(st.booleans())
    has_length = draw(st.booleans())
    return DataMessage(
        draw(u16),
        draw(u16),
        draw(octets),
        ns=draw(u16) if sequenced else None,
        nr=draw(u16) if sequenced else None,
        offset_pad=draw(st.none() | st.binary(max_size=8)),
        has_length=has_length,
        priority=draw(st.booleans()),
        reserved=draw(st.sampled_from([0, 0x3000, 0x0400, 0x34F0])),
        trailing=draw(octets) if has_length else b"",
    )


@given(control_messages | data_messages())
def test_messages_round_trip(message: ControlMessage | DataMessage) -> None:
    assert parse(build(message)) == message


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b"\xc8\x02\0" + tail))
def test_what_parses_rebuilds_to_the_same_bytes(datagram: bytes) -> None:
    try:
        message = parse(datagram)
    except ProtocolError:
        return
    assert build(message) == datagram


@given(st.lists(avps, max_size=8).map(tuple))
def test_avp_lists_round_trip(values: tuple[Avp, ...]) -> None:
    assert parse_avps(build_avps(values)) == values


@given(st.binary(max_size=120), st.none() | st.just(b"secret"))
def test_any_body_is_read_or_refused(body: bytes, secret: bytes | None) -> None:
    with contextlib.suppress(ProtocolError):
        values = parse_avps(body)
        assert build_avps(values) == body
        read_attributes(body, secret)


@given(
    st.sampled_from([APPLE, WINDOWS]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_mutated_sccrq_is_read_or_refused(profile: object, changes: list[tuple[int, int]]) -> None:
    client = L2tpClient(APPLE if profile is APPLE else WINDOWS, b"u", "p", bytes)
    datagram = bytearray(client.start(0.0)[0])
    for place, value in changes:
        datagram[place % len(datagram)] = value
    with contextlib.suppress(ProtocolError):
        message = parse(bytes(datagram))
        assert build(message) == datagram
        if isinstance(message, ControlMessage):
            read_attributes(message.payload)


@given(
    st.sampled_from(sorted(VALUES)),
    st.binary(max_size=300),
    st.binary(min_size=1, max_size=20),
    st.binary(max_size=40),
    st.binary(max_size=70),
)
def test_hidden_values_come_back(
    number: AvpType, value: bytes, secret: bytes, vector: bytes, padding: bytes
) -> None:
    clear = Avp(number, value)
    hidden = hide(clear, secret, vector, padding)
    assert hidden.value != value
    assert reveal(hidden, secret, vector) == clear


@given(st.binary(max_size=64), st.binary(max_size=16), st.binary(max_size=16))
def test_bogus_hidden_values_reveal_or_raise(value: bytes, secret: bytes, vector: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        clear = reveal(Avp(AvpType.HOST_NAME, value, hidden=True), secret, vector)
        assert len(clear.value) <= len(value) - 2


@given(st.sampled_from(sorted(VALUES)), st.binary(max_size=40))
def test_values_decode_or_raise(number: AvpType, value: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        decode_value(Avp(number, value))


@given(st.sampled_from(["HOST_NAME", "VENDOR_NAME"]), st.text(max_size=40))
def test_names_are_fit_for_a_log_line(name: str, text: str) -> None:
    decoded = decode_value(make_avp(AvpType[name], text))
    assert decoded.isprintable()


@given(u16, st.booleans(), u16.filter(bool), octets)
def test_vendor_avps_matter_only_with_the_m_bit(
    number: int, mandatory: bool, vendor: int, value: bytes
) -> None:
    extra = avp(number, value, flags=0x8000 if mandatory else 0, vendor=vendor)
    attributes = read_attributes(control(1, 0, 0, 0, avp(0, b"\0\x06") + extra)[12:])
    assert attributes.message_type is MessageType.HELLO
    assert (attributes.fault is not None) == mandatory
    assert attributes.vendors == [vendor]
