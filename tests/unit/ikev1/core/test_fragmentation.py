"""Messages in fragments, from and to clients of every kind, and what is kept of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ikev1.core.effects import ComputeDh, IkeSaUp
from ikev1.core.fragmentation import (
    ANNOUNCEMENT,
    LARGEST_MESSAGE,
    MAX_FRAGMENTS,
    MAX_INCOMPLETE,
    REASSEMBLY_LIFETIME,
    Standing,
    split,
)
from ikev1.wire.enums import (
    AuthAlgorithm,
    EncryptionAlgorithm,
    EspTransform,
    ExchangeType,
    Flag,
    Group,
    HashAlgorithm,
    PayloadType,
)
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import Fragment, KeyExchange, Nonce, Payload, VendorId
from interop.initiator.effects import Send
from interop.initiator.profiles import (
    APPLE_FRAGMENTS,
    CHARON_FRAGMENTS,
    FRAGMENTATION,
    FRAGMENTATION_WITH_CAPABILITY,
    IPHONE,
    LIBRESWAN_FRAGMENTS,
    PROFILES,
    RACOON_FRAGMENTS,
    RFC_3947,
    STRONGSWAN,
    WINDOWS_10,
    WINDOWS_FRAGMENTS,
    EspOffer,
    Fragmentation,
    Phase1Offer,
    Profile,
    only,
)
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_host import IkeHost, settings
from tests.support.ike_network import check_forgotten
from tests.support.ike_offers import ike_offer, ike_transform

AES, SHA1 = EncryptionAlgorithm.AES_CBC, HashAlgorithm.SHA1
FAST = only(IPHONE, Phase1Offer(AES, 256, SHA1, Group.ECP_256))
LARGE = replace(
    only(
        STRONGSWAN,
        Phase1Offer(AES, 256, HashAlgorithm.SHA2_512, Group.MODP_8192),
        EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA1),
    ),
    pfs_group=Group.MODP_8192,
)
"""Message 2 of Quick Mode does not fit into 1280 octets."""
TINY = 100
MAIN = ExchangeType.IDENTITY_PROTECTION
FIRST = b"initiate" + bytes(8)
STYLES = {
    "apple": APPLE_FRAGMENTS,
    "racoon": RACOON_FRAGMENTS,
    "windows": WINDOWS_FRAGMENTS,
    "charon": CHARON_FRAGMENTS,
    "libreswan": LIBRESWAN_FRAGMENTS,
}


def tiny(style: Fragmentation, *, forced: bool = False) -> Fragmentation:
    """The same, but of everything that is not tiny, and at once."""
    return replace(style, largest=TINY, repeats_only=False, forced=forced)


def is_fragment(datagram: bytes) -> bool:
    return parse_header(datagram.removeprefix(bytes(4))).next_payload == PayloadType.FRAGMENT


def piece(number: int, data: bytes, *, last: bool = False, fragment_id: int = 1) -> Fragment:
    return Fragment(fragment_id, number, int(last), data)


def pieces(message: bytes, count: int, fragment_id: int = 1) -> list[Fragment]:
    """A message in that many fragments."""
    size = -(-len(message) // count)
    return [
        piece(n, message[(n - 1) * size :][:size], last=n == count, fragment_id=fragment_id)
        for n in range(1, count + 1)
    ]


def fragment_message(fragment: Fragment, cookies: bytes, flags: int = 0) -> bytes:
    return build_message(cookies, MAIN, 0, [fragment], flags=flags)


def in_fragments(message: bytes, count: int, fragment_id: int = 1) -> list[bytes]:
    """A message as that many datagrams."""
    return [fragment_message(part, message[:16]) for part in pieces(message, count, fragment_id)]


def give_all(client: Dialin, datagrams: Sequence[bytes]) -> list[bytes]:
    return [answer for datagram in datagrams for answer in client.give_bytes(datagram)]


def incomplete(host: IkeHost) -> int:
    return len(host.engine._fragments)


def first_message(client: Dialin) -> bytes:
    (send,) = client.note(client.initiator.start(client.host.now))
    return send.datagram


def until_message_3(client: Dialin) -> bytes:
    (send,) = client.take(client.give_bytes(first_message(client))[0], floated=False)
    return send.datagram


# --- clients that send fragments -----------------------------------------------------------------


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("nat", [False, True])
@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_dials_in_with_every_message_in_fragments(
    style: Fragmentation, nat: bool, forced: bool
) -> None:
    host = IkeHost()
    profile = replace(FAST, fragmentation=tiny(style, forced=forced))
    client = (Dialin.behind_nat if nat else Dialin)(host, profile).connect()
    assert agree(client.sas[-1], client.child())
    assert agree(client.quick_mode(), client.child())
    client.run(client.initiator.are_you_there(1))
    client.run(client.initiator.close(host.now))
    asked = [datagram for datagram, _ in client.talk]
    assert is_fragment(asked[0]) == forced
    assert sum(map(is_fragment, asked)) > 12
    assert all(len(datagram) <= TINY + 4 for datagram in asked if is_fragment(datagram))
    assert host.drops() == []
    host.advance(1e6)
    check_forgotten(host)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_dials_in_as_each_client_fragments(profile: Profile) -> None:
    client = Dialin.behind_nat(IkeHost(), profile).connect()
    assert agree(client.sas[-1], client.child())


def test_in_reverse_order_and_each_one_twice() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    datagrams = in_fragments(third, 5)[::-1]
    doubled = [datagram for one in datagrams for datagram in (one, one)]
    answers = give_all(client, doubled)
    (fifth,) = client.take(answers[0], floated=False)
    client.run([fifth])
    client.quick_mode()
    assert host.count(ComputeDh) == 1


def test_a_request_repeated_in_fragments_gets_its_answer_again() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    answers = give_all(client, in_fragments(third, 4))
    assert len(answers) == 1
    # Cut in another way, in one piece, and in whole.
    assert give_all(client, in_fragments(third, 5, fragment_id=2)) == answers
    assert give_all(client, in_fragments(third, 1)) == answers
    assert client.give_bytes(third) == answers
    assert host.count(ComputeDh) == 1


def test_windows_sends_the_whole_first_and_fragments_after() -> None:
    host = IkeHost()
    profile = replace(FAST, fragmentation=replace(WINDOWS_FRAGMENTS, largest=TINY))
    client = Dialin(host, profile)
    third = until_message_3(client)
    assert not is_fragment(third)
    host.now = 5.0
    repeated = client.note(client.initiator.advance(host.now))
    assert len(repeated) == 3
    assert all(is_fragment(send.datagram) for send in repeated)
    answers = [answer for send in repeated for answer in client.give(send)]
    assert answers == client.give_bytes(third)


def test_the_first_message_has_one_answer_however_it_comes() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    first = first_message(client)
    (second,) = give_all(client, in_fragments(first, 3))
    assert client.give_bytes(first) == [second]
    assert give_all(client, in_fragments(first, 5)) == [second]
    assert host.engine.half_open == 1


def test_a_refused_first_message_in_fragments() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    offer = ike_offer(ike_transform(group=Group.MODP_768))
    question = build_message(FIRST, MAIN, 0, [offer])
    (answer,) = give_all(client, in_fragments(question, 2))
    assert parse_message(answer)[1].types() == (PayloadType.N,)
    assert len(answer) <= len(question)
    assert host.engine.half_open == incomplete(host) == 0


def test_flags_and_exchange_of_the_fragments_header_do_not_matter() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    first_part, second_part = pieces(third, 2)
    cookies = third[:16]
    one = build_message(cookies, ExchangeType.QUICK_MODE, 77, [first_part], flags=Flag.ENCRYPTION)
    other = build_message(cookies, ExchangeType.IDENTITY_PROTECTION, 0, [second_part], flags=0xFE)
    assert len(give_all(client, [one, other])) == 1


def test_other_flags_of_a_fragment_mean_nothing() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    third = until_message_3(client)
    parts = [replace(part, flags=part.flags | 0xFE) for part in pieces(third, 3)]
    assert len(give_all(client, [fragment_message(part, third[:16]) for part in parts])) == 1


def test_each_fragment_on_port_4500_has_the_marker() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST).connect()
    message = client.initiator.are_you_there(7)[0]
    assert isinstance(message, Send)
    datagrams = in_fragments(message.datagram[4:], 3)
    for bare in datagrams:
        assert client.give_bytes(bare, floated=True) == []
    assert host.drops()[-3:] == ["no-non-esp-marker"] * 3
    marked = [client.give_bytes(bytes(4) + datagram, floated=True) for datagram in datagrams]
    assert [len(answers) for answers in marked] == [0, 0, 1]


# --- what we send --------------------------------------------------------------------------------


def ask(client: Dialin, sends: Sequence[Send]) -> list[bytes]:
    return [answer for send in sends for answer in client.give(send)]


@pytest.mark.parametrize("nat", [False, True])
def test_a_large_answer_goes_in_fragments_and_again_so(nat: bool) -> None:
    host = IkeHost()
    client = (Dialin.behind_nat if nat else Dialin)(host, LARGE).main_mode()
    question = client.note(client.initiator.quick_mode(host.now))
    first, second = ask(client, question)
    # The client asks again, and makes do with one fragment of each answer.
    assert ask(client, question) == [first, second]
    assert client.take(second, floated=nat) == []
    client.run(client.take(first, floated=nat))
    assert agree(client.sas[-1], client.child())
    marker = bytes(4) if nat else b""
    for answer in (first, second):
        assert answer.startswith(marker)
        message = answer[len(marker) :]
        header, payloads = parse_message(message)
        assert header.exchange_type == ExchangeType.QUICK_MODE
        assert header.message_id != 0
        assert header.flags == 0
        assert payloads.types() == (PayloadType.FRAGMENT,)
        # With the headers of IPv6 and UDP, and the marker.
        assert len(message) + 40 + 8 + 4 <= 1280


def test_a_large_answer_is_sent_again_in_fragments_until_hash_3_comes() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, LARGE).main_mode()
    answers = ask(client, client.note(client.initiator.quick_mode(host.now)))
    assert len(answers) == 2
    assert [datagram for _, datagram in host.advance(1.0)] == answers


def test_no_answer_of_main_mode_to_a_preshared_key_is_that_large() -> None:
    """So that none of them is larger than its question, headers of fragments included."""
    client = Dialin.behind_nat(IkeHost(), LARGE).main_mode()
    sizes = [len(answer) for _, answers in client.talk for answer in answers]
    assert max(sizes) == LARGEST_MESSAGE
    assert not any(is_fragment(answer) for _, answers in client.talk for answer in answers)


def check_large_answer_in_whole(client: Dialin) -> None:
    answers = [answer for _, answers in client.talk for answer in answers]
    assert max(map(len, answers)) > LARGEST_MESSAGE + 4
    assert not any(map(is_fragment, answers))


def test_who_does_not_announce_it_gets_no_fragments() -> None:
    silent = replace(LARGE, vendor_ids=(RFC_3947,), fragmentation=None)
    client = Dialin(IkeHost(), silent).connect()
    assert agree(client.sas[-1], client.child())
    check_large_answer_in_whole(client)


def test_windows_gets_no_fragments() -> None:
    """It announces them, and takes them only where it expects certificates."""
    windows = replace(WINDOWS_10, phase1=LARGE.phase1, pfs_group=LARGE.pfs_group)
    client = Dialin.behind_nat(IkeHost(), windows).connect()
    assert agree(client.sas[-1], client.child())
    check_large_answer_in_whole(client)


@pytest.mark.parametrize("size", [LARGEST_MESSAGE, LARGEST_MESSAGE + 1, 5000, 16_384])
def test_split(size: int) -> None:
    filler = size - HEADER_LENGTH - 4
    message = build_message(
        b"initiateresponds", ExchangeType.QUICK_MODE, 9, [KeyExchange(bytes(filler))], flags=1
    )
    assert len(message) == size
    datagrams = split(message)
    assert split(message) == datagrams
    if size == LARGEST_MESSAGE:
        assert datagrams == [message]
        return
    fragments = []
    for datagram in datagrams:
        assert len(datagram) <= LARGEST_MESSAGE
        header, payloads = parse_message(datagram)
        assert datagram[:16] == message[:16]
        assert (header.exchange_type, header.message_id) == (ExchangeType.QUICK_MODE, 9)
        assert header.flags == 0
        (fragment,) = payloads.all(Fragment)
        assert payloads.values == (fragment,)
        fragments.append(fragment)
    assert [fragment.number for fragment in fragments] == list(range(1, len(datagrams) + 1))
    assert [fragment.flags for fragment in fragments] == [0] * (len(datagrams) - 1) + [1]
    assert len({fragment.fragment_id for fragment in fragments}) == 1
    assert b"".join(fragment.data for fragment in fragments) == message
    # libreswan takes 16.
    assert len(datagrams) <= 16


def test_messages_have_fragment_ids_of_their_own() -> None:
    ids = {
        parse_message(split(build_message(FIRST, MAIN, 0, [Nonce(bytes([n]) * 2000)]))[0])[1]
        .all(Fragment)[0]
        .fragment_id
        for n in range(50)
    }
    assert len(ids) > 40
    assert 0 not in ids


# --- the announcement ----------------------------------------------------------------------------


def vendor_ids_of_message_2(*vendor_ids: bytes, transforms: int = 2) -> list[bytes]:
    offer = ike_offer(*(ike_transform(number=n) for n in range(1, transforms + 1)))
    values: list[Payload] = [offer, *map(VendorId, vendor_ids)]
    question = build_message(FIRST, MAIN, 0, values)
    (answer,) = Dialin(IkeHost()).give_bytes(question)
    assert len(answer) <= len(question)
    return [vendor_id.data for vendor_id in parse_message(answer)[1].all(VendorId)]


@pytest.mark.parametrize(
    "theirs",
    [FRAGMENTATION, FRAGMENTATION_WITH_CAPABILITY, FRAGMENTATION + bytes.fromhex("c0000000")],
)
def test_fragmentation_is_announced_with_the_word_that_racoon_reads(theirs: bytes) -> None:
    assert vendor_ids_of_message_2(theirs) == [ANNOUNCEMENT]
    assert vendor_ids_of_message_2(RFC_3947, theirs) == [RFC_3947, ANNOUNCEMENT]
    assert ANNOUNCEMENT == FRAGMENTATION_WITH_CAPABILITY


@pytest.mark.parametrize(
    "theirs",
    [FRAGMENTATION[:-1], FRAGMENTATION + bytes(4), FRAGMENTATION + bytes.fromhex("40000000")],
)
def test_what_does_not_say_that_main_mode_may_have_fragments(theirs: bytes) -> None:
    assert vendor_ids_of_message_2(theirs) == []


def test_it_is_left_out_where_message_2_would_outgrow_message_1() -> None:
    assert vendor_ids_of_message_2(FRAGMENTATION, transforms=1) == []
    assert vendor_ids_of_message_2(FRAGMENTATION_WITH_CAPABILITY, transforms=1) == [ANNOUNCEMENT]
    # A vendor ID that we do not answer makes up for the four octets.
    assert vendor_ids_of_message_2(FRAGMENTATION, b"other", transforms=1) == [ANNOUNCEMENT]


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


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 5, MAX_FRAGMENTS])
def test_a_stale_fragment_of_an_earlier_message(
    third: tuple[IkeHost, bytes], number: int, last: bool
) -> None:
    """charon, libreswan and racoon give all messages the same fragment ID."""
    host, message = third
    stale = fragment_message(piece(number, b"x" * 90, last=last), message[:16])
    assert complete(host, [stale, *in_fragments(message, 3)])


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
    # The older one has been forgotten, the newer one counts.
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
    assert "AUTHENTICATION_FAILED" in str(host.refusals()[0].notify)
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


def test_one_timer_serves_them_all() -> None:
    host = IkeHost()
    for number in range(2000):
        host.now = number / 100
        client = Dialin(host, FAST, inner=f"10.1.{number >> 8}.{number & 255}")
        client.give_bytes(fragment_message(piece(1, bytes(40)), FIRST))
    assert len(host.engine._timers) == 1


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
