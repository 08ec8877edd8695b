"""A real client dials in, works and hangs up: what the gateway is for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.capture import Capture
from interop.peers.linux_client import LinuxClient
from interop.peers.xl2tpd import Link
from interop.scenarios.play import check_gone, check_protected, dial_in, stop_gateway
from interop.snapshot import take_snapshot
from interop.stage import Stage
from interop.topology import TOPOLOGIES


@pytest.fixture(scope="module", params=["no-nat", "client-nat"])
def stage(request: pytest.FixtureRequest, module_artefacts: Path) -> Iterator[Stage]:
    """A stage for several tests; each leaves it without a client."""
    with Stage(TOPOLOGIES[request.param](), module_artefacts / request.param) as stage:
        yield stage
        stop_gateway(stage)


@contextmanager
def connected(stage: Stage, **settings: Any) -> Iterator[tuple[LinuxClient, Link]]:
    """A client with these settings of `Stage.client`, dialled in."""
    client = stage.client(**settings)
    try:
        yield client, dial_in(stage, client)
    finally:
        client.stop()


@pytest.mark.parametrize(
    ("ike", "esp"),
    [("3des-sha1-modp1024", "3des-sha1"), ("aes256-sha256-modp2048", "aes256-sha256")],
)
def test_dials_in_reaches_the_office_and_leaves_nothing(stage: Stage, ike: str, esp: str) -> None:
    capture = Capture(stage.lab["internet"], "east0")
    with connected(stage, ike=ike, esp=esp) as (client, link):
        assert link.address == stage.settings.pool[0]
        assert link.dns == stage.settings.dns
        stage.check_traffic(client, link.address)

        (status,) = stage.ikev1d.clients()
        assert status["state"] == "up"
        assert status["user"] == "alice"
        assert status["peer_address"] == "203.0.113.2"
        assert status["nat"] == ("client" if stage.lab.topology.name == "client-nat" else "none")
        assert status["ike_algorithms"] == ike
        assert status["esp_algorithms"] == esp
        assert status["inner_address"] == link.address
        assert status["data_path"] == "kernel"
        # A transfer of 1 MiB each way, and nothing that would double it.
        assert 1 << 20 < status["bytes_in"] < 2 << 20
        assert 1 << 20 < status["bytes_out"] < 2 << 20
        assert "alice" in stage.ikev1d.ikectl("status")

        client.hang_up()
        check_gone(stage)
        assert stage.ikev1d.clients() == []
        check_protected(stage, capture)
        log = stage.ikev1d.log()
        assert "ERROR" not in log
        assert "wonderland" not in log
        assert stage.settings.psk not in log


@pytest.mark.parametrize("stage", ["client-nat"], indirect=True)
def test_the_operator_hangs_up(stage: Stage) -> None:
    with connected(stage) as (client, _):
        assert "alice" not in stage.ikev1d.ikectl("down", "--user", "alice")
        check_gone(stage)
        assert json.loads(stage.ikev1d.ikectl("status", "--json"))["clients"] == []
        # The client was told in both protocols, not left to find out.
        client.l2tp.process.wait_for_text("Connection closed", 10)
        assert client.ipsec.sas() == ""


@pytest.mark.parametrize("stage", ["no-nat"], indirect=True)
def test_nothing_but_l2tp_enters_through_the_sas(stage: Stage) -> None:
    """What the selector of an SA does to other packets is shown in test_xfrm.py."""
    with connected(stage):
        inbound, outbound = sorted(
            take_snapshot(stage.lab["gateway"]).of_kind("sa"),
            key=lambda sa: "sport 1701" in sa,
        )
        assert inbound.endswith("sel src 203.0.113.2/32 dst 198.51.100.1/32 proto udp dport 1701")
        assert outbound.endswith("sel src 198.51.100.1/32 dst 203.0.113.2/32 proto udp sport 1701")
    check_gone(stage)


def test_a_stop_tells_the_client(artefacts: Path) -> None:
    with Stage(TOPOLOGIES["client-nat"](), artefacts) as stage:
        client = stage.client()
        dial_in(stage, client)
        stop_gateway(stage)
        client.l2tp.process.wait_for_text("Connection closed", 10)
        assert client.ipsec.sas() == ""
