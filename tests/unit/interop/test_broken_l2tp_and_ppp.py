"""A gateway whose L2TP or PPP has one thing broken: who complains, and at which step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from interop.clients import CLIENTS
from interop.emulation.complaints import Step
from interop.emulation.effects import Stopped, Up
from interop.findings import Rule
from interop.initiator.derivation import dh_key
from l2tp.ppp.settings import AuthProtocol
from l2tp.wire.avp import Avp, build_avps, make_avp, parse_avps
from l2tp.wire.enums import AvpType, ChapCode, Code, MessageType, Protocol
from l2tp.wire.packet import ControlMessage, DataMessage, build, parse
from l2tp.wire.ppp import (
    ControlPacket,
    Frame,
    Option,
    build_frame,
    build_options,
    build_packet,
    parse_frame,
    parse_options,
    parse_packet,
)
from tests.support.dialled_gateway import DialledGateway, Machine

EVERYBODY = ("iphone", "android", "windows-10", "strongswan")
shared_dh = functools.cache(dh_key)

Change = Callable[[bytes], bytes | None]


def dial(name: str, change: Change = lambda datagram: datagram, **how: Any) -> Machine:
    gateway = DialledGateway(**how)
    gateway.to_client = change
    return gateway.dial(CLIENTS[name], make_dh=shared_dh)


def outcomes(change: Change) -> dict[str, tuple[Step, Any]]:
    """Where each client has given up, of those that have; the others are connected."""
    found: dict[str, tuple[Step, Any]] = {}
    for name in EVERYBODY:
        machine = dial(name, change)
        if stopped := machine.of(Stopped):
            found[name] = (stopped[0].complaint.step, stopped[0].complaint.rule)
        else:
            assert machine.of(Up), name
    return found


def control(
    kind: MessageType, change: Callable[[tuple[Avp, ...]], tuple[Avp, ...]], **fields: Any
) -> Change:
    """Change the AVPs of one kind of message, or fields of it."""

    def changed(datagram: bytes) -> bytes:
        message = parse(datagram)
        if not isinstance(message, ControlMessage) or not message.payload:
            return datagram
        avps = parse_avps(message.payload)
        if int.from_bytes(avps[0].value) != kind:
            return datagram
        return build(replace(message, payload=build_avps(change(avps)), **fields))

    return changed


def ppp(protocol: Protocol, change: Callable[[ControlPacket], ControlPacket | None]) -> Change:
    """Change the packets of one protocol; None loses one."""

    def changed(datagram: bytes) -> bytes | None:
        message = parse(datagram)
        if not isinstance(message, DataMessage):
            return datagram
        frame = parse_frame(message.payload)
        if frame.protocol != protocol:
            return datagram
        packet = change(parse_packet(frame.information))
        if packet is None:
            return None
        information = build_packet(packet)
        again = build_frame(Frame(protocol, information, address_control=True))
        return build(replace(message, payload=again))

    return changed


def test_without_a_host_name() -> None:
    change = control(
        MessageType.SCCRP,
        lambda avps: tuple(avp for avp in avps if avp.type != AvpType.HOST_NAME),
    )

    assert outcomes(change) == {"iphone": (Step.TUNNEL, Rule.MISSING_AVP)}


def test_an_unknown_avp_with_the_m_bit() -> None:
    change = control(MessageType.SCCRP, lambda avps: (*avps, Avp(AvpType(4000), b"")))

    assert outcomes(change) == dict.fromkeys(EVERYBODY, (Step.TUNNEL, Rule.UNKNOWN_AVP))


def test_octets_behind_a_message() -> None:
    change = control(MessageType.SCCRP, lambda avps: avps, trailing=b"\0")

    assert outcomes(change) == {
        "iphone": (Step.TUNNEL, Rule.HEADER),
        "android": (Step.TUNNEL, Rule.HEADER),
    }


def test_a_reply_for_another_session() -> None:
    change = control(MessageType.ICRP, lambda avps: avps, session_id=4711)

    assert outcomes(change) == dict.fromkeys(EVERYBODY, (Step.CALL, Rule.SESSION_ID))


def test_the_server_stops_the_tunnel() -> None:
    stop = (
        make_avp(AvpType.MESSAGE_TYPE, MessageType.STOPCCN),
        make_avp(AvpType.ASSIGNED_TUNNEL_ID, 1),
        Avp(AvpType.RESULT_CODE, b"\0\4"),
    )
    change = control(MessageType.ICRP, lambda _: stop)

    assert outcomes(change) == dict.fromkeys(EVERYBODY, (Step.CALL, Rule.STOPPED))


def test_a_challenge_is_remarked_upon_and_left() -> None:
    change = control(MessageType.SCCRP, lambda avps: (*avps, Avp(AvpType.CHALLENGE, b"question")))
    machine = dial("iphone", change)

    assert machine.of(Up)
    assert [complaint.rule for complaint in machine.complaints] == [Rule.CHALLENGE]


def test_an_acknowledgement_of_other_options() -> None:
    def other(packet: ControlPacket) -> ControlPacket:
        if packet.code != Code.CONFIGURE_ACK:
            return packet
        options = parse_options(packet.data)
        return replace(packet, data=build_options(options[::-1]))

    stop = (Step.LCP, Rule.ACK_DIFFERS)
    assert outcomes(ppp(Protocol.LCP, other)) == dict.fromkeys(EVERYBODY, stop)


def test_a_rejection_of_what_nobody_asked_for() -> None:
    def other(packet: ControlPacket) -> ControlPacket:
        if packet.code != Code.CONFIGURE_ACK:
            return packet
        return replace(packet, code=Code.CONFIGURE_REJECT, data=build_options((Option(99),)))

    stop = (Step.LCP, Rule.REJECT_DIFFERS)
    assert outcomes(ppp(Protocol.LCP, other)) == dict.fromkeys(EVERYBODY, stop)


def test_proposals_without_an_end() -> None:
    def never(packet: ControlPacket) -> ControlPacket:
        if packet.code not in (Code.CONFIGURE_ACK, Code.CONFIGURE_NAK):
            return packet
        return replace(packet, code=Code.CONFIGURE_NAK)

    stop = (Step.IPCP, Rule.DOES_NOT_CONVERGE)
    assert outcomes(ppp(Protocol.IPCP, never)) == dict.fromkeys(EVERYBODY, stop)


def test_a_server_that_does_not_know_the_password() -> None:
    def forged(packet: ControlPacket) -> ControlPacket:
        return (
            replace(packet, data=b"S=" + b"0" * 40) if packet.code == ChapCode.SUCCESS else packet
        )

    stop = (Step.LOGIN, Rule.SERVER_PROOF)
    assert outcomes(ppp(Protocol.CHAP, forged)) == dict.fromkeys(EVERYBODY, stop)


def test_the_login_is_not_answered() -> None:
    stop = (Step.LOGIN, Rule.SILENCE)
    assert outcomes(ppp(Protocol.CHAP, lambda _: None)) == {
        **dict.fromkeys(EVERYBODY, stop),
        # It waits for longer than the gateway does.
        "android": (Step.LOGIN, Rule.TERMINATED),
    }


@pytest.mark.parametrize("login", list(AuthProtocol))
def test_each_way_to_log_in(login: AuthProtocol) -> None:
    machine = dial("iphone", auth_protocols=(login,))
    assert machine.of(Up)
    assert machine.complaints == []

    gateway = DialledGateway(auth_protocols=(login,))
    stranger = gateway.dial(CLIENTS["iphone"], password="wrong", make_dh=shared_dh)
    (stopped,) = stranger.of(Stopped)
    assert (stopped.complaint.step, stopped.complaint.rule) == (Step.LOGIN, Rule.LOGIN_REFUSED)


def test_who_sends_lcp_echoes_misses_the_answers() -> None:
    def deaf(packet: ControlPacket) -> ControlPacket | None:
        return None if packet.code == Code.ECHO_REPLY else packet

    gateway = DialledGateway()
    gateway.to_client = ppp(Protocol.LCP, deaf)
    machines = [gateway.dial(CLIENTS[name], make_dh=shared_dh) for name in ("iphone", "android")]
    gateway.run(60.0)

    iphone, android = machines
    assert [complaint.rule for complaint in iphone.complaints] == [Rule.ECHO]
    assert android.complaints == []


def test_an_identification_that_is_rejected() -> None:
    """Windows names itself in LCP packets that a peer may not know, but should let pass."""
    machine = dial("windows-10")
    gateway = DialledGateway()
    rejected = gateway.dial(CLIENTS["windows-10"], make_dh=shared_dh)
    frame = build_frame(
        Frame(
            Protocol.LCP,
            build_packet(ControlPacket(Code.CODE_REJECT, 1, b"\x0c")),
            address_control=True,
        )
    )
    assert rejected.engine._lac is not None
    tunnel, session = rejected.engine._lac.tunnel_id, rejected.engine._lac.session_id
    datagram = build(DataMessage(tunnel, session, frame))
    gateway.do(rejected, rejected.engine.receive_l2tp(datagram, 1701, gateway.now))

    assert machine.complaints == []
    assert [complaint.rule for complaint in rejected.complaints] == [Rule.CODE_REJECT]


def test_the_operator_hangs_up() -> None:
    gateway = DialledGateway()
    machine = gateway.dial(CLIENTS["macos"], make_dh=shared_dh)
    gateway.lns.carry_out(gateway.lns.lns.close_client(1, gateway.now, "by hand"), gateway.now)
    gateway.run(5.0)

    (stopped,) = machine.of(Stopped)
    assert stopped.complaint.step is Step.UP
    assert stopped.complaint.rule in (Rule.TERMINATED, Rule.STOPPED)


@pytest.mark.parametrize("name", EVERYBODY)
def test_ipcp_without_name_servers(name: str) -> None:
    """The link is of use to who types addresses; a client that has asked sees that it got none."""
    machine = dial(name, dns=())

    (up,) = machine.of(Up)
    assert up.dns == ()
    assert [complaint.rule for complaint in machine.complaints] == [Rule.NO_NAME_SERVERS]


@pytest.mark.parametrize(
    ("name", "silent"),
    [("macos-split", ["IPV6CP", "ACSCP"]), ("windows-7", ["IPV6CP", "CCP"]), ("iphone", [])],
)
def test_no_word_of_protocols_that_the_server_does_not_speak(name: str, silent: list[str]) -> None:
    def mute(packet: ControlPacket) -> ControlPacket | None:
        return None if packet.code == Code.PROTOCOL_REJECT else packet

    gateway = DialledGateway()
    gateway.to_client = ppp(Protocol.LCP, mute)
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
    gateway.run(60.0)

    assert machine.of(Up)
    assert not machine.of(Stopped)
    assert [(complaint.rule, complaint.detail) for complaint in machine.complaints] == [
        (Rule.SILENCE, f"no answer to {protocol} Configure-Request") for protocol in silent
    ]


def test_no_acknowledgement_of_a_hello() -> None:
    """xl2tpd asks every minute, and hangs up when nothing comes."""
    gateway = DialledGateway()
    machine = gateway.dial(CLIENTS["strongswan"], make_dh=shared_dh)
    gateway.to_client = lambda datagram: None if datagram[0] & 0x80 else datagram
    gateway.run(120.0)

    (stopped,) = machine.of(Stopped)
    assert stopped.complaint.rule is Rule.SILENCE
