"""Clients whose IKE messages come in fragments, and to whom we send some."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ikev1.wire.enums import ExchangeType, PayloadType
from ikev1.wire.header import Header, parse_header
from interop.capture import Capture, Packet
from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import check_gone, check_protected, dial_in, stop_gateway
from interop.stage import Stage
from interop.topology import TOPOLOGIES, client_nat

IP_AND_UDP = 20 + 8
NON_ESP_MARKER = bytes(4)
SIZE = 200
"""Bytes of an IP packet with a fragment: message 1 takes three of them."""
IKE = "aes256-sha512-modp8192"
ESP = "aes256-sha1-modp8192"
"""With both, message 2 of Quick Mode has 1 kB of public value and is beyond what goes whole."""


@dataclass(frozen=True, slots=True)
class Ike:
    """An IKE message on the wire: where from, its size as an IP packet, its header."""

    source: str
    port: int
    size: int
    header: Header

    @property
    def is_fragment(self) -> bool:
        """Whether it is a piece of another message."""
        return self.header.next_payload == PayloadType.FRAGMENT


def ike_of(packet: Packet) -> Ike:
    message = packet.payload.removeprefix(NON_ESP_MARKER)
    header = parse_header(message)
    return Ike(packet.source, packet.source_port, len(packet.payload) + IP_AND_UDP, header)


def ike_messages(stage: Stage, capture: Capture) -> tuple[list[Ike], list[Ike]]:
    """The client's and the gateway's, in order."""
    seen = [ike_of(packet) for packet in capture.packets() if packet.is_ike]
    gateway = stage.settings.address
    return (
        [ike for ike in seen if ike.source != gateway],
        [ike for ike in seen if ike.source == gateway],
    )


def call(stage: Stage, client: LinuxClient) -> None:
    link = dial_in(stage, client)
    stage.check_traffic(client, link.address)
    (status,) = stage.ikev1d.clients()
    assert status["state"] == "up"
    client.hang_up()


def check_end(stage: Stage) -> None:
    check_gone(stage)
    stop_gateway(stage)
    assert "ERROR" not in stage.ikev1d.log()


@pytest.mark.parametrize("topology", ["no-nat", "client-nat"])
def test_charon_with_every_message_in_fragments(topology: str, artefacts: Path) -> None:
    with Stage(TOPOLOGIES[topology](), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(ike=IKE, esp=ESP, fragmentation="force", fragment_size=SIZE)
        call(stage, client)
        asked, answered = ike_messages(stage, capture)

        # It waits for no announcement.
        assert asked[0].is_fragment
        assert not any(asked[0].header.responder_cookie)
        assert max(ike.size for ike in asked) == SIZE
        assert sum(ike.is_fragment for ike in asked) > 20
        ours = [ike for ike in answered if ike.is_fragment]
        assert [ike.header.exchange_type for ike in ours] == [ExchangeType.QUICK_MODE] * 2
        assert {ike.port for ike in ours} == {4500 if topology == "client-nat" else 500}
        assert max(ike.size for ike in answered) <= 1280
        # No answer was more than its question, headers of fragments included.
        assert sum(ike.size for ike in answered) < sum(ike.size for ike in asked)
        check_protected(stage, capture)
        check_end(stage)


def test_charon_that_waits_for_the_announcement(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(fragment_size=SIZE)
        call(stage, client)
        asked, answered = ike_messages(stage, capture)

        assert not asked[0].is_fragment
        assert asked[1].is_fragment
        assert max(ike.size for ike in asked[1:]) == SIZE
        # Whole it goes as long as it is small.
        assert not any(ike.is_fragment for ike in answered)
        check_end(stage)


def test_charon_that_takes_no_fragments(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(ike=IKE, esp=ESP, fragmentation="no")
        call(stage, client)
        asked, answered = ike_messages(stage, capture)

        assert not any(ike.is_fragment for ike in (*asked, *answered))
        assert max(ike.size for ike in answered) > 1280
        check_end(stage)


def test_libreswan(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(
            program="libreswan", ike="aes256-sha2_512-dh18", fragmentation="force"
        )
        call(stage, client)
        asked, _ = ike_messages(stage, capture)

        assert sum(ike.is_fragment for ike in asked) > 1
        check_end(stage)


@pytest.mark.parametrize("fault", ["lose-first-ike", "double"])
def test_fragments_on_a_bad_network(fault: str, artefacts: Path) -> None:
    """Each fragment, of ours too, is lost once, or comes twice."""
    with Stage(client_nat(), artefacts, fault=fault) as stage:
        client = stage.client(
            ike=IKE, esp=ESP, fragmentation="force", fragment_size=SIZE, retransmit_timeout=1.0
        )
        call(stage, client)
        assert stage.relay is not None
        gateway = stage.settings.address
        faults = [one for one in stage.relay.faults() if one.kind == "ike"]
        assert sum(one.source == gateway and one.bytes > 1000 for one in faults) > 1
        assert sum(one.source != gateway for one in faults) > 20
        if fault == "lose-first-ike":  # IKEv1 confirms no Delete, and the first one is lost
            stop_gateway(stage)
        else:
            check_end(stage)
