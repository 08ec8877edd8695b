"""Dial-ins over a network that loses, doubles, delays and reorders, and peers that send anything.

Whatever happens, a client ends up connected or cleanly disconnected, and when all is closed no
tunnel, session, lease or data path is left.
"""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from l2tp.core.effects import SessionDown, SessionUp
from tests.support.l2tp_client import (
    ANDROID,
    APPLE,
    APPLE_OLD,
    WINDOWS,
    ClientProfile,
    GatewayMistakeError,
)
from tests.support.l2tp_network import Simulation, make_settings, peer

PROFILES = (ClientProfile(), ANDROID, APPLE, APPLE_OLD, WINDOWS)

# Nothing; lost; late; doubled; doubled with the second one late.
FATES: tuple[list[float], ...] = (
    [0.01],
    [0.01],
    [0.01],
    [],
    [2.5],
    [0.01, 0.02],
    [0.01, 1.7],
    [0.4, 0.1],
)
profiles = st.sampled_from(PROFILES)
fates = st.lists(st.sampled_from(FATES), max_size=80)


def assert_nothing_left(sim: Simulation) -> None:
    assert sim.lns.tunnels() == []
    assert sim.lns.sessions() == []
    assert sim.gateway.paths == {}
    assert sim.pool.leases() == {}
    assert sim.lns.next_deadline() is None


@settings(deadline=None)
@given(profiles, fates)
def test_a_rough_network_ends_up_or_clean(profile: ClientProfile, plan: list[list[float]]) -> None:
    script = iter(plan)
    sim = Simulation(fate=lambda _: next(script, [0.01]))
    client = sim.dial(profile)
    sim.run(200, lambda: client.state in ("up", "failed"))
    assert client.state == "up", client.failure
    sim.run(5)
    (session,) = sim.lns.sessions()
    assert session.is_up
    assert session.address is not None
    assert client.address == session.address.packed
    sim.send_up(1, client.hang_up(sim.now))
    sim.run(300)
    assert_nothing_left(sim)


@settings(deadline=None)
@given(profiles, st.integers(0, 2**16), st.floats(0.3, 1.0))
def test_a_hopeless_network_ends_clean(profile: ClientProfile, seed: int, loss: float) -> None:
    sim = Simulation(seed=seed)
    dice = sim.random

    def fate(_: bytes) -> list[float]:
        return [] if dice(1)[0] < 256 * loss else [dice(1)[0] / 100]

    sim.fate = fate
    sim.dial(profile)
    sim.run(120)
    sim.fate = lambda _: []
    sim.do(sim.lns.close_all(sim.now))
    sim.run(300)
    assert_nothing_left(sim)
    downs = [event.session_id for event in sim.gateway.of_type(SessionDown)]
    assert len(downs) == len(set(downs))
    assert {event.session_id for event in sim.gateway.of_type(SessionUp)} <= set(downs)


@settings(deadline=None)
@given(st.data())
def test_a_hostile_client_gets_nowhere(data: st.DataObject) -> None:
    """A client inside IPsec mixes its own valid messages with garbage and mutations of them."""
    sim = Simulation()
    seen: list[bytes] = []

    def record(datagram: bytes) -> list[float]:
        seen.append(datagram)
        return [0.01]

    sim.fate = record
    sim.dial(data.draw(profiles))
    for _ in range(data.draw(st.integers(1, 12))):
        pause = data.draw(st.sampled_from([0.005, 0.02, 3.0]))
        with contextlib.suppress(GatewayMistakeError):  # answers to what the client never sent
            sim.run(pause)
        datagram = bytearray(data.draw(st.sampled_from(seen)))
        for place, value in data.draw(
            st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=3)
        ):
            datagram[place % len(datagram)] = value
        sim.gateway.receive(bytes(datagram), peer(1), sim.now)
    sim.do(sim.lns.client_gone(1, sim.now, "test"))
    assert_nothing_left(sim)


@settings(deadline=None)
@given(st.lists(profiles, min_size=2, max_size=5), st.integers(0, 2**16))
def test_many_clients_at_once(chosen: list[ClientProfile], seed: int) -> None:
    sim = Simulation(make_settings("10.9.0.10-10.9.0.14"), seed=seed)
    dice = sim.random
    sim.fate = lambda _: [] if dice(1)[0] < 20 else [dice(1)[0] / 1000]
    clients = [sim.dial(profile) for profile in chosen]
    sim.run(150, lambda: all(client.state == "up" for client in clients))
    addresses = {client.address for client in clients}
    assert len(addresses) == len(clients)
    sim.fate = lambda _: [0.01]
    sim.do(sim.lns.close_all(sim.now))
    sim.run(60)
    assert_nothing_left(sim)
