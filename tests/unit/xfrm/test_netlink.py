"""How answers find their requests; what the kernel answers is in tests/kernel/test_xfrm.py."""

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from xfrm.constants import MessageType
from xfrm.netlink import Answer, Request, RequestSocket

NLMSG_ERROR = 2
QUESTION = Request(b"name", MessageType.GETSA)
ORDER = Request(b"name", MessageType.DELSA, 0x100)


@pytest.fixture
def ends() -> Iterator[tuple[RequestSocket, socket.socket]]:
    """A request socket whose kernel is another socket, which has to answer beforehand."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    requests = RequestSocket()
    requests._socket = ours  # type: ignore[assignment]
    with ours, kernel:
        yield requests, kernel


def answer(number: int, code: int) -> bytes:
    return struct.pack("=IHHIIiIHHII", 36, NLMSG_ERROR, 0x100, number, 9, -code, 20, 0, 0, 0, 0)


def test_answers_are_in_the_order_of_the_requests(
    ends: tuple[RequestSocket, socket.socket],
) -> None:
    requests, kernel = ends
    message = struct.pack("=IHHII", 20, MessageType.NEWSA, 0, 2, 9) + b"body"
    for data in (message, answer(3, errno.ESRCH)):
        kernel.send(data)
    assert requests.exchange([ORDER, QUESTION, QUESTION]) == [
        Answer(0),
        Answer(0, None, message),
        Answer(errno.ESRCH),
    ]
    sent = kernel.recv(1000)
    headers = [struct.unpack_from("=IHHII", sent, start) for start in (0, 20, 40)]
    assert headers == [
        (20, MessageType.DELSA, 0x101, 1, 0),
        (20, MessageType.GETSA, 0x001, 2, 0),
        (20, MessageType.GETSA, 0x001, 3, 0),
    ]
    assert [sent[start : start + 4] for start in (16, 36, 56)] == [b"name"] * 3


def test_only_the_last_is_acknowledged(ends: tuple[RequestSocket, socket.socket]) -> None:
    requests, kernel = ends
    kernel.send(answer(2, errno.EEXIST))
    kernel.send(answer(4, 0))
    assert [made.errno for made in requests.exchange([ORDER] * 4)] == [0, errno.EEXIST, 0, 0]
    sent = kernel.recv(1000)
    flags = [struct.unpack_from("=H", sent, start + 6)[0] for start in (0, 20, 40, 60)]
    assert flags == [0x101, 0x101, 0x101, 0x105]


def test_without_the_last_answer_nothing_is_known_of_what_was_not_refused(
    ends: tuple[RequestSocket, socket.socket],
) -> None:
    requests, kernel = ends
    kernel.send(answer(2, errno.EEXIST))
    assert [made.errno for made in requests.exchange([ORDER] * 3)] == [
        errno.ENOBUFS,
        errno.EEXIST,
        errno.ENOBUFS,
    ]


def test_an_answer_that_comes_late_is_not_another_requests(
    ends: tuple[RequestSocket, socket.socket],
) -> None:
    requests, kernel = ends
    assert requests.exchange([ORDER]) == [Answer(errno.ENOBUFS)]
    kernel.send(answer(1, errno.EEXIST))
    kernel.send(answer(2, 0))
    kernel.send(answer(3, 0))
    assert requests.exchange([ORDER, ORDER]) == [Answer(0), Answer(0)]


def test_nothing_is_sent_where_nothing_is_asked(
    ends: tuple[RequestSocket, socket.socket],
) -> None:
    requests, kernel = ends
    assert requests.exchange([]) == []
    kernel.setblocking(False)
    with pytest.raises(BlockingIOError):
        kernel.recv(1)


def test_what_cannot_be_sent_is_refused(ends: tuple[RequestSocket, socket.socket]) -> None:
    requests, kernel = ends
    kernel.close()
    assert requests.exchange([ORDER, QUESTION]) == [Answer(errno.EPIPE)] * 2
