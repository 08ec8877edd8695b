"""Any course of signs of life and silence: who lives is kept, who is dead goes in bounded time."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from l2tp.core.effects import SessionDown, TunnelDown
from l2tp.core.transport import FULL_CYCLE
from l2tp.ppp.settings import PUT_OFF
from tests.support.l2tp_network import Simulation, make_settings

ROUND = FULL_CYCLE + 8.0
"""Seconds of one round of repeating a message, with the last wait for an answer."""

MOMENT = 2.0**-20
"""Seconds: nothing comes at the very instant of a Hello: what was first is not told."""

signs = st.sampled_from(["packet", "ike", "nothing"])
steps = st.lists(st.tuples(st.floats(0.5, 40), signs), max_size=25)


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "hello_interval": draw(st.integers(5, 120)),
        "patience": draw(st.integers(10, 600)),
        "echo_interval": draw(st.sampled_from([0, 5, 30, 60])),
        "echo_failures": draw(st.integers(1, 6)),
    }


def connected(times: dict[str, Any]) -> Simulation:
    """A client that is connected and has just sent something, and answers nothing from here on."""
    sim = Simulation(make_settings(**times))
    sim.dial_until_up()
    (session,) = sim.lns.sessions()
    sim.do(sim.lns.activity(session.session_id, sim.now))
    sim.fate = lambda datagram: []
    sim.gateway.events.clear()
    return sim


def limits(times: dict[str, Any]) -> tuple[float, float]:
    """After how much silence a client may be given up, and after how much it must be."""
    if times["echo_interval"]:
        interval, failures = times["echo_interval"], times["echo_failures"]
        return interval * (failures + 1), interval * (failures + PUT_OFF) + 1
    hello, patience = times["hello_interval"], times["patience"]
    soonest = max(hello + ROUND, patience)
    return soonest, max(hello * PUT_OFF + ROUND, patience) + ROUND + hello


@given(settings(), steps)
@example(
    {"hello_interval": 5, "patience": 10, "echo_interval": 5, "echo_failures": 2},
    [(1.5, "nothing"), (3.8125, "ike"), (9.625, "packet")],
)
@example(
    {"hello_interval": 21, "patience": 10, "echo_interval": 0, "echo_failures": 1},
    [(21.0, "packet"), (39.0, "packet")],
)
def test_the_living_are_kept_and_the_dead_go(
    times: dict[str, Any], course: list[tuple[float, str]]
) -> None:
    sim = connected(times)
    (session,) = sim.lns.sessions()
    may, must = limits(times)
    seen = sim.now
    for pause, sign in course:
        sim.run(pause + MOMENT)
        ends = sim.gateway.of_type(TunnelDown)
        silence = sim.now - seen
        assert silence <= must or ends
        assert silence >= may or not ends
        if ends:
            break
        if sign == "packet":
            sim.do(sim.lns.activity(session.session_id, sim.now))
            seen = sim.now
        elif sign == "ike":
            sim.lns.reachable(1, sim.now)
    sim.run(must)
    (session_end,) = sim.gateway.of_type(SessionDown)
    (tunnel_end,) = sim.gateway.of_type(TunnelDown)
    assert tunnel_end.silent
    assert session_end.cause == tunnel_end.cause
    assert sim.gateway.paths == {}
    assert sim.pool.leases() == {}


@given(settings(), st.lists(st.floats(0.5, 4.5), min_size=1, max_size=60))
def test_packets_alone_keep_a_client(times: dict[str, Any], pauses: list[float]) -> None:
    """Whatever else is lost, Hellos above all."""
    sim = connected(times)
    (session,) = sim.lns.sessions()
    for pause in pauses:
        sim.run(pause)
        sim.do(sim.lns.activity(session.session_id, sim.now))
    assert sim.gateway.of_type(TunnelDown) == []
    assert [view.is_up for view in sim.lns.sessions()] == [True]
