"""Transfers through twenty rekeys of each kind that we begin, with two other programs.

Bob's charon and carol's pluto renew nothing, so that we have to: their Phase 1 SAs, which end after
two seconds, and their ESP SAs, whenever the kernel is made to say that they age. What clients begin
is in `test_gateway_crowd.py`.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from interop.netns import Host
from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import dial_in, stop_gateway
from interop.settings import GatewaySettings
from interop.snapshot import ipsec_drops
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, client_nat
from interop.traffic import PORT, ping, transfer, transferring
from interop.wait import until
from tests.support.xfrm_expire import tell_that_it_expires

REKEYS = 20
USERS = {"bob": "builder", "carol": "christmas"}
PAUSE = 0.5
"""Seconds between the blocks of a transfer that must lose nothing."""
BLOCK = 1 << 16
"""Bytes of a transfer between two rekeys."""
EARLY_REPEATS = 3
"""Segments that TCP may repeat without need in all, the machine being slow."""


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
    for client in clients.values():
        client.connection = replace(
            client.connection, ike_lifetime="0s", ike_over="2s", esp_lifetime="0s", esp_end="1h"
        )
        client.ipsec.load(client.connection)
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


@dataclass
class Way:
    """A way that transfers of a user take."""

    sender: Host
    receiver: Host
    address: str
    port: int


def rekey_in_the_middle(told: Told, ways: list[Way]) -> list[int]:
    """With transfers that go on all the time; the segments that each has lost."""
    with ExitStack() as moves:
        moving = [
            moves.enter_context(
                transferring(way.sender, way.receiver, way.address, way.port, PAUSE)
            )
            for way in ways
        ]
        for _ in range(REKEYS):
            told.age()
        told.wait_for("IKE SA renewed", REKEYS)
    return [moved.result().lost for moved in moving]


def rekey_in_between(told: Told, ways: list[Way]) -> list[int]:
    """With transfers between one Quick Mode and the next, while old SAs end.

    pluto sends under its new SA before it has our HASH(3), and before we can have the key.
    """
    lost = []
    for _ in range(REKEYS):
        told.age()
        lost += [
            transfer(way.sender, way.receiver, way.address, BLOCK, way.port).lost for way in ways
        ]
        assert ping(ways[0].sender, OFFICE_ADDRESS)
    told.wait_for("IKE SA renewed", REKEYS)
    return lost


def test_nothing_is_lost_through_twenty_rekeys_of_each_kind(stage: Stage) -> None:
    office, gateway = stage.lab["office"], stage.lab["gateway"]
    clients = all_clients(stage)
    links = {user: dial_in(stage, client) for user, client in clients.items()}
    before = {status["user"]: status for status in stage.ikev1d.clients()}
    told = {user: Told(stage, before[user]["client"]) for user in clients}
    ways = {
        user: [
            Way(client.host, office, OFFICE_ADDRESS, PORT + number),
            Way(office, client.host, links[user].address, PORT),
        ]
        for number, (user, client) in enumerate(clients.items())
    }
    machines = [gateway, *(client.host for client in clients.values())]
    drops = [ipsec_drops(machine) for machine in machines]

    with ThreadPoolExecutor() as pool:
        bob = pool.submit(rekey_in_the_middle, told["bob"], ways["bob"])
        carol = pool.submit(rekey_in_between, told["carol"], ways["carol"])
    # No packet found the SA missing that it was for, on any side.
    assert [ipsec_drops(machine) for machine in machines] == drops
    # TCP may repeat one too early on a busy machine; an SA that is missing loses dozens.
    assert max(*bob.result(), sum(carol.result())) <= EARLY_REPEATS

    after = {status["user"]: status for status in stage.ikev1d.clients()}
    for user, status in after.items():
        for name in ("client", "mark", "tunnel_id", "session_id", "interface", "data_path"):
            assert status[name] == before[user][name], name
    assert "refused" not in stage.ikev1d.log()
    for client in clients.values():
        client.hang_up()
    stop_gateway(stage)
    assert " ERROR " not in stage.ikev1d.log()
