"""Transfers through rekeys that we begin, with two other programs.

Bob's charon and carol's pluto renew nothing, so that we have to: bob's Phase 1, which ends after
twenty seconds, and the ESP SAs of both, whenever the kernel is made to say that they age. What
clients begin is in `test_gateway_crowd.py`.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import dial_in, stop_gateway
from interop.settings import GatewaySettings
from interop.snapshot import ipsec_drops
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, client_nat
from interop.traffic import PORT, transferring
from interop.wait import until
from tests.support.xfrm_expire import tell_that_it_expires

REKEYS = 20
IKE_REKEYS = 2
"""More at this pace, and the bound on Phase 1 SAs makes charon delete what it still sends on."""
USERS = {"bob": "builder", "carol": "christmas"}
PAUSE = 0.5
"""Seconds between the blocks of a transfer that must lose nothing."""
FEW = 12
"""Segments of one transfer that TCP may repeat in all."""


@pytest.fixture
def stage(artefacts: Path) -> Iterator[Stage]:
    extra = {"[connection]": 'name = "l2tp"\nrekey = true', "ppp": 'proxy_arp = "lan0"'}
    settings = GatewaySettings(users=USERS)
    with Stage(client_nat(2), artefacts, settings=settings, extra=extra) as stage:
        yield stage


def all_clients(stage: Stage) -> dict[str, LinuxClient]:
    """Each with an L2TP port of its own, so that all of them are in the kernel."""
    clients = {
        user: stage.client(
            "client" if number == 1 else f"client{number}",
            user=user,
            l2tp_port=1700 + number,
            port=str(1700 + number),
            program="libreswan" if user == "carol" else "strongswan",
        )
        for number, user in enumerate(USERS, 1)
    }
    bob = clients["bob"]
    bob.connection = replace(
        bob.connection, ike_lifetime="0s", ike_over="20s", esp_lifetime="0s", esp_end="1h"
    )
    bob.ipsec.load(bob.connection)
    return clients


class Told:
    """What the gateway has told of a client."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name

    def count(self, story: str) -> int:
        return self.stage.ikev1d.log().count(f"client={self.name} {story}")

    def newest_spi(self) -> int:
        """The inbound SPI of its newest child."""
        pattern = rf"client={self.name} ESP SAs (?:up|rekeyed) .*spi_in=(\w+)"
        return int(re.findall(pattern, self.stage.ikev1d.log())[-1], 16)

    def wait_for(self, story: str, times: int) -> None:
        until(lambda: self.count(story) >= times, f"{times} times {story}", 120)

    def age(self) -> None:
        """Let the kernel say that its newest child ages, and wait for another one."""
        old = self.newest_spi()
        assert tell_that_it_expires(self.stage.lab["gateway"], old, GATEWAY_ADDRESS)
        until(lambda: self.newest_spi() != old, "our Quick Mode", 30)


def rekey(user: str, told: Told) -> None:
    """Let us renew what is this user's to be renewed."""
    for _ in range(REKEYS):
        told.age()
    if user == "bob":
        told.wait_for("IKE SA renewed", IKE_REKEYS)


def test_nothing_is_lost_through_rekeys_that_we_begin(stage: Stage) -> None:
    office, gateway = stage.lab["office"], stage.lab["gateway"]
    clients = all_clients(stage)
    links = {user: dial_in(stage, client) for user, client in clients.items()}
    before = {status["user"]: status for status in stage.ikev1d.clients()}
    told = {user: Told(stage, before[user]["client"]) for user in clients}
    machines = [gateway, *(client.host for client in clients.values())]

    with ExitStack() as moves:
        moving = []
        for number, (user, client) in enumerate(clients.items()):
            up = (client.host, office, OFFICE_ADDRESS, PORT + number)
            down = (office, client.host, links[user].address, PORT)
            moving += [moves.enter_context(transferring(*ends, PAUSE)) for ends in (up, down)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(rekey, told, told.values()))
    # A client may delete an SA while packets of its own are on their way in it.
    dropped = [sum(ipsec_drops(machine).values()) for machine in machines]
    stage.lab.note(f"dropped by IPsec on {[machine.name for machine in machines]}: {dropped}")
    # An SA that is missing loses dozens.
    assert [moved.result().lost for moved in moving if moved.result().lost > FEW] == []

    after = {status["user"]: status for status in stage.ikev1d.clients()}
    for user, status in after.items():
        for name in ("client", "mark", "tunnel_id", "session_id", "interface", "data_path"):
            assert status[name] == before[user][name], name
    assert "refused" not in stage.ikev1d.log()
    for client in clients.values():
        client.hang_up()
    stop_gateway(stage)
    assert " ERROR " not in stage.ikev1d.log()
