"""Emulated clients over real sockets and the kernel: several kinds at once, behind one NAT."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.capture import Capture
from interop.clients import CLIENTS
from interop.peers.emulated import ClientStoppedError, EmulatedMachine
from interop.peers.xl2tpd import Link
from interop.scenarios.emulated import rekey
from interop.scenarios.play import check_gone, check_protected, stop_gateway
from interop.stage import OFFICE_NETWORK, Stage
from interop.topology import OFFICE_ADDRESS, client_nat
from interop.traffic import transfer

KINDS = {
    "client": "iphone",
    "client2": "android",
    "client3": "windows-xp-sp2",
}
"""By machine. Each takes another of NAT-T's variants, L2TP ports and ways to log in and out."""
SIZE = 1 << 16
"""Bytes of the check transfers."""


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
