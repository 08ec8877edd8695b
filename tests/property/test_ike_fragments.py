"""Fragments in any order, lost, doubled, mixed, and such as nobody should send."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from ikev1.core.effects import Path
from ikev1.core.fragmentation import (
    LAST_FRAGMENT,
    MAX_FRAGMENTS,
    MAX_INCOMPLETE,
    MAX_OCTETS,
    REASSEMBLY_LIFETIME,
    Fragments,
    Standing,
    split,
)
from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, PayloadType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Fragment, Nonce
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_fragments import FAST, until_message_3
from tests.support.ike_host import IkeHost

COOKIES = b"initiateresponds"
PATH = Path("203.0.113.1", 500, "198.51.100.7", 500)
MAIN = ExchangeType.IDENTITY_PROTECTION
SMALLEST_PIECE = HEADER_LENGTH


class Table:
    """The table of one gateway, without the gateway."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.fragments = Fragments(
            lambda _deadline, _action: None, lambda _path, reason: self.dropped.append(reason)
        )

    def give(self, *datagrams: bytes, standing: Standing = Standing.ESTABLISHED) -> list[bytes]:
        """Give it datagrams; returns the messages they complete."""
        taken = [
            self.fragments.take(parse_header(datagram), datagram, PATH, standing, 0.0)
            for datagram in datagrams
        ]
        return [message for message in taken if message is not None]

    def check_bounds(self) -> None:
        for standing, pool in self.fragments._pools.items():
            assert len(pool) <= MAX_INCOMPLETE[standing]
            for incomplete in pool.values():
                held = incomplete.fragments.values()
                assert len(held) <= MAX_FRAGMENTS
                assert incomplete.octets == sum(len(piece.data) for piece in held) <= MAX_OCTETS


def message(filler: bytes) -> bytes:
    return build_message(COOKIES, MAIN, 0, [Nonce(filler)])


def cut(whole: bytes, size: int, fragment_id: int) -> list[bytes]:
    """A message as datagrams with so many octets of it in each."""
    starts = range(0, len(whole), size)
    return [
        build_message(
            COOKIES,
            MAIN,
            0,
            [
                Fragment(
                    fragment_id, number, int(number == len(starts)), whole[start : start + size]
                )
            ],
        )
        for number, start in enumerate(starts, 1)
    ]


messages = st.binary(min_size=40, max_size=900).map(message)
sizes = st.integers(SMALLEST_PIECE, 400)
few_ids = st.sampled_from([1, 1, 1, 2])


@st.composite
def transmissions(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A message, and its fragments."""
    whole = draw(messages)
    return whole, cut(whole, draw(sizes), draw(few_ids))


def some_of(datagrams: Sequence[bytes]) -> st.SearchStrategy[list[bytes]]:
    """What of them comes through a network that loses, doubles and reorders."""
    return st.lists(st.sampled_from(list(datagrams)), max_size=2 * len(datagrams))


@given(transmission=transmissions(), data=st.data())
def test_any_order_with_repetitions(
    transmission: tuple[bytes, list[bytes]], data: st.DataObject
) -> None:
    whole, datagrams = transmission
    extra = data.draw(some_of(datagrams))
    order = data.draw(st.permutations([*datagrams, *extra]))
    found = Table().give(*order)
    assert whole in found
    assert set(found) == {whole}


@given(transmission=transmissions(), data=st.data())
def test_what_is_lost_once_is_made_up_for_by_a_repetition(
    transmission: tuple[bytes, list[bytes]], data: st.DataObject
) -> None:
    whole, datagrams = transmission
    table = Table()
    came = {*data.draw(some_of(datagrams))}
    missing = [datagram for datagram in datagrams if datagram not in came]
    found = table.give(*data.draw(st.permutations(sorted(came))))
    if missing:
        assert found == []
        assert table.give(*data.draw(st.permutations(missing))) == [whole]
    else:
        assert found == [whole]
    table.check_bounds()


@given(stale=st.lists(transmissions(), max_size=3), last=transmissions(), data=st.data())
def test_after_any_past_two_transmissions_that_arrive_are_enough(
    stale: list[tuple[bytes, list[bytes]]], last: tuple[bytes, list[bytes]], data: st.DataObject
) -> None:
    """One, unless the past has the same fragment ID and fits in to the octet."""
    table = Table()
    past = [datagram for _, datagrams in stale for datagram in datagrams]
    if past:
        table.give(*data.draw(some_of(past)))
    whole, datagrams = last
    table.check_bounds()
    assert whole in table.give(*datagrams, *datagrams)
    table.check_bounds()


pieces = st.builds(
    Fragment,
    fragment_id=few_ids,
    number=st.one_of(st.integers(1, 4), st.integers(1, 255)),
    flags=st.integers(0, 255) | st.sampled_from([0, LAST_FRAGMENT]),
    data=st.one_of(
        st.binary(min_size=1, max_size=60),
        st.integers(1, 9000).map(bytes),
        # The header of a message of that many octets.
        st.integers(0, 200).map(
            lambda length: message(bytes(40))[:24] + length.to_bytes(4) + bytes(12)
        ),
    ),
)


def test_the_bounds_are_reached() -> None:
    table = Table()
    for standing in Standing:
        for sender in range(MAX_INCOMPLETE[standing] + 3):
            cookies = COOKIES[:8] + sender.to_bytes(8)
            for number in range(2, MAX_FRAGMENTS + 1):
                piece = Fragment(1, number, 0, bytes(300))
                table.give(build_message(cookies, MAIN, 0, [piece]), standing=standing)
    table.check_bounds()
    assert len(table.fragments) == sum(MAX_INCOMPLETE.values())
    assert table.dropped == ["fragments-limit"] * 3 * len(Standing)


@given(
    st.lists(
        st.tuples(pieces, st.sampled_from(Standing), st.integers(0, 1)), min_size=1, max_size=60
    )
)
def test_arbitrary_fragments_raise_nothing_else_and_stay_within_bounds(
    sent: list[tuple[Fragment, Standing, int]],
) -> None:
    table = Table()
    for fragment, standing, sender in sent:
        cookies = COOKIES[:8] + sender.to_bytes(8)
        datagram = build_message(cookies, MAIN, 0, [fragment])
        try:
            found = table.give(datagram, standing=standing)
        except ProtocolError:
            continue
        assert all(parse_header(whole).length <= MAX_OCTETS for whole in found)
        table.check_bounds()
    table.fragments._expire(REASSEMBLY_LIFETIME)
    assert len(table.fragments) == 0


@given(filler=st.binary(max_size=16_000), flags=st.sampled_from([0, 1]))
def test_what_is_split_comes_together(filler: bytes, flags: int) -> None:
    whole = build_message(COOKIES, ExchangeType.QUICK_MODE, 7, [Nonce(filler + b"x")], flags=flags)
    datagrams = split(whole)
    if len(datagrams) == 1:
        assert datagrams == [whole]
    else:
        assert Table().give(*datagrams) == [whole]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["nobody", "new", "half-open", "up"]),
            pieces,
            st.sampled_from(ExchangeType),
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 255),
            st.binary(max_size=8),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_gateway_among_arbitrary_fragments(
    sent: list[tuple[str, Fragment, ExchangeType, int, int, bytes]],
) -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    other = Dialin(host, FAST, inner="192.0.2.66", seed="other")
    third = until_message_3(other)
    cookies = {
        "nobody": bytes(range(1, 17)),
        "new": b"initiate" + bytes(8),
        "half-open": other.initiator.cookies,
        "up": client.initiator.cookies,
    }
    for target, fragment, exchange, message_id, flags, tail in sent:
        datagram = build_message(cookies[target], exchange, message_id, [fragment], flags=flags)
        other.give_bytes(datagram)
        # And one whose lengths do not add up.
        other.give_bytes(datagram[:-1] + tail)
    assert other.give_bytes(datagram[:16] + bytes([PayloadType.FRAGMENT])) == []
    assert agree(client.quick_mode(), client.child())
    (fifth,) = other.take(other.give_bytes(third)[0], floated=False)
    other.run([fifth])
    assert agree(other.quick_mode(), other.child())
    host.advance(REASSEMBLY_LIFETIME)
    assert len(host.engine._fragments) == 0
