"""Calls and what runs in them, from ICRQ to hang-up, with clients like the real ones."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    CloseDataPath,
    ConfigureLink,
    DataPathFailed,
    DataPathOpened,
    Dropped,
    DropReason,
    OpenDataPath,
    SendFrame,
    SessionDown,
    SessionUp,
    TunnelDown,
)
from l2tp.core.session import CONNECT_TIMEOUT
from l2tp.core.settings import ClientSettings
from l2tp.ppp.auth import AuthAccepted
from l2tp.ppp.settings import AuthProtocol, EchoSettings
from tests.support.l2tp_client import (
    ANDROID,
    APPLE,
    APPLE_OLD,
    CCP,
    CDN,
    CHAP,
    ICCN,
    ICRQ,
    IPCP,
    IPV6CP,
    LCP,
    STOPCCN,
    WINDOWS,
    ClientProfile,
    avp,
    data,
    ppp,
    read_avps,
)
from tests.support.l2tp_network import DNS, LOCAL, USERS, Simulation, make_settings
from tests.support.l2tp_peer import RawPeer, make_lns, message_type, u16

PROFILES = {
    "plain": ClientProfile(),
    "android": ANDROID,
    "apple": APPLE,
    "old apple": APPLE_OLD,
    "windows": WINDOWS,
    "chap-md5": ClientProfile(auth=("chap-md5",)),
    "sequenced": ClientProfile(iccn_avps=avp(39, b"")),
    "vendor avps": ClientProfile(extra_avps=avp(1, b"metadata", 0, vendor=311)),
}


def downs(sim: Simulation) -> list[str]:
    return [event.cause for event in sim.gateway.of_type(SessionDown)]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_clients_connect_and_hang_up(profile: ClientProfile) -> None:
    sim = Simulation()
    client = sim.dial_until_up(profile)
    address = IPv4Address("10.9.0.10")
    (session,) = sim.lns.sessions()
    assert (session.user, session.address, session.is_up) == ("alice", address, True)
    assert client.address == address.packed
    assert dict(client.options)[129] == DNS[0].packed
    assert dict(client.options)[131] == DNS[1].packed
    (link,) = sim.gateway.of_type(ConfigureLink)
    assert link == ConfigureLink(session.session_id, LOCAL, address, 1400)
    (up,) = sim.gateway.of_type(SessionUp)
    assert (up.user, up.address, up.dns, up.mtu) == ("alice", address, DNS, 1400)
    assert up.auth_protocol.value == profile.auth[0]
    assert sim.now < 1.0, "no step waited for a timer"
    sim.send_up(1, client.hang_up(sim.now))
    sim.run(100)
    assert client.state == "closed"
    assert downs(sim) == ["peer hung up"]
    assert sim.lns.sessions() == []
    assert sim.lns.tunnels() == []
    assert sim.pool.leases() == {}
    assert sim.gateway.paths == {}
    assert sim.lns.next_deadline() is None


def test_pap_only_if_configured() -> None:
    profile = ClientProfile(auth=("pap",))
    sim = Simulation()
    client = sim.dial(profile)
    sim.run(10)
    (failed,) = sim.gateway.of_type(AuthFailed)
    assert failed.cause == "no common authentication protocol, peer asks for pap"
    assert "protocol" in failed.remedy
    assert client.state == "failed"
    allowed = Simulation(make_settings(auth_protocols=tuple(AuthProtocol)))
    allowed.dial_until_up(profile)
    (up,) = allowed.gateway.of_type(SessionUp)
    assert up.auth_protocol is AuthProtocol.PAP


@pytest.mark.parametrize("auth", ["mschapv2", "chap-md5", "pap"])
@pytest.mark.parametrize(
    ("user", "password", "cause"),
    [(b"alice", "wrong", "wrong password"), (b"mallory", "secret", "unknown user")],
)
def test_refused_logins(auth: str, user: bytes, password: str, cause: str) -> None:
    sim = Simulation(make_settings(auth_protocols=tuple(AuthProtocol)))
    other = sim.dial_until_up()
    client = sim.dial(ClientProfile(auth=(auth,)), user, password)
    sim.run(10)
    (failed,) = sim.gateway.of_type(AuthFailed)
    assert (failed.user, failed.cause, failed.peer.mark) == (user.decode(), cause, 2)
    assert failed.remedy
    assert "password" in client.failure or "E=691" in client.failure or "fail" in client.failure
    assert downs(sim) == [f"authentication failed: {cause}"]
    assert [view.user for view in sim.lns.sessions()] == ["alice"]
    assert sim.lns.of_client(1) == (sim.lns.tunnels()[:1], sim.lns.sessions())
    assert sim.lns.of_client(3) == ([], [])
    assert len(sim.pool.leases()) == 1
    assert other.state == "up"


def test_windows_sends_its_domain() -> None:
    sim = Simulation()
    sim.dial_until_up(user=b"HOME\\alice")
    (up,) = sim.gateway.of_type(SessionUp)
    assert up.user == "alice"


def test_a_name_cannot_forge_log_lines() -> None:
    sim = Simulation()
    sim.dial(user=b"eve\nlogin ok \xff")
    sim.run(10)
    (failed,) = sim.gateway.of_type(AuthFailed)
    assert failed.user == "eve?login ok \ufffd"


def test_no_secret_in_any_event() -> None:
    sim = Simulation(make_settings(auth_protocols=tuple(AuthProtocol)))
    for auth in ("mschapv2", "chap-md5", "pap"):
        sim.dial(ClientProfile(auth=(auth,)))
    sim.run(10)
    assert len(sim.gateway.of_type(Authenticate)) == 3
    assert "secret" not in repr(sim.gateway.events)


# Addresses.


def test_a_static_address_replaces_the_session_that_holds_it() -> None:
    sim = Simulation()
    login: dict[str, Any] = {"user": b"bob", "password": "builder"}
    first = sim.dial_until_up(**login)
    second = sim.dial_until_up(**login)
    assert first.address == second.address == IPv4Address("10.9.0.99").packed
    assert downs(sim) == ["replaced by a newer login of the same user"]
    assert first.state == "failed"
    assert [view.peer.mark for view in sim.lns.sessions()] == [2]
    sim.run(200)
    assert [view.peer.mark for view in sim.lns.tunnels()] == [2]


def test_an_empty_pool_is_told_clearly() -> None:
    sim = Simulation(make_settings("10.9.0.10"))
    first = sim.dial_until_up()
    client = sim.dial()
    sim.run(10)
    assert client.state == "failed"
    assert downs(sim) == ["all 1 addresses are in use: enlarge the pool or end idle sessions"]
    sim.send_up(1, first.hang_up(sim.now))
    sim.run(1)
    sim.dial_until_up()


def test_the_cdn_for_an_empty_pool_says_try_later() -> None:
    sim = Simulation(make_settings("10.9.0.10"))
    sim.dial_until_up()
    seen: list[bytes] = []
    sim.fate = lambda datagram: seen.append(datagram) or [0.001]  # type: ignore[func-returns-value]
    sim.dial()
    sim.run(10)
    cdns = [read_avps(datagram[12:]) for datagram in seen if datagram[12:20] == message_type(CDN)]
    assert [avps[1][:2] for avps in cdns] == [b"\0\4"]


def test_the_same_user_gets_the_same_address_again() -> None:
    sim = Simulation()
    client = sim.dial_until_up()
    sim.send_up(1, client.hang_up(sim.now))
    sim.run(1)
    sim.dial_until_up(user=b"bob", password="builder")
    assert sim.dial_until_up().address == client.address


# Data paths.


def test_a_data_path_that_fails_ends_the_call() -> None:
    sim = Simulation()
    sim.gateway.failing_paths = True
    client = sim.dial()
    sim.run(10)
    assert client.state == "failed"
    assert downs(sim) == ["no data path: no kernel support"]
    assert sim.gateway.of_type(CloseDataPath) == []
    assert sim.pool.leases() == {}


class SlowHost(RawPeer):
    """A client past its login, whose data path is still being set up."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(make_lns(**settings))
        self.connect()
        self.call()
        self.send_frame(LCP, 1, 1, b"")
        request = self.frames[0][10:]
        self.send_frame(LCP, 2, request[1], request[4:])
        challenge = self.frames[0][10:]
        value = bytes(49)
        self.send_frame(CHAP, 2, challenge[1], bytes((49,)) + value + b"alice")
        (question,) = self.of_type(Authenticate)
        assert isinstance(question, Authenticate)
        self.complete(question.ticket, AuthAccepted("alice"))
        (opening,) = self.of_type(OpenDataPath)
        assert isinstance(opening, OpenDataPath)
        self.opening = opening

    def complete(self, ticket: int, answer: AuthAccepted | DataPathOpened | DataPathFailed) -> None:
        self.carry_out(self.lns.complete(ticket, answer, self.now))

    def path_frames(self) -> list[int]:
        """Protocols of frames that went through the data path."""
        return [
            int.from_bytes(event.frame[:2]) for event in self.events if isinstance(event, SendFrame)
        ]


def test_what_the_data_path_is_told() -> None:
    host = SlowHost()
    opening = host.opening
    assert (opening.tunnel_id, opening.session_id) == (host.lns_tunnel, host.lns_session)
    assert (opening.peer_tunnel_id, opening.peer_session_id) == (77, 88)
    assert opening.peer == host.peer
    assert (opening.peer_mru, opening.mru) == (1500, 1400)
    assert (opening.pfc, opening.acfc, opening.sequencing) == (False, False, False)


def test_frames_that_come_while_the_path_is_set_up_are_not_lost() -> None:
    host = SlowHost()
    host.send_frame(IPCP, 1, 5, b"\x03\x06\0\0\0\0")
    assert host.frames == []
    host.carry_out(host.lns.frame_received(host.lns_session, b"\x80\xfd\x01\x06\x00\x04", host.now))
    assert host.frames == []
    host.complete(host.opening.ticket, DataPathOpened())
    assert host.path_frames() == [IPCP, IPCP, LCP]
    codes = [event.frame[2] for event in host.events if isinstance(event, SendFrame)]
    assert codes == [1, 3, 8], "our request, the Nak with the address, the Protocol-Reject"


def test_few_frames_wait() -> None:
    host = SlowHost()
    for identifier in range(100):
        host.send_frame(CCP, 1, identifier, b"")
    host.complete(host.opening.ticket, DataPathOpened())
    assert host.path_frames().count(LCP) == 16


def test_a_path_that_opens_after_the_call_has_ended_is_closed() -> None:
    host = SlowHost()
    host.send_type(CDN, host.lns_session, u16(14, 88) + u16(1, 3))
    assert host.of_type(SessionDown)
    assert host.of_type(CloseDataPath) == []
    host.complete(host.opening.ticket, DataPathOpened())
    assert host.events == [CloseDataPath(host.lns_session)]
    host.complete(host.opening.ticket, DataPathOpened())
    assert host.events == []


def test_a_path_that_fails_after_the_call_has_ended_is_of_no_matter() -> None:
    host = SlowHost()
    host.carry_out(host.lns.client_gone(1, host.now, "gone"))
    host.complete(host.opening.ticket, DataPathFailed("too late"))
    assert host.events == []


def test_a_path_that_never_opens_ends_the_call() -> None:
    host = SlowHost(setup_timeout=20)
    host.advance(30)
    assert [event.cause for event in host.events if isinstance(event, SessionDown)] == [
        "not up within 20 s"
    ]


def test_answers_to_forgotten_tickets_are_ignored() -> None:
    host = SlowHost()
    for ticket in (0, 1, 999):
        host.complete(ticket, AuthAccepted("root"))
        assert host.events == []


def test_once_the_path_is_open_no_frame_goes_through_user_space() -> None:
    sim = Simulation()
    client = sim.dial_until_up()
    sim.gateway.events.clear()
    sim.send_up(1, [data(client.peer_tunnel, client.peer_session, ppp(LCP, 9, 1, b"\1\1\1\1"))])
    sim.run(1)
    (frame,) = sim.gateway.of_type(SendFrame)
    assert frame.frame[:3] == b"\xc0\x21\x0a"


def test_sequence_numbers_if_the_client_requires_them() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.call(iccn=avp(39, b""))
    frame = ppp(LCP, 1, 1, b"")
    head = b"\x08\x02" + client.lns_tunnel.to_bytes(2) + client.lns_session.to_bytes(2)
    client.send_raw(head + b"\0\5\0\0" + frame)
    numbers = [datagram[6:10] for datagram in client.frames]
    assert numbers == [b"\0\0\0\6", b"\0\1\0\6"]
    client.send_raw(head + b"\0\5\0\0" + frame)
    assert client.frames == []
    assert [event.reason for event in client.events if isinstance(event, Dropped)] == [
        DropReason.OUT_OF_SEQUENCE
    ]


# Protocols beyond ours.


@pytest.mark.parametrize("protocol", [CCP, IPV6CP, 0x8235, 0xC227, 0x80FB, 0x4221])
def test_other_protocols_are_rejected_once_the_link_is_open(protocol: int) -> None:
    sim = Simulation()
    client = sim.dial_until_up(ClientProfile(other_protocols=(protocol,)))
    assert client.rejected == [protocol]


def test_ip_is_not_rejected() -> None:
    sim = Simulation()
    client = sim.dial_until_up()
    sim.gateway.events.clear()
    packet = data(client.peer_tunnel, client.peer_session, b"\xff\x03\x00\x21" + bytes(20))
    sim.send_up(1, [packet])
    sim.run(1)
    assert sim.gateway.of_type(SendFrame) == []


def test_the_mtu_is_the_smaller_of_ours_and_the_peers() -> None:
    sim = Simulation()
    sim.dial_until_up(ClientProfile(lcp_options=((1, (1280).to_bytes(2)),)))
    (link,) = sim.gateway.of_type(ConfigureLink)
    assert link.mtu == 1280


# Call states.


@pytest.mark.parametrize("kind", [ICRQ, ICCN, 11, 9])
def test_messages_out_of_order_end_the_call(kind: int) -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.call()
    client.send_type(kind, client.lns_session, u16(14, 88) + avp(24, bytes(4)) + avp(19, bytes(4)))
    stops = [answer for answer in client.answers if answer.type in (CDN, STOPCCN)]
    assert stops[0].result[0] in (2, 7)
    if kind in (ICRQ, ICCN):
        assert (stops[0].type, stops[0].session_id, stops[0].result[:2]) == (CDN, 88, (2, 5))


def test_a_call_that_is_not_connected_in_time_is_ended() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.send_type(ICRQ, extra=u16(14, 88))
    client.acknowledge()
    client.advance(CONNECT_TIMEOUT + 1)
    cdns = [answer for answer in client.answers if answer.type == CDN]
    assert cdns[0].result[0] == 10


@pytest.mark.parametrize(
    ("extra", "error"),
    [(u16(14, 0), 5), (u16(14, 88), 5), (u16(14, 99) + avp(200, b""), 8)],
    ids=["session ID 0", "session ID in use", "unknown AVP"],
)
def test_calls_that_are_refused_do_not_touch_others(extra: bytes, error: int) -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.call()
    client.send_type(ICRQ, extra=extra)
    (refusal,) = client.answers
    assert (refusal.type, refusal.result[:2]) == (CDN, (2, error))
    assert len(client.lns.sessions()) == 1


def test_calls_of_one_tunnel_are_limited() -> None:
    client = RawPeer(make_lns(max_sessions_per_tunnel=2))
    client.connect()
    client.call(1)
    client.call(2)
    client.send_type(ICRQ, extra=u16(14, 3))
    assert [answer.result[:2] for answer in client.answers] == [(2, 4)]


def test_an_unknown_mandatory_avp_in_iccn_ends_the_call_only() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.send_type(ICRQ, extra=u16(14, 88))
    session = client.answers[0].number(14)
    client.send_type(ICCN, session, avp(200, b""))
    assert [answer.result[:2] for answer in client.answers if answer.type == CDN] == [(2, 8)]
    assert client.of_type(TunnelDown) == []


@pytest.mark.parametrize("session_known", [True, False])
def test_cdn_ends_the_call_it_names(session_known: bool) -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.call()
    broken_apple = avp(1, b"\x03\x00\xde\xad\xbe\xef\x00\x00")
    session = client.lns_session if session_known else 0
    client.send_type(CDN, session, u16(14, 88) + broken_apple)
    (down,) = client.of_type(SessionDown)
    assert isinstance(down, SessionDown)
    assert down.cause == "peer sent CDN ADMINISTRATIVE"
    assert [answer.type for answer in client.answers] == [0]


def test_modem_messages_are_acknowledged() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.call()
    for kind in (15, 16):
        client.send_type(kind, client.lns_session)
        assert [answer.type for answer in client.answers] == [0]
    assert len(client.lns.sessions()) == 1


def test_data_before_iccn_is_dropped() -> None:
    client = RawPeer(make_lns())
    client.connect()
    client.send_type(ICRQ, extra=u16(14, 88))
    client.lns_session = client.answers[0].number(14)
    client.send_frame(LCP, 1, 1, b"")
    assert [event.reason for event in client.events if isinstance(event, Dropped)] == [
        DropReason.UNKNOWN_SESSION
    ]
    assert client.frames == []


def test_session_ids_are_unique_over_all_tunnels() -> None:
    lns = make_lns(max_sessions_per_tunnel=50)
    for mark in (1, 2, 3):
        client = RawPeer(lns, mark)
        client.connect()
        for session in range(1, 51):
            client.call(session)
    assert len({view.session_id for view in lns.sessions()}) == 150


# Hanging up from this side.


def test_close_session_hangs_up_and_keeps_the_tunnel() -> None:
    sim = Simulation()
    client = sim.dial_until_up()
    (session,) = sim.lns.sessions()
    seen: list[bytes] = []
    sim.fate = lambda datagram: seen.append(datagram) or [0.001]  # type: ignore[func-returns-value]
    sim.do(sim.lns.close_session(session.session_id, sim.now, "operator says so"))
    terminate, cdn = seen[0], read_avps(seen[1][12:])
    assert terminate[8:11] == b"\xc0\x21\x05"
    assert cdn[0] == CDN.to_bytes(2)
    assert cdn[1] == b"\0\3\0\0operator says so"
    assert sim.gateway.paths == {}
    assert [view.is_live for view in sim.lns.tunnels()] == [True]
    sim.run(1)
    assert client.state == "failed"


def test_a_peer_that_answers_no_echo_is_given_up() -> None:
    sim = Simulation(make_settings(hello_interval=0, echo_interval=10, echo_failures=3))
    client = sim.dial_until_up()
    sim.run(60)
    assert [view.is_up for view in sim.lns.sessions()] == [True]
    client.link_up = False
    sim.run(60)
    assert downs(sim) == ["peer does not answer LCP echo"]


def test_each_client_has_times_of_its_own() -> None:
    short = ClientSettings(hello_interval=0, echo=EchoSettings(10, 3))
    long = ClientSettings(hello_interval=0, echo=EchoSettings(10, 30))
    settings = replace(make_settings(), of_client=lambda mark: short if mark == 1 else long)
    sim = Simulation(settings)
    for _ in range(2):
        sim.dial_until_up().link_up = False
    sim.run(60)
    assert [session.peer.mark for session in sim.lns.sessions()] == [2]
    assert downs(sim) == ["peer does not answer LCP echo"]


def test_traffic_stands_in_for_echoes() -> None:
    sim = Simulation(make_settings(hello_interval=0, echo_interval=10, echo_failures=3))
    client = sim.dial_until_up()
    (session,) = sim.lns.sessions()
    client.link_up = False
    for _ in range(30):
        sim.do(sim.lns.activity(session.session_id, sim.now))
        sim.run(9)
    assert downs(sim) == []
    assert len(sim.lns.sessions()) == 1


def test_no_echo_if_switched_off() -> None:
    sim = Simulation(make_settings(hello_interval=0, echo_interval=0))
    sim.dial_until_up()
    sim.run(100)
    assert sim.lns.next_deadline() is None
    assert [view.is_up for view in sim.lns.sessions()] == [True]


def test_hellos_unanswered_do_not_matter_while_there_is_traffic() -> None:
    """Android 10 forgets to acknowledge them."""
    sim = Simulation(make_settings(hello_interval=20, echo_interval=0))
    sim.dial_until_up()
    (session,) = sim.lns.sessions()
    sim.fate = lambda datagram: []
    for _ in range(20):
        sim.run(25)
        sim.do(sim.lns.activity(session.session_id, sim.now))
    assert len(sim.lns.sessions()) == 1
    sim.run(200)
    assert sim.lns.tunnels() == []


@pytest.mark.parametrize("lost", range(24))
@pytest.mark.parametrize("profile", [ClientProfile(), ANDROID, WINDOWS], ids=["1", "2", "3"])
def test_any_one_datagram_may_be_lost(profile: ClientProfile, lost: int) -> None:
    sim = Simulation()
    count = iter(range(10_000))
    sim.fate = lambda _: [] if next(count) == lost else [0.001]
    sim.dial_until_up(profile)


@pytest.mark.parametrize("profile", [ClientProfile(), ANDROID, WINDOWS], ids=["1", "2", "3"])
def test_every_datagram_may_come_twice(profile: ClientProfile) -> None:
    sim = Simulation(fate=lambda _: [0.001, 0.002])
    sim.dial_until_up(profile)
    sim.run(30)
    assert [view.is_up for view in sim.lns.sessions()] == [True]
    assert len(sim.lns.tunnels()) == 1
    assert len(sim.gateway.of_type(SessionUp)) == 1


def test_retry_of_the_password() -> None:
    sim = Simulation(make_settings(auth_retries=1))
    client = sim.dial(password="wrong")
    sim.run(1)
    assert "R=1" in client.failure
    assert len(sim.gateway.of_type(AuthFailed)) == 1
    assert downs(sim) == []
    sim.run(61)
    assert downs(sim) in (["peer did not authenticate in time"], ["not up within 60 s"])


def test_a_user_without_the_lease_of_another() -> None:
    """Two clients of one user are two sessions with two addresses."""
    sim = Simulation()
    first, second = sim.dial_until_up(), sim.dial_until_up(replace(WINDOWS, host_name=b"pc2"))
    assert first.address != second.address
    assert {view.user for view in sim.lns.sessions()} == {"alice"}
    assert USERS["alice"].address is None
