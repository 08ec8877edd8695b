"""Whatever arrives, the codec gives values that rebuild to the same octets, or ProtocolError."""

import pytest
from construct import ConstructError
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType
from ikev1.wire.header import HEADER_LENGTH, Header, build_header, parse_header
from ikev1.wire.limits import Limits
from ikev1.wire.message import (
    Item,
    Payloads,
    build_message,
    build_payloads,
    parse_message,
    parse_payloads,
)
from ikev1.wire.payloads import Payload
from ikev1.wire.pretty import describe, describe_header, describe_payload
from ikev1.wire.vendor_ids import name_of
from tests.support import ike_construct, ike_samples
from tests.support.ike_strategies import headers, items, mutated_chains, payloads

UNBOUNDED = Limits(
    message=1 << 20,
    payloads=1 << 20,
    vendor_ids=1 << 20,
    vendor_id=1 << 20,
    proposals=1 << 20,
    transforms=1 << 20,
    attributes=1 << 20,
    identification=1 << 20,
    delete_spis=1 << 20,
)

chains = mutated_chains() | st.tuples(st.integers(0, 255), st.binary(max_size=200))


def datagram_of(header: Header, arrived: tuple[int, bytes]) -> bytes:
    """A message whose header fits its payloads, whatever those are."""
    first, chain = arrived
    return (
        build_header(structs.replace(header, next_payload=first, length=HEADER_LENGTH + len(chain)))
        + chain
    )


def read(first: int, chain: bytes) -> Payloads | ProtocolError:
    """What our codec makes of a chain."""
    try:
        return parse_payloads(first, chain, encrypted=True, limits=UNBOUNDED)
    except ProtocolError as error:
        return error


def read_header(datagram: bytes) -> Header | ProtocolError:
    """What our codec makes of a header."""
    try:
        return parse_header(datagram)
    except ProtocolError as error:
        return error


@given(st.lists(payloads, max_size=6))
def test_values_survive_build_and_parse(values: list[Payload]) -> None:
    parsed = parse_payloads(*build_payloads(values))
    assert list(parsed.values) == values
    assert parsed.padding == b""


@given(st.lists(items, max_size=6), st.binary(max_size=20))
def test_octets_survive_parse_and_build(built: list[Item], padding: bytes) -> None:
    first, chain = build_payloads(built)
    parsed = parse_payloads(first, chain + padding, encrypted=True)
    assert [item.reserved for item in parsed.items] == [item.reserved for item in built]
    assert parsed.padding == (padding if built else chain + padding)
    assert build_payloads(parsed.items) == (first, chain)


@given(chains)
def test_accepted_octets_are_rebuilt(arrived: tuple[int, bytes]) -> None:
    first, octets = arrived
    parsed = read(first, octets)
    if isinstance(parsed, Payloads):
        rebuilt_first, chain = build_payloads(parsed.items)
        assert rebuilt_first == first
        assert chain + parsed.padding == octets
        assert chain == parsed.chain


@given(chains)
def test_plain_construct_reads_the_same(arrived: tuple[int, bytes]) -> None:
    first, octets = arrived
    parsed = read(first, octets)
    try:
        expected, padding = ike_construct.parse_chain(first, octets)
    except ConstructError:
        assert isinstance(parsed, ProtocolError)
        return
    assert isinstance(parsed, Payloads)
    assert [(item.value.type, item.reserved, item.body) for item in parsed.items] == [
        (payload.kind, payload.reserved, payload.body) for payload in expected
    ]
    for item, payload in zip(parsed.items, expected, strict=True):
        assert ike_construct.agrees(item.value, payload.fields)
    assert parsed.padding == padding


@given(st.lists(payloads, max_size=6))
def test_plain_construct_reads_what_we_build(values: list[Payload]) -> None:
    expected, padding = ike_construct.parse_chain(*build_payloads(values))
    assert padding == b""
    assert [payload.kind for payload in expected] == [value.type for value in values]
    for value, payload in zip(values, expected, strict=True):
        assert ike_construct.agrees(value, payload.fields)


@given(headers)
def test_headers_survive(header: Header) -> None:
    assert parse_header(build_header(header)) == header


@given(st.binary(max_size=40) | headers.map(build_header), st.integers(0, 39), st.integers(0, 255))
def test_plain_construct_reads_the_same_header(datagram: bytes, at: int, octet: int) -> None:
    octets = bytearray(datagram)
    octets[at : at + 1] = [octet]
    header = read_header(bytes(octets))
    if isinstance(header, ProtocolError):
        assert header.payload is None
        assert header.offset <= len(octets)
        with pytest.raises(ConstructError):
            ike_construct.HEADER.parse(bytes(octets), size=len(octets))
        return
    assert ike_construct.agrees(header, ike_construct.HEADER.parse(bytes(octets), size=len(octets)))


@given(st.binary(max_size=60) | st.builds(datagram_of, headers, chains))
def test_any_datagram_is_rebuilt_or_refused(datagram: bytes) -> None:
    try:
        header, parsed = parse_message(datagram)
    except ProtocolError:
        return
    assert build_header(header) + build_payloads(parsed.items)[1] == datagram


@given(chains)
def test_whatever_arrives_can_be_described(arrived: tuple[int, bytes]) -> None:
    parsed = read(*arrived)
    if isinstance(parsed, ProtocolError):
        assert HEADER_LENGTH <= parsed.offset <= HEADER_LENGTH + len(arrived[1])
        assert parsed.payload is not None
        assert str(parsed).isprintable()
        return
    header = parse_header(build_message(ike_samples.COOKIES, ExchangeType.QUICK_MODE, 1, []))
    text = describe(header, parsed)
    # A peer cannot start a line of its own, and each payload has one.
    lines = text.splitlines()
    assert lines == text.split("\n")
    assert len(lines) == 1 + bool(parsed.padding) + sum(
        len(describe_payload(value).split("\n")) for value in parsed.values
    )
    assert lines[0] == describe_header(header)


@given(st.binary(max_size=300))
def test_every_vendor_id_has_a_short_printable_name(data: bytes) -> None:
    name = name_of(data)
    assert name.isprintable()
    assert len(name) < 160
