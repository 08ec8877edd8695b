"""A real client dials in, works and hangs up: what the gateway is for."""

from pathlib import Path

import pytest

from interop.capture import Capture
from interop.scenarios.play import check_gone, check_protected, dial_in, stop_gateway
from interop.snapshot import take_snapshot
from interop.stage import Stage
from interop.topology import TOPOLOGIES


@pytest.mark.parametrize(
    ("ike", "esp"),
    [("3des-sha1-modp1024", "3des-sha1"), ("aes256-sha256-modp2048", "aes256-sha256")],
)
@pytest.mark.parametrize("topology", ["no-nat", "client-nat"])
def test_dials_in_reaches_the_office_and_leaves_nothing(
    topology: str, ike: str, esp: str, artefacts: Path
) -> None:
    with Stage(TOPOLOGIES[topology](), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        client = stage.client(ike=ike, esp=esp)
        link = dial_in(stage, client)

        assert link.address == stage.settings.pool[0]
        assert link.dns == stage.settings.dns
        stage.check_traffic(client, link.address)

        (status,) = stage.ikev1d.clients()
        assert status["state"] == "up"
        assert status["user"] == "alice"
        assert status["peer_address"] == "203.0.113.2"
        assert status["nat"] == ("client" if topology == "client-nat" else "none")
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
        stop_gateway(stage)
        log = stage.ikev1d.log()
        assert "ERROR" not in log
        assert "wonderland" not in log
        assert stage.settings.psk not in log


def test_the_operator_hangs_up(artefacts: Path) -> None:
    with Stage(TOPOLOGIES["client-nat"](), artefacts) as stage:
        client = stage.client()
        dial_in(stage, client)

        assert "alice" not in stage.ikev1d.ikectl("down", "--user", "alice")
        check_gone(stage)
        assert stage.ikev1d.clients() == []
        # The client was told in both protocols, not left to find out.
        client.l2tp.process.wait_for_text("Connection closed", 10)
        assert client.ipsec.sas() == ""


def test_a_stop_tells_the_client(artefacts: Path) -> None:
    with Stage(TOPOLOGIES["client-nat"](), artefacts) as stage:
        client = stage.client()
        dial_in(stage, client)
        stop_gateway(stage)
        client.l2tp.process.wait_for_text("Connection closed", 10)
        assert client.ipsec.sas() == ""


def test_nothing_but_l2tp_enters_through_the_sas(artefacts: Path) -> None:
    """What the selector of an SA does to other packets is shown in test_xfrm.py."""
    with Stage(TOPOLOGIES["no-nat"](), artefacts) as stage:
        client = stage.client()
        dial_in(stage, client)
        inbound, outbound = sorted(
            take_snapshot(stage.lab["gateway"]).of_kind("sa"), key=lambda sa: "sport 1701" in sa
        )
        assert inbound.endswith("sel src 203.0.113.2/32 dst 198.51.100.1/32 proto udp dport 1701")
        assert outbound.endswith("sel src 198.51.100.1/32 dst 203.0.113.2/32 proto udp sport 1701")
