"""A PPP peer that sends any packet in any phase: the LNS stays whole and forgets it in the end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from l2tp.core.effects import Authenticate, DataPathFailed, DataPathOpened, OpenDataPath
from l2tp.ppp.auth import AuthAccepted, AuthRejected
from l2tp.ppp.link import Phase
from tests.support.l2tp_client import CCP, CHAP, IPCP, LCP, PAP, write_options
from tests.support.l2tp_peer import Caller, OnPath

octet = st.integers(0, 255)
options = st.lists(
    st.tuples(
        st.sampled_from([1, 2, 3, 5, 7, 8, 13, 17, 19, 129, 131]),
        st.sampled_from(
            [b"", b"\0\1", b"\5\x78", bytes(4), b"\1\2\3\4", b"\xc2\x23\x81", b"\xc0\x23"]
        ),
    ),
    max_size=4,
).map(write_options)
bodies = (
    options
    | st.binary(max_size=60)
    | st.sampled_from([LCP, IPCP, CHAP]).map(lambda number: number.to_bytes(2) + b"\1\1")
    | st.sampled_from([1, 5, 9]).map(lambda code: bytes((code, 1, 0, 4)))
    | octet.map(lambda fill: b"\x31" + bytes((fill,)) * 49 + b"alice")
)
packets = st.tuples(
    st.sampled_from([LCP, LCP, LCP, IPCP, IPCP, CHAP, PAP, CCP, 0xC227, 0x0021]),
    st.integers(1, 14) | octet,
    st.none() | octet,
    bodies,
)
steps = st.lists(
    packets | st.sampled_from([0.5, 1.5, 3.5, 12.0]) | st.sampled_from(["yes", "no"]), max_size=25
)


def answer_all(caller: Caller, word: str, questions: list[object]) -> None:
    """Answer what the LNS has asked the host so far."""
    while questions:
        question = questions.pop()
        if isinstance(question, Authenticate):
            verdict = AuthAccepted("alice") if word == "yes" else AuthRejected("no")
            caller.carry_out(caller.lns.complete(question.ticket, verdict, caller.now))
        elif isinstance(question, OpenDataPath):
            path = DataPathOpened() if word == "yes" else DataPathFailed("no")
            caller.carry_out(caller.lns.complete(question.ticket, path, caller.now))
        questions += [
            event for event in caller.events if isinstance(event, Authenticate | OpenDataPath)
        ]


def start(phase: str) -> Caller:
    if phase == "network":
        return OnPath()
    caller = Caller(auth_retries=1)
    if phase == "auth":
        caller.open_lcp()
    elif phase == "attach":
        caller.log_in()
    return caller


@settings(deadline=None)
@given(st.sampled_from(["lcp", "auth", "attach", "network"]), steps)
def test_any_packet_in_any_phase(
    phase: str, plan: list[tuple[int, int, int | None, bytes] | float | str]
) -> None:
    caller = start(phase)
    assert caller.lns.sessions()[0].state == phase
    questions: list[object] = []
    for step in plan:
        if isinstance(step, str):
            answer_all(caller, step, questions)
        elif isinstance(step, float):
            caller.advance(step)
        else:
            protocol, code, identifier, body = step
            heard = [packet[2] for packet in caller.sent_packets()]
            guess = heard[-1] if heard else 1
            caller.send_frame(protocol, code, guess if identifier is None else identifier, body)
        questions += [
            event for event in caller.events if isinstance(event, Authenticate | OpenDataPath)
        ]
        for view in caller.lns.sessions():
            assert view.state in [phase.value for phase in Phase]
            assert view.is_up <= (view.address is not None)
    caller.carry_out(caller.lns.client_gone(1, caller.now, "over"))
    answer_all(caller, "yes", questions)
    assert caller.lns.sessions() == []
    assert caller.lns.tunnels() == []
    assert caller.lns.next_deadline() is None
    assert caller.lns._settings.pool.leases() == {}
