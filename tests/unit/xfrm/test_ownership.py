import pytest
from msgspec.structs import replace

from xfrm.constants import Direction
from xfrm.model import Policy, Sa, Selector
from xfrm.ownership import PRIORITY_BLOCK, PRIORITY_CLIENT, REQID_BASE, REQID_COUNT, ours

SA = Sa(1, "192.0.2.2", "192.0.2.1", REQID_BASE)
POLICY = Policy(Selector(protocol=17, dport=1701), Direction.IN)


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


@pytest.mark.parametrize("priority", [PRIORITY_CLIENT, PRIORITY_BLOCK])
def test_policy_is_ours_by_its_priority(priority: int) -> None:
    assert ours(replace(POLICY, priority=priority))
    assert not ours(replace(POLICY, priority=priority + 1))


def test_client_goes_before_block() -> None:
    assert PRIORITY_CLIENT < PRIORITY_BLOCK
