"""Control connections, message by message."""

from __future__ import annotations

from typing import Any

import pytest

from l2tp.core.effects import (
    Dropped,
    DropReason,
    TunnelClaimed,
    TunnelDown,
    TunnelRefused,
    TunnelUp,
)
from l2tp.core.transport import FULL_CYCLE, RECEIVE_WINDOW
from l2tp.core.tunnel import EMPTY_TIMEOUT, TABLE, TunnelState
from l2tp.wire.enums import MessageType
from tests.support.l2tp_client import (
    CDN,
    HELLO,
    ICCN,
    ICRP,
    ICRQ,
    SCCCN,
    SCCRP,
    SCCRQ,
    STOPCCN,
    avp,
    control,
)
from tests.support.l2tp_network import make_settings, peer
from tests.support.l2tp_peer import (
    RawPeer,
    make_lns,
    message_type,
    sccrq_body,
    tunnel_response,
    u16,
)

OCRQ, OCRP, OCCN, WEN, SLI = 7, 8, 9, 15, 16


def raw(**settings: Any) -> RawPeer:
    return RawPeer(make_lns(**settings))


def dropped(sender: RawPeer) -> list[DropReason]:
    return [event.reason for event in sender.events if isinstance(event, Dropped)]


def test_sccrp() -> None:
    client = raw(host_name="gw", vendor_name="office", firmware=0x0102)
    client.ask()
    (reply,) = client.answers
    assert (reply.type, reply.session_id, reply.ns, reply.nr) == (SCCRP, 0, 0, 1)
    assert reply.avps[2] == b"\1\0"
    assert reply.avps[3] == b"\0\0\0\3"
    assert reply.avps[7] == b"gw"
    assert reply.avps[8] == b"office"
    assert reply.number(6) == 0x0102
    assert reply.number(10) == RECEIVE_WINDOW
    assert reply.number(9) != 0
    assert 11 not in reply.avps
    assert 13 not in reply.avps


def test_scccn_is_acknowledged_at_once() -> None:
    client = raw()
    client.ask(extra=avp(8, b"maker", 0) + avp(6, b"\6\x90", 0))
    client.send_type(SCCCN)
    (zlb,) = client.answers
    assert (zlb.type, zlb.ns, zlb.nr) == (0, 1, 2)
    assert client.events == [TunnelUp(client.lns_tunnel, 77, client.peer, "lac", "maker", 0x0690)]
    (view,) = client.lns.tunnels()
    assert (view.state, view.is_live, view.host_name) == ("established", True, "lac")


@pytest.mark.parametrize("host_name", [b"", b"iphone\0", b"anonymous"])
def test_host_names_of_real_clients(host_name: bytes) -> None:
    client = raw()
    client.send(sccrq_body(host_name=host_name), tunnel=0)
    assert [answer.type for answer in client.answers] == [SCCRP]


# What may not make a tunnel.


@pytest.mark.parametrize(
    "datagram",
    [
        control(0, 0, 0, 0),
        control(0, 0, 0, 0, message_type(HELLO)),
        control(0, 0, 0, 0, message_type(STOPCCN) + u16(9, 77) + u16(1, 1)),
        control(0, 0, 0, 0, message_type(SCCCN)),
        control(0, 0, 0, 0, message_type(SCCRP) + sccrq_body()[8:]),
        control(0, 0, 0, 0, message_type(99)),
        control(0, 0, 0, 0, avp(7, b"x")),
        control(0, 0, 0, 0, b"\x80\x03\0\0\0\0"),
        control(0, 0, 1, 0, sccrq_body()),
        control(0, 5, 0, 0, sccrq_body()),
        control(0, 0, 0, 0, sccrq_body(0)),
        control(0, 0, 0, 0, message_type(SCCRQ) + u16(2, 0x0100)),
        control(99, 0, 0, 0, sccrq_body()),
        b"\x00\x02\0\0\0\0\xff\x03\xc0\x21",
        b"",
        b"\xc8",
        bytes(100),
    ],
)
def test_junk_makes_no_state_and_gets_no_answer(datagram: bytes) -> None:
    client = raw()
    client.send_raw(datagram)
    assert client.answers == []
    assert len(dropped(client)) == 1
    assert client.lns.tunnels() == []
    assert client.lns.next_deadline() is None


def test_what_came_in_clear_is_dropped() -> None:
    client = raw()
    client.send_raw(control(0, 0, 0, 0, sccrq_body()), peer(mark=0))
    assert dropped(client) == [DropReason.CLEARTEXT]
    assert client.lns.tunnels() == []


@pytest.mark.parametrize(
    ("body", "result", "error"),
    [
        (sccrq_body().replace(u16(2, 0x0100), b""), 2, 3),
        (sccrq_body().replace(avp(3, b"\0\0\0\3"), b""), 2, 3),
        (sccrq_body().replace(avp(7, b"lac"), b""), 2, 3),
        (sccrq_body().replace(u16(2, 0x0100), u16(2, 0x0200)), 5, 0),
        (sccrq_body(extra=avp(200, b"")), 2, 8),
        (sccrq_body(extra=avp(1, b"", vendor=311)), 2, 8),
        (sccrq_body(extra=avp(10, b"\1")), 2, 2),
        (sccrq_body(extra=avp(11, b"challenge")), 4, 0),
    ],
    ids=[
        "no version",
        "no framing",
        "no host name",
        "version 2",
        "unknown AVP",
        "vendor AVP",
        "bad AVP",
        "challenge",
    ],
)
def test_sccrqs_that_are_refused(body: bytes, result: int, error: int) -> None:
    client = raw()
    client.send(body, tunnel=0)
    (stop,) = client.answers
    assert (stop.type, stop.ns, stop.nr, stop.result[:2]) == (STOPCCN, 0, 1, (result, error))
    assert stop.number(9) != 0
    assert len(client.of_type(TunnelRefused)) == 1
    assert client.lns.tunnels() == []


@pytest.mark.parametrize(
    "extra",
    [
        avp(200, b"?", 0),
        avp(1, b"\0\1", 0, vendor=311),
        avp(10, b"\1", 0),
        avp(5, bytes(8)),
        avp(4, bytes(4)),
    ],
    ids=["unknown", "vendor", "malformed", "tie breaker", "bearer"],
)
def test_avps_that_do_not_matter(extra: bytes) -> None:
    client = raw()
    client.connect(extra)
    assert client.of_type(TunnelUp)


# Repetitions and doubles.


def test_a_repeated_sccrq_makes_no_second_tunnel() -> None:
    client = raw()
    client.ask()
    again = control(0, 0, 0, 0, sccrq_body())
    client.send_raw(again)
    assert [answer.type for answer in client.answers] == [0]
    client.send_type(SCCCN)
    client.send_raw(again)
    assert [answer.type for answer in client.answers] == [0]
    assert len(client.lns.tunnels()) == 1


def test_the_same_sccrq_much_later_is_a_new_dial_in() -> None:
    client = raw(hello_interval=0)
    client.connect()
    client.call()
    first = client.lns_tunnel
    client.advance(FULL_CYCLE - 1)
    client.send_raw(control(0, 0, 0, 0, sccrq_body()))
    assert [view.tunnel_id for view in client.lns.tunnels()] == [first]
    client.advance(1)
    client.send_raw(control(0, 0, 0, 0, sccrq_body()))
    (down,) = client.of_type(TunnelDown)
    assert isinstance(down, TunnelDown)
    assert (down.tunnel_id, down.cause) == (first, "the client dialled anew")
    assert [view.state for view in client.lns.tunnels()] == ["wait-ctl-conn"]
    assert client.lns.sessions() == []


@pytest.mark.parametrize(("mark", "tunnel_id", "port"), [(2, 77, 1701), (1, 77, 9)])
def test_tunnels_of_others_are_apart(mark: int, tunnel_id: int, port: int) -> None:
    """Two clients behind one NAT differ in nothing but the mark."""
    client = raw()
    client.connect()
    other = RawPeer(client.lns, mark, tunnel_id, port)
    other.connect()
    assert other.of_type(TunnelUp)
    assert len({view.tunnel_id for view in client.lns.tunnels()}) == 2


def test_another_tunnel_over_the_same_flow_replaces_the_first() -> None:
    """A client that crashed and dials again has forgotten its tunnel."""
    client = raw()
    client.connect()
    client.call()
    again = RawPeer(client.lns, tunnel_id=78)
    again.connect()
    assert again.of_type(TunnelUp)
    assert [view.peer_tunnel_id for view in client.lns.tunnels()] == [78]
    assert client.lns.sessions() == []


def test_a_faulty_sccrq_replaces_nothing() -> None:
    client = raw()
    client.connect()
    again = RawPeer(client.lns, tunnel_id=78)
    again.send_raw(control(0, 0, 0, 0, message_type(SCCRQ) + u16(9, 78)))
    assert [answer.type for answer in again.answers] == [STOPCCN]
    assert [view.peer_tunnel_id for view in client.lns.tunnels()] == [77]


def test_a_tunnel_answers_to_its_own_mark_only() -> None:
    client = raw()
    client.connect()
    client.call()
    for datagram in (
        control(client.lns_tunnel, 0, client.ns, client.nr, message_type(STOPCCN) + u16(1, 1)),
        b"\x00\x02" + client.lns_tunnel.to_bytes(2) + client.lns_session.to_bytes(2) + b"\xc0\x21",
    ):
        client.send_raw(datagram, peer(mark=2))
        for claim in client.of_type(TunnelClaimed):  # by the right numbers, but not granted
            assert isinstance(claim, TunnelClaimed)
            client.carry_out(client.lns.claim_decided(claim, client.now))
        assert dropped(client) == [DropReason.WRONG_MARK]
        assert client.answers == []
    assert len(client.lns.sessions()) == 1


def test_the_answers_follow_a_client_whose_nat_gave_it_another_port() -> None:
    client = raw()
    client.connect()
    moved = RawPeer(client.lns, port=4711)
    moved.lns_tunnel, moved.ns, moved.nr = client.lns_tunnel, client.ns, client.nr
    moved.send_type(HELLO)
    assert [answer.type for answer in moved.answers] == [0]
    assert moved.lns.tunnels()[0].peer.port == 4711


# Limits.


def test_tunnels_of_one_client_are_limited() -> None:
    client = raw(max_tunnels_per_client=2)
    for number in (1, 2):
        RawPeer(client.lns, port=number).ask()
    client.ask()
    (stop,) = client.answers
    assert (stop.type, stop.result) == (STOPCCN, (2, 4, "too many tunnels of this client"))
    assert client.events == [TunnelRefused(client.peer, "lac", "too many tunnels of this client")]
    RawPeer(client.lns, mark=2).ask()
    assert len(client.lns.tunnels()) == 3


def test_a_stopped_tunnel_gives_way_to_the_next() -> None:
    client = raw(max_tunnels_per_client=1)
    client.connect()
    client.send_type(STOPCCN, extra=u16(9, 77) + u16(1, 1))
    assert [view.is_live for view in client.lns.tunnels()] == [False]
    second = RawPeer(client.lns, tunnel_id=78)
    second.connect()
    assert second.of_type(TunnelUp)
    assert [view.is_live for view in client.lns.tunnels()] == [True]


def test_tunnels_are_limited() -> None:
    client = raw(max_tunnels=3)
    for mark in (2, 3, 4):
        RawPeer(client.lns, mark).ask()
    client.ask()
    assert [answer.result for answer in client.answers] == [(2, 4, "too many tunnels")]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"host_name": ""}, "host_name is from 1 to 255 octets"),
        ({"host_name": "x" * 256}, "host_name is from 1 to 255 octets"),
        ({"vendor_name": "x" * 256}, "vendor_name is up to 255 octets"),
        ({"max_tunnels": 0}, "max_tunnels is from 1"),
        ({"max_tunnels": 40000}, "max_tunnels is from 1"),
        ({"auth_protocols": ()}, "auth_protocols is empty"),
        ({"dns": ("a", "b", "c")}, "two DNS"),
        ({"mtu": 100}, "mru and mtu are from 128 to 1500"),
        ({"mru": 1501}, "mru and mtu are from 128 to 1500"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_settings(**settings)


# States.


@pytest.mark.parametrize("state", [TunnelState.WAIT_CONNECT, TunnelState.ESTABLISHED])
@pytest.mark.parametrize("kind", [kind for kind in MessageType if kind is not MessageType.ZLB])
def test_every_message_in_every_state(state: TunnelState, kind: MessageType) -> None:
    """Allowed ones are acknowledged, others clear the tunnel as RFC 2661 section 7.1 wants."""
    client = raw()
    client.ask()
    if state is TunnelState.ESTABLISHED:
        client.send_type(SCCCN)
    extra = u16(9, 77) + u16(14, 5) + u16(1, 1) + u16(2, 0x0100) + avp(3, bytes(4)) + avp(7, b"x")
    client.send_type(kind, extra=extra)
    stops = [answer.result[0] for answer in client.answers if answer.type == STOPCCN]
    assert stops == ([] if (state, kind) in TABLE else [7])
    assert max(answer.nr for answer in client.answers) == client.ns


def test_in_the_table_every_state_is_left_by_stopccn() -> None:
    for state in TunnelState:
        ends = state in (TunnelState.IDLE, TunnelState.STOPPED, TunnelState.GONE)
        assert ((state, MessageType.STOPCCN) in TABLE) != ends


@pytest.mark.parametrize(("mandatory", "stopped"), [(True, True), (False, False)])
def test_unknown_message_types(mandatory: bool, stopped: bool) -> None:
    client = raw()
    client.connect()
    client.send(message_type(99, mandatory=mandatory))
    assert [answer.type for answer in client.answers] == [STOPCCN if stopped else 0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (message_type(HELLO) + avp(200, b""), 8),
        (message_type(HELLO) + b"\x80\x03\0\0\0\0", 2),
        (avp(7, b"x"), 3),
        (message_type(ICRQ), 3),
    ],
    ids=["unknown AVP", "AVP length", "no message type", "no session ID"],
)
def test_malformed_messages_clear_the_tunnel(body: bytes, error: int) -> None:
    client = raw()
    client.connect()
    client.send(body)
    (stop,) = client.answers
    assert (stop.type, stop.result[:2]) == (STOPCCN, (2, error))
    assert len(client.of_type(TunnelDown)) == 1


def test_outgoing_calls_are_refused_and_the_tunnel_stays() -> None:
    client = raw()
    client.connect()
    client.send_type(OCRQ, extra=u16(14, 5))
    (refusal,) = client.answers
    assert (refusal.type, refusal.session_id, refusal.result[0]) == (CDN, 5, 5)
    assert [view.is_live for view in client.lns.tunnels()] == [True]


@pytest.mark.parametrize("kind", [ICCN, CDN, WEN, SLI])
def test_messages_about_no_call_are_acknowledged_and_dropped(kind: int) -> None:
    client = raw()
    client.connect()
    client.send_type(kind, session=5, extra=u16(14, 5) + u16(1, 1))
    assert [answer.type for answer in client.answers] == [0]
    assert dropped(client) == [DropReason.UNKNOWN_SESSION]


# Tunnel authentication.

SECRET = b"tunnel secret"


def test_tunnel_authentication() -> None:
    client = raw(shared_secret=SECRET)
    client.ask(extra=avp(11, b"their challenge"))
    (reply,) = client.answers
    assert reply.avps[13] == tunnel_response(SCCRP, SECRET, b"their challenge")
    client.send_type(SCCCN, extra=avp(13, tunnel_response(SCCCN, SECRET, reply.avps[11])))
    assert client.of_type(TunnelUp)


@pytest.mark.parametrize("response", [b"", avp(13, bytes(16))], ids=["none", "wrong"])
def test_failed_tunnel_authentication(response: bytes) -> None:
    client = raw(shared_secret=SECRET)
    client.ask()
    client.send_type(SCCCN, extra=response)
    (stop,) = client.answers
    assert (stop.type, stop.result[0]) == (STOPCCN, 4)
    assert client.of_type(TunnelUp) == []
    assert SECRET.decode() not in repr(client.events)


# Time and the end.


def test_hello_when_nothing_was_heard() -> None:
    client = raw(hello_interval=10)
    client.connect()
    client.advance(9)
    client.send_type(HELLO)
    client.advance(9)
    assert client.answers == []
    client.advance(1)
    assert [answer.type for answer in client.answers] == [HELLO]
    client.acknowledge()
    client.advance(9)
    assert client.answers == []


def test_a_silent_peer_is_given_up() -> None:
    client = raw(hello_interval=10, patience=40)
    client.connect()
    client.advance(55)
    assert [answer.type for answer in client.answers] == [HELLO] * 7
    assert [down.cause for down in client.events if isinstance(down, TunnelDown)] == [
        "peer does not answer in L2TP"
    ]
    assert client.lns.tunnels() == []
    assert client.lns.next_deadline() is None


def test_a_peer_that_never_confirms_is_forgotten_without_a_word() -> None:
    client = raw()
    client.ask()
    client.advance(100)
    assert {answer.type for answer in client.answers} == {SCCRP}
    assert client.lns.tunnels() == []


def test_a_tunnel_without_a_call_is_stopped() -> None:
    client = raw()
    client.connect()
    client.advance(EMPTY_TIMEOUT + 1)
    assert STOPCCN in [answer.type for answer in client.answers]
    client.acknowledge()
    assert client.lns.tunnels() == []


def test_stopccn_from_the_peer_is_acknowledged_as_often_as_it_comes() -> None:
    client = raw()
    client.connect()
    client.call()
    client.send_type(STOPCCN, extra=u16(9, 77) + avp(1, b"\0\6\0\0bye"))
    assert [answer.type for answer in client.answers] == [0]
    (down,) = client.of_type(TunnelDown)
    assert isinstance(down, TunnelDown)
    assert down.cause == "peer sent StopCCN SHUTTING_DOWN (bye)"
    assert client.lns.sessions() == []
    client.ns -= 1
    client.send_type(STOPCCN, extra=u16(9, 77) + u16(1, 1))
    assert [answer.type for answer in client.answers] == [0]
    assert client.events == []
    client.advance(FULL_CYCLE + 1)
    assert client.lns.tunnels() == []
    assert client.lns.next_deadline() is None


def test_a_peer_may_give_up_before_it_knows_our_tunnel_id() -> None:
    client = raw()
    client.ask()
    stop = message_type(STOPCCN) + u16(9, 77) + u16(1, 1)
    client.send_raw(control(0, 0, 1, 0, stop))
    assert [answer.type for answer in client.answers] == [0]
    assert client.of_type(TunnelDown)


def test_our_stopccn_is_repeated_until_it_is_acknowledged() -> None:
    client = raw()
    client.connect()
    client.call()
    client.carry_out(client.lns.close_client(1, client.now, "operator says so"))
    (stop,) = [answer for answer in client.answers if answer.type == STOPCCN]
    assert stop.result == (1, 0, "operator says so")
    assert client.lns.sessions() == []
    client.advance(4)
    assert [answer.type for answer in client.answers].count(STOPCCN) >= 1
    client.acknowledge()
    assert client.lns.tunnels() == []
    assert client.lns.next_deadline() is None


def test_close_all() -> None:
    lns = make_lns()
    clients = [RawPeer(lns, mark) for mark in (1, 2)]
    for client in clients:
        client.connect()
    stopped = RawPeer(lns, 3)
    stopped.connect()
    stopped.send_type(STOPCCN, extra=u16(9, 77) + u16(1, 1))
    effects = lns.close_all(0.0)
    for client in clients:
        client.carry_out(effects)
        assert [answer.result[0] for answer in client.answers] == [6]
        client.acknowledge()
    assert lns.tunnels() == []


def test_a_client_whose_sas_are_gone_is_dropped_without_a_word() -> None:
    client = raw()
    client.connect()
    client.call()
    other = RawPeer(client.lns, mark=2)
    other.connect()
    client.carry_out(client.lns.client_gone(1, client.now, "IPsec SA deleted"))
    assert client.answers == []
    assert client.frames == []
    assert [down.cause for down in client.events if isinstance(down, TunnelDown)] == [
        "IPsec SA deleted"
    ]
    assert [view.peer.mark for view in client.lns.tunnels()] == [2]


def test_closing_what_is_not_there_is_no_error() -> None:
    lns = make_lns()
    assert lns.close_tunnel(5, 0.0, "x") == []
    assert lns.close_session(5, 0.0, "x") == []
    assert lns.close_client(5, 0.0, "x") == []
    assert lns.client_gone(5, 0.0, "x") == []
    assert lns.frame_received(5, b"\xc0\x21", 0.0) == []
    assert lns.activity(5, 0.0) == []


def test_close_tunnel() -> None:
    client = raw()
    client.connect()
    client.carry_out(client.lns.close_tunnel(client.lns_tunnel, 0.0, "x" * 5000))
    (stop,) = client.answers
    assert stop.result == (1, 0, "x" * 200)


def test_the_reply_to_an_incoming_call() -> None:
    client = raw()
    client.connect()
    client.send_type(ICRQ, extra=u16(14, 88) + avp(15, bytes(4)) + avp(18, bytes(4)))
    (reply,) = client.answers
    assert (reply.type, reply.session_id, reply.nr) == (ICRP, 88, client.ns)
    assert reply.number(14) != 0
    assert set(reply.avps) == {0, 14}


def test_out_of_order_messages_are_put_in_order() -> None:
    client = raw()
    client.ask()
    client.ns = 2
    client.send_type(ICRQ, extra=u16(14, 88))
    assert [answer.nr for answer in client.answers] == [1]
    client.ns = 1
    client.send_type(SCCCN)
    assert [answer.type for answer in client.answers] == [ICRP]
    assert client.answers[0].nr == 3


def test_accidents_of_unused_message_types() -> None:
    """OCRP and OCCN belong to a caller, which we never are."""
    for kind in (OCRP, OCCN, ICRP, SCCRP):
        client = raw()
        client.connect()
        client.send_type(kind)
        assert [answer.result[0] for answer in client.answers] == [7]
