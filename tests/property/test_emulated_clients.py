"""An emulated client takes whatever comes: it connects, or says why it does not."""

import functools

from hypothesis import given, settings
from hypothesis import strategies as st

from interop.clients import CLIENTS
from interop.emulation.effects import Stopped, Up
from interop.initiator.derivation import dh_key
from tests.support.dialled_gateway import DialledGateway, Machine

NAMES = st.sampled_from(["iphone", "android", "windows-10", "libreswan"])
shared_dh = functools.cache(dh_key)


@st.composite
def changes(draw: st.DrawFn) -> dict[int, tuple[int, bytes]]:
    """By the number of a datagram: where it is changed, and what is put there."""
    return draw(
        st.dictionaries(
            st.integers(0, 12),
            st.tuples(st.integers(0, 80), st.binary(max_size=8)),
            max_size=4,
        )
    )


class Spoiler:
    """Changes some of the datagrams that pass."""

    def __init__(self, plan: dict[int, tuple[int, bytes]]) -> None:
        self._plan = plan
        self._count = -1

    def __call__(self, datagram: bytes) -> bytes:
        self._count += 1
        if self._count not in self._plan:
            return datagram
        at, octets = self._plan[self._count]
        return datagram[:at] + octets + datagram[at + max(1, len(octets)) :]


def ended_well(machine: Machine) -> bool:
    return bool(machine.of(Up) or machine.of(Stopped))


@settings(max_examples=40)
@given(name=NAMES, plan=changes())
def test_spoilt_l2tp_and_ppp(name: str, plan: dict[int, tuple[int, bytes]]) -> None:
    gateway = DialledGateway()
    gateway.to_client = Spoiler(plan)
    machine = gateway.dial(CLIENTS[name], make_dh=shared_dh)

    assert ended_well(machine)


@settings(max_examples=40)
@given(name=NAMES, plan=changes())
def test_spoilt_ike(name: str, plan: dict[int, tuple[int, bytes]]) -> None:
    gateway = DialledGateway()
    gateway.ike_to_client = Spoiler(plan)
    machine = gateway.add(CLIENTS[name], make_dh=shared_dh)
    gateway.do(machine, machine.engine.dial(0.0))
    gateway.run(200.0, lambda: ended_well(machine))

    assert ended_well(machine)


@given(octets=st.binary(max_size=60), floated=st.booleans(), name=NAMES)
def test_any_octets_at_any_time(octets: bytes, floated: bool, name: str) -> None:
    gateway = DialledGateway()
    engine = gateway.add(CLIENTS[name], make_dh=shared_dh).engine

    assert engine.receive_ike(octets, floated, 0.0) == []
    assert engine.receive_l2tp(octets, 1701, 0.0) == []
    engine.dial(0.0)
    engine.receive_ike(octets, floated, 0.0)
    assert engine.receive_l2tp(octets, 1701, 0.0) == []
