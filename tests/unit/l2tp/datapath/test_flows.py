"""Who shares a UDP flow with whom."""

import pytest

from l2tp.datapath.flows import Flow, Flows

GATEWAY, NAT, ELSEWHERE = "198.51.100.1", "203.0.113.2", "203.0.113.3"


def flow(port: int, peer: str = NAT, local: str = GATEWAY) -> Flow:
    return Flow(local, peer, port)


@pytest.mark.parametrize(
    ("announced", "port", "shared"),
    [
        (flow(1701), 1701, True),
        (flow(40000), 40000, True),
        (flow(40000), 1701, False),
        (flow(1701), 40000, False),
        (flow(0), 1701, True),
        (flow(0), 40000, False),
        (flow(1701, peer=ELSEWHERE), 1701, False),
        (flow(1701, local="198.51.100.2"), 1701, False),
    ],
)
def test_another_client_may_send_in_a_flow(announced: Flow, port: int, shared: bool) -> None:
    flows = Flows()
    flows.announce(1, flow(port))
    flows.announce(2, announced)
    assert flows.is_shared(1, flow(port)) is shared


def test_nobody_shares_with_himself() -> None:
    flows = Flows()
    for port in (1701, 0, 40000):
        flows.announce(1, flow(port))
        assert not flows.is_shared(1, flow(port))


def test_only_news_in_a_shared_flow_is_news() -> None:
    flows = Flows()
    assert not flows.announce(1, flow(1701))
    assert not flows.announce(2, flow(40000))
    assert flows.announce(2, flow(1701))
    assert not flows.announce(2, flow(0)), "any port is 1701"
    assert flows.announce(1, flow(40000))
    assert flows.marks(flow(0)) == flows.marks(flow(40000)) == {1, 2}
    assert not flows.marks(flow(1701, peer=ELSEWHERE))


def test_one_that_is_gone_shares_nothing() -> None:
    flows = Flows()
    flows.announce(1, flow(1701))
    flows.announce(2, flow(1701))
    flows.forget(2)
    flows.forget(2)
    assert not flows.is_shared(1, flow(1701))
    assert not flows.announce(1, flow(40000))


def test_one_that_has_moved_shares_its_new_flow_alone() -> None:
    flows = Flows()
    flows.announce(1, flow(1701))
    flows.announce(2, flow(1701))
    assert not flows.announce(2, flow(1701, peer=ELSEWHERE))
    assert not flows.is_shared(1, flow(1701))
    assert flows.is_shared(3, flow(1701, peer=ELSEWHERE))
    assert flows.announce(2, flow(1701))
    assert flows.is_shared(1, flow(1701))


def test_one_that_renews_its_sas_from_another_port_may_still_use_the_first() -> None:
    flows = Flows()
    flows.announce(1, flow(1701))
    flows.announce(2, flow(1701))
    flows.announce(2, flow(40000))
    assert flows.is_shared(1, flow(1701))
    assert flows.is_shared(1, flow(40000))
