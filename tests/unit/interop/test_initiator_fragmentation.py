"""The initiator's own fragments: how each client cuts, and what it makes of an answer in pieces."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikev1.errors import ProtocolError
from ikev1.wire.enums import ExchangeType, Flag
from ikev1.wire.header import parse_header
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import Fragment, Hash, Payload, VendorId
from interop.clients.ike import IPHONE, STRONGSWAN, WINDOWS_10
from interop.initiator import derivation, profiles
from interop.initiator.checks import Cause
from interop.initiator.effects import Closed, Send
from interop.initiator.fragmentation import Fragments
from interop.initiator.profiles import Fragmentation, Profile
from interop.initiator.session import BrokenRuleError, ClientPath, Session

COOKIES = b"initiateresponds"
QUICK = ExchangeType.QUICK_MODE
STYLES = {
    "apple": profiles.APPLE_FRAGMENTS,
    "racoon": profiles.RACOON_FRAGMENTS,
    "windows": profiles.WINDOWS_FRAGMENTS,
    "charon": profiles.CHARON_FRAGMENTS,
    "libreswan": profiles.LIBRESWAN_FRAGMENTS,
}


def fragments_of(profile: Profile, *, announced: bool = True) -> Fragments:
    session = Session(
        profile,
        b"psk",
        ClientPath(ip_address("192.0.2.1"), ip_address("192.0.2.2")),
        bytes,
        derivation.dh_key,
        frozenset(),
        cky_i=COOKIES[:8],
        server_takes_fragments=announced,
    )
    return Fragments(session)


def styled(style: Fragmentation) -> Profile:
    return replace(IPHONE, fragmentation=style)


def message(size: int) -> bytes:
    values = [Hash(bytes(number % 251 for number in range(size - 32)))]
    made = build_message(COOKIES, QUICK, 0x1234, values, flags=Flag.ENCRYPTION)
    assert len(made) == size
    return made


def cut(fragments: Fragments, *datagrams: bytes, floated: bool = False) -> list[bytes]:
    sends = [Send(datagram, floated) for datagram in datagrams]
    effects = fragments.cut([*sends, Closed(by_server=False)], repeated=True)
    assert effects.pop() == Closed(by_server=False)
    assert all(isinstance(effect, Send) and effect.floated == floated for effect in effects)
    return [effect.datagram for effect in effects if isinstance(effect, Send)]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_pieces_of_the_size_and_under_the_header_of_each_client(style: Fragmentation) -> None:
    whole = message(3 * style.largest)
    datagrams = cut(fragments_of(styled(style)), whole)
    pieces: list[Fragment] = []
    for datagram in datagrams:
        assert len(datagram) <= style.largest
        header = parse_header(datagram)
        assert header.initiator_cookie + header.responder_cookie == COOKIES
        assert header.message_id == (0 if style.no_message_id else 0x1234)
        assert header.exchange_type == (
            ExchangeType.IDENTITY_PROTECTION if style.as_main_mode else QUICK
        )
        assert header.flags == (Flag.ENCRYPTION if style.keeps_flags else 0)
        pieces += parse_message(datagram)[1].all(Fragment)
    assert [piece.number for piece in pieces] == [1, 2, 3, 4]
    assert [piece.flags for piece in pieces] == [0, 0, 0, 1]
    assert {piece.fragment_id for piece in pieces} == {1}
    assert b"".join(piece.data for piece in pieces) == whole


def test_fragment_ids_of_one_transmission_after_the_other() -> None:
    for style, expected in (
        (profiles.WINDOWS_FRAGMENTS, [1, 1, 2, 2]),
        (profiles.CHARON_FRAGMENTS, [1, 1, 1, 1]),
    ):
        fragments = fragments_of(styled(replace(style, largest=200)))
        ids = [
            parse_message(datagram)[1].all(Fragment)[0].fragment_id
            for _ in range(2)
            for datagram in cut(fragments, message(300))
        ]
        assert ids == expected


def test_on_port_4500_each_piece_has_the_marker() -> None:
    style = replace(profiles.CHARON_FRAGMENTS, largest=200)
    plain = cut(fragments_of(styled(style)), message(300))
    marked = cut(fragments_of(styled(style)), bytes(4) + message(300), floated=True)
    assert marked == [bytes(4) + datagram for datagram in plain]
    # The marker does not count.
    assert cut(fragments_of(styled(style)), bytes(4) + message(200), floated=True) == [
        bytes(4) + message(200)
    ]


@pytest.mark.parametrize(
    ("style", "announced", "repeated", "is_cut"),
    [
        (profiles.CHARON_FRAGMENTS, True, False, True),
        (profiles.CHARON_FRAGMENTS, False, False, False),
        (replace(profiles.CHARON_FRAGMENTS, forced=True), False, False, True),
        (profiles.WINDOWS_FRAGMENTS, True, False, False),
        (profiles.WINDOWS_FRAGMENTS, True, True, True),
        (profiles.WINDOWS_FRAGMENTS, False, True, False),
        (None, True, True, False),
    ],
)
def test_when_a_message_is_cut(
    style: Fragmentation | None, announced: bool, repeated: bool, is_cut: bool
) -> None:
    fragments = fragments_of(replace(IPHONE, fragmentation=style), announced=announced)
    send = Send(message(2000), floated=False)
    assert (fragments.cut([send], repeated=repeated) != [send]) == is_cut


def answer(number: int, data: bytes, *, last: bool = False, **values: int) -> bytes:
    fragment = Fragment(values.get("fragment_id", 9), number, int(last), data)
    exchange = ExchangeType(values.get("exchange", QUICK))
    return build_message(COOKIES, exchange, 0x1234, [fragment], flags=values.get("flags", 0))


def take(fragments: Fragments, datagrams: Sequence[bytes]) -> list[bytes | None]:
    return [fragments.take(parse_header(datagram), datagram) for datagram in datagrams]


def test_an_answer_in_pieces_in_any_order() -> None:
    whole = message(900)
    fragments = fragments_of(STRONGSWAN)
    one, two = answer(1, whole[:400]), answer(2, whole[400:800])
    three = answer(3, whole[800:], last=True)
    stale = answer(2, b"stale", fragment_id=8)
    assert take(fragments, [stale, three, one, three, two]) == [None] * 4 + [whole]
    assert take(fragments, [one, two, three]) == [None, None, whole]


@pytest.mark.parametrize(
    ("profile", "datagram"),
    [
        pytest.param(
            replace(IPHONE, vendor_ids=()), answer(1, b"data"), id="to one that has not announced"
        ),
        pytest.param(WINDOWS_10, answer(1, b"data"), id="to Windows"),
        pytest.param(IPHONE, answer(1, bytes(1193)), id="too large for every path"),
        pytest.param(IPHONE, answer(1, b"data", flags=1), id="with a flag"),
        pytest.param(IPHONE, answer(17, b"data"), id="more than libreswan takes"),
        pytest.param(
            IPHONE,
            answer(1, message(64), last=True, exchange=ExchangeType.INFORMATIONAL),
            id="under another exchange",
        ),
    ],
)
def test_rules_of_fragments(profile: Profile, datagram: bytes) -> None:
    with pytest.raises(BrokenRuleError) as raised:
        take(fragments_of(profile), [datagram])
    assert raised.value.cause is Cause.FRAGMENT


def test_a_fragment_must_be_alone() -> None:
    values: list[Payload] = [Fragment(1, 1, 0, b"data"), VendorId(b"more")]
    with pytest.raises(BrokenRuleError, match="other payloads"):
        take(fragments_of(IPHONE), [build_message(COOKIES, QUICK, 1, values)])


def test_the_largest_fragment_and_the_last_number_are_taken() -> None:
    fragments = fragments_of(IPHONE)
    assert take(fragments, [answer(16, bytes(1192))]) == [None]


def test_pieces_that_make_no_message() -> None:
    with pytest.raises(ProtocolError):
        take(fragments_of(IPHONE), [answer(1, message(64)[:-1], last=True)])
