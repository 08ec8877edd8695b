"""Reliable delivery of control messages."""

from __future__ import annotations

import itertools

import pytest

from l2tp.core.transport import (
    DEFAULT_PEER_WINDOW,
    FIRST_RETRANSMIT,
    FULL_CYCLE,
    MAX_QUEUED,
    MAX_RETRANSMITS,
    RECEIVE_WINDOW,
    RETRANSMIT_CAP,
    Transport,
)
from l2tp.wire.packet import ControlMessage


class Bench:
    def __init__(self, window: int | None = None) -> None:
        self.sent: list[ControlMessage] = []
        self.transport = Transport(self.sent.append)
        self.transport.peer_tunnel_id = 9
        self.transport.open_window(window)
        self.now = 0.0

    def send(self, *names: str) -> None:
        for name in names:
            self.transport.send(0, name.encode(), self.now)

    def receive(self, ns: int, nr: int = 0, payload: bytes = b"message") -> list[int]:
        """The Ns of what is handed on."""
        due = self.transport.receive(ControlMessage(1, 0, ns, nr, payload), self.now)
        self.transport.acknowledge()
        return [message.ns for message in due]

    def ack(self, nr: int) -> None:
        self.receive(0, nr, b"")

    def take(self) -> list[str]:
        """Payloads sent, "" for a ZLB."""
        sent = [message.payload.decode() for message in self.sent]
        self.sent.clear()
        return sent

    def wait(self) -> bool:
        assert self.transport.deadline is not None
        self.now = self.transport.deadline
        return self.transport.advance(self.now)


def test_messages_are_handed_on_in_order_and_once() -> None:
    bench = Bench()
    assert bench.receive(1) == []
    assert bench.receive(2) == []
    assert bench.receive(0) == [0, 1, 2]
    assert bench.receive(1) == []
    assert [message.nr for message in bench.sent] == [0, 0, 3, 3]


def test_every_message_is_acknowledged_at_once_and_no_zlb_is() -> None:
    bench = Bench()
    bench.receive(0)
    assert bench.sent == [ControlMessage(9, 0, 0, 1)]
    bench.take()
    bench.ack(0)
    assert bench.take() == []


def test_an_answer_acknowledges_by_itself() -> None:
    bench = Bench()
    bench.transport.receive(ControlMessage(1, 0, 0, 0, b"question"), 0.0)
    bench.send("answer")
    bench.transport.acknowledge()
    assert bench.sent == [ControlMessage(9, 0, 0, 1, b"answer")]


def test_an_answer_that_waits_for_the_window_does_not_delay_the_acknowledgement() -> None:
    bench = Bench(window=1)
    bench.send("first")
    bench.take()
    bench.transport.receive(ControlMessage(1, 0, 0, 0, b"question"), 0.0)
    bench.send("answer")
    bench.transport.acknowledge()
    assert bench.take() == [""]


def test_messages_beyond_the_receive_window_are_dropped() -> None:
    bench = Bench()
    assert bench.receive(RECEIVE_WINDOW) == []
    assert bench.receive(0xFFFF) == []
    for ns in range(RECEIVE_WINDOW):
        assert bench.receive(ns) == [ns]


def test_sequence_numbers_wrap() -> None:
    bench = Bench()
    for ns in range(0x10000):
        bench.transport.receive(ControlMessage(1, 0, ns, 0, b"m"), 0.0)
    assert bench.receive(0) == [0]
    for ns in range(0x10000):
        bench.send("m")
        bench.ack((ns + 1) % 0x10000)
    bench.take()
    bench.send("last")
    assert bench.sent[-1].ns == 0
    assert not bench.transport.is_idle
    bench.ack(1)
    assert bench.transport.is_idle


def test_slow_start_up_to_the_peers_window() -> None:
    bench = Bench(window=3)
    bench.send(*"abcdefghi")
    assert bench.take() == ["a"]
    bench.ack(1)
    assert bench.take() == ["b", "c"]
    bench.ack(2)
    assert bench.take() == ["d", "e"]
    bench.ack(5)
    assert bench.take() == ["f", "g", "h"]


@pytest.mark.parametrize(("said", "meant"), [(None, DEFAULT_PEER_WINDOW), (0, 1), (1, 1)])
def test_the_peers_window(said: int | None, meant: int) -> None:
    bench = Bench(said)
    for number in range(40):
        bench.send(f"{number}")
    for nr in range(1, 20):
        bench.ack(nr)
    in_flight = 19 + meant
    assert len(bench.take()) == in_flight


def test_the_oldest_message_is_repeated_with_growing_pauses_and_given_up() -> None:
    bench = Bench()
    bench.receive(0)
    bench.send("a")
    bench.take()
    bench.receive(1)
    times = [bench.now]
    while not bench.wait():
        times.append(bench.now)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert pauses == [FIRST_RETRANSMIT, 2.0, 4.0, RETRANSMIT_CAP, RETRANSMIT_CAP, RETRANSMIT_CAP]
    assert bench.now >= FULL_CYCLE
    repeated = [message for message in bench.sent if message.payload]
    assert repeated == [ControlMessage(9, 0, 0, 2, b"a")] * MAX_RETRANSMITS
    assert bench.transport.deadline is None


def test_a_lost_message_closes_the_window() -> None:
    bench = Bench(window=4)
    bench.send(*"abcdefgh")
    bench.ack(1)
    bench.ack(3)
    bench.take()
    bench.wait()
    assert bench.take() == ["d"]
    bench.ack(7)
    assert bench.take() == ["h"]


def test_an_acknowledgement_starts_the_count_anew() -> None:
    bench = Bench()
    bench.send("a", "b")
    bench.wait()
    bench.wait()
    bench.ack(1)
    assert bench.transport.deadline == bench.now + FIRST_RETRANSMIT
    bench.ack(2)
    assert bench.transport.deadline is None


@pytest.mark.parametrize("nr", [2, 3, 0x8000, 0xFFFF])
def test_an_acknowledgement_of_what_was_not_sent_is_ignored(nr: int) -> None:
    bench = Bench()
    bench.send("a")
    bench.ack(nr)
    assert not bench.transport.is_idle
    bench.ack(1)
    assert bench.transport.is_idle


def test_the_queue_is_bounded() -> None:
    bench = Bench()
    bench.send(*(str(number) for number in range(3 * MAX_QUEUED)))
    nr = 0
    while not bench.transport.is_idle:
        nr += 1
        bench.ack(nr)
    assert nr == MAX_QUEUED + 1


def test_the_last_message_waits_for_nothing() -> None:
    bench = Bench(window=1)
    bench.send("a", "b")
    bench.transport.send_last(b"stop", 0.0)
    assert bench.take() == ["a", "stop"]
    bench.ack(2)
    assert bench.transport.is_idle


def test_starting_over_gives_the_peer_all_its_time_again() -> None:
    bench = Bench()
    bench.send("a")
    while not bench.wait():
        pass
    bench.take()
    bench.transport.start_over(bench.now, FIRST_RETRANSMIT)
    for _ in range(MAX_RETRANSMITS):
        assert not bench.wait()
    assert bench.take() == ["a"] * MAX_RETRANSMITS
    assert bench.wait()
