"""The gateway is killed and started again: its clients are told, and connect anew."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ikev1.wire.enums import ExchangeType, Flag, NotifyType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import parse_payloads
from ikev1.wire.payloads import Notification
from interop.capture import Capture, Packet
from interop.gateway import FAREWELLS
from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import dial_in
from interop.stage import OFFICE_NETWORK, Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, client_nat
from interop.traffic import ping
from interop.wait import until

BACK = 60.0
"""Seconds until a client that was told has connected anew, the machine being slow."""


@pytest.fixture
def stage(artefacts: Path) -> Iterator[Stage]:
    with Stage(client_nat(), artefacts) as stage:
        yield stage


def dialled_in(stage: Stage) -> LinuxClient:
    """A client that connects again when it hears, or finds out, that it has lost the gateway."""
    client = stage.client()
    anew = replace(client.connection, on_loss="start", dpd_delay="5s", dpd_timeout="15s")
    client.ipsec.load(anew)
    dial_in(stage, client)
    stage.ikev1d.wait_for_farewells()
    return client


def hints(packets: list[Packet]) -> set[NotifyType]:
    """What the gateway has said in clear."""
    found = set()
    for packet in packets:
        if packet.source != GATEWAY_ADDRESS or not packet.is_ike:
            continue
        message = packet.payload.removeprefix(bytes(4))
        header = parse_header(message)
        if header.exchange_type == ExchangeType.INFORMATIONAL and not (
            header.flags & Flag.ENCRYPTION
        ):
            payloads = parse_payloads(header.next_payload, message[HEADER_LENGTH:])
            found |= {NotifyType(item.notify_type) for item in payloads.all(Notification)}
    return found


def check_works_again(stage: Stage, client: LinuxClient) -> None:
    """IPsec has come back by itself; L2TP is dialled anew in it."""
    until(lambda: "ESP SAs up" in stage.ikev1d.log(), "the client to be back", BACK)
    client.l2tp.crash()
    link = client.l2tp.connect()
    client.route_to(OFFICE_NETWORK, link)
    stage.check_traffic(client, link.address)


def test_a_client_is_told_in_a_way_that_it_believes(stage: Stage) -> None:
    client = dialled_in(stage)
    stage.ikev1d.kill()
    stage.ikev1d.start()
    assert "told clients of an earlier run that it is over" in stage.ikev1d.log()
    client.ipsec.process.wait_for_text("received DELETE for IKE_SA", BACK)
    check_works_again(stage, client)


def test_a_client_that_missed_it_gets_hints(stage: Stage) -> None:
    capture = Capture(stage.lab["internet"], "east0")
    client = dialled_in(stage)
    stage.ikev1d.kill()
    stage.lab["gateway"].path(FAREWELLS).unlink()
    stage.ikev1d.start()
    assert not ping(client.host, OFFICE_ADDRESS)
    # charon believes nothing unprotected, and is back when its own dead peer detection says so.
    client.ipsec.process.wait_for_text("ignoring unprotected INFORMATIONAL", BACK)
    assert hints(capture.packets()) == {NotifyType.INVALID_SPI, NotifyType.INVALID_COOKIE}
    failures = stage.ikev1d.status()["gateway"]["failures"]
    assert failures["dropped-unknown-spi"] > 0
    assert failures["dropped-unknown-cookie"] > 0
    check_works_again(stage, client)
