"""Shared flows against a model that remembers every announcement and looks at all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2tp.datapath.flows import Flow, Flows

FLOWS = st.builds(
    Flow,
    local=st.sampled_from(["198.51.100.1", "198.51.100.2"]),
    peer=st.sampled_from(["203.0.113.2", "203.0.113.3"]),
    port=st.sampled_from([0, 1701, 40000]),
)
MARKS = st.integers(1, 4)
STEPS = st.lists(st.tuples(MARKS, st.none() | FLOWS), max_size=30)


@given(STEPS, MARKS, FLOWS)
def test_agrees_with_the_model(steps: list[tuple[int, Flow | None]], asker: int, of: Flow) -> None:
    flows = Flows()
    model: dict[int, list[Flow]] = {}
    for mark, flow in steps:
        if flow is None:
            flows.forget(mark)
            model.pop(mark, None)
            continue
        known = model.get(mark, [])
        others = [
            other
            for rival, theirs in model.items()
            for other in theirs
            if rival != mark and other[:2] == flow[:2]
        ]
        assert flows.announce(mark, flow) is (flow not in known and bool(others))
        model[mark] = [other for other in known if other[:2] == flow[:2]] + [flow]
    shared = any(
        mark != asker and other[:2] == of[:2] and (other.port or 1701) == of.port
        for mark, theirs in model.items()
        for other in theirs
    )
    assert flows.is_shared(asker, of) is shared
