"""What IKE, the kernel and L2TP tell each other in the daemon, by one client of the simulation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cli.ikev1d.config import Config
from cli.ikev1d.config.model import SameUser
from cli.ikev1d.idle_clients import IDLE_CLIENT
from cli.ikev1d.processes.others import Others
from cli.ikev1d.service import DIAL_TIME, Gateway
from ikev1.wire.enums import ExchangeType
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.profiles import Profile
from tests.simulation.network import FAIR, Nat
from tests.simulation.packets import Packet
from tests.simulation.world import Plan, World
from xfrm.events import Resync

TYPE = 4 + 18
"""Where the exchange type stands in a datagram for port 4500."""


class OneClient(World):
    """A gateway and a client behind a NAT, which does nothing of its own accord."""

    def __init__(self, number: int = 0) -> None:
        super().__init__(Plan(seed=1, clients=number + 1, hours=0.0))
        self.internet.weather = FAIR
        self.client = self.clients[number]
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


# --- a Phase 1 that is renewed from elsewhere ----------------------------------------------------


def connected(device: Profile, *, own_key: bool = False) -> OneClient:
    """A gateway with a session in the kernel, of a client with everybody's key or its own."""
    world = OneClient(number=5 if own_key else 0)
    kind = world.client.kind
    offer, esp = kind.ike.phase1, kind.ike.esp
    ike = replace(device, phase1=offer, esp=esp, esp_lifetime=3600)
    world.client.kind = replace(kind, ike=ike)
    world.loop.call_soon(world.client.dial)
    world.wait(20.0)
    assert world.works()
    return world


def nat_of(world: OneClient) -> Nat:
    """The outermost NAT before the client."""
    nat = world.client.link
    assert isinstance(nat, Nat)
    while isinstance(nat.outside, Nat):
        nat = nat.outside
    return nat


def rebind(world: OneClient, mapping: str) -> None:
    """Nothing of the client comes from the new place before its Phase 1."""
    nat = nat_of(world)
    if mapping == "address":
        nat.move("198.18.77.77")
    nat.reboot()


def tunnels(world: OneClient) -> list[tuple[int, int]]:
    """Numbers of the gateway's tunnels and sessions."""
    assert world.gateway._lns is not None
    sessions = world.gateway._lns.engine.sessions()
    return [(session.tunnel_id, session.session_id) for session in sessions]


def is_in_kernel(world: OneClient) -> bool:
    """Whether the one session's data path is the kernel's."""
    assert world.gateway._lns is not None
    (path,) = world.gateway._lns.data_paths.holdings()
    return path.in_kernel


def answered(world: OneClient, first: int, count: int) -> list[int]:
    """Those of a burst of packets that are answered."""
    world.client.answered.clear()
    for number in range(first, first + count):
        world.client.ping(number)
    world.wait(1.0)
    return sorted(world.client.answered)


def check_one(world: OneClient) -> None:
    """One client, under one mark, where it is; nothing of what it was is left."""
    world.invariants.check_all()
    (client,) = world.invariants.engine.clients
    assert client.path.remote == nat_of(world).address
    assert world.works()
    world.wait(3 * IDLE_CLIENT)
    assert world.works()
    assert len(world.invariants.engine.clients) == 1
    assert world.kernel.drops == Counter()


@pytest.mark.parametrize("mapping", ["port", "address"])
@pytest.mark.parametrize("own_key", [False, True], ids=["group", "own"])
@pytest.mark.parametrize("at_once", [False, True], ids=["phase1", "and-quick-mode"])
def test_who_still_has_its_older_phase_1_goes_on(
    mapping: str, own_key: bool, at_once: bool
) -> None:
    world = connected(IPHONE, own_key=own_key)
    before = tunnels(world)
    rebind(world, mapping)
    world.client._wants = int(at_once)
    world.loop.call_soon(world.client.main_mode)
    world.wait(1.0)
    (client,) = world.invariants.engine.clients
    assert len(client.phase1) == 2
    assert answered(world, 100, 5) == [*range(100, 105)]
    assert tunnels(world) == before
    assert is_in_kernel(world)
    check_one(world)
    world.close()


@pytest.mark.parametrize("mapping", ["port", "address"])
@pytest.mark.parametrize("does", ["talks", "says-hello", "nothing"])
def test_who_goes_on_in_its_tunnel_goes_on(mapping: str, does: str) -> None:
    """It knows no R-U-THERE: nothing but what it does in L2TP shows that it is the same."""
    world = connected(WINDOWS_10)
    before = tunnels(world)
    rebind(world, mapping)
    world.client._wants = 1
    world.loop.call_soon(world.client.main_mode)
    world.wait(1.0)
    assert len(world.invariants.engine.clients) == 2
    if does == "says-hello":
        assert world.client.l2tp is not None
        world.client._l2tp_out(world.client.l2tp.hello(world.loop.time()))
        world.wait(1.0)
        assert len(world.invariants.engine.clients) == 1
    elif does == "nothing":
        world.wait(DIAL_TIME)
        assert len(world.invariants.engine.clients) == 1
    # Where another address has kept it out of the path of the kernel, the first shows who it is.
    lost = mapping == "address" and does == "talks"
    assert len(answered(world, 100, 5)) == 5 - lost
    assert tunnels(world) == before
    # The same flow may have been another one's, before anybody knew.
    assert is_in_kernel(world) == (mapping == "address")
    check_one(world)
    world.close()


@pytest.mark.parametrize("own_key", [False, True], ids=["group", "own"])
def test_who_dials_anew_from_elsewhere_without_saying_so_gets_its_tunnel(own_key: bool) -> None:
    world = connected(replace(IPHONE, initial_contact=False), own_key=own_key)
    before = tunnels(world)
    rebind(world, "port")
    world.loop.call_soon(world.client.dial)
    world.wait(20.0)
    assert world.client.state == "up"
    assert world.works()
    assert tunnels(world) != before
    check_one(world)
    assert len(tunnels(world)) == 1
    world.close()


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


class UserElsewhere(Others):
    """Another process of the gateway has a session of every user until it is told to end it."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def has_user(self, user: str) -> bool:
        return user not in self.ended

    def end_user(self, user: str, cause: str, then: Callable[[], None]) -> None:
        assert cause == "replaced: the user has connected again"
        self.ended.append(user)
        asyncio.get_running_loop().call_later(1.0, then)


class OneOfSeveral(OneClient):
    """A process whose clients are connected to another one already."""

    def __init__(self, same_user: SameUser) -> None:
        self.others = UserElsewhere()
        self.same_user = same_user
        super().__init__()

    async def _start(self, config: Config) -> Gateway:
        ppp = replace(config.ppp, same_user=self.same_user)
        machine = self.machine.as_machine()
        gateway = Gateway(replace(config, ppp=ppp), machine, self.others)
        await gateway.start()
        return gateway


@pytest.mark.parametrize(
    ("same_user", "ended", "up"), [("replace", 1, True), ("several", 0, True), ("keep", 0, False)]
)
def test_a_user_who_is_connected_to_another_process(
    same_user: SameUser, ended: int, up: bool
) -> None:
    world = OneOfSeveral(same_user)
    world.client.excused_until = 60.0  # where it is refused
    world.loop.call_soon(world.client.dial)
    world.wait(20.0)
    assert len(world.others.ended) == ended
    assert (world.client.state == "up" and world.works()) == up
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
