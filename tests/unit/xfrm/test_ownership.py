from dataclasses import replace

import pytest

from xfrm.constants import Action, Direction
from xfrm.model import Lifetime, Mark, Sa, Selector
from xfrm.ownership import PRIORITY_BLOCK, PRIORITY_CLIENT, REQID_BASE, REQID_COUNT, ours
from xfrm.plan import MAPPING_INTERVAL, ClientPath, Keys, block_policies

PATH = ClientPath("192.0.2.1", "192.0.2.2", Mark(0x10000, 0xFFFF0000), REQID_BASE + 1)
SA = Sa(1, "192.0.2.2", "192.0.2.1", REQID_BASE)


@pytest.mark.parametrize(
    ("reqid", "expected"),
    [
        (REQID_BASE, True),
        (REQID_BASE + REQID_COUNT - 1, True),
        (REQID_BASE - 1, False),
        (REQID_BASE + REQID_COUNT, False),
        (0, False),
        (1, False),
    ],
)
def test_sa_is_ours_by_its_reqid(reqid: int, expected: bool) -> None:
    assert ours(replace(SA, reqid=reqid)) is expected


def test_policies_of_the_plan_are_ours() -> None:
    for policy in (*block_policies(), PATH.inbound_policy(), PATH.outbound_policy()):
        assert ours(policy)
        assert not ours(replace(policy, priority=policy.priority + 1))


def test_client_goes_before_block() -> None:
    assert PRIORITY_CLIENT < PRIORITY_BLOCK


def test_block_policies_cover_both_ways() -> None:
    assert [(policy.direction, policy.selector) for policy in block_policies()] == [
        (Direction.IN, Selector(protocol=17, dport=1701)),
        (Direction.OUT, Selector(protocol=17, sport=1701)),
    ]
    assert all(policy.action == Action.BLOCK for policy in block_policies())


def test_plan_of_a_client_behind_a_nat() -> None:
    path = replace(PATH, client_nat_port=40001)
    inbound = path.inbound_sa(5, Keys(), Lifetime())
    outbound = path.outbound_sa(6, Keys(), Lifetime())
    assert inbound.encap is not None
    assert outbound.encap is not None
    assert (inbound.encap.sport, inbound.encap.dport) == (40001, 4500)
    assert (outbound.encap.sport, outbound.encap.dport) == (4500, 40001)
    # Without an interval, every packet from a new port would be an event.
    assert (inbound.mapping_interval, outbound.mapping_interval) == (MAPPING_INTERVAL, 0)


def test_plan_of_a_client_without_nat() -> None:
    inbound = PATH.inbound_sa(5, Keys(), Lifetime())
    outbound = PATH.outbound_sa(6, Keys(), Lifetime())
    assert inbound.encap is outbound.encap is None
    assert inbound.mapping_interval == 0
    assert (inbound.mark, inbound.set_mark) == (None, PATH.mark)
    assert (outbound.mark, outbound.set_mark) == (PATH.mark, None)
    assert inbound.selector == Selector("192.0.2.2", "192.0.2.1", protocol=17, dport=1701)
    assert outbound.selector == Selector("192.0.2.1", "192.0.2.2", protocol=17, sport=1701)
