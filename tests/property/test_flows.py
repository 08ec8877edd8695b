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
        exact = flow._replace(port=flow.port or 1701)
        others = [rival for rival, theirs in model.items() if rival != mark and exact in theirs]
        assert flows.announce(mark, flow) is (exact not in known and bool(others))
        model[mark] = [other for other in known if other[:2] == flow[:2]] + [exact]
    marks = {mark for mark, theirs in model.items() if of._replace(port=of.port or 1701) in theirs}
    assert flows.marks(of) == marks
    assert flows.is_shared(asker, of) is bool(marks - {asker})
