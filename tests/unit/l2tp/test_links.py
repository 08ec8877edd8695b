"""How PPP links come to nothing, packet by packet."""

from __future__ import annotations

import pytest

from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    CloseDataPath,
    DataPathOpened,
    OpenDataPath,
    SendFrame,
    SessionDown,
)
from l2tp.ppp.auth import AuthAccepted, AuthRejected
from l2tp.ppp.settings import AuthProtocol
from tests.support.l2tp_client import CDN, CHAP, IPCP, LCP, PAP, write_options
from tests.support.l2tp_peer import Caller, OnPath, u16


def causes(caller: Caller) -> list[str]:
    return [event.cause for event in caller.events if isinstance(event, SessionDown)]


def test_the_peer_may_speak_first() -> None:
    caller = Caller()
    assert caller.frames == []
    caller.send_frame(LCP, 1, 1, b"")
    assert [packet[:2] for packet in caller.sent_packets()] == [(LCP, 1), (LCP, 2)]


def test_a_peer_that_waits_for_us_is_asked_after_a_second() -> None:
    caller = Caller()
    caller.advance(0.9)
    assert caller.frames == []
    caller.advance(0.2)
    assert [packet[:2] for packet in caller.sent_packets()] == [(LCP, 1)]


def test_a_peer_without_ppp() -> None:
    caller = Caller()
    caller.advance(50)
    assert causes(caller) == ["no answer to LCP Configure-Request"]
    assert {packet[1] for packet in caller.sent_packets()} == {1}


def test_a_peer_that_does_not_answer_the_challenge() -> None:
    caller = Caller()
    caller.open_lcp()
    caller.advance(50)
    assert causes(caller) == ["peer did not authenticate in time"]
    codes = [packet[:2] for packet in caller.sent_packets()]
    assert codes == [(CHAP, 1)] * 9 + [(LCP, 5)] * 2


def test_a_peer_that_rejects_the_authentication_protocol_after_all() -> None:
    caller = Caller()
    caller.open_lcp()
    caller.send_frame(LCP, 8, 1, b"\xc2\x23\x01\x01")
    assert [packet[:2] for packet in caller.sent_packets()] == [(LCP, 5)]
    caller.send_frame(LCP, 6, caller.sent_packets()[0][2], b"")
    assert causes(caller) == ["peer rejected CHAP"]


def test_a_peer_that_rejects_ipcp_in_time_of_authentication_changes_nothing() -> None:
    caller = Caller()
    caller.open_lcp()
    caller.send_frame(LCP, 8, 1, b"\x80\x21\x01\x01")
    assert caller.frames == []
    assert [view.state for view in caller.lns.sessions()] == ["auth"]


def test_why_a_login_failed_stays_here() -> None:
    """Neither PPP nor L2TP tell the peer whether the name exists."""
    caller = Caller()
    (login,) = caller.respond(caller.open_lcp()[0])
    assert isinstance(login, Authenticate)
    answer = AuthRejected("unknown user", "add the user")
    caller.carry_out(caller.lns.complete(login.ticket, answer, caller.now))
    assert [event.remedy for event in caller.events if isinstance(event, AuthFailed)] == [
        "add the user"
    ]
    sent = b"".join(caller.frames)
    caller.send_frame(LCP, 6, caller.sent_packets()[-1][2], b"")
    assert causes(caller) == ["authentication failed: unknown user"]
    (cdn,) = caller.answers
    assert (cdn.type, cdn.result) == (CDN, (3, 0, ""))
    assert b"unknown" not in sent


def test_a_wrong_login_is_told_before_good_bye() -> None:
    caller = Caller()
    (login,) = caller.respond(caller.open_lcp()[0])
    assert isinstance(login, Authenticate)
    caller.carry_out(caller.lns.complete(login.ticket, AuthRejected("wrong"), caller.now))
    assert [packet[:2] for packet in caller.sent_packets()] == [(CHAP, 4), (LCP, 5)]
    assert causes(caller) == [], "until the peer agrees, or does not answer"
    caller.advance(7)
    assert causes(caller) == ["authentication failed: wrong"]


def test_a_peer_that_hangs_up_while_lcp_negotiates() -> None:
    caller = Caller()
    caller.send_frame(LCP, 5, 9, b"")
    assert (LCP, 6, 9, b"") in caller.sent_packets()
    assert causes(caller) == ["peer hung up"]


def test_a_peer_without_pap_password() -> None:
    caller = Caller(auth_protocols=(AuthProtocol.PAP,))
    caller.send_frame(LCP, 1, 1, b"")
    request = caller.sent_packets()[0]
    caller.send_frame(LCP, 2, request[2], request[3])
    assert caller.frames == []
    caller.advance(50)
    assert causes(caller) == ["peer did not authenticate in time"]
    assert PAP not in {packet[0] for packet in caller.sent_packets()}


@pytest.mark.parametrize(
    ("protocol", "code", "body", "cause"),
    [
        (LCP, 8, b"\x80\x21\x01\x01", "peer rejected IPCP"),
        (LCP, 8, b"\xc0\x21\x01\x01", "peer rejected LCP"),
        (LCP, 7, b"\x01\x01\x00\x04", "peer does not know LCP code"),
        (LCP, 5, b"", "peer hung up"),
        (LCP, 6, b"", "peer started LCP anew"),
        (IPCP, 5, b"", "peer closed IPCP"),
        (IPCP, 7, b"\x01\x01\x00\x04", "peer does not know IPCP code"),
    ],
)
def test_ends_of_a_link_that_was_authenticated(
    protocol: int, code: int, body: bytes, cause: str
) -> None:
    client = OnPath()
    client.send_frame(protocol, code, 1, body)
    if not causes(client):
        client.advance(20)
    assert causes(client) == [cause]


def test_a_login_that_is_answered_after_the_call_has_ended() -> None:
    caller = Caller()
    (login,) = caller.respond(caller.open_lcp()[0])
    assert isinstance(login, Authenticate)
    caller.send_type(CDN, caller.lns_session, u16(14, 88) + u16(1, 3))
    assert causes(caller) == ["peer sent CDN ADMINISTRATIVE"]
    effects = caller.lns.complete(login.ticket, AuthAccepted("alice"), caller.now)
    assert effects == []
    assert caller.lns._settings.pool.leases() == {}


def test_frames_that_waited_for_the_path_may_end_the_link() -> None:
    caller = Caller()
    caller.log_in()
    (opening,) = caller.of_type(OpenDataPath)
    assert isinstance(opening, OpenDataPath)
    caller.send_frame(LCP, 5, 1, b"")
    caller.send_frame(LCP, 9, 2, bytes(4))
    assert caller.events == []
    caller.carry_out(caller.lns.complete(opening.ticket, DataPathOpened(), caller.now))
    assert causes(caller) == ["peer hung up"]
    sent = [event.frame[:3] for event in caller.events if isinstance(event, SendFrame)]
    assert sent == [b"\x80\x21\x01", b"\xc0\x21\x06"]
    assert isinstance(caller.events[2], CloseDataPath)


def test_a_peer_without_ipcp() -> None:
    client = OnPath()
    client.advance(50)
    assert causes(client) == ["no answer to IPCP Configure-Request"]


def test_ipcp_that_does_not_converge() -> None:
    client = OnPath()
    for identifier in range(60):
        client.send_frame(IPCP, 1, identifier, write_options([(3, b"\1\2\3\4")]))
    client.advance(20)
    assert causes(client) == ["IPCP negotiation does not converge"]


def test_success_is_repeated_until_the_peer_speaks_ipcp() -> None:
    client = OnPath()
    client.advance(7)
    assert client.frames_sent() == [(CHAP, 3), (IPCP, 1), (CHAP, 3), (IPCP, 1)]
    client.send_frame(IPCP, 1, 1, write_options([(3, bytes(4))]))
    client.advance(3)
    assert client.frames_sent() == [(IPCP, 1)]


def test_a_retried_login_may_be_right() -> None:
    caller = Caller(auth_retries=1)
    identifier = caller.open_lcp()[0]
    (login,) = caller.respond(identifier)
    assert isinstance(login, Authenticate)
    caller.carry_out(caller.lns.complete(login.ticket, AuthRejected("wrong"), caller.now))
    assert causes(caller) == []
    (again,) = caller.respond((identifier + 1) % 256, fill=3)
    assert isinstance(again, Authenticate)
    assert again.ticket != login.ticket


def test_renegotiated_ipcp_keeps_the_session() -> None:
    client = OnPath()
    (view,) = client.lns.sessions()
    assert view.address is not None
    good = write_options([(3, view.address.packed)])
    requests = client.requests()
    for identifier in (1, 2):
        client.send_frame(IPCP, 1, identifier, good)
        latest = (requests + client.requests())[-1]
        client.send_frame(IPCP, 2, latest[3], latest[6:])
    assert [view.is_up for view in client.lns.sessions()] == [True]
    assert causes(client) == []
