"""Clients whose IKE messages come in fragments, and to whom we send some."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ikev1.wire.enums import ExchangeType, PayloadType
from ikev1.wire.header import Header, parse_header
from interop.capture import Capture, Packet
from interop.scenarios.play import check_gone, check_protected, dial_in, stop_gateway
from interop.stage import Stage
from interop.topology import client_nat, no_nat

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


@pytest.fixture(scope="module")
def behind_nat(module_artefacts: Path) -> Iterator[Stage]:
    """For all whose client is behind a NAT; every test leaves it without one."""
    with Stage(client_nat(), module_artefacts) as stage:
        yield stage
        stop_gateway(stage)


def call(stage: Stage, **settings: Any) -> None:
    """Dial in with these settings of `Stage.client`, work and hang up."""
    client = stage.client(**settings)
    try:
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        (status,) = stage.ikev1d.clients()
        assert status["state"] == "up"
        client.hang_up()
    finally:
        client.stop()


def check_end(stage: Stage) -> None:
    check_gone(stage)
    assert "ERROR" not in stage.ikev1d.log()


def check_every_message_in_fragments(stage: Stage, port: int) -> None:
    """charon's from the first on, and ours that are large, which come from ``port``."""
    capture = Capture(stage.lab["internet"], "east0")
    call(stage, ike=IKE, esp=ESP, fragmentation="force", fragment_size=SIZE)
    asked, answered = ike_messages(stage, capture)

    # It waits for no announcement.
    assert asked[0].is_fragment
    assert not any(asked[0].header.responder_cookie)
    assert max(ike.size for ike in asked) == SIZE
    assert sum(ike.is_fragment for ike in asked) > 20
    ours = [ike for ike in answered if ike.is_fragment]
    assert [ike.header.exchange_type for ike in ours] == [ExchangeType.QUICK_MODE] * 2
    assert {ike.port for ike in ours} == {port}
    assert max(ike.size for ike in answered) <= 1280
    # No answer was more than its question, headers of fragments included.
    assert sum(ike.size for ike in answered) < sum(ike.size for ike in asked)
    check_protected(stage, capture)
    check_end(stage)


def test_charon_with_every_message_in_fragments(artefacts: Path) -> None:
    with Stage(no_nat(), artefacts) as stage:
        check_every_message_in_fragments(stage, 500)
        stop_gateway(stage)


def test_charon_with_every_message_in_fragments_behind_a_nat(behind_nat: Stage) -> None:
    check_every_message_in_fragments(behind_nat, 4500)


def test_charon_that_waits_for_the_announcement(behind_nat: Stage) -> None:
    capture = Capture(behind_nat.lab["internet"], "east0")
    call(behind_nat, fragment_size=SIZE)
    asked, answered = ike_messages(behind_nat, capture)

    assert not asked[0].is_fragment
    assert asked[1].is_fragment
    assert max(ike.size for ike in asked[1:]) == SIZE
    # Whole it goes as long as it is small.
    assert not any(ike.is_fragment for ike in answered)
    check_end(behind_nat)


def test_charon_that_takes_no_fragments(behind_nat: Stage) -> None:
    capture = Capture(behind_nat.lab["internet"], "east0")
    call(behind_nat, ike=IKE, esp=ESP, fragmentation="no")
    asked, answered = ike_messages(behind_nat, capture)

    assert not any(ike.is_fragment for ike in (*asked, *answered))
    assert max(ike.size for ike in answered) > 1280
    check_end(behind_nat)


def test_libreswan(behind_nat: Stage) -> None:
    capture = Capture(behind_nat.lab["internet"], "east0")
    call(behind_nat, program="libreswan", ike="aes256-sha2_512-dh18", fragmentation="force")
    asked, _ = ike_messages(behind_nat, capture)

    assert sum(ike.is_fragment for ike in asked) > 1
    check_end(behind_nat)


@pytest.mark.parametrize("fault", ["lose-first-ike", "double"])
def test_fragments_on_a_bad_network(fault: str, artefacts: Path) -> None:
    """Each fragment, of ours too, is lost once, or comes twice."""
    with Stage(client_nat(), artefacts, fault=fault) as stage:
        sizes = {"fragmentation": "force", "fragment_size": SIZE}
        call(stage, ike=IKE, esp=ESP, retransmit_timeout=1.0, **sizes)
        assert stage.relay is not None
        gateway = stage.settings.address
        faults = [one for one in stage.relay.faults() if one.kind == "ike"]
        assert sum(one.source == gateway and one.bytes > 1000 for one in faults) > 1
        assert sum(one.source != gateway for one in faults) > 20
        if fault == "lose-first-ike":  # IKEv1 confirms no Delete, and the first one is lost
            stop_gateway(stage)
        else:
            check_end(stage)
            stop_gateway(stage)
