"""Emulated clients over real sockets and the kernel: several kinds at once, behind one NAT."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from interop.capture import Capture
from interop.clients import CLIENTS
from interop.clients.facts import Known
from interop.peers.emulated import ClientStoppedError, EmulatedMachine
from interop.peers.xl2tpd import Link
from interop.scenarios.emulated import rekey
from interop.scenarios.play import check_gone, check_protected, stop_gateway
from interop.snapshot import ipsec_drops
from interop.stage import OFFICE_NETWORK, Stage
from interop.topology import OFFICE_ADDRESS, client_nat
from interop.traffic import transfer, transferring
from interop.wait import until

KINDS = {
    "client": "iphone",
    "client2": "android",
    "client3": "windows-xp-sp2",
}
"""By machine. Each takes another of NAT-T's variants, L2TP ports and ways to log in and out."""
SIZE = 1 << 16
"""Bytes of the check transfers."""
REKEYS = 20
KILOBYTES = 4_000
"""The lifetime that the client asks for: more than an SA carries that it renews itself."""
PAUSE = 0.3
"""Seconds between the blocks of a transfer that must lose nothing."""
EARLY_REPEATS = 3
"""Segments of one transfer that TCP may repeat without need, the machine being slow."""


def check_transfer(stage: Stage, machine: EmulatedMachine, link: Link) -> None:
    moved = transfer(machine.host, stage.lab["office"], OFFICE_ADDRESS, SIZE)
    assert moved.source == link.address


def test_several_kinds_at_once_behind_one_nat_and_a_stranger(artefacts: Path) -> None:
    with Stage(client_nat(len(KINDS)), artefacts) as stage:
        capture = Capture(stage.lab["internet"], "east0")
        machines = [stage.emulated(CLIENTS[kind], host) for host, kind in KINDS.items()]
        with ThreadPoolExecutor(len(machines)) as pool:
            links = list(pool.map(EmulatedMachine.dial_in, machines))

        stage.lab.note("all are connected")
        assert len({link.address for link in links}) == len(machines)
        assert {link.dns for link in links} == {stage.settings.dns}
        for machine, link in zip(machines, links, strict=True):
            machine.route_to(OFFICE_NETWORK, link)
            check_transfer(stage, machine, link)
        assert [status["state"] for status in stage.ikev1d.clients()] == ["up"] * len(machines)

        for machine, link in zip(machines, links, strict=True):
            rekey(stage, machine)
            check_transfer(stage, machine, link)
        for machine in machines:
            machine.hang_up()
            assert machine.remarks == []
        stage.lab.note("all have rekeyed, and hung up")
        check_gone(stage)
        check_protected(stage, capture)

        stranger = stage.emulated(CLIENTS["macos"], password="wrong")
        with pytest.raises(ClientStoppedError, match="login: ppp-login-refused"):
            stranger.dial_in()
        stranger.stop()
        check_gone(stage)
        stop_gateway(stage)


def test_nothing_is_lost_through_twenty_rekeys_of_each_kind(artefacts: Path) -> None:
    """By the client, one after the other, while content goes both ways, and then one by octets."""
    client = CLIENTS["windows-10"]
    limit = Known(KILOBYTES, "a test")
    client = replace(client, ike=client.ike.but(esp_lifetime_kilobytes=limit))
    extra = {"[connection]": 'name = "l2tp"\nrekey = true'}
    with Stage(client_nat(), artefacts, extra=extra) as stage:
        machine = stage.emulated(client, lets_server_rekey=True)
        link = machine.dial_in()
        machine.route_to(OFFICE_NETWORK, link)
        (before,) = stage.ikev1d.clients()
        office = stage.lab["office"]
        drops = ipsec_drops(stage.lab["gateway"])
        own_drops = sum(ipsec_drops(machine.host).values())
        with (
            transferring(machine.host, office, OFFICE_ADDRESS, pause=PAUSE) as up,
            transferring(office, machine.host, link.address, pause=PAUSE) as down,
        ):
            for _ in range(REKEYS):
                machine.rekey_esp()
                machine.rekey_ike()
        assert ipsec_drops(stage.lab["gateway"]) == drops
        assert up.result().lost <= EARLY_REPEATS
        # This client takes its old SA away at once, whatever is still on its way.
        own_drops = sum(ipsec_drops(machine.host).values()) - own_drops
        assert down.result().lost <= own_drops + EARLY_REPEATS
        (after,) = stage.ikev1d.clients()
        for name in ("client", "mark", "tunnel_id", "session_id", "interface", "inner_address"):
            assert after[name] == before[name], name

        def count(story: str) -> int:
            return stage.ikev1d.log().count(f"client={after['client']} {story}")

        assert (count("ESP SAs rekeyed"), count("IKE SA renewed")) == (REKEYS, REKEYS)
        # The kernel has us renew what the client does not, after nine tenths of its octets.
        moved = transfer(machine.host, office, OFFICE_ADDRESS, 1024 * KILOBYTES)
        assert moved.lost <= EARLY_REPEATS
        until(lambda: count("ESP SAs rekeyed") == REKEYS + 1, "our Quick Mode", 30)
        assert ipsec_drops(stage.lab["gateway"]) == drops
        machine.hang_up()
        check_gone(stage)
