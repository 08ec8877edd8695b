"""Messages in fragments, from and to clients of every kind."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from ikev1.core.effects import ComputeDh
from ikev1.core.fragmentation import (
    ANNOUNCEMENT,
    LARGEST_MESSAGE,
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
from interop.clients.ike import PROFILES, STRONGSWAN, WINDOWS_10
from interop.initiator.effects import Send
from interop.initiator.profiles import (
    APPLE_FRAGMENTS,
    CHARON_FRAGMENTS,
    FRAGMENTATION,
    FRAGMENTATION_WITH_CAPABILITY,
    LIBRESWAN_FRAGMENTS,
    RACOON_FRAGMENTS,
    RFC_3947,
    WINDOWS_FRAGMENTS,
    EspOffer,
    Fragmentation,
    Phase1Offer,
    Profile,
    only,
)
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_fragments import (
    FAST,
    first_message,
    fragment_message,
    give_all,
    in_fragments,
    incomplete,
    pieces,
    until_message_3,
)
from tests.support.ike_host import IkeHost
from tests.support.ike_network import check_forgotten
from tests.support.ike_offers import ike_offer, ike_transform

AES, SHA1 = EncryptionAlgorithm.AES_CBC, HashAlgorithm.SHA1
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
    parts = [structs.replace(part, flags=part.flags | 0xFE) for part in pieces(third, 3)]
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
