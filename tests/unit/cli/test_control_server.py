"""The control socket: who may use it, and what a slow or hostile user of it can do."""

import asyncio
import os
import socket
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from cli.control import (
    MAX_REQUEST,
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    StatusRequest,
    build_request,
    parse_response,
)
from cli.ikev1d.control import MAX_CONNECTIONS, ControlServer, ControlSocketError

PONG = PingResponse(version="0.1.0", pid=1, uptime=2)


@pytest.fixture
def path() -> Iterator[Path]:
    # Not tmp_path: its name can be too long for a socket, and others cannot enter it.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "run" / "control"


async def pong(request: Request) -> Response:
    if isinstance(request, DownRequest):
        return DownResponse(clients=(request.client,))
    return PONG


def with_server(
    path: Path,
    test: Callable[[], Awaitable[None]],
    answer: Callable[[Request], Awaitable[Response]] = pong,
) -> None:
    async def run() -> None:
        server = ControlServer(path, answer)
        await server.start()
        try:
            async with asyncio.timeout(20):
                await test()
        finally:
            await server.close()

    asyncio.run(run())


@contextmanager
def connected(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        yield connection


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def exchange(path: Path, data: bytes) -> bytes:
    with connected(path) as connection:
        # The server may have said no, and closed, before a long line is through.
        with suppress(BrokenPipeError):
            connection.sendall(data)
        with connection.makefile("rb") as answer:
            return answer.readline()


async def ask(path: Path, data: bytes) -> Response:
    return parse_response(await asyncio.to_thread(exchange, path, data))


async def refused(path: Path, data: bytes) -> str:
    response = await ask(path, data)
    assert isinstance(response, ErrorResponse)
    return response.code


def test_answers_requests(path: Path) -> None:
    async def test() -> None:
        assert await ask(path, build_request(PingRequest())) == PONG
        down = DownRequest(client="5f0c2a91")
        assert await ask(path, build_request(down)) == DownResponse(clients=("5f0c2a91",))

    with_server(path, test)


def test_the_socket_is_the_owners_alone_and_goes_with_the_server(path: Path) -> None:
    async def test() -> None:
        mode = os.lstat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600

    before = os.umask(0)
    try:
        with_server(path, test)
    finally:
        os.umask(before)
    assert not path.exists()


def test_takes_away_the_socket_of_a_killed_daemon(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))

    async def test() -> None:
        assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_a_second_daemon_is_refused_and_the_first_stays(path: Path) -> None:
    async def test() -> None:
        second = ControlServer(path, pong)
        with pytest.raises(ControlSocketError, match=f"another ikev1d runs.*{path}"):
            await second.start()
        await second.close()
        assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_a_daemon_can_start_where_one_has_ended(path: Path) -> None:
    async def test() -> None:
        assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)
    with_server(path, test)


def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious")

    async def start() -> None:
        with pytest.raises(ControlSocketError, match="is not a socket"):
            await ControlServer(path, pong).start()

    asyncio.run(start())
    assert path.read_text() == "precious"


def test_a_path_that_cannot_be_made_is_named(path: Path) -> None:
    path.parent.write_text("a file where the directory should be")

    async def start() -> None:
        with pytest.raises(ControlSocketError, match=f"{path}.*gateway.control_socket"):
            await ControlServer(path, pong).start()

    asyncio.run(start())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\n", ErrorCode.BAD_REQUEST),
        (b"\xff\xff\xff\xff\n", ErrorCode.BAD_REQUEST),
        (b"[" * (MAX_REQUEST - 1) + b"\n", ErrorCode.BAD_REQUEST),
        (b"x" * (MAX_REQUEST + 1), ErrorCode.BAD_REQUEST),
        (b"x" * 1_000_000, ErrorCode.BAD_REQUEST),
        (b'{"v":1,"request":"down"}\n', ErrorCode.BAD_REQUEST),
        (b'{"v":1,"request":"dance"}\n', ErrorCode.UNKNOWN_REQUEST),
        (b'{"v":2,"request":"status"}\n', ErrorCode.BAD_REQUEST),
    ],
)
def test_what_is_no_request_is_refused_and_the_next_is_served(
    path: Path, data: bytes, code: ErrorCode
) -> None:
    async def test() -> None:
        assert await refused(path, data) == code
        assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_half_a_line_then_gone_is_nothing(path: Path) -> None:
    async def test() -> None:
        with connected(path) as connection:
            connection.sendall(b'{"v":1,"request":"do')
            connection.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(read_all, connection) == b""
        assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_a_client_that_never_ends_its_line_holds_up_nobody(path: Path) -> None:
    async def test() -> None:
        with connected(path) as slow:
            slow.sendall(b'{"v":1,')
            assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_a_client_that_never_reads_holds_up_nobody(path: Path) -> None:
    async def long_answer(request: Request) -> Response:
        return DownResponse(clients=("x" * 10_000_000,)) if request == StatusRequest() else PONG

    async def test() -> None:
        with connected(path) as deaf:
            deaf.sendall(build_request(StatusRequest()))
            assert await ask(path, build_request(PingRequest())) == PONG
            assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test, long_answer)


def test_a_long_answer_arrives_whole(path: Path) -> None:
    long = DownResponse(clients=tuple(f"{number:08x}" for number in range(100_000)))

    async def answer(_: Request) -> Response:
        return long

    async def test() -> None:
        assert await ask(path, build_request(StatusRequest())) == long

    with_server(path, test, answer)


def test_connections_are_bounded_and_freed(path: Path) -> None:
    async def test() -> None:
        with ExitStack() as stack:
            idle = [stack.enter_context(connected(path)) for _ in range(MAX_CONNECTIONS)]
            assert await refused(path, build_request(PingRequest())) == ErrorCode.BUSY
            idle[0].shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(read_all, idle[0]) == b""
            assert await ask(path, build_request(PingRequest())) == PONG

    with_server(path, test)


def test_close_does_not_wait_for_open_connections(path: Path) -> None:
    async def run() -> None:
        server = ControlServer(path, pong)
        await server.start()
        with connected(path) as idle:
            assert await ask(path, build_request(PingRequest())) == PONG
            await server.close()
            assert await asyncio.to_thread(read_all, idle) == b""

    asyncio.run(run())
