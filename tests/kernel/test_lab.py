"""The lab itself: its NAT translates, its captures see, its cable loses and doubles."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from interop.capture import IPPROTO_UDP, Capture, Packet
from interop.lab import Lab, StrayProcessError
from interop.netns import CommandError, Host
from interop.process import ProgramEndedError
from interop.relay import LOSSY_ESP_PACKETS, Relay
from interop.snapshot import take_snapshot
from interop.topology import (
    GATEWAY_ADDRESS,
    OFFICE_ADDRESS,
    client_nat,
    no_nat,
    with_relay,
)
from interop.traffic import ping, transfer

Start = Callable[[str], Relay]

LIMIT = 10.0
ESP = bytes.fromhex("00001000") + bytes(40)
IKE_BEHIND_MARKER = bytes(4) + bytes(range(28))


@pytest.fixture(scope="module")
def direct(module_artefacts: Path) -> Iterator[Lab]:
    with Lab(no_nat(), module_artefacts / "no-nat") as lab:
        yield lab


@pytest.fixture(scope="module")
def crowd(module_artefacts: Path) -> Iterator[Lab]:
    """Two clients behind one NAT."""
    with Lab(client_nat(clients=2), module_artefacts / "client-nat") as lab:
        yield lab


@pytest.fixture(scope="module")
def cable(module_artefacts: Path) -> Iterator[Lab]:
    with Lab(with_relay(no_nat()), module_artefacts / "relay") as lab:
        yield lab


def udp(host: Host, port: int = 0) -> socket.socket:
    made = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", port))
    made.settimeout(LIMIT)
    return made


def received(receiver: socket.socket, last: bytes) -> list[bytes]:
    """What arrives until `last` has."""
    found: list[bytes] = []
    while last not in found:
        found.append(receiver.recv(2048))
    return found


class TestNetworks:
    def test_client_without_nat_keeps_its_address_and_port(self, direct: Lab) -> None:
        with udp(direct["gateway"], 500) as server, udp(direct["client"], 500) as client:
            client.sendto(b"hello", (GATEWAY_ADDRESS, 500))
            assert server.recvfrom(100) == (b"hello", ("203.0.113.2", 500))

    def test_nat_translates_address_and_port_and_lets_the_answer_back(self, crowd: Lab) -> None:
        with udp(crowd["gateway"], 4500) as server, udp(crowd["client"], 4500) as client:
            client.sendto(b"question", (GATEWAY_ADDRESS, 4500))
            data, (address, port) = server.recvfrom(100)
            server.sendto(b"answer", (address, port))
            assert client.recvfrom(100) == (b"answer", (GATEWAY_ADDRESS, 4500))
        assert (data, address) == (b"question", "203.0.113.2")
        assert 20000 <= port <= 60000

    def test_two_clients_behind_one_nat_have_one_address_and_two_ports(self, crowd: Lab) -> None:
        with (
            udp(crowd["gateway"], 4500) as server,
            udp(crowd["client"], 4500) as first,
            udp(crowd["client2"], 4500) as second,
        ):
            seen = set()
            for client in (first, second):
                client.sendto(b"x", (GATEWAY_ADDRESS, 4500))
                seen.add(server.recvfrom(100)[1])
        assert {address for address, _ in seen} == {"203.0.113.2"}
        assert len(seen) == 2

    def test_nobody_outside_reaches_the_client_behind_the_nat(self, crowd: Lab) -> None:
        assert ping(crowd["client"], GATEWAY_ADDRESS)
        assert not ping(crowd["gateway"], "10.1.0.2")

    def test_internet_has_no_route_to_the_office(self, direct: Lab) -> None:
        assert ping(direct["gateway"], OFFICE_ADDRESS)
        assert not ping(direct["client"], OFFICE_ADDRESS)

    def test_transfer_arrives_as_sent(self, direct: Lab) -> None:
        moved = transfer(direct["office"], direct["gateway"], "192.168.1.1", 1 << 18)
        assert moved.size == 1 << 18


class TestCapture:
    def test_sees_the_packets_of_both_directions(self, direct: Lab) -> None:
        capture = Capture(direct["internet"], "east0")
        with udp(direct["gateway"], 500) as server, udp(direct["client"], 600) as client:
            client.sendto(b"there", (GATEWAY_ADDRESS, 500))
            _, sender = server.recvfrom(100)
            server.sendto(b"and back", sender)
            client.recv(100)
        seen = [
            (p.source, p.source_port, p.destination, p.destination_port, p.payload)
            for p in capture.packets()
            if p.protocol == IPPROTO_UDP
        ]
        assert seen == [
            ("203.0.113.2", 600, GATEWAY_ADDRESS, 500, b"there"),
            (GATEWAY_ADDRESS, 500, "203.0.113.2", 600, b"and back"),
        ]


class TestRelay:
    @pytest.fixture
    def start(self, cable: Lab) -> Iterator[Start]:
        with ExitStack() as stack:

            def start(fault: str) -> Relay:
                relay = Relay(cable["relay"], fault)
                stack.callback(relay.stop)
                return relay

            yield start

    def test_clean_cable_carries_tcp(self, cable: Lab, start: Start) -> None:
        relay = start("clean")
        transfer(cable["client"], cable["gateway"], GATEWAY_ADDRESS, 1 << 18)
        assert relay.faults() == []

    def test_loses_the_first_copy_of_every_ike_message(self, cable: Lab, start: Start) -> None:
        relay = start("lose-first-ike")
        with udp(cable["gateway"], 4500) as server, udp(cable["client"], 4500) as client:
            other = IKE_BEHIND_MARKER + b"other"
            for message in (IKE_BEHIND_MARKER, IKE_BEHIND_MARKER, other, ESP):
                client.sendto(message, (GATEWAY_ADDRESS, 4500))
            assert received(server, ESP) == [IKE_BEHIND_MARKER, ESP]
            server.sendto(IKE_BEHIND_MARKER, ("203.0.113.2", 4500))
            server.sendto(IKE_BEHIND_MARKER, ("203.0.113.2", 4500))
            server.sendto(ESP, ("203.0.113.2", 4500))
            assert received(client, ESP) == [IKE_BEHIND_MARKER, ESP]
        assert [fault.kind for fault in relay.faults()] == ["ike", "ike", "ike"]
        assert {fault.copies for fault in relay.faults()} == {0}

    def test_loses_the_first_esp_packet_of_each_size(self, cable: Lab, start: Start) -> None:
        start("lose-first-esp")
        sizes = [1, 2, 1, 2, 3, *[3] * LOSSY_ESP_PACKETS, 4]
        packets = [ESP + bytes(size) + bytes([number]) for number, size in enumerate(sizes)]
        with udp(cable["gateway"], 4500) as server, udp(cable["client"], 4500) as client:
            for packet in packets:
                client.sendto(packet, (GATEWAY_ADDRESS, 4500))
            arrived = received(server, packets[-1])
        assert arrived == [packets[2], packets[3], *packets[5:]]

    def test_doubles_every_packet(self, cable: Lab, start: Start) -> None:
        start("double")
        with udp(cable["gateway"], 500) as server, udp(cable["client"], 500) as client:
            client.sendto(b"one", (GATEWAY_ADDRESS, 500))
            client.sendto(b"two", (GATEWAY_ADDRESS, 500))
            arrived = [server.recv(100) for _ in range(4)]
        assert arrived == [b"one", b"one", b"two", b"two"]


class TestMachines:
    def test_each_has_its_own_name_and_run_directory(self, direct: Lab) -> None:
        direct["client"].write("/run/secret", "text", 0o600)
        assert direct["client"].run("cat", "/run/secret") == "text"
        assert direct["client"].path("/run/secret").stat().st_mode & 0o777 == 0o600
        with pytest.raises(CommandError, match="No such file"):
            direct["gateway"].run("cat", "/run/secret")
        assert direct["office"].run("hostname") == "office\n"

    def test_program_that_ends_early_is_reported_with_its_words(self, direct: Lab) -> None:
        program = direct["client"].start("brief", "sh", "-c", "echo no luck; exit 3")
        with pytest.raises(ProgramEndedError, match=r"status 3:\nno luck"):
            program.wait_for_text("ready", LIMIT)

    def test_stray_process_is_ended_and_named(self, artefacts: Path) -> None:
        lab = Lab(no_nat(), artefacts)
        with pytest.raises(StrayProcessError, match=r"sleep \(\d+\) still ran on client"), lab:
            lab["client"].run("sh", "-c", "sleep 1000 > /dev/null 2>&1 &")

    def test_snapshots_tell_what_was_added(self, direct: Lab) -> None:
        gateway = direct["gateway"]
        before = take_snapshot(gateway)
        gateway.run("ip", "route", "add", "192.0.2.0/24", "dev", "lan0")
        gateway.run(
            *("ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2"),
            *("proto", "esp", "spi", "0x1000", "mode", "transport"),
            *("auth", "hmac(sha1)", "0x00112233", "enc", "cbc(aes)", f"0x{bytes(16).hex()}"),
        )
        gateway.run(
            *("ip", "xfrm", "policy", "add", "src", "192.0.2.1", "dst", "192.0.2.2"),
            *("dir", "out", "action", "block"),
        )
        added = take_snapshot(gateway).added_since(before)
        assert [line.split()[:3] for line in added] == [
            ["policy", "src", "192.0.2.1/32"],
            ["route", "192.0.2.0/24", "dev"],
            ["sa", "src", "192.0.2.1"],
        ]


class TestPacket:
    @pytest.mark.parametrize(
        ("packet", "kind"),
        [
            (Packet(0, "a", "b", 50, 0, 0, ESP), "esp"),
            (Packet(0, "a", "b", 17, 4500, 4500, ESP), "esp"),
            (Packet(0, "a", "b", 17, 30000, 4500, IKE_BEHIND_MARKER), "ike"),
            (Packet(0, "a", "b", 17, 500, 500, bytes(28)), "ike"),
            (Packet(0, "a", "b", 17, 4500, 4500, b"\xff"), "neither"),
            (Packet(0, "a", "b", 17, 1701, 1701, ESP), "neither"),
            (Packet(0, "a", "b", 6, 4500, 500, ESP), "neither"),
        ],
    )
    def test_kind(self, packet: Packet, kind: str) -> None:
        found = "ike" if packet.is_ike else "esp" if packet.is_esp else "neither"
        assert found == kind
