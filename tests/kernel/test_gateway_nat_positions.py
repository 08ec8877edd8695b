"""Two IKEv1 implementations in every position of NATs: a whole call, and rekeying under load."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interop.capture import IPPROTO_UDP, Capture
from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import check_gone, check_protected, dial_in
from interop.snapshot import ipsec_drops
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, TOPOLOGIES
from interop.traffic import transferring

NAT_SEEN = {"no-nat": "none", "client-nat": "client", "server-nat": "server", "both-nat": "both"}
"""Topology to what the gateway has to find out about it."""

PAUSE = 0.05
"""Seconds between blocks of 64 KiB: the rekeying programs need the lab's one CPU too."""


@pytest.fixture(scope="module", params=NAT_SEEN)
def stage(request: pytest.FixtureRequest, module_artefacts: Path) -> Iterator[Stage]:
    topology = TOPOLOGIES[request.param]()
    hidden = topology.gateway_address != GATEWAY_ADDRESS
    extra = {"gateway": f'public_address = "{GATEWAY_ADDRESS}"'} if hidden else None
    with Stage(topology, module_artefacts / topology.name, extra=extra) as stage:
        yield stage


@pytest.fixture(params=["strongswan", "libreswan"])
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(stage: Stage, program: str) -> Iterator[LinuxClient]:
    client = stage.client(program=program)
    yield client
    client.stop()


def hang_up(stage: Stage, client: LinuxClient) -> None:
    client.hang_up()
    check_gone(stage)
    assert stage.ikev1d.clients() == []


def test_a_call(stage: Stage, client: LinuxClient) -> None:
    capture = Capture(stage.lab["internet"], "east0")
    link = dial_in(stage, client)
    stage.check_traffic(client, link.address)

    (status,) = stage.ikev1d.clients()
    assert status["state"] == "up"
    assert status["nat"] == NAT_SEEN[stage.lab.topology.name]
    assert status["peer_address"] == "203.0.113.2"
    hang_up(stage, client)
    check_protected(stage, capture)


# Bare ESP, and ESP in UDP.
@pytest.mark.parametrize("stage", ["no-nat", "both-nat"], indirect=True)
def test_rekeying_under_load(stage: Stage, client: LinuxClient) -> None:
    link = dial_in(stage, client)
    (before,) = stage.ikev1d.clients()
    office, gateway = stage.lab["office"], stage.lab["gateway"]
    drops = [ipsec_drops(host) for host in (gateway, client.host)]
    with (
        transferring(client.host, office, OFFICE_ADDRESS, pause=PAUSE),
        transferring(office, client.host, link.address, pause=PAUSE),
    ):
        client.ipsec.rekey_child()
        client.ipsec.rekey_ike()
        client.ipsec.rekey_child()

    # No packet found the SA missing that it was for, on either side.
    assert [ipsec_drops(host) for host in (gateway, client.host)] == drops
    (after,) = stage.ikev1d.clients()
    for name in ("client", "mark", "inner_address", "session_id", "tunnel_id"):
        assert after[name] == before[name]
    assert after["spi_in"] != before["spi_in"]
    stage.check_traffic(client, link.address)
    hang_up(stage, client)


@pytest.mark.parametrize("stage", ["no-nat"], indirect=True)
def test_forced_encapsulation(stage: Stage, client: LinuxClient) -> None:
    capture = Capture(stage.lab["internet"], "east0")
    client.ipsec.load(replace(client.connection, encap=True))
    link = dial_in(stage, client)
    stage.check_traffic(client, link.address)
    hang_up(stage, client)
    esp = [packet.protocol for packet in capture.packets() if packet.is_esp]
    assert set(esp) == {IPPROTO_UDP}
