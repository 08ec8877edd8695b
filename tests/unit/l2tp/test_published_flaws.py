"""Flaws published in other L2TP and PPP daemons, each with its trigger, as tests of this one."""

from __future__ import annotations

import struct

import pytest

from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    DataPathOpened,
    Dropped,
    OpenDataPath,
    SessionDown,
    TunnelDown,
    TunnelUp,
)
from l2tp.ppp import fsm
from l2tp.ppp.auth import AuthAccepted, AuthRejected
from l2tp.wire.avp import Avp
from l2tp.wire.enums import AvpType
from l2tp.wire.hidden import hide
from tests.support.l2tp_client import (
    CDN,
    CHAP,
    ICCN,
    ICRP,
    ICRQ,
    IPCP,
    LCP,
    PAP,
    SCCCN,
    SCCRP,
    STOPCCN,
    avp,
    control,
    data,
    write_options,
)
from tests.support.l2tp_peer import (
    Caller,
    RawPeer,
    make_lns,
    message_type,
    sccrq_body,
    tunnel_response,
    u16,
)

EAP = 0xC227


# L2TP.


@pytest.mark.parametrize(
    "datagram",
    [
        bytes.fromhex("c802ffff 0000 0000 0000 0000") + sccrq_body(),
        bytes.fromhex("c8020000 0000 0000 0000 0000") + sccrq_body(),
        bytes.fromhex("8802 0000 0000 0000 0000") + sccrq_body(),
        bytes.fromhex("c0020030 0000 0000") + sccrq_body(),
        bytes.fromhex("ca020050 0000 0000 0000 0000 0000") + sccrq_body(),
        control(0, 0, 0, 0, sccrq_body() + b"\x83\xff\0\0\0\7lac"),
        control(0, 0, 0, 0, sccrq_body() + b"\x80\x05\0\0\0\7"),
        control(0, 0, 0, 0, sccrq_body() + b"\x80\x00\0\0\0\7"),
    ],
    ids=[
        "length beyond the datagram",
        "length 0",
        "no L bit",
        "no S bit",
        "O bit",
        "AVP beyond the message",
        "AVP length 5",
        "AVP length 0",
    ],
)
def test_cve_2020_15173_cve_2020_28194_lengths_and_header_bits(datagram: bytes) -> None:
    """accel-ppp took these on trust and could be made to run code."""
    peer = RawPeer(make_lns())
    peer.send_raw(datagram)
    assert [type(event) for event in peer.events] == [Dropped]
    assert peer.answers == []
    assert peer.lns.tunnels() == []


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 17])
def test_accel_ppp_344_hidden_avps_with_a_bogus_length(size: int) -> None:
    """A Random Vector and a hidden AVP whose length decrypts to anything up to 0xffff."""
    for seed in range(64):
        peer = RawPeer(make_lns(shared_secret=b"secret"))
        value = bytes((seed,)) * size
        hidden = avp(7, value, flags=0xC000)
        body = message_type(1) + avp(36, b"vector") + u16(2, 0x0100) + avp(3, bytes(4))
        peer.send(body + hidden + u16(9, 77), tunnel=0)
        assert len(peer.answers) == 1
        assert peer.answers[0].type in (STOPCCN, SCCRP)


def test_accel_ppp_2bbf451_long_calling_and_called_numbers() -> None:
    """An ICRQ with numbers as long as an AVP can be overflowed a buffer on the stack."""
    peer = RawPeer(make_lns())
    peer.connect()
    long_number = b"5" * 1017
    peer.send_type(ICRQ, extra=u16(14, 88) + avp(21, long_number) + avp(22, long_number))
    assert [answer.type for answer in peer.answers] == [ICRP]


@pytest.mark.parametrize(
    "datagram",
    [control(0, 0, 0, 0), b"\x00\x01\x00\x00\x00\x00\x00\x00", b"\xff" * 64, bytes(1400)],
    ids=["ZLB", "L2F", "ones", "zeros"],
)
def test_xl2tpd_195_junk_to_tunnel_0(datagram: bytes) -> None:
    """Each such datagram took a tunnel structure and never gave it back."""
    peer = RawPeer(make_lns())
    for _ in range(50):
        peer.send_raw(datagram)
    assert peer.lns.tunnels() == []
    assert peer.answers == []


def test_xl2tpd_85_messages_after_the_tunnel_is_gone() -> None:
    """Use after free when messages of a call arrive after its tunnel was taken down."""
    peer = Caller()
    session = peer.lns_session
    peer.send_type(STOPCCN, extra=u16(9, 77) + u16(1, 1))
    peer.send_type(CDN, session, u16(14, 88) + u16(1, 3))
    peer.send_type(ICCN, session)
    peer.send_frame(LCP, 1, 1, b"")
    assert [type(event) for event in peer.events] == [Dropped]
    peer.carry_out(peer.lns.client_gone(1, 0.0, "gone"))
    peer.send_type(CDN, session, u16(14, 88) + u16(1, 3))
    assert [type(event) for event in peer.events] == [Dropped]


def test_xl2tpd_1_3_7_no_length_is_left_over_from_a_hidden_avp() -> None:
    """The AVP behind a hidden one was read with the hidden one's length."""
    secret, vector = b"secret", b"vector"
    hidden = hide(Avp(AvpType.VENDOR_NAME, b"a long name", mandatory=False), secret, vector)
    body = sccrq_body()[:-8] + avp(36, vector) + avp(8, hidden.value, flags=0x4000)
    peer = RawPeer(make_lns(shared_secret=secret))
    peer.send(body + avp(6, b"\1\2", 0) + u16(9, 77), tunnel=0)
    (reply,) = peer.answers
    assert reply.type == SCCRP
    peer.lns_tunnel = reply.number(9)
    peer.send_type(SCCCN, extra=avp(13, tunnel_response(SCCCN, secret, reply.avps[11])))
    (up,) = peer.of_type(TunnelUp)
    assert isinstance(up, TunnelUp)
    assert (up.vendor_name, up.firmware) == ("a long name", 0x0102)


def test_xl2tpd_130_result_code_without_its_error_code() -> None:
    """Eight octets are a whole Result Code AVP."""
    peer = Caller()
    peer.send_type(CDN, peer.lns_session, u16(14, 88) + avp(1, b"\0\3"))
    assert [type(event) for event in peer.events] == [SessionDown]
    assert [answer.type for answer in peer.answers] == [0]


def test_xl2tpd_1_3_14_a_zlb_never_answers_a_zlb() -> None:
    peer = Caller()
    for nr in (0, peer.nr, 0xFFFF):
        peer.send_raw(control(peer.lns_tunnel, 0, peer.ns, nr))
        assert peer.answers == []
    peer.send_raw(control(peer.lns_tunnel, 0, 0, peer.nr))
    assert peer.answers == []


@pytest.mark.parametrize(
    "datagram",
    [
        b"\xc8\x02\x00\x07\x00\x00\x00",
        control(0, 0, 0, 0, bytes(6)),
        control(0, 0, 0, 0, bytes(60)),
    ],
    ids=["seven octets", "one empty AVP", "ten empty AVPs"],
)
def test_tcpdump_43_avp_length_0(datagram: bytes) -> None:
    """An AVP of length 0 was parsed for ever."""
    peer = RawPeer(make_lns())
    peer.send_raw(datagram)
    assert [type(event) for event in peer.events] == [Dropped]


def test_accel_ppp_156_messages_out_of_order() -> None:
    """SCCCN and ICCN before what they answer."""
    peer = RawPeer(make_lns())
    peer.send_raw(control(0, 0, 0, 0, message_type(SCCCN)))
    peer.send_raw(control(0, 0, 0, 0, message_type(ICCN)))
    assert peer.lns.tunnels() == []
    peer.ask()
    peer.send_type(ICCN, session=1)
    assert [(answer.type, answer.result[0]) for answer in peer.answers] == [(STOPCCN, 7)]
    twice = RawPeer(peer.lns, mark=2)
    twice.connect()
    twice.send_type(SCCCN)
    assert [(answer.type, answer.result[0]) for answer in twice.answers] == [(STOPCCN, 7)]


def test_cve_2002_0873_ids_cannot_be_guessed() -> None:
    """L2tpd took them from a weak generator; ours are all of the random octets it is given."""
    peer = RawPeer(make_lns(seed=5))
    peer.connect()
    other = RawPeer(make_lns(seed=6))
    other.connect()
    assert peer.lns_tunnel != other.lns_tunnel
    octets = iter([b"\x12\x34", b"\x00\x00", b"\x56\x78"])
    lns = make_lns()
    lns._shared.random = lambda size: next(octets)[:size]
    first, second = RawPeer(lns, 1), RawPeer(lns, 2)
    first.ask()
    second.ask()
    assert (first.lns_tunnel, second.lns_tunnel) == (0x1234, 0x5678)


# PPP.


@pytest.mark.parametrize("protocol", [EAP, PAP])
def test_cve_2020_8597_an_authentication_protocol_that_was_not_negotiated(protocol: int) -> None:
    """Pppd handled EAP without having asked for it, and let the name overflow a buffer."""
    caller = Caller()
    caller.open_lcp()
    for code in range(1, 7):
        caller.send_frame(protocol, code, 1, b"\x04\x10" + bytes(16) + b"A" * 1200)
        assert caller.frames == []
        assert caller.events == []
    assert len(caller.lns.sessions()) == 1


def test_cve_2020_8597_a_very_long_name() -> None:
    caller = Caller()
    challenge = caller.open_lcp()
    name = b"A" * 1400
    caller.send_frame(CHAP, 2, challenge[0], bytes((49,)) + bytes(49) + name)
    (login,) = caller.of_type(Authenticate)
    assert isinstance(login, Authenticate)
    assert login.request.user == name.decode()
    caller.carry_out(caller.lns.complete(login.ticket, AuthRejected("unknown user"), 0.0))
    assert len(caller.of_type(AuthFailed)) == 1


@pytest.mark.parametrize("length", [0, 3, 5, 60, 0xFFFF])
def test_cve_2026_75883_packets_shorter_than_they_say(length: int) -> None:
    """Lengths inside the packet that point past its end."""
    caller = Caller()
    challenge = caller.open_lcp()
    for protocol in (CHAP, LCP):
        packet = b"\xff\x03" + struct.pack(">HBBH", protocol, 2, challenge[0], length)
        caller.send_raw(data(caller.lns_tunnel, caller.lns_session, packet))
        assert [type(event) for event in caller.events] == [Dropped]
    caller.send_frame(CHAP, 2, challenge[0], b"\xff" + bytes(49) + b"alice")
    assert [type(event) for event in caller.events] == [Dropped]
    assert caller.respond(challenge[0])


@pytest.mark.parametrize("options", [b"\x01\x00", b"\x01\x01", b"\x01", b"\x01\x05\x05\xdc"])
def test_lcp_option_lengths(options: bytes) -> None:
    """Length 0 or 1 loops for ever where the length is taken as the step."""
    caller = Caller()
    caller.send_frame(LCP, 1, 1, options)
    assert [type(event) for event in caller.events] == [Dropped]
    assert [packet for packet in caller.sent_packets() if packet[1] != 1] == []


def test_lcp_requests_that_never_converge() -> None:
    caller = Caller()
    answers = 0
    for identifier in range(200):
        caller.send_frame(LCP, 1, identifier, write_options([(1, bytes((0, identifier % 100)))]))
        answers += len(caller.frames)
    assert answers <= 2 * fsm.MAX_REQUESTS
    caller.advance(20)
    assert [event.cause for event in caller.events if isinstance(event, SessionDown)] == [
        "LCP negotiation does not converge"
    ]


def test_lcp_naks_that_never_converge() -> None:
    caller = Caller()
    caller.send_frame(LCP, 1, 1, b"")
    requests = 0
    while True:
        asked = [packet for packet in caller.sent_packets() if packet[1] == 1]
        if not asked:
            break
        requests += 1
        caller.send_frame(LCP, 3, asked[0][2], write_options([(5, b"\1\2\3\4")]))
    assert requests == fsm.MAX_REQUESTS
    assert [packet[1] for packet in caller.sent_packets()] == [5]


def test_echo_request_before_lcp_is_open() -> None:
    caller = Caller()
    caller.send_frame(LCP, 9, 1, bytes(4) + b"ping")
    assert 10 not in [packet[1] for packet in caller.sent_packets()]


def test_protocol_reject_of_lcp_itself() -> None:
    caller = Caller()
    caller.send_frame(LCP, 8, 1, b"\xc0\x21\x01\x01")
    assert caller.of_type(SessionDown) == [], "not open yet, so it means nothing"
    caller = Caller()
    caller.open_lcp()
    caller.send_frame(LCP, 8, 2, b"\xc0\x21\x01\x01")
    assert [packet[1] for packet in caller.sent_packets()] == [5]
    caller.advance(10)
    assert [event.cause for event in caller.events if isinstance(event, SessionDown)] == [
        "peer rejected LCP"
    ]


def test_cve_2015_8023_success_from_the_peer_is_no_login() -> None:
    """StrongSwan took an MS-CHAPv2 Success in any state for a login."""
    caller = Caller()
    challenge = caller.open_lcp()
    for code in (1, 3, 4, 5, 6, 7):
        caller.send_frame(CHAP, code, challenge[0], b"S=" + b"0" * 40 + b" M=ok")
        assert caller.events == []
        assert caller.frames == []
    caller.send_frame(IPCP, 1, 1, b"")
    assert caller.frames == []
    assert [view.state for view in caller.lns.sessions()] == ["auth"]


def test_cve_2015_8023_response_before_the_challenge() -> None:
    caller = Caller()
    for identifier in range(256):
        assert caller.respond(identifier) == []
    assert [view.state for view in caller.lns.sessions()] == ["lcp"]


def test_cve_2015_8023_wrong_and_replayed_identifiers() -> None:
    caller = Caller()
    identifier = caller.open_lcp()[0]
    assert caller.respond((identifier + 1) % 256) == []
    (login,) = caller.respond(identifier)
    assert isinstance(login, Authenticate)
    assert caller.respond(identifier, fill=1) == [], "one Response to one Challenge"
    caller.carry_out(caller.lns.complete(login.ticket, AuthRejected("wrong password"), 0.0))
    assert caller.respond(identifier, fill=2) == [], "no second guess"
    assert caller.of_type(OpenDataPath) == []


def test_a_login_does_not_outlive_a_new_start_of_lcp() -> None:
    """The answer to a login from before LCP started anew must not open the link."""
    caller = Caller()
    identifier = caller.open_lcp()[0]
    (login,) = caller.respond(identifier)
    assert isinstance(login, Authenticate)
    caller.send_frame(LCP, 1, 77, b"")
    caller.carry_out(caller.lns.complete(login.ticket, AuthAccepted("alice"), 0.0))
    assert caller.events == []
    assert [view.state for view in caller.lns.sessions()] == ["lcp"]


def test_each_new_start_of_lcp_has_a_challenge_of_its_own() -> None:
    caller = Caller()
    first = caller.open_lcp()
    caller.send_frame(LCP, 1, 77, b"")
    request = next(packet for packet in caller.sent_packets() if packet[1] == 1)
    caller.send_frame(LCP, 2, request[2], request[3])
    (challenge,) = caller.sent_packets()
    assert challenge[3][1:17] != first[1:]
    assert caller.respond((challenge[2] + 100) % 256) == []


def test_lcp_anew_after_the_login_ends_the_call() -> None:
    """The data path would stay open to whoever answers next."""
    caller = Caller()
    caller.log_in()
    (opening,) = caller.of_type(OpenDataPath)
    assert isinstance(opening, OpenDataPath)
    caller.carry_out(caller.lns.complete(opening.ticket, DataPathOpened(), caller.now))
    caller.carry_out(
        caller.lns.frame_received(caller.lns_session, b"\xc0\x21\x01\x55\x00\x04", caller.now)
    )
    caller.advance(10)
    assert [event.cause for event in caller.events if isinstance(event, SessionDown)] == [
        "peer started LCP anew"
    ]
    assert caller.of_type(TunnelDown) == []


@pytest.mark.parametrize("size", [0, 1, 2, 48, 50])
def test_mschapv2_responses_of_another_size(size: int) -> None:
    caller = Caller()
    identifier = caller.open_lcp()[0]
    caller.send_frame(CHAP, 2, identifier, bytes((size,)) + bytes(size) + b"alice")
    assert [type(event) for event in caller.events] == [Dropped]
