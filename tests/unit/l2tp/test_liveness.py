"""Who asks whether a client lives, who answers for whom, and what the silence of one layer ends."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from l2tp.core.effects import SessionDown, TunnelDown
from tests.support.l2tp_client import CDN, HELLO, IPCP, LCP, STOPCCN, L2tpClient, Negotiation
from tests.support.l2tp_network import Simulation, make_settings

ECHO_REQUEST, TERMINATE_REQUEST = 9, 5
PPP_SILENT = "peer does not answer LCP echo"
L2TP_SILENT = "peer does not answer in L2TP"


class Watched(Simulation):
    """One client that is connected, and what the LNS has asked or told it since."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(make_settings(**settings))
        self.client: L2tpClient = self.dial_until_up()
        self.sent: list[tuple[float, str]] = []
        self.deaf = False
        """Whether nothing gets through in either direction."""
        self.start = self.now
        self.fate = self._carry
        self.gateway.events.clear()

    def _carry(self, datagram: bytes) -> list[float]:
        name = _name(datagram)
        if name and _tunnel(datagram) == self.client.tunnel_id:
            self.sent.append((round(self.now - self.start), name))
        return [] if self.deaf else [0.001]

    def times(self, name: str) -> list[float]:
        """When the LNS sent it, in seconds since the client was up."""
        return [time for time, sent in self.sent if sent == name]

    def ends(self) -> list[tuple[type, str]]:
        """Sessions and tunnels that have ended, and why."""
        return [
            (type(event), event.cause)
            for event in self.gateway.events
            if isinstance(event, SessionDown | TunnelDown)
        ]


def _tunnel(datagram: bytes) -> int:
    start = 4 if datagram[0] & 0x40 else 2
    return int.from_bytes(datagram[start : start + 2])


def _name(datagram: bytes) -> str:
    """What a datagram asks or tells, "" for what does neither."""
    if datagram[0] & 0x80:
        kind = int.from_bytes(datagram[18:20]) if len(datagram) > 12 else 0
        return {HELLO: "hello", CDN: "cdn", STOPCCN: "stopccn"}.get(kind, "")
    start = 8 if datagram[0] & 0x40 else 6
    protocol, code = struct.unpack(">HB", datagram[start + 2 : start + 5])
    names = {(LCP, ECHO_REQUEST): "echo", (LCP, TERMINATE_REQUEST): "terminate"}
    return names.get((protocol, code), "")


# Who asks.


def test_an_idle_client_is_asked_once_and_not_in_every_layer() -> None:
    sim = Watched(hello_interval=60, echo_interval=30)
    sim.run(301)
    assert sim.times("echo") == list(range(30, 301, 30))
    assert {name for _, name in sim.sent} == {"echo"}
    assert sim.ends() == []


def test_a_client_whose_ppp_is_not_asked_gets_hellos() -> None:
    sim = Watched(hello_interval=60, echo_interval=0)
    sim.run(301)
    assert sim.times("hello") == [60, 120, 180, 240, 300]
    assert sim.ends() == []


def test_ppp_traffic_stands_in_for_every_question() -> None:
    sim = Watched(hello_interval=20, echo_interval=30)
    (session,) = sim.lns.sessions()
    for _ in range(30):
        sim.run(10)
        sim.do(sim.lns.activity(session.session_id, sim.now))
    assert sim.sent == []


@pytest.mark.parametrize(("echo", "question"), [(30, "echo"), (0, "hello")])
def test_ike_messages_put_a_question_off_but_not_for_ever(echo: int, question: str) -> None:
    """They show that the machine is there; a PPP that has died in it must be found all the same."""
    sim = Watched(hello_interval=30, echo_interval=echo)
    for _ in range(25):
        sim.run(5)
        sim.lns.reachable(1, sim.now)
    assert sim.times(question) == [120]
    sim.run(200)
    assert sim.times(question)[1] == 125 + 30
    assert sim.ends() == []


def test_the_clients_own_hellos_put_an_echo_off_but_not_for_ever() -> None:
    sim = Watched(hello_interval=60, echo_interval=30)
    client = sim.client
    for _ in range(12):
        sim.run(10)
        client._send_control(0, b"\x80\x08\0\0\0\0" + HELLO.to_bytes(2), sim.now)
        sim.send_up(1, client._flush())
    sim.run(1)
    assert sim.times("echo") == [120]


# Sleep.


def test_a_sleeping_client_is_waited_for() -> None:
    """Its L2TP answers nothing, and is asked in rounds with pauses between them."""
    sim = Watched(hello_interval=60, echo_interval=0, patience=1800)
    sim.deaf = True
    sim.run(1700)
    assert sim.ends() == []
    hellos = sim.times("hello")
    assert hellos[:7] == [60, 61, 63, 67, 75, 83, 91]
    assert hellos[7] == 99 + 60
    sim.deaf = False
    sim.run(200)
    assert sim.ends() == []
    assert [view.is_up for view in sim.lns.sessions()] == [True]


@pytest.mark.parametrize("patience", [30, 98, 99, 180, 600])
def test_patience_has_an_end(patience: int) -> None:
    sim = Watched(hello_interval=60, echo_interval=0, patience=patience)
    sim.deaf = True
    one_round = 39
    sim.run(max(patience, 60 + one_round) - 1)
    assert sim.ends() == []
    sim.run(one_round + 1)
    assert sim.ends() == [(SessionDown, L2TP_SILENT), (TunnelDown, L2TP_SILENT)]


# What goes down with what.


def test_a_dead_ppp_takes_its_call_and_tunnel_along_in_order() -> None:
    sim = Watched(echo_interval=10, echo_failures=3)
    sim.client.link_up = False
    sim.run(41)
    assert [name for _, name in sim.sent] == ["echo", "echo", "echo", "terminate", "cdn", "stopccn"]
    assert sim.ends() == [(SessionDown, PPP_SILENT), (TunnelDown, PPP_SILENT)]
    (down,) = sim.gateway.of_type(TunnelDown)
    assert down.silent
    sim.run(1)
    assert sim.lns.tunnels() == []
    assert sim.client.failure == f"gateway sent {CDN}: {PPP_SILENT}"


def test_a_dead_ppp_leaves_the_tunnel_to_another_call() -> None:
    sim = Watched(echo_interval=10, echo_failures=3)
    (dead,) = sim.lns.sessions()
    client = sim.client
    client.session_id += 1
    client.lcp = Negotiation(LCP, list(client.profile.lcp_options))
    client.ipcp = Negotiation(IPCP, list(client.profile.ipcp_options))
    client.authenticated = False
    client._place_call(sim.now)
    sim.send_up(1, client._flush())
    sim.run(41)
    assert sim.ends() == [(SessionDown, PPP_SILENT)]
    (session,) = sim.lns.sessions()
    assert session.session_id != dead.session_id
    assert session.is_up


def test_a_silent_tunnel_takes_its_ppp_along() -> None:
    sim = Watched(hello_interval=10, echo_interval=0, patience=40)
    sim.deaf = True
    sim.run(60)
    assert sim.ends() == [(SessionDown, L2TP_SILENT), (TunnelDown, L2TP_SILENT)]
    assert [down.silent for down in sim.gateway.of_type(TunnelDown)] == [True]


def test_a_user_that_hangs_up_may_call_again_in_the_tunnel() -> None:
    sim = Watched()
    client = sim.client
    client._ppp(LCP, TERMINATE_REQUEST, 200, b"User request")
    sim.send_up(1, client._flush())
    sim.run(50)
    assert sim.ends() == [(SessionDown, "peer hung up")]
    sim.run(20)
    assert sim.ends()[1:] == [(TunnelDown, "no call in time")]
    assert [down.silent for down in sim.gateway.of_type(TunnelDown)] == [False]


def test_ike_that_is_dead_takes_everything_along_without_a_word() -> None:
    sim = Watched()
    sim.do(sim.lns.client_gone(1, sim.now, "no sign of life for 180 s"))
    assert sim.ends() == [
        (SessionDown, "no sign of life for 180 s"),
        (TunnelDown, "no sign of life for 180 s"),
    ]
    assert sim.sent == []
    assert sim.gateway.paths == {}
