"""The negotiation automaton: the table as a whole, then every event in every state."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

import pytest

from l2tp.ppp import fsm
from l2tp.ppp.fsm_table import TABLE, Event, State
from l2tp.ppp.ipcp import Ipcp
from l2tp.ppp.settings import PppSettings
from l2tp.wire.enums import Code, IpcpOption, Protocol
from l2tp.wire.ppp import ControlPacket, Option, build_options, build_packet, parse_packet

ADDRESS = IPv4Address("10.0.0.2")
GOOD = build_options((Option(IpcpOption.ADDRESS, ADDRESS.packed),))
BAD = build_options((Option(IpcpOption.ADDRESS, bytes(4)),))

TIMED = {State.CLOSING, State.STOPPING, State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT}
LOWER_DOWN = {State.INITIAL, State.STARTING}


class Bench:
    """An IPCP automaton and what it sent and said."""

    def __init__(self) -> None:
        self.sent: list[ControlPacket] = []
        self.changes: list[State] = []
        self.ipcp = Ipcp(
            PppSettings(local_address=IPv4Address("10.0.0.1")),
            ADDRESS,
            lambda _, octets: self.sent.append(parse_packet(octets)),
            lambda state, _: self.changes.append(state),
        )
        self.now = 0.0

    def receive(self, code: int, identifier: int = 7, data: bytes = b"") -> None:
        self.ipcp.receive(build_packet(ControlPacket(code, identifier, data)), self.now)

    def answer(self, code: Code, data: bytes | None = None) -> None:
        """The peer answers our latest Configure-Request."""
        request = [packet for packet in self.sent if packet.code == Code.CONFIGURE_REQUEST][-1]
        self.receive(code, request.identifier, request.data if data is None else data)

    def wait(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.ipcp.deadline is not None
            self.now = self.ipcp.deadline
            self.ipcp.advance(self.now)

    def codes(self) -> list[int]:
        codes = [packet.code for packet in self.sent]
        self.sent.clear()
        return codes


def start(bench: Bench) -> None:
    bench.ipcp.open(bench.now)
    bench.ipcp.up(bench.now)


def open_it(bench: Bench) -> None:
    start(bench)
    bench.receive(Code.CONFIGURE_REQUEST, 1, GOOD)
    bench.answer(Code.CONFIGURE_ACK)


def ack_rcvd(bench: Bench) -> None:
    start(bench)
    bench.answer(Code.CONFIGURE_ACK)


def ack_sent(bench: Bench) -> None:
    start(bench)
    bench.receive(Code.CONFIGURE_REQUEST, 1, GOOD)


def closing(bench: Bench) -> None:
    open_it(bench)
    bench.ipcp.close(bench.now)


def closed(bench: Bench) -> None:
    closing(bench)
    bench.receive(Code.TERMINATE_ACK)


def stopping(bench: Bench) -> None:
    open_it(bench)
    bench.receive(Code.TERMINATE_REQUEST)


def stopped(bench: Bench) -> None:
    stopping(bench)
    bench.wait()


WAYS: dict[State, Callable[[Bench], None]] = {
    State.INITIAL: lambda bench: None,
    State.STARTING: lambda bench: bench.ipcp.open(bench.now),
    State.CLOSED: closed,
    State.STOPPED: stopped,
    State.CLOSING: closing,
    State.STOPPING: stopping,
    State.REQ_SENT: start,
    State.ACK_RCVD: ack_rcvd,
    State.ACK_SENT: ack_sent,
    State.OPENED: open_it,
}
RECEIVED: dict[Event, Callable[[Bench], None]] = {
    Event.UP: lambda bench: bench.ipcp.up(bench.now),
    Event.OPEN: lambda bench: bench.ipcp.open(bench.now),
    Event.CLOSE: lambda bench: bench.ipcp.close(bench.now),
    Event.TIMEOUT: lambda bench: bench.wait(),
    Event.REQUEST_GOOD: lambda bench: bench.receive(Code.CONFIGURE_REQUEST, 9, GOOD),
    Event.REQUEST_BAD: lambda bench: bench.receive(Code.CONFIGURE_REQUEST, 9, BAD),
    Event.TERMINATE: lambda bench: bench.receive(Code.TERMINATE_REQUEST),
    Event.TERMINATED: lambda bench: bench.receive(Code.TERMINATE_ACK),
    Event.UNKNOWN_CODE: lambda bench: bench.receive(99),
    Event.REJECT_HARMLESS: lambda bench: bench.receive(Code.CODE_REJECT, 1, b"\x0c\0\0\4"),
    Event.REJECT_FATAL: lambda bench: bench.ipcp.reject(bench.now),
}
SENDS = {
    "scr": {Code.CONFIGURE_REQUEST},
    "sca": {Code.CONFIGURE_ACK},
    "scn": {Code.CONFIGURE_NAK},
    "str": {Code.TERMINATE_REQUEST},
    "sta": {Code.TERMINATE_ACK},
    "scj": {Code.CODE_REJECT},
}


def test_every_cell_is_there() -> None:
    defined = {
        State.INITIAL: {Event.UP, Event.OPEN, Event.CLOSE},
        State.STARTING: {Event.UP, Event.OPEN, Event.CLOSE},
    }
    for state in State:
        events = {event for at, event in TABLE if at is state}
        if state in LOWER_DOWN:
            assert events == defined[state]
            continue
        timeouts = {Event.TIMEOUT, Event.TIMEOUT_LAST} if state in TIMED else set()
        assert events == set(Event) - {Event.UP, Event.TIMEOUT, Event.TIMEOUT_LAST} | timeouts


def test_the_layers_above_hear_of_opened_exactly() -> None:
    for (state, _), (actions, target) in TABLE.items():
        enters = target is State.OPENED and state is not State.OPENED
        leaves = state is State.OPENED and target is not State.OPENED
        assert ("tlu" in actions) == enters
        assert ("tld" in actions) == leaves


def test_the_restart_timer_is_set_wherever_it_runs() -> None:
    for (state, event), (actions, target) in TABLE.items():
        if target in TIMED and state not in TIMED:
            assert {"irc", "zrc", "scr"} & set(actions), (state, event)


@pytest.mark.parametrize("state", State)
def test_ways(state: State) -> None:
    bench = Bench()
    WAYS[state](bench)
    assert bench.ipcp.state is state
    assert (bench.ipcp.deadline is not None) == (state in TIMED)


@pytest.mark.parametrize("event", RECEIVED)
@pytest.mark.parametrize("state", State)
def test_every_event_in_every_state(state: State, event: Event) -> None:
    bench = Bench()
    WAYS[state](bench)
    bench.codes()
    row = TABLE.get((state, event))
    # One Terminate-Ack is waited for; then nothing is left to repeat.
    if event is Event.TIMEOUT and state is State.STOPPING:
        row = TABLE[state, Event.TIMEOUT_LAST]
    if event is Event.TIMEOUT and state not in TIMED:
        assert bench.ipcp.deadline is None
        return
    RECEIVED[event](bench)
    if row is None:
        assert bench.ipcp.state is state
        assert bench.codes() == []
        return
    actions, target = row
    assert bench.ipcp.state is target
    assert bench.codes() == [code for action in actions for code in SENDS.get(action, ())]
    assert (bench.ipcp.deadline is not None) == (target in TIMED)


@pytest.mark.parametrize(
    ("code", "event"),
    [
        (Code.CONFIGURE_ACK, Event.ACK),
        (Code.CONFIGURE_NAK, Event.NAK),
        (Code.CONFIGURE_REJECT, Event.NAK),
    ],
)
@pytest.mark.parametrize("state", State)
def test_answers_in_every_state(state: State, code: Code, event: Event) -> None:
    """An answer counts once: where it came already, a further one is a copy."""
    bench = Bench()
    WAYS[state](bench)
    requests = [packet for packet in bench.sent if packet.code == Code.CONFIGURE_REQUEST]
    latest = requests[-1] if requests else ControlPacket(1, 1, GOOD)
    bench.codes()
    bench.receive(code, latest.identifier, latest.data)
    answered = state in (State.ACK_RCVD, State.OPENED)
    actions, target = ((), state) if answered else TABLE.get((state, event), ((), state))
    assert bench.ipcp.state is target
    assert bench.codes() == [sent for action in actions for sent in SENDS.get(action, ())]


def test_a_peer_that_asks_for_no_address_is_told_until_it_is_given_up() -> None:
    """What it did not ask for cannot be rejected."""
    bench = Bench()
    start(bench)
    for identifier in range(1, 100):
        bench.receive(Code.CONFIGURE_REQUEST, identifier, b"")
    codes = bench.codes()
    assert codes.count(Code.CONFIGURE_NAK) == fsm.MAX_REQUESTS
    assert Code.CONFIGURE_REJECT not in codes
    assert codes[-1] == Code.TERMINATE_REQUEST


def test_a_request_is_repeated_unchanged_and_then_given_up() -> None:
    bench = Bench()
    start(bench)
    bench.wait(fsm.MAX_CONFIGURE - 1)
    assert len(bench.sent) == fsm.MAX_CONFIGURE
    assert len({(packet.identifier, packet.data) for packet in bench.sent}) == 1
    bench.wait()
    assert bench.ipcp.failure == "no answer to IPCP Configure-Request"
    assert bench.changes == [State.CLOSED]


def test_an_ack_must_repeat_the_request() -> None:
    bench = Bench()
    ack_sent(bench)
    request = bench.sent[0]
    bench.receive(Code.CONFIGURE_ACK, request.identifier, GOOD)
    bench.receive(Code.CONFIGURE_ACK, request.identifier + 1, request.data)
    assert bench.changes == []
    bench.receive(Code.CONFIGURE_ACK, request.identifier, request.data)
    assert bench.changes == [State.OPENED]


def test_a_late_ack_counts_though_the_request_was_repeated() -> None:
    bench = Bench()
    ack_sent(bench)
    first = bench.sent[0]
    bench.wait()
    bench.receive(Code.CONFIGURE_ACK, first.identifier, first.data)
    assert bench.ipcp.state is State.OPENED


@pytest.mark.parametrize("code", [Code.CONFIGURE_ACK, Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT])
def test_copies_of_answers_do_not_close_an_open_link(code: Code) -> None:
    bench = Bench()
    open_it(bench)
    bench.answer(code)
    assert bench.ipcp.state is State.OPENED


def test_copies_of_requests_get_the_same_answer_and_change_nothing() -> None:
    bench = Bench()
    start(bench)
    bench.receive(Code.CONFIGURE_REQUEST, 1, BAD)
    bench.receive(Code.CONFIGURE_REQUEST, 2, GOOD)
    nak, ack = bench.sent[-2:]
    bench.receive(Code.CONFIGURE_REQUEST, 1, BAD)
    assert [bench.ipcp.state, bench.sent[-1]] == [State.ACK_SENT, nak]
    bench.answer(Code.CONFIGURE_ACK)
    for identifier, data, answer in ((1, BAD, nak), (2, GOOD, ack)):
        bench.receive(Code.CONFIGURE_REQUEST, identifier, data)
        assert (bench.ipcp.state, bench.sent[-1]) == (State.OPENED, answer)


def test_a_peer_that_insists_is_rejected_and_then_given_up() -> None:
    bench = Bench()
    start(bench)
    for identifier in range(1, 250):
        bench.receive(Code.CONFIGURE_REQUEST, identifier, BAD)
    codes = bench.codes()
    assert codes.count(Code.CONFIGURE_NAK) == fsm.MAX_FAILURE
    assert codes.count(Code.CONFIGURE_REJECT) == fsm.MAX_REQUESTS - fsm.MAX_FAILURE
    assert codes[-1] == Code.TERMINATE_REQUEST
    assert "does not converge" in bench.ipcp.failure


def test_a_peer_that_naks_for_ever_is_given_up() -> None:
    bench = Bench()
    start(bench)
    while bench.ipcp.state is State.REQ_SENT:
        bench.answer(Code.CONFIGURE_NAK, BAD)
    codes = bench.codes()
    assert codes.count(Code.CONFIGURE_REQUEST) == fsm.MAX_REQUESTS
    assert codes[-1] == Code.TERMINATE_REQUEST
    assert "does not converge" in bench.ipcp.failure


def test_code_rejects_are_few_and_short() -> None:
    bench = Bench()
    open_it(bench)
    bench.codes()
    for identifier in range(50):
        bench.receive(99, identifier, bytes(1000))
    assert len(bench.sent) == fsm.MAX_CODE_REJECTS
    assert {len(packet.data) for packet in bench.sent} == {fsm.REJECT_COPY}
    assert bench.ipcp.state is State.OPENED


@pytest.mark.parametrize(("code", "state"), [(1, State.STOPPING), (8, State.OPENED)])
def test_a_code_reject_of_a_code_we_need_ends_it(code: int, state: State) -> None:
    bench = Bench()
    open_it(bench)
    bench.receive(Code.CODE_REJECT, 1, bytes((code, 1, 0, 4)))
    assert bench.ipcp.state is state


def test_the_protocol_is_in_the_texts() -> None:
    bench = Bench()
    open_it(bench)
    bench.ipcp.reject(0.0)
    assert bench.ipcp.failure == f"peer rejected {Protocol.IPCP}" == "peer rejected IPCP"
    assert bench.sent[-1].data == b"peer rejected IPCP"
