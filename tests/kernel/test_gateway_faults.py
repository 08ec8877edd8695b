"""Bad networks, crashes, NATs that forget: the client connects, or stays connected."""

from pathlib import Path

import pytest

from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import check_gone, dial_in, stop_gateway
from interop.stage import Stage
from interop.topology import OFFICE_ADDRESS, client_nat
from interop.traffic import ping
from interop.wait import until

FIRST_PING = 30.0
"""Seconds until a ping has got through a cable that loses the first ones."""
FORGET = 30.0
"""Seconds until a NAT told to forget after one has done so."""


@pytest.mark.parametrize("fault", ["lose-first-ike", "lose-first-esp", "double"])
def test_dials_in_all_the_same(fault: str, artefacts: Path) -> None:
    with Stage(client_nat(), artefacts, fault=fault) as stage:
        client = stage.client(retransmit_timeout=0.5)
        link = dial_in(stage, client)
        # Where the first ESP packet of each size is lost, so are the first ping and its answer.
        until(lambda: ping(client.host, OFFICE_ADDRESS), "a ping to get through", FIRST_PING)
        stage.check_traffic(client, link.address)
        (status,) = stage.ikev1d.clients()
        assert status["state"] == "up"
        client.hang_up()
        if fault != "lose-first-ike":  # IKEv1 confirms no Delete, and the first one is lost
            check_gone(stage)
        stop_gateway(stage)
        assert "ERROR" not in stage.ikev1d.log()


def test_killed_and_started_again(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        client = stage.client(retransmit_timeout=0.5)
        dial_in(stage, client)
        stage.ikev1d.wait_for_farewells()
        stage.ikev1d.kill()
        # SAs and policies outlive the process; everything else goes with it.
        assert {line.split()[0] for line in stage.leftovers()} == {"sa", "policy"}

        stage.ikev1d.start()
        assert stage.leftovers() == []
        assert "removed what an earlier run had left" in stage.ikev1d.log()

        client.l2tp.disconnect()
        # It has been told that its SAs are gone.
        until(lambda: client.ipsec.sas() == "", "the client's SAs to be gone", 30)
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        client.hang_up()
        check_gone(stage)
        stop_gateway(stage)


def test_follows_a_nat_that_rebinds(artefacts: Path) -> None:
    with Stage(client_nat(), artefacts) as stage:
        client = stage.client()
        link = dial_in(stage, client)
        (before,) = stage.ikev1d.clients()
        nat = stage.lab["nat"]
        # Before the NAT, so that no reply keeps the old mapping alive.
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            nat.set_sysctl(f"net/netfilter/{name}", "1")
        nat.run("ip", "link", "set", "wan0", "down")
        nat.run("ip", "link", "set", "wan0", "up")
        nat.run("ip", "route", "replace", "default", "via", "203.0.113.1")

        def moved() -> bool:
            """Whether ESP comes from another port, and answers find their way to it."""
            (now,) = stage.ikev1d.clients()
            return now["peer_port"] != before["peer_port"] and ping(client.host, OFFICE_ADDRESS)

        def rebound() -> bool:
            ping(client.host, OFFICE_ADDRESS)
            return moved()

        until(rebound, "the gateway to follow the NAT", FORGET)
        for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            nat.set_sysctl(f"net/netfilter/{name}", "120")
        # The mapping may have been forgotten once more meanwhile.
        until(lambda: ping(client.host, OFFICE_ADDRESS), "answers again", FORGET)
        (after,) = stage.ikev1d.clients()
        assert after["client"] == before["client"]
        assert after["session_id"] == before["session_id"]
        stage.check_traffic(client, link.address)
        renews_from_another_port(stage, client)
        begins_anew_but_for_l2tp(stage, client)
        stage.check_traffic(client, link.address)
        client.hang_up()
        stop_gateway(stage)  # the older SAs, whose Deletes got lost, are there until then


def rebind(stage: Stage) -> None:
    """Have the NAT forget its mappings at once."""
    nat = stage.lab["nat"]
    nat.run("ip", "link", "set", "wan0", "down")
    nat.run("ip", "link", "set", "wan0", "up")
    nat.run("ip", "route", "replace", "default", "via", "203.0.113.1")


def renews_from_another_port(stage: Stage, client: LinuxClient) -> None:
    """Nothing else of it has come from there: its older Phase 1 shows that it is the same."""
    (before,) = stage.ikev1d.clients()
    rebind(stage)
    client.ipsec.rekey_ike()
    assert ping(client.host, OFFICE_ADDRESS)
    (after,) = stage.ikev1d.clients()
    assert after["peer_port"] != before["peer_port"]
    for name in ("client", "mark", "session_id", "tunnel_id"):
        assert after[name] == before[name]


def begins_anew_but_for_l2tp(stage: Stage, client: LinuxClient) -> None:
    """Its charon has lost its SAs while its xl2tpd goes on: the numbers of its tunnel show it."""
    (before,) = stage.ikev1d.clients()
    stage.lab["nat"].run("ip", "route", "del", "default")  # its Deletes get lost
    client.ipsec.terminate()
    rebind(stage)
    client.ipsec.initiate()
    assert len(stage.ikev1d.clients()) == 2
    assert ping(client.host, OFFICE_ADDRESS)
    (after,) = stage.ikev1d.clients()
    assert after["mark"] != before["mark"]
    for name in ("session_id", "tunnel_id", "inner_address"):
        assert after[name] == before[name]
