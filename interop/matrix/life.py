"""The life of the clients of one cell, from first message to last: a function for each step."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from interop.errors import LabError
from interop.initiator.profiles import DPD
from interop.matrix.clients import MatrixClient
from interop.matrix.results import Step
from interop.peers.emulated import EmulatedMachine
from interop.peers.xl2tpd import Link
from interop.scenarios.play import CLEAN_LIMIT, LOOK, check_gone
from interop.stage import OFFICE_NETWORK, TRANSFER_SIZE, Stage, TrafficError
from interop.topology import OFFICE_ADDRESS
from interop.traffic import PORT, ping, transfer
from interop.wait import until

IMPATIENT: Mapping[str, str] = MappingProxyType(
    {
        "ike": "dpd_delay = 3\ndpd_timeout = 12",
        "l2tp": "hello_interval = 3",
        "ppp": "echo_interval = 3\necho_failures = 3",
    }
)
"""What the gateway is told, so that nobody waits for minutes to see a dead client found."""
IDLE = 8.0
"""Seconds without traffic of its own: the gateway asks more than once."""
SMALL_TRANSFER = 1 << 17
"""Bytes that show after each step that traffic goes on: some 100 packets each way."""
GIVES_WAY_LIMIT = 5.0
"""Seconds until INITIAL-CONTACT has ended what was before; silence would take longer."""
FOUND_DEAD_LIMIT = 60.0
"""Seconds from a client's last word until the gateway has nothing of it any more."""


class ChangedSessionError(LabError):
    """A session did not survive what it should not have noticed."""


@dataclass(slots=True)
class Lives:
    """The clients of a cell, in the order in which they dial."""

    stage: Stage
    clients: list[MatrixClient]
    links: list[Link] = field(default_factory=list)

    def status(self) -> dict[str, dict[str, Any]]:
        """What the gateway says of each user."""
        return {client["user"]: client for client in self.stage.ikev1d.clients()}

    def sessions(self) -> int:
        """How many the gateway's kernel has."""
        return sum(line.startswith("interface ") for line in self.stage.leftovers())


def connect(lives: Lives) -> None:
    """All dial in, one after the other."""
    lives.links = []
    for client in lives.clients:
        link = client.dial_in()
        client.route_to(OFFICE_NETWORK, link)
        lives.links.append(link)
    up = [client for client in lives.status().values() if client["state"] == "up"]
    if len(up) != len(lives.clients):
        raise LabError(f"the gateway knows {len(up)} of {len(lives.clients)} clients")


def traffic(lives: Lives) -> None:
    """Content arrives as sent, both ways, for all at once, each from its own inner address."""
    _move(lives, TRANSFER_SIZE)


def _move(lives: Lives, size: int) -> None:
    office = lives.stage.lab["office"]

    def both_ways(index: int) -> None:
        host, link = lives.clients[index].host, lives.links[index]
        if not ping(host, OFFICE_ADDRESS):
            raise TrafficError(f"the office does not answer the pings of {host.name}")
        up = transfer(host, office, OFFICE_ADDRESS, size, PORT + index)
        if up.source != link.address:
            raise TrafficError(f"{host.name} is {link.address}, but sends from {up.source}")
        transfer(office, host, link.address, size)

    with ThreadPoolExecutor() as pool:
        list(pool.map(both_ways, range(len(lives.clients))))


def rekey_esp(lives: Lives) -> None:
    """Each renews its ESP SAs, and its session goes on."""
    before = lives.status()
    for client in lives.clients:
        client.rekey_esp()

    def renewed() -> bool:
        now = lives.status()
        return all(now.get(user, {}).get("spi_in") != before[user]["spi_in"] for user in before)

    # The client's last message of the exchange may still be on its way to the gateway.
    until(renewed, "another inbound SA of each", CLEAN_LIMIT, LOOK)
    _check_unnoticed(lives, before)


def rekey_ike(lives: Lives) -> None:
    """Each renews its IKE SA, and its session goes on."""
    before = lives.status()
    for client in lives.clients:
        client.rekey_ike()
    _check_unnoticed(lives, before)


def _check_unnoticed(lives: Lives, before: dict[str, dict[str, Any]]) -> None:
    """The sessions are those of before, and carry traffic."""
    after = lives.status()
    for user, session in before.items():
        for name in ("client", "mark", "tunnel_id", "session_id", "inner_address"):
            if after.get(user, {}).get(name) != session[name]:
                raise ChangedSessionError(f"{user}: {name} is not {session[name]} any more")
    _move(lives, SMALL_TRANSFER)


def idle(lives: Lives) -> None:
    """Nobody says anything unasked for longer than the gateway's patience, and all stay."""
    before = lives.status()
    for client in lives.clients:
        if isinstance(client, EmulatedMachine) and DPD in client.client.ike.profile.vendor_ids:
            client.are_you_there()
    time.sleep(IDLE)
    _check_unnoticed(lives, before)


def hang_up(lives: Lives) -> None:
    """The first hangs up, which the others do not notice; then they do, and nothing is left."""
    lives.clients[0].hang_up()
    if len(lives.clients) > 1:
        until(
            lambda: len(lives.status()) < len(lives.clients),
            "the first to be gone",
            FOUND_DEAD_LIMIT,
            LOOK,
        )
        rest = Lives(lives.stage, lives.clients[1:], lives.links[1:])
        _move(rest, SMALL_TRANSFER)
        for client in rest.clients:
            client.hang_up()
    # A client that sends no Delete is gone when nothing of it answers any more.
    until(lambda: not lives.status(), "the gateway to have no client", FOUND_DEAD_LIMIT, LOOK)
    check_gone(lives.stage)


def come_back(lives: Lives) -> None:
    """All dial in again, and traffic flows; emulated ones once more, without a goodbye before."""
    connect(lives)
    _move(lives, SMALL_TRANSFER)
    crashed = [client for client in lives.clients if isinstance(client, EmulatedMachine)]
    if not crashed:
        return
    for client in crashed:
        client.vanish()
    connect(lives)
    told = all(client.client.ike.profile.tells_initial_contact for client in crashed)
    until(
        lambda: lives.sessions() == len(lives.clients),
        "the sessions of before to have given way",
        GIVES_WAY_LIMIT if told else FOUND_DEAD_LIMIT,
        LOOK,
    )
    _move(lives, SMALL_TRANSFER)


def vanish(lives: Lives) -> None:
    """Their network is gone at once; the gateway finds out by itself, and nothing is left."""
    internet = lives.stage.lab["internet"]
    internet.run("ip", "link", "set", "west0", "down")
    try:
        until(lambda: not lives.status(), "the gateway to find them dead", FOUND_DEAD_LIMIT, LOOK)
        check_gone(lives.stage)
    finally:
        internet.run("ip", "link", "set", "west0", "up")


STEPS: Mapping[Step, Callable[[Lives], None]] = MappingProxyType(
    {
        Step.CONNECT: connect,
        Step.TRAFFIC: traffic,
        Step.REKEY_ESP: rekey_esp,
        Step.REKEY_IKE: rekey_ike,
        Step.IDLE: idle,
        Step.HANG_UP: hang_up,
        Step.COME_BACK: come_back,
        Step.VANISH: vanish,
    }
)
