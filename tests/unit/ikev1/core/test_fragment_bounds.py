"""Fragments as nobody should send them, and how much is kept of them."""

from collections.abc import Sequence

import pytest

from ikev1.core.effects import ComputeDh, IkeSaUp
from ikev1.core.fragmentation import (
    MAX_FRAGMENTS,
    MAX_INCOMPLETE,
    REASSEMBLY_LIFETIME,
    Standing,
)
from ikev1.wire.enums import ExchangeType, NotifyType, PayloadType
from ikev1.wire.header import HEADER_LENGTH
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Payload, VendorId
from interop.initiator.effects import Send
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_fragments import (
    FAST,
    first_message,
    fragment_message,
    give_all,
    in_fragments,
    incomplete,
    piece,
    pieces,
    until_message_3,
)
from tests.support.ike_host import IkeHost, settings
from tests.support.ike_network import check_forgotten

MAIN = ExchangeType.IDENTITY_PROTECTION
FIRST = b"initiate" + bytes(8)


# --- what nobody should send ---------------------------------------------------------------------


def complete(host: IkeHost, datagrams: Sequence[bytes]) -> bool:
    """Whether these datagrams make the gateway see message 3."""
    asked = host.count(ComputeDh)
    client = Dialin(host, FAST)
    give_all(client, datagrams)
    return host.count(ComputeDh) > asked


@pytest.fixture
def third() -> tuple[IkeHost, bytes]:
    host = IkeHost()
    return host, until_message_3(Dialin(host, FAST))


def test_the_last_one_first_and_its_repetition(third: tuple[IkeHost, bytes]) -> None:
    """racoon took a repeated last fragment for an attack, and never ended where it came first."""
    host, message = third
    one, two, three = in_fragments(message, 3)
    assert complete(host, [three, three, one, three, two])


@pytest.mark.parametrize("order", ["1234", "4321", "3412"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, MAX_FRAGMENTS])
def test_a_stale_fragment_of_an_earlier_message(
    third: tuple[IkeHost, bytes], number: int, last: bool, order: str
) -> None:
    """charon, libreswan and racoon give all messages the same fragment ID."""
    host, message = third
    stale = fragment_message(piece(number, b"x" * 90, last=last), message[:16])
    fresh = in_fragments(message, 4)
    assert complete(host, [stale, *(fresh[int(place) - 1] for place in order)])


def test_a_new_fragment_id_begins_anew(third: tuple[IkeHost, bytes]) -> None:
    host, message = third
    one, two = in_fragments(message, 2)
    other_one, other_two = in_fragments(message, 2, fragment_id=2)
    assert not complete(host, [one, other_two])
    assert incomplete(host) == 1
    assert complete(host, [other_one])
    assert incomplete(host) == 0
    assert not complete(host, [two])


def test_conflicting_data_begins_anew(third: tuple[IkeHost, bytes]) -> None:
    host, message = third
    one, two, three = in_fragments(message, 3)
    forged = fragment_message(piece(2, b"y" * 80), message[:16])
    assert not complete(host, [one, forged, two, three])
    assert complete(host, [one])


def test_a_message_of_two_kinds_of_fragments_is_no_message(third: tuple[IkeHost, bytes]) -> None:
    host, message = third
    one, two = in_fragments(message, 2)
    short = fragment_message(piece(2, b"z", last=True), message[:16])
    assert not complete(host, [short, one])
    # The newer ones count.
    assert complete(host, [two])


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([piece(1, bytes(40)), VendorId(b"more")], id="other payloads after it"),
        pytest.param([piece(1, bytes(40)), piece(2, bytes(40))], id="two at once"),
        pytest.param([piece(1, bytes(HEADER_LENGTH - 1))], id="no header"),
        pytest.param([piece(1, b"x", last=True)], id="a message of one octet"),
        pytest.param([piece(MAX_FRAGMENTS + 1, bytes(40))], id="too many"),
        pytest.param([piece(255, bytes(40), last=True)], id="the highest number"),
    ],
)
def test_is_no_fragment_and_takes_no_memory(
    third: tuple[IkeHost, bytes], values: list[Payload]
) -> None:
    host, message = third
    for cookies in (message[:16], FIRST):
        assert not complete(host, [build_message(cookies, MAIN, 0, values)])
    assert [reason.startswith("malformed") for reason in host.drops()] == [True, True]
    assert incomplete(host) == 0


@pytest.mark.parametrize("body", ["", "00000004", "0000000800010001", "00000009000100 01aa"])
def test_fragments_that_are_malformed(third: tuple[IkeHost, bytes], body: str) -> None:
    """Without a body, without data, with number 0 (CVE-2013-6076)."""
    host, message = third
    octets = bytes.fromhex(body)
    empty = bytearray(build_message(message[:16], MAIN, 0, []))
    empty[16] = PayloadType.FRAGMENT
    empty[24:28] = (HEADER_LENGTH + len(octets)).to_bytes(4)
    assert not complete(host, [bytes(empty) + octets])
    assert len(host.drops()) == 1
    assert incomplete(host) == 0


def test_fragments_of_another_sender_s_message() -> None:
    host = IkeHost()
    victim = Dialin(host, FAST).connect()
    attacker = Dialin(host, FAST, inner="192.0.2.66", seed="attacker")
    third = until_message_3(attacker)
    (message,) = victim.initiator.are_you_there(1)
    assert isinstance(message, Send)
    datagrams = [fragment_message(part, third[:16]) for part in pieces(message.datagram, 2)]
    assert give_all(attacker, datagrams) == []
    assert host.drops() == ["malformed-payload_malformed"]


def test_fragments_of_fragments() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    inner = in_fragments(third, 2)
    for datagram in inner:
        assert give_all(client, in_fragments(datagram, 2)) == []
    assert host.count(ComputeDh) == incomplete(host) == 0
    assert host.drops() == ["malformed-payload_malformed"] * 2


def test_an_unknown_sa_takes_no_memory() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    for number in range(1, 20):
        client.give_bytes(fragment_message(piece(number, bytes(40)), bytes(range(1, 17))))
    assert host.drops() == ["unknown-cookie"] * 19
    assert incomplete(host) == 0
    assert host.engine.next_deadline() is None


def test_a_fragment_inside_a_message_is_ignored_as_every_payload_that_has_no_place_there() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    send = client.protect([piece(1, bytes(40), last=True)])
    assert client.give(send) == []
    assert incomplete(host) == 0
    assert agree(client.quick_mode(), client.child())


def test_rubbish_in_fragments_counts_as_rubbish() -> None:
    """It is worth no more, and no less, than in one datagram."""
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    client.give_bytes(third)
    rubbish = third[:16] + bytes([5, 0x10, 2, 1]) + bytes(4) + (92).to_bytes(4) + bytes(64)
    assert give_all(client, in_fragments(rubbish, 2)) == client.give_bytes(rubbish)
    assert host.refusals()[0].notify == NotifyType.AUTHENTICATION_FAILED
    assert not host.told_of(IkeSaUp)


# --- bounds --------------------------------------------------------------------------------------


def test_what_stays_incomplete_is_given_up() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    client.give_bytes(in_fragments(third, 2)[0])
    host.now = 10.0
    other = Dialin(host, FAST, inner="192.0.2.1")
    other.give_bytes(fragment_message(piece(1, bytes(40)), FIRST))
    assert incomplete(host) == 2
    host.advance(REASSEMBLY_LIFETIME - 0.1)
    assert incomplete(host) == 2
    host.advance(REASSEMBLY_LIFETIME)
    assert incomplete(host) == 1
    assert host.drops() == ["fragments-incomplete"]
    host.advance(10.0 + REASSEMBLY_LIFETIME)
    assert host.drops() == ["fragments-incomplete"] * 2
    check_forgotten(host)
    host.now = 100.0
    other.give_bytes(fragment_message(piece(1, bytes(40)), FIRST))
    host.advance(100.0 + REASSEMBLY_LIFETIME)
    assert incomplete(host) == 0
    check_forgotten(host)


def test_one_timer_serves_them_all() -> None:
    host = IkeHost()
    for number in range(2000):
        host.now = number / 100
        client = Dialin(host, FAST, inner=f"10.1.{number >> 8}.{number & 255}")
        client.give_bytes(fragment_message(piece(1, bytes(40)), FIRST))
    assert len(host.engine._timers) == 1


def test_strangers_with_the_same_cookie_are_told_apart_by_their_source() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    one, two = in_fragments(first_message(client), 2)
    for inner, ports in (("192.0.2.1", (500, 4500)), ("198.51.100.7", (501, 4501))):
        thief = Dialin(host, FAST, inner=inner, ports=ports)
        thief.give_bytes(fragment_message(piece(1, bytes(40), last=True), one[:16]))
        thief.give_bytes(fragment_message(piece(2, bytes(40)), one[:16]))
        client.give_bytes(one)
        thief.give_bytes(fragment_message(piece(3, bytes(40)), one[:16]))
        assert len(client.give_bytes(two)) == 1


def test_strangers_have_their_share_and_push_out_each_other() -> None:
    host = IkeHost()
    share = MAX_INCOMPLETE[Standing.STRANGER]
    client = Dialin(host, FAST)
    one, two = in_fragments(until_message_3(client), 2)
    client.give_bytes(one)
    firsts = [
        Dialin(host, FAST, inner=f"10.1.{number >> 8}.{number & 255}", seed=str(number))
        for number in range(share + 5)
    ]
    halves = [in_fragments(first_message(first), 2) for first in firsts]
    for first, half in zip(firsts, halves, strict=True):
        first.give_bytes(half[0])
    assert incomplete(host) == share + 1
    assert host.drops() == ["fragments-limit"] * 5
    # The youngest are still there, the oldest are not.
    assert len(firsts[-1].give_bytes(halves[-1][1])) == 1
    assert firsts[0].give_bytes(halves[0][1]) == []
    # Whoever has our cookie has not been touched by it.
    assert len(client.give_bytes(two)) == 1


def test_half_open_clients_do_not_push_out_those_that_are_up() -> None:
    host = IkeHost(settings(half_open_limit=1000))
    client = Dialin(host, FAST).connect()
    (probe,) = client.initiator.are_you_there(1)
    assert isinstance(probe, Send)
    one, two = in_fragments(probe.datagram, 2)
    client.give_bytes(one)
    share = MAX_INCOMPLETE[Standing.HALF_OPEN]
    for number in range(share):
        # As many more may be under way.
        Dialin(host, FAST, inner=f"10.2.0.{number}", seed=f"done {number}").connect()
    for number in range(share + 10):
        other = Dialin(host, FAST, inner=f"10.1.{number >> 8}.{number & 255}", seed=str(number))
        other.give_bytes(in_fragments(until_message_3(other), 2)[0])
    assert incomplete(host) == share + 1
    assert len(client.give_bytes(two)) == 1


def test_one_sa_has_one_incomplete_message() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    cookies = client.initiator.cookies
    for fragment_id in range(100):
        for number in range(2, MAX_FRAGMENTS):
            client.give_bytes(
                fragment_message(piece(number, bytes(400), fragment_id=fragment_id), cookies)
            )
    (held,) = host.engine._fragments._pools[Standing.ESTABLISHED].values()
    assert held.octets == sum(len(part.data) for part in held.fragments.values()) <= 16_384
    assert len(held.fragments) < MAX_FRAGMENTS
    assert agree(client.quick_mode(), client.child())


def test_a_message_larger_than_we_read_is_never_complete() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    huge = bytearray(third[:28] + bytes(20_000))
    huge[24:28] = len(huge).to_bytes(4)
    asked = host.count(ComputeDh)
    give_all(client, in_fragments(bytes(huge), 16))
    (held,) = host.engine._fragments._pools[Standing.HALF_OPEN].values()
    assert held.octets <= 16_384
    assert host.count(ComputeDh) == asked
