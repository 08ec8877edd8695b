"""A client that goes on in a tunnel or call that has ended is told so, and rarely."""

from __future__ import annotations

import pytest

from l2tp.core.effects import Dropped, DropReason, Send, Strayed
from l2tp.core.settings import HINT_INTERVAL
from l2tp.core.strays import MAX_REMEMBERED, Standing
from l2tp.core.transport import FULL_CYCLE
from tests.support.l2tp_client import CDN, HELLO, LCP, STOPCCN, avp, control, data, ppp, read_avps
from tests.support.l2tp_network import peer
from tests.support.l2tp_peer import Answer, Caller, RawPeer, make_lns, message_type, u16

NO_SUCH_TUNNEL = (2, 1)
"""Result and error code: no control connection exists yet for this pair."""
ECHO = ppp(LCP, 9, 1, bytes(4))


def slept() -> RawPeer:
    """A client whose tunnel was given up while it slept, and whose SAs are new."""
    client = RawPeer(make_lns())
    client.connect()
    client.carry_out(client.lns.close_client(1, client.now, "peer does not answer LCP echo"))
    client.carry_out(client.lns.client_gone(1, client.now, "peer does not answer LCP echo"))
    client.nr = 1
    client.now += 600
    client.peer = peer(mark=2)
    return client


def result(answer: Answer) -> tuple[int, int]:
    code, error, _ = answer.result
    return code, error


def hello(client: RawPeer) -> bytes:
    return control(client.lns_tunnel, 0, client.ns, client.nr, message_type(HELLO))


def test_one_that_slept_is_told_in_the_words_it_understands() -> None:
    """Its own tunnel number in the header, the sequence number it waits for, ours in the AVP."""
    client = slept()
    client.send_raw(hello(client))
    (stop,) = client.answers
    assert stop.type == STOPCCN
    assert (stop.session_id, stop.ns, stop.nr) == (0, client.nr - 1, client.ns + 1)
    assert stop.number(9) == client.lns_tunnel
    assert result(stop) == NO_SUCH_TUNNEL
    assert client.of_type(Strayed) == [Strayed(client.peer, client.lns_tunnel)]


def test_one_that_sends_packets_is_told_in_sequence_too() -> None:
    client = slept()
    waits_for = client.nr
    client.send_raw(data(client.lns_tunnel, 5, ECHO))
    (stop,) = client.answers
    # The StopCCN that it slept through had the number it still waits for.
    assert (stop.type, stop.ns, stop.nr) == (STOPCCN, waits_for, client.ns)


def test_one_that_nobody_remembers_is_told_as_the_rfc_has_it() -> None:
    lns = make_lns()
    (drop, send, strayed) = lns.receive(control(4711, 0, 7, 3, message_type(HELLO)), peer(), 0.0)
    assert isinstance(drop, Dropped)
    assert drop.reason is DropReason.UNKNOWN_TUNNEL
    assert isinstance(send, Send)
    assert send.peer == peer()
    assert send.datagram[:12] == control(0, 0, 3, 8, send.datagram[12:])[:12]
    avps = read_avps(send.datagram[12:])
    assert avps[0] == u16(0, STOPCCN)[6:]
    assert avps[9] == u16(9, 4711)[6:]
    assert strayed == Strayed(peer(), 4711)


def test_after_a_crash_the_next_run_knows_what_the_client_understands() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.acknowledge()
    standing = client.lns.standing(client.lns_tunnel)
    assert standing == Standing(client.tunnel_id, ns=client.nr, nr=client.ns)
    client.lns = make_lns(seed=2)
    client.lns.remember({client.lns_tunnel: standing})
    client.peer = peer(mark=2)
    client.send_raw(data(client.lns_tunnel, 5, ECHO))
    (stop,) = client.answers
    assert (stop.type, stop.number(9)) == (STOPCCN, client.lns_tunnel)
    assert (stop.ns, stop.nr) == (client.nr - 1, client.ns)


def test_it_is_told_once_in_a_while() -> None:
    client = slept()
    told = []
    for _ in range(100):
        client.now += 1
        client.send_raw(data(client.lns_tunnel, 5, ECHO))
        told += client.answers
        client.send_raw(hello(client))
        told += client.answers
    assert len(told) == 100 / HINT_INTERVAL


def test_each_client_is_told() -> None:
    lns = make_lns()
    for mark in range(1, 100):
        effects = lns.receive(data(4711, 5, ECHO), peer(mark), 0.0)
        assert [effect.peer.mark for effect in effects if isinstance(effect, Send)] == [mark]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        message_type(STOPCCN) + u16(9, 77) + avp(1, bytes((0, 1))),
        message_type(CDN) + u16(14, 88) + avp(1, bytes((0, 3))),
        message_type(99),
        b"\x80\x07\0\0\0\0\0",
    ],
    ids=["zlb", "stopccn", "cdn", "unknown type", "malformed"],
)
@pytest.mark.parametrize("client", [slept(), RawPeer(make_lns())], ids=["known", "unknown"])
def test_what_wants_no_answer_gets_none(client: RawPeer, body: bytes) -> None:
    """No acknowledgement answers another one, and no StopCCN a StopCCN (xl2tpd before 1.3.7)."""
    for _ in range(3):
        client.now += HINT_INTERVAL
        client.send_raw(control(client.lns_tunnel or 4711, 0, client.ns, client.nr, body))
        assert client.answers == []


def test_two_gateways_that_strayed_fall_silent() -> None:
    """One's answer, as the other would take it: no loop."""
    here, there = make_lns(1), make_lns(2)
    (hint,) = (
        effect.datagram
        for effect in here.receive(data(4711, 5, ECHO), peer(), 0.0)
        if isinstance(effect, Send)
    )
    assert [effect for effect in there.receive(hint, peer(), 0.0) if isinstance(effect, Send)] == []


def test_nothing_in_clear_is_answered() -> None:
    lns = make_lns()
    effects = lns.receive(control(4711, 0, 7, 3, message_type(HELLO)), peer(mark=0), 0.0)
    assert [type(effect) for effect in effects] == [Dropped]


def test_hellos_to_tunnel_0_are_dropped_silently() -> None:
    """Apple sends a burst of them to have its IPsec brought up, before it dials."""
    client = RawPeer(make_lns())
    for _ in range(11):
        client.send(message_type(HELLO), tunnel=0)
        assert client.events == [Dropped(client.peer, DropReason.NO_TUNNEL, "HELLO")]
        assert client.answers == []
    client.ns = 0
    client.connect()
    assert [view.is_live for view in client.lns.tunnels()] == [True]


def test_a_client_that_has_dialled_is_left_in_peace() -> None:
    client = slept()
    old = client.lns_tunnel
    client.ns = client.nr = 0
    client.connect()
    client.send_raw(data(old, 5, ECHO))
    assert client.answers == []


def test_another_clients_tunnel_is_not_shown() -> None:
    owner = RawPeer(make_lns())
    owner.connect()
    effects = owner.lns.receive(data(owner.lns_tunnel, 5, ECHO), peer(mark=9), 0.0)
    (hint,) = (effect for effect in effects if isinstance(effect, Send))
    assert hint.peer.mark == 9
    assert hint.datagram[4:6] == bytes(2), "not the number that the owner gave"
    assert [view.is_live for view in owner.lns.tunnels()] == [True]


def test_one_that_knows_is_not_remembered() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.send_type(STOPCCN, extra=u16(9, client.tunnel_id) + avp(1, bytes((0, 1))))
    client.advance(FULL_CYCLE + 1)
    effects = client.lns.receive(data(client.lns_tunnel, 5, ECHO), client.peer, client.now)
    (hint,) = (effect for effect in effects if isinstance(effect, Send))
    assert hint.datagram[4:6] == bytes(2)


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    lns = make_lns()
    lns.remember({number + 1: Standing(77, 2, 4) for number in range(MAX_REMEMBERED + 1)})
    for tunnel_id, header in ((1, 0), (2, 77)):
        effects = lns.receive(data(tunnel_id, 5, ECHO), peer(mark=tunnel_id), 0.0)
        (hint,) = (effect for effect in effects if isinstance(effect, Send))
        assert hint.datagram[4:6] == header.to_bytes(2)


def test_the_number_of_a_tunnel_that_ended_is_not_given_to_another_one() -> None:
    lns = make_lns()
    lns.remember({number: Standing(77, 2, 4) for number in range(1, MAX_REMEMBERED)})
    for mark in range(1, 20):
        client = RawPeer(lns, mark)
        client.connect()
        assert client.lns_tunnel >= MAX_REMEMBERED


# Calls.


def test_packets_for_a_call_that_is_not_there_end_it() -> None:
    caller = Caller()
    caller.acknowledge()
    told = []
    for _ in range(50):
        caller.now += 1
        caller.send_raw(data(caller.lns_tunnel, 4711, ECHO))
        told += caller.answers
        caller.acknowledge()
    assert len(told) == 50 / HINT_INTERVAL
    assert {answer.type for answer in told} == {CDN}
    assert {(answer.number(14), *result(answer)) for answer in told} == {(4711, 2, 5)}
    assert len(caller.lns.sessions()) == 1


def test_packets_that_come_late_for_a_call_end_nothing() -> None:
    caller = Caller()
    caller.send_type(CDN, caller.lns_session, u16(14, 88) + avp(1, bytes((0, 3))))
    for _ in range(int(FULL_CYCLE)):
        caller.send_raw(data(caller.lns_tunnel, caller.lns_session, ECHO))
        assert caller.answers == []
        caller.now += 1


def test_a_call_that_is_not_there_is_spoken_of_when_all_else_is_heard() -> None:
    caller = Caller()
    caller.carry_out(caller.lns.close_session(caller.lns_session, caller.now, "test"))
    caller.now += FULL_CYCLE
    caller.send_raw(data(caller.lns_tunnel, 4711, ECHO))
    assert caller.answers == [], "the CDN is still on its way"
