"""A client that loses everything without a word and dials again at once: the old session goes."""

from dataclasses import replace
from pathlib import Path

import pytest

from interop.peers.xl2tpd import Link
from interop.scenarios.play import check_gone, dial_in, stop_gateway
from interop.snapshot import take_snapshot
from interop.stage import Stage
from interop.topology import client_nat, two_nats
from interop.wait import until

LIMIT = 30.0
"""Seconds until nothing of the old session is left."""


def rebind(stage: Stage) -> None:
    """Have the NAT forget its mappings; the next are for other ports."""
    nat = stage.lab["nat"]
    nat.run("ip", "link", "set", "wan0", "down")
    nat.run("ip", "link", "set", "wan0", "up")
    nat.run("ip", "route", "replace", "default", "via", "203.0.113.1")


def check_one_session(stage: Stage, link: Link) -> None:
    """The kernel has one session, with the address of this link, and one pair of SAs."""
    snapshot = take_snapshot(stage.lab["gateway"])
    outbound = [line for line in snapshot.of_kind("sa") if "sport 1701" in line]
    assert len(outbound) == 1
    gateway = stage.lab["gateway"].interfaces()
    assert len([name for name in gateway if name.startswith(("ppp", "l2tp"))]) == 1
    (status,) = stage.ikev1d.clients()
    assert (status["state"], status["inner_address"]) == ("up", link.address)
    assert status["interface"] in gateway


@pytest.mark.parametrize("mapping", ["same-port", "another-port"])
def test_comes_back_after_a_power_cut(mapping: str, artefacts: Path) -> None:
    """It shows nothing but its private address, and the key is everybody's."""
    with Stage(client_nat(), artefacts) as stage:
        client = stage.client()
        dial_in(stage, client)
        (before,) = stage.ikev1d.clients()
        client.crash()
        if mapping == "another-port":
            rebind(stage)

        client = stage.client()
        link = dial_in(stage, client)
        until(lambda: len(stage.ikev1d.clients()) == 1, "the old session to go", LIMIT)
        (after,) = stage.ikev1d.clients()
        assert after["session_id"] != before["session_id"]
        assert (after["peer_port"] == before["peer_port"]) == (mapping == "same-port")
        check_one_session(stage, link)
        log = stage.ikev1d.log()
        if mapping == "same-port":
            assert "the client dialled anew" in log
            assert link.address == before["inner_address"]
        else:
            assert "replaced: alice has connected again with the same device" in log
        stage.check_traffic(client, link.address)
        stop_gateway(stage)


def test_a_key_of_its_own_or_initial_contact_replaces_before_any_login(artefacts: Path) -> None:
    extra = {"[psk]": 'secret = "her own key"\none_client = true'}
    with Stage(client_nat(), artefacts, extra=extra) as stage:
        client = stage.client(psk="her own key")
        dial_in(stage, client)
        (before,) = stage.ikev1d.clients()
        client.crash()
        rebind(stage)

        client = stage.client(psk="her own key")
        # It might go on in its session: not before it dials L2TP is it known that it does not.
        link = dial_in(stage, client)
        log = stage.ikev1d.log()
        replaced = log.index("replaced: the client has connected again from 203.0.113.2:")
        assert log.index("the client dialled anew") < replaced < log.rindex("user connected")
        assert link.address == before["inner_address"]
        check_one_session(stage, link)

        # With INITIAL-CONTACT too, from the same port, the client has another mark.
        (before,) = stage.ikev1d.clients()
        client.crash()
        contact = replace(client.connection, unique="replace", remote_id="198.51.100.1")
        client = stage.client(psk="her own key")
        client.ipsec.load(contact)
        link = dial_in(stage, client)
        stage.ikev1d.wait_for_log("replaced: the client says INITIAL-CONTACT")
        (after,) = stage.ikev1d.clients()
        assert after["peer_port"] == before["peer_port"]
        assert after["mark"] != before["mark"]
        check_one_session(stage, link)
        client.hang_up()
        check_gone(stage)


def test_one_user_with_two_devices_that_look_alike(artefacts: Path) -> None:
    """The same private address behind the same public one: two stacked NATs."""
    with Stage(two_nats(stacked=True), artefacts) as stage:
        links = {name: dial_in(stage, stage.client(name)) for name in ("client", "client2")}
        stage.ikev1d.wait_for_log("still there: another device, of the same user")
        statuses = stage.ikev1d.clients()
        assert {status["identity"] for status in statuses} == {"10.1.0.2"}
        assert {status["user"] for status in statuses} == {"alice"}
        assert {status["inner_address"] for status in statuses} == {
            link.address for link in links.values()
        }
