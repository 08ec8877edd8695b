"""What IKE, the kernel and L2TP tell each other in the daemon, by one client of the simulation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.ikev1d.service import IDLE_CLIENT
from ikev1.wire.enums import ExchangeType
from interop.clients.ike import WINDOWS_10
from tests.simulation.network import FAIR
from tests.simulation.packets import Packet
from tests.simulation.world import Plan, World
from xfrm.events import Resync

TYPE = 4 + 18
"""Where the exchange type stands in a datagram for port 4500."""


class OneClient(World):
    """A gateway and a client behind a NAT, which does nothing of its own accord."""

    def __init__(self) -> None:
        super().__init__(Plan(seed=1, clients=1, hours=0.0))
        self.internet.weather = FAIR
        self.client = self.clients[0]
        self.client.kind = replace(
            self.client.kind, ike=replace(self.client.kind.ike, esp_lifetime=3600)
        )
        self.client.temper = replace(
            self.client.temper, talk=1e9, episode=1e9, rekey_at=0.0, renew_at=0.0, deletes=1
        )

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run_until(self.loop.time() + seconds)

    def works(self) -> bool:
        """Whether the client's data gets through, both ways."""
        self.client.answered.clear()
        self.client.ping(1_000_000)
        self.wait(1.0)
        return 1_000_000 in self.client.answered


@pytest.fixture
def world() -> Iterator[OneClient]:
    world = OneClient()
    world.loop.call_soon(world.client.dial)
    world.wait(20.0)
    assert world.client.state == "up"
    assert world.works()
    yield world
    world.close()


def test_a_delete_that_overtakes_hash_3_does_not_cost_the_tunnel(world: OneClient) -> None:
    """The old child has gone before the new one is complete: L2TP lives on in the new one."""
    old = world.client.pairs[-1]
    asked: list[Packet] = []

    def hold_hash_3(packet: Packet) -> None:
        payload = packet.payload
        if isinstance(payload, bytes) and payload[TYPE:][:1] == bytes([ExchangeType.QUICK_MODE]):
            asked.append(packet)
            if len(asked) > 1 and world.client.pairs[0] is old:
                return
        world.machine.receive(packet)

    world.internet.to_gateway = hold_hash_3
    world.loop.call_soon(world.client.rekey, 1)
    world.wait(0.5)
    assert world.client.pairs[-1] is not old
    world.loop.call_soon(world.client.delete_pair, old)
    world.wait(IDLE_CLIENT + 10.0)
    assert world.works()


def test_a_look_for_lost_events_does_not_end_who_dials_meanwhile() -> None:
    """The kernel's list of SAs comes in pieces: what is newer than the first is not in it."""
    world = OneClient()
    told = world.kernel.deliver
    for number in range(100):
        world.loop.call_later(number * 0.01, told, Resync())
    world.loop.call_soon(world.client.dial)
    world.wait(20.0)
    assert world.client.state == "up"
    assert world.works()
    world.close()


def test_a_client_that_dies_after_main_mode_does_not_keep_its_mark() -> None:
    """Windows does not know dead peer detection, and there is no L2TP yet."""
    world = OneClient()
    client = world.client
    windows = replace(WINDOWS_10, phase1=client.kind.ike.phase1, esp=client.kind.ike.esp)
    client.kind = replace(client.kind, ike=windows)
    world.loop.call_soon(client.main_mode)
    world.wait(5.0)
    assert len(world.invariants.engine.clients) == 1
    client.forget()
    world.wait(IDLE_CLIENT)
    assert len(world.invariants.engine.clients) == 0
    world.close()
