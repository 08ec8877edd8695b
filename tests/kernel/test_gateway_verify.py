"""`ikectl verify` on a gateway that is well, on one that is not, and after a crash; metrics."""

import sys
from pathlib import Path
from typing import Any

from interop.peers.strongswan import StrongSwan
from interop.scenarios.play import dial_in
from interop.settings import GatewaySettings
from interop.stage import Stage
from interop.topology import client_nat

SETTINGS = GatewaySettings(local="192.168.1.99", pool=("192.168.1.130", "192.168.1.139"))
EXTRA = {"ppp": 'proxy_arp = "lan0"', "metrics": 'listen = "127.0.0.1:9410"'}
FETCH = """
from urllib.request import urlopen
print(urlopen("http://127.0.0.1:9410/metrics", timeout=30).read().decode(), end="")
"""


def wrong(stage: Stage) -> dict[str, dict[str, Any]]:
    """The findings that are warnings or failures, by their check."""
    found = stage.ikev1d.verify()
    return {check: one for check, one in found.items() if one["level"] in ("warning", "failure")}


def test_a_gateway_that_is_well_then_broken_then_killed(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts, settings=SETTINGS, extra=EXTRA) as stage:
        gateway = stage.lab["gateway"]
        dial_in(stage, stage.client())
        assert wrong(stage) == {}
        metrics = gateway.run(sys.executable, "-c", FETCH).splitlines()
        assert "ikev1d_clients 1" in metrics
        assert 'ikev1d_esp_sas{algorithms="aes256-sha1"} 1' in metrics
        assert 'ikev1d_data_paths{path="kernel"} 1' in metrics
        assert 'ikev1d_ppp_logins_total{protocol="mschapv2",result="accepted"} 1' in metrics
        assert 'ikev1d_esp_bytes_total{direction="in"} 0' not in metrics

        gateway.set_sysctl("net/ipv4/ip_forward", "0")
        gateway.set_sysctl("net/ipv4/conf/wan0/rp_filter", "1")
        gateway.run("ip", "route", "replace", "default", "dev", "lan0")
        gateway.run("iptables-legacy", "-P", "INPUT", "DROP")
        gateway.run(
            "iptables-legacy", *["-A", "INPUT", "-p", "udp", "--dport", "500", "-j", "ACCEPT"]
        )
        (status,) = stage.ikev1d.clients()
        ends = ("src", status["peer_address"], "dst", status["local_address"])
        spi = f"0x{status['spi_in']}"
        gateway.run("ip", "xfrm", "state", "delete", *ends, "proto", "esp", "spi", spi)
        proxy = "192.168.1.77 dev lan0 protocol 76"
        gateway.run("ip", "neighbour", "add", "proxy", *proxy.split())

        found = wrong(stage)
        assert set(found) == {
            *("forwarding.ip_forward", "forwarding.rp_filter"),
            *("firewall.udp_4500", "firewall.esp", "firewall.l2tp"),
            *("ownership.missing_sa", "ownership.proxy"),
        }
        assert "net.ipv4.conf.wan0.rp_filter=2" in found["forwarding.rp_filter"]["remedy"]
        assert status["spi_in"] in found["ownership.missing_sa"]["what"]
        assert "192.168.1.77 by lan0" in found["ownership.proxy"]["what"]

        stage.ikev1d.kill()
        StrongSwan(gateway)
        found = wrong(stage)
        assert {check for check in found if not check.startswith(("forwarding.", "firewall."))} == {
            *("daemon.running", "ports.udp_500", "ports.udp_4500"),
            *("leftovers.sa", "leftovers.policy", "leftovers.proxy"),
        }
        assert found["leftovers.sa"]["what"].startswith("1 SA is of a gateway that was killed")
        assert found["leftovers.policy"]["what"].startswith("4 policies are")
        assert "192.168.1.130 by lan0" in found["leftovers.proxy"]["what"]
        assert "is taken by charon" in found["ports.udp_500"]["what"]
        assert "strongswan-starter" in found["ports.udp_500"]["remedy"]
