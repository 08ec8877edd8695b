"""Sessions whose IP packets pass through the program, as their data path is in user space."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from l2tp.core.effects import (
    CloseDataPath,
    DataPathOpened,
    DeliverPacket,
    Dropped,
    DropReason,
    OpenDataPath,
    Send,
    SendFrame,
    SessionDown,
    SessionUp,
    Strayed,
    TunnelClaimed,
)
from l2tp.core.views import SessionView
from tests.support.l2tp_client import (
    ANDROID,
    APPLE,
    IPCP,
    LCP,
    WINDOWS,
    ClientProfile,
    avp,
    data,
    ppp,
)
from tests.support.l2tp_network import Simulation, make_settings
from tests.support.l2tp_peer import Caller

PACKET = bytes.fromhex("4500001c000000004011000000000000 00000000 0000 0000 0008 0000")
SEQUENCING_REQUIRED = avp(39, b"")


def echo_request(session: SessionView) -> bytes:
    return data(session.tunnel_id, session.session_id, ppp(LCP, 9, 5, bytes(4)))


class Connected(Caller):
    """A client whose data path is open; `open_ipcp` lets packets through."""

    def __init__(self, *, in_user_space: bool = True) -> None:
        super().__init__()
        self.log_in()
        (opening,) = self.of_type(OpenDataPath)
        assert isinstance(opening, OpenDataPath)
        self.opening = opening
        answer = DataPathOpened(in_user_space=in_user_space)
        self.carry_out(self.lns.complete(opening.ticket, answer, self.now))

    def open_ipcp(self) -> None:
        (request,) = self.sent_packets()
        assert request[:2] == (IPCP, 1)
        self.send_frame(IPCP, 2, request[2], request[3])
        (address,) = [session.address for session in self.lns.sessions()]
        assert address is not None
        self.send_frame(IPCP, 1, 1, b"\x03\x06" + address.packed)
        assert self.of_type(SessionUp)

    def send_data(self, frame: bytes) -> None:
        self.send_raw(data(self.lns_tunnel, self.lns_session, frame))

    def delivered(self) -> list[bytes]:
        return [event.packet for event in self.events if isinstance(event, DeliverPacket)]

    def packet_sent(self, packet: bytes) -> list[bytes]:
        self.carry_out(self.lns.packet_sent(self.lns_session, packet))
        return self.frames


@pytest.fixture
def client() -> Connected:
    made = Connected()
    made.open_ipcp()
    return made


@pytest.mark.parametrize(
    "profile",
    [ClientProfile(), ANDROID, APPLE, WINDOWS, ClientProfile(iccn_avps=SEQUENCING_REQUIRED)],
    ids=["plain", "android", "apple", "windows", "sequenced"],
)
def test_clients_connect_and_hang_up(profile: ClientProfile) -> None:
    sim = Simulation()
    sim.gateway.in_user_space = True
    client = sim.dial_until_up(profile)
    (session,) = sim.lns.sessions()
    assert session.is_up
    assert sim.gateway.of_type(SendFrame) == []
    sim.send_up(1, client.hang_up(sim.now))
    sim.run(60)
    assert sim.lns.sessions() == []
    assert sim.gateway.of_type(CloseDataPath) == [CloseDataPath(session.session_id)]


@pytest.mark.parametrize("prefix", ["ff03 0021", "0021", "ff03 21", "21"])
def test_packets_of_the_peer_are_delivered(client: Connected, prefix: str) -> None:
    client.send_data(bytes.fromhex(prefix) + PACKET)
    assert client.events == [DeliverPacket(client.lns_session, PACKET)]
    assert client.frames == []
    assert client.answers == []


def test_packets_for_the_peer_become_data_messages(client: Connected) -> None:
    header = struct.pack("!HHH", 0x0002, 77, 88)
    assert client.packet_sent(PACKET) == [header + b"\xff\x03\x00\x21" + PACKET]
    assert client.events == []


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\x03\x00\x21" + b"\x60" + bytes(39),
        b"\xff\x03\x00\x21" + b"\x45" + bytes(18),
        b"\xff\x03\x00\x21",
        b"\xff\x03\x00",
        b"\x21",
        b"",
    ],
    ids=["IPv6", "cut short", "empty", "half a protocol", "compressed and empty", "nothing"],
)
def test_what_is_no_ipv4_packet_is_not_delivered(client: Connected, frame: bytes) -> None:
    client.send_data(frame)
    assert client.delivered() == []
    assert client.frames == []
    client.send_data(b"\xff\x03\x00\x21" + PACKET)
    assert client.delivered() == [PACKET]


def test_control_frames_still_reach_ppp(client: Connected) -> None:
    client.send_frame(LCP, 9, 5, bytes(4))
    ((protocol, code, identifier, _),) = client.sent_packets()
    assert (protocol, code, identifier) == (LCP, 10, 5)
    client.send_data(b"\x00\x57" + b"\x60" + bytes(39))
    ((protocol, code, _, body),) = client.sent_packets()
    assert (protocol, code, body[:2]) == (LCP, 8, b"\x00\x57")


def test_no_packet_passes_before_ipcp_is_open() -> None:
    client = Connected()
    client.send_data(b"\xff\x03\x00\x21" + PACKET)
    assert client.delivered() == []
    assert client.packet_sent(PACKET) == []


def test_no_packet_passes_once_the_link_is_closing(client: Connected) -> None:
    client.send_frame(LCP, 5, 1, b"")
    client.send_data(b"\xff\x03\x00\x21" + PACKET)
    assert client.delivered() == []
    assert client.packet_sent(PACKET) == []


def test_a_session_that_has_ended_sends_no_packets(client: Connected) -> None:
    client.carry_out(client.lns.close_client(1, client.now, "enough"))
    assert client.of_type(SessionDown)
    assert client.packet_sent(PACKET) == []


def test_another_client_cannot_send_into_the_session(client: Connected) -> None:
    """Its data message has the right numbers and the very same flow, but came by another SA."""
    stranger = replace(client.peer, mark=2)
    message = data(client.lns_tunnel, client.lns_session, b"\xff\x03\x00\x21" + PACKET)
    client.send_raw(message, stranger)
    (claim,) = client.events
    assert isinstance(claim, TunnelClaimed)
    # Whose SA it is, IKE knows, and does not take it for the same client.
    client.carry_out(client.lns.claim_decided(claim, client.now))
    dropped, strayed = client.events
    assert isinstance(dropped, Dropped)
    assert (dropped.peer, dropped.reason) == (stranger, DropReason.WRONG_MARK)
    assert strayed == Strayed(stranger, client.lns_tunnel)
    terminate = data(client.lns_tunnel, client.lns_session, ppp(LCP, 5, 1, b""))
    client.send_raw(terminate, stranger)
    assert [session.is_up for session in client.lns.sessions()] == [True]


def test_answers_follow_a_peer_that_has_moved(client: Connected) -> None:
    moved = replace(client.peer, address="198.51.100.99", port=40000)
    message = data(client.lns_tunnel, client.lns_session, b"\xff\x03\x00\x21" + PACKET)
    client.send_raw(message, moved)
    (sent,) = client.lns.packet_sent(client.lns_session, PACKET)
    assert isinstance(sent, Send)
    assert sent.peer == moved


def test_everything_goes_to_where_the_sas_of_the_client_lead(client: Connected) -> None:
    client.lns.client_moved(2, "198.51.100.98")
    client.lns.client_moved(1, "198.51.100.99")
    moved = replace(client.peer, address="198.51.100.99")
    (packet,) = client.lns.packet_sent(client.lns_session, PACKET)
    goodbye = client.lns.close_client(1, client.now, "enough")
    sent = [effect.peer for effect in (packet, *goodbye) if isinstance(effect, Send)]
    assert len(sent) > 1
    assert set(sent) == {moved}


def test_packets_are_numbered_along_with_all_else_if_the_peer_wants_it() -> None:
    sim = Simulation()
    sim.gateway.in_user_space = True
    sim.dial_until_up(ClientProfile(iccn_avps=SEQUENCING_REQUIRED))
    (session,) = sim.lns.sessions()
    sim.do(sim.lns.packet_sent(session.session_id, PACKET))
    sim.do(sim.lns.receive(echo_request(session), session.peer, sim.now))
    sim.do(sim.lns.packet_sent(session.session_id, PACKET))
    sent = [event.datagram for event in sim.gateway.of_type(Send) if event.datagram[0] < 0x80]
    assert {message[:2] for message in sent} == {b"\x08\x02"}
    assert [int.from_bytes(message[6:8]) for message in sent] == list(range(len(sent)))
    assert [message.endswith(PACKET) for message in sent[-3:]] == [True, False, True]


def test_packets_that_come_late_or_twice_are_dropped(client: Connected) -> None:
    def numbered(ns: int) -> None:
        header = struct.pack("!HHHHH", 0x0802, client.lns_tunnel, client.lns_session, ns, 0)
        client.send_raw(header + b"\xff\x03\x00\x21" + PACKET)

    numbered(5)
    assert client.delivered() == [PACKET]
    for late in (5, 4):
        numbered(late)
        (dropped,) = client.events
        assert isinstance(dropped, Dropped)
        assert dropped.reason is DropReason.OUT_OF_SEQUENCE
    numbered(6)
    assert client.delivered() == [PACKET]


def test_packets_count_as_life() -> None:
    """No Hello and no LCP echo while packets come."""
    sim = Simulation(make_settings(echo_interval=30.0, hello_interval=60.0))
    sim.gateway.in_user_space = True
    sim.dial_until_up()
    (session,) = sim.lns.sessions()
    sim.gateway.outbox.clear()
    sim.clients.clear()
    message = data(session.tunnel_id, session.session_id, b"\xff\x03\x00\x21" + PACKET)
    begun = len(sim.gateway.events)
    for _ in range(20):
        sim.run(20.0)
        sim.do(sim.lns.receive(message, session.peer, sim.now))
    said = [event for event in sim.gateway.events[begun:] if isinstance(event, Send)]
    assert said == []
    assert len(sim.gateway.of_type(DeliverPacket)) == 20


def test_a_session_leaves_the_kernel_and_goes_on() -> None:
    client = Connected(in_user_space=False)
    request = next(event.frame for event in client.events if isinstance(event, SendFrame))
    client.carry_out(
        client.lns.frame_received(client.lns_session, b"\x80\x21\x02" + request[3:], 0.0)
    )
    (address,) = [session.address for session in client.lns.sessions()]
    assert address is not None
    reply = b"\x80\x21\x01\x01\x00\x0a\x03\x06" + address.packed
    client.carry_out(client.lns.frame_received(client.lns_session, reply, 0.0))
    assert client.of_type(SessionUp)
    assert client.packet_sent(PACKET) == []
    client.send_data(b"\xff\x03\x00\x21" + PACKET)
    assert client.delivered() == []

    client.lns.moved_to_user_space(client.lns_session)
    client.send_data(b"\xff\x03\x00\x21" + PACKET)
    assert client.delivered() == [PACKET]
    assert len(client.packet_sent(PACKET)) == 1
    client.send_frame(LCP, 9, 5, bytes(4))
    assert [packet[:2] for packet in client.sent_packets()] == [(LCP, 10)]
    assert client.of_type(SendFrame) == []


def test_a_session_that_is_gone_cannot_be_moved(client: Connected) -> None:
    client.lns.close_client(1, client.now, "enough")
    client.lns.moved_to_user_space(client.lns_session)
    assert client.packet_sent(PACKET) == []
