"""Every client of the field, whole, against the gateway's engines in memory."""

import functools
import random
from dataclasses import replace

import pytest

from ikev1.core.exchange import ConnectionSettings
from ikev1.wire.enums import IdType
from interop.clients import CLIENTS
from interop.clients.facts import Known
from interop.clients.model import Client
from interop.emulation.effects import Down, InstallSas, Stopped, Up
from interop.findings import Rule
from interop.initiator import profiles
from interop.initiator.derivation import dh_key
from l2tp.wire.enums import Code, Protocol
from l2tp.wire.packet import DataMessage, parse
from l2tp.wire.ppp import parse_frame, parse_packet
from tests.support.dialled_gateway import DialledGateway, rekeyed
from tests.support.ike_host import EVERY_ESP, IkeHost, settings

NAT_T = {profiles.RFC_3947, profiles.DRAFT_02, profiles.DRAFT_02_N, profiles.APPLE_NAT_T}
CONTENT = bytes(range(256)) * 4

shared_dh = functools.cache(dh_key)
"""One key pair for each group, to be fast."""

every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


def knows_nat_t(client: Client) -> bool:
    return bool(NAT_T.intersection(client.ike.profile.vendor_ids))


@every_client
def test_dials_in_works_rekeys_hangs_up_and_comes_back(client: Client) -> None:
    gateway = DialledGateway()
    nat = knows_nat_t(client)
    machine = gateway.dial(client, nat=nat, make_dh=shared_dh)

    assert machine.complaints == []
    (up,) = machine.of(Up)
    assert str(up.address) == "10.9.0.10"
    assert [str(address) for address in up.dns] == ["10.0.0.53", "10.0.0.54"]
    assert gateway.ping(machine, CONTENT)

    gateway.do(machine, machine.engine.rekey_phase2(gateway.now))
    gateway.run(2.0)
    assert rekeyed(machine, 2) == 1
    assert gateway.ping(machine, CONTENT[::-1])
    if client.conduct.profile.phase1_rekey is not None:
        gateway.do(machine, machine.engine.rekey_phase1(gateway.now))
        gateway.run(2.0)
        assert rekeyed(machine, 1) == 1
        assert gateway.ping(machine, CONTENT)

    gateway.hang_up(machine)
    assert machine.of(Down)
    assert not machine.of(Stopped)
    assert machine.complaints == []
    assert gateway.lns.lns.sessions() == []

    again = gateway.dial(client, nat=nat, make_dh=shared_dh)
    assert again.complaints == []
    assert gateway.ping(again, CONTENT)


@pytest.mark.parametrize(
    ("name", "hours", "phase1", "phase2"),
    [("iphone", 2, 2, 2), ("windows-10", 8, 1, 8)],
)
def test_stays_connected_for_hours_and_rekeys_by_itself(
    name: str, hours: int, phase1: int, phase2: int
) -> None:
    gateway = DialledGateway()
    client = CLIENTS[name]
    machine = gateway.dial(client, make_dh=shared_dh)
    gateway.run(3600.0 * hours)

    assert machine.complaints == []
    assert (rekeyed(machine, 1), rekeyed(machine, 2)) == (phase1, phase2)
    assert gateway.ping(machine, CONTENT)
    (session,) = gateway.lns.lns.sessions()
    assert session.address == machine.address
    assert len(gateway.host.inbound) == len(gateway.host.outbound) == 1
    gateway.hang_up(machine)
    assert machine.complaints == []
    assert gateway.host.inbound == {}


def test_android_ends_with_its_isakmp_sa() -> None:
    gateway = DialledGateway()
    android = CLIENTS["android"]
    brief = replace(android, ike=android.ike.but(phase1_lifetime=Known(1800, "a test")))
    machine = gateway.dial(brief, make_dh=shared_dh)
    gateway.run(3600.0)

    (stopped,) = machine.of(Stopped)
    assert stopped.complaint.rule is Rule.ISAKMP_SA_DELETED
    assert gateway.lns.lns.sessions() == []


def test_answers_signs_of_life_and_asks_for_them() -> None:
    gateway = DialledGateway(IkeHost(settings(dpd_delay=10.0)))
    machine = gateway.dial(CLIENTS["iphone"], make_dh=shared_dh)
    gateway.run(300.0)
    gateway.do(machine, machine.engine.are_you_there(7, gateway.now))
    gateway.run(10.0)

    assert machine.complaints == []
    assert gateway.host.gone() == []


def test_names_itself_where_windows_does() -> None:
    """IDci of Windows with KB818043 behind a NAT, and the port of those before it."""
    patched = CLIENTS["windows-xp-kb818043"]
    gateway = DialledGateway()
    behind = gateway.dial(patched, make_dh=shared_dh)
    direct = DialledGateway().dial(patched, nat=False, make_dh=shared_dh)
    before = DialledGateway().dial(CLIENTS["windows-xp"], nat=False, make_dh=shared_dh)

    ((ours, theirs), *_) = [effect.sas.ids for effect in behind.of(InstallSas)]
    assert (ours.id_type, ours.data, ours.port) == (IdType.FQDN, b"laptop", 1701)
    assert theirs.port == 1701
    assert direct.of(InstallSas)[0].sas.ids[0].id_type is IdType.IPV4_ADDR
    assert [identity.port for identity in before.of(InstallSas)[0].sas.ids] == [1701, 0]


def test_says_goodbye_as_it_is_known_to() -> None:
    """The iPhone of old says none: the gateway keeps its SAs until it finds it dead."""
    silent, polite = CLIENTS["ios-2011"], CLIENTS["macos"]
    sent = {}
    for client in (silent, polite):
        gateway = DialledGateway()
        machine = gateway.dial(client, make_dh=shared_dh)
        before = len(machine.line)
        gateway.hang_up(machine)
        sent[client.name] = len(machine.line) - before
        assert gateway.lns.lns.sessions() == []
        assert bool(gateway.host.inbound) is (client is silent)

    assert sent == {"ios-2011": 0, "macos": 2}


def test_windows_has_a_vendor_id_for_initial_contact() -> None:
    """Windows tells it by a vendor ID, and not when it rekeys ([MS-IKEE])."""
    told = {}
    for name in ("iphone", "macos-10.5", "windows-10", "libreswan"):
        gateway = DialledGateway()
        machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
        vendor_id = profiles.MS_INITIAL_CONTACT
        first, count = machine.line[0][1], len(machine.line)
        gateway.do(machine, machine.engine.rekey_phase1(gateway.now))
        again = machine.line[count][1]
        told[name] = (vendor_id in first, vendor_id in again)
        assert machine.complaints == []

    assert told == {
        "iphone": (False, False),
        "macos-10.5": (False, False),
        "windows-10": (True, False),
        "libreswan": (False, False),
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["iphone", "android", "windows-10", "libreswan"])
def test_gets_in_over_a_network_that_loses(name: str, seed: int) -> None:
    fate = random.Random(seed)
    gateway = DialledGateway()
    gateway.loses = lambda: fate.random() < 0.15
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)

    assert machine.of(Up), machine.complaints
    # Where an acknowledgement is lost, one side goes on before the other.
    assert {complaint.rule for complaint in machine.complaints} <= {Rule.TOO_EARLY}
    gateway.loses = lambda: False
    gateway.run(30.0)
    assert gateway.ping(machine, CONTENT)


@pytest.mark.parametrize(
    ("name", "seconds"), [("iphone", 12), ("windows-10", 31), ("android", 33), ("strongswan", 165)]
)
def test_gives_up_on_silence_after_all_its_tries(name: str, seconds: int) -> None:
    gateway = DialledGateway()
    gateway.loses = lambda: True
    machine = gateway.add(CLIENTS[name], make_dh=shared_dh)
    gateway.do(machine, machine.engine.dial(gateway.now))
    gateway.run(400.0, lambda: bool(machine.of(Stopped)))

    (stopped,) = machine.of(Stopped)
    assert int(gateway.now) == seconds
    assert stopped.complaint.as_dict() == {
        "client": name,
        "program": CLIENTS[name].programs.ike,
        "step": "Main Mode message 2",
        "rule": "timeout",
        "detail": "no answer to MM1",
    }


@pytest.mark.parametrize(("name", "goes_on"), [("android", True), ("libreswan", False)])
def test_what_happens_when_the_server_ends_its_esp_sas(name: str, goes_on: bool) -> None:
    """Android asks for eight hours, and its policies stay when a server gives less."""
    gateway = DialledGateway(IkeHost(settings(esp=replace(EVERY_ESP, max_lifetime=1200))))
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
    gateway.run(4000.0)

    if goes_on:
        assert machine.complaints == []
        assert rekeyed(machine, 2) == 3
        assert gateway.ping(machine, CONTENT)
    else:
        assert [complaint.rule for complaint in machine.complaints] == [Rule.LAST_SA_DELETED]


def test_lets_a_server_rekey_that_is_set_to() -> None:
    host = IkeHost(settings(default=ConnectionSettings(dpd_delay=0.0, rekey=True)))
    gateway = DialledGateway(host)
    late = CLIENTS["strongswan"]
    late = replace(late, conduct=late.conduct.but(phase2_rekey=Known(None, "a test")))
    machine = gateway.dial(late, lets_server_rekey=True, make_dh=shared_dh)
    gateway.run(7200.0)

    assert machine.complaints == []
    assert rekeyed(machine, 2) == 2
    assert gateway.ping(machine, CONTENT)


def ppp_sent(gateway: DialledGateway) -> list[tuple[Protocol, int, bytes]]:
    """What the gateway sends over PPP from now on, as it comes: protocol, code, data."""
    sent: list[tuple[Protocol, int, bytes]] = []

    def see(datagram: bytes) -> bytes:
        message = parse(datagram)
        if isinstance(message, DataMessage):
            frame = parse_frame(message.payload)
            if frame.protocol >= Protocol.IPCP:
                packet = parse_packet(frame.information)
                sent.append((frame.protocol, packet.code, packet.data))
        return datagram

    gateway.to_client = see
    return sent


def rejected(sent: list[tuple[Protocol, int, bytes]]) -> list[Protocol]:
    """The protocols that the gateway has said it does not speak."""
    rejections = [data for protocol, code, data in sent if code == Code.PROTOCOL_REJECT]
    return [Protocol(int.from_bytes(data[:2])) for data in rejections]


def test_a_mac_asks_for_ipv6_and_acsp_and_does_without() -> None:
    """Each is rejected once, the link stays, and the DHCPINFORM comes after all of that."""
    gateway = DialledGateway()
    sent = ppp_sent(gateway)
    machine = gateway.dial(CLIENTS["macos-split"], make_dh=shared_dh)
    gateway.run(60.0)

    assert rejected(sent) == [Protocol.IPV6CP, Protocol.ACSCP]
    assert machine.complaints == []
    assert gateway.ping(machine, CONTENT)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("windows-7", [Protocol.IPV6CP, Protocol.CCP]),
        ("windows-xp-sp2", [Protocol.CCP]),
        ("windows-mobile-6", [Protocol.CCP, Protocol.IPV6CP]),
        ("iphone", []),
        ("android", []),
    ],
)
def test_what_the_gateway_does_not_speak_it_rejects(name: str, asked: list[Protocol]) -> None:
    gateway = DialledGateway()
    sent = ppp_sent(gateway)
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)
    gateway.run(60.0)

    assert rejected(sent) == asked
    assert machine.complaints == []
    assert gateway.ping(machine, CONTENT)
