"""What the kernel makes of the steering programs: real sockets on the loopback interface."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikev1.core.clients import MarkSpace
from ikev1.core.share import Share
from xfrm.sockets import SO_MARK
from xfrm.steering import by_cookie, by_mark, home, steer

STAMP = 0xBEAD
LIMIT = 5.0
"""Seconds for a datagram on the loopback interface."""
COOKIES = st.binary(min_size=8, max_size=8).filter(lambda cookie: cookie[:2] != b"\xbe\xad")
SOURCES = st.integers(1, 0xFFFFFE).map(
    lambda number: socket.inet_ntoa((127 << 24 | number).to_bytes(4))
)


class Port:
    """One port with `count` sockets, and a program to choose among them."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        self.address = sockets[0].getsockname()

    def taker(self, datagram: bytes, source: str = "127.0.0.1", mark: int = 0) -> int:
        """Send a datagram; the number of the socket that it came to."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            if mark:
                sender.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            sender.bind((source, 0))
            sender.sendto(datagram, self.address)
        for number, sock in enumerate(self._sockets):
            try:
                got = sock.recv(1024)
            except BlockingIOError:
                continue
            assert got == datagram
            return number
        raise AssertionError("it came to none of them")


@contextmanager
def port(count: int, program: bytes) -> Iterator[Port]:
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        address = ("127.0.0.1", 0)
        for _ in range(count):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setblocking(False)
            sock.bind(address)
            address = sock.getsockname()
            sockets.append(sock)
        steer(sockets[0], program)
        yield Port(sockets)


def message(initiator: bytes, responder: bytes, header: int) -> bytes:
    """An ISAKMP header behind what port 4500 has before it."""
    return bytes(header) + initiator + responder + bytes(12)


@given(st.data(), st.integers(2, 5), st.sampled_from([0, 4]), COOKIES, COOKIES, SOURCES)
def test_ike_goes_to_the_process_that_has_made_the_cookie(
    data: st.DataObject, count: int, header: int, one: bytes, other: bytes, source: str
) -> None:
    index = data.draw(st.integers(0, count - 1))
    octets = iter(data.draw(st.lists(st.binary(min_size=1, max_size=1), min_size=8, max_size=8)))
    ours = Share(index, count, STAMP).cookie(
        lambda size: b"".join(next(octets) for _ in range(size))
    )
    with port(count, by_cookie(count, STAMP, header)) as steered:
        assert steered.taker(message(one, ours, header), source) == index
        assert steered.taker(message(ours, other, header), source) == index
        assert steered.taker(message(ours, bytes(8), header), source) == index
        assert steered.taker(message(one, bytes(8), header), source) == home(source, count)
        assert steered.taker(message(one, other, header), source) == home(source, count)


@pytest.mark.parametrize("datagram", [b"\xff", b"", bytes(4), bytes(9)])
def test_what_is_too_short_for_a_cookie_is_not_lost(datagram: bytes) -> None:
    with port(3, by_cookie(3, STAMP, 4)) as steered:
        assert steered.taker(datagram) in range(3)


def test_addresses_are_spread() -> None:
    homes = [home(f"203.0.{third}.{last}", 4) for third in range(8) for last in range(250)]
    assert all(450 < homes.count(index) < 550 for index in range(4))


@pytest.mark.parametrize(("base", "mask"), [(0, 0x00FFFFFF), (0x1000, 0xFF00), (0, 0xFFFF0000)])
def test_l2tp_goes_to_the_process_that_has_the_mark(base: int, mask: int) -> None:
    count = 3
    with port(count, by_mark(count, base, mask)) as steered:
        for index in range(count):
            marks = MarkSpace(base, mask, Share(index, count, STAMP))
            mark = marks.first
            for _ in range(5):
                foreign = ~mask & 0x40000001  # the administrator's bits
                assert steered.taker(b"l2tp", mark=mark | foreign) == index
                assert marks.engine_of(mark) == index
                mark = marks.after(mark)
