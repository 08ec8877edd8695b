"""A client without a tunnel names that of another mark: it has made it, or it guesses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from l2tp.core.claims import MAX_WRONG
from l2tp.core.effects import (
    DialledAnew,
    Dropped,
    DropReason,
    Peer,
    Send,
    SendFrame,
    SessionDown,
    Strayed,
    TunnelClaimed,
    TunnelDown,
)
from tests.support.l2tp_client import HELLO, LCP, control, data, ppp
from tests.support.l2tp_network import peer
from tests.support.l2tp_peer import OnPath, RawPeer, make_lns, message_type, sccrq_body

ECHO = ppp(LCP, 9, 1, bytes(4))
NEW = peer(mark=2)


def connected() -> OnPath:
    """A client that is up under mark 1."""
    client = OnPath()
    client.acknowledge()
    return client


def lcp_answers(client: RawPeer) -> int:
    """LCP echos that the session's data path has answered."""
    return sum(isinstance(event, SendFrame) for event in client.events)


def claims(client: RawPeer) -> list[TunnelClaimed]:
    return [event for event in client.events if isinstance(event, TunnelClaimed)]


def test_both_numbers_are_a_claim_and_the_message_waits_for_its_end() -> None:
    client = connected()
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    (claim,) = client.events
    assert isinstance(claim, TunnelClaimed)
    assert (claim.peer, claim.owner_mark) == (NEW, 1)

    client.peer = NEW
    client.carry_out(client.lns.continued(1, 2, NEW.address, client.now))
    assert client.events == []
    client.carry_out(client.lns.claim_decided(claim, client.now))
    assert lcp_answers(client) == 1
    # All that comes later needs no claim; what comes under the old mark is another one's.
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO))
    assert lcp_answers(client) == len(client.events) == 1
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), peer(mark=1))
    assert [type(event) for event in client.events] == [TunnelClaimed]
    client.carry_out(client.lns.client_gone(2, client.now, "gone"))
    assert client.of_type(SessionDown)
    assert client.of_type(TunnelDown)


def test_one_that_is_not_granted_is_told_to_dial() -> None:
    client = connected()
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    (claim,) = claims(client)
    effects = client.lns.claim_decided(claim, client.now)
    (answer,) = [effect.datagram for effect in effects if isinstance(effect, Send)]
    dropped, strayed = [effect for effect in effects if not isinstance(effect, Send)]
    assert isinstance(dropped, Dropped)
    assert dropped.reason is DropReason.WRONG_MARK
    assert strayed == Strayed(NEW, client.lns_tunnel)
    # Like anybody who names a tunnel that is not there: it learns nothing of the client's.
    lns = make_lns()
    told = lns.receive(data(client.lns_tunnel, client.lns_session, ECHO), NEW, 0.0)
    (send,) = [effect for effect in told if isinstance(effect, Send)]
    assert send.datagram == answer


def test_a_control_message_has_its_sender_name_a_session_too() -> None:
    client = connected()
    hello = control(client.lns_tunnel, 0, client.ns, client.nr, message_type(HELLO))
    client.peer = NEW
    client.send_raw(hello)
    assert [type(event) for event in client.events] == [Dropped]
    assert client.answers == []
    (echo,) = client.frames
    assert echo[2:6] == client.tunnel_id.to_bytes(2) + (88).to_bytes(2)
    client.send_raw(data(client.lns_tunnel, client.lns_session, ppp(LCP, 10, 1, bytes(4))))
    (claim,) = claims(client)
    client.carry_out(client.lns.continued(1, 2, NEW.address, client.now))
    client.carry_out(client.lns.claim_decided(claim, client.now))
    client.send_raw(hello)
    assert [answer.nr for answer in client.answers] == [client.ns + 1]


@pytest.mark.parametrize("wrong", [(8, 0), (0, 9), (-2, 0), (0, -1)])
def test_a_control_message_out_of_sequence_is_turned_away(wrong: tuple[int, int]) -> None:
    client = connected()
    ns, nr = client.ns + wrong[0], client.nr + wrong[1]
    client.send_raw(control(client.lns_tunnel, 0, ns, nr, message_type(HELLO)), NEW)
    assert [type(event) for event in client.events] == [Dropped, Strayed]


@pytest.mark.parametrize("other", [peer(2, 1702), replace(NEW, local="192.0.2.9")], ids=str)
def test_another_port_or_gateway_is_another_client(other: Peer) -> None:
    client = connected()
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), other)
    assert claims(client) == []


def test_who_has_a_tunnel_claims_none() -> None:
    client = connected()
    other = RawPeer(client.lns, mark=2)
    other.connect()
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    assert claims(client) == []


def test_who_guesses_numbers_of_tunnels_soon_claims_nothing() -> None:
    client = connected()
    unused = [number for number in range(1, 100) if number != client.lns_tunnel]
    for number in unused[:MAX_WRONG]:
        client.send_raw(data(number, client.lns_session, ECHO), NEW)
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    assert claims(client) == []
    # It is nobody else's fault, and not that of the next one with its mark.
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), peer(mark=3))
    assert len(claims(client)) == 1
    client.carry_out(client.lns.client_gone(2, client.now, "gone"))
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    assert len(claims(client)) == 1


def test_a_tunnel_whose_sessions_were_guessed_is_nobodys_but_its_makers() -> None:
    client = connected()
    for number in range(MAX_WRONG):
        client.send_raw(data(client.lns_tunnel, client.lns_session ^ 1, ECHO), peer(10 + number))
        assert claims(client) == []
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO), NEW)
    assert claims(client) == []
    client.send_raw(data(client.lns_tunnel, client.lns_session, ECHO))
    assert lcp_answers(client) == 1


def test_a_client_that_has_dialled_meanwhile_keeps_its_new_tunnel() -> None:
    client = connected()
    new = RawPeer(client.lns, mark=2, tunnel_id=78)
    new.connect()
    client.peer = NEW
    client.carry_out(client.lns.continued(1, 2, NEW.address, client.now))
    assert client.of_type(TunnelDown)
    (left,) = client.lns.tunnels()
    assert left.tunnel_id == new.lns_tunnel


def test_another_dial_in_under_one_mark_is_told() -> None:
    client = connected()
    client.ns, client.tunnel_id = 0, 99
    client.send(sccrq_body(99), tunnel=0)
    assert DialledAnew(client.peer) in client.events


def test_older_tunnels_of_one_that_dials_anew_from_another_port_are_dropped() -> None:
    client = connected()
    new = RawPeer(client.lns, tunnel_id=78, port=1702)
    new.connect()
    new.carry_out(new.lns.end_older(1, new.now, "the client dialled anew"))
    assert new.of_type(TunnelDown)
    (left,) = client.lns.tunnels()
    assert left.tunnel_id == new.lns_tunnel
