"""The control socket and other users of the machine: these tests need root to become one."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from cli.control import ErrorCode, ErrorResponse, PingResponse, Request, Response, parse_response
from cli.ikectl.__main__ import NOT_PERMITTED
from cli.ikev1d.control import ControlServer

ROOT = Path(__file__).parents[2]
NOBODY = 65534
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
sys.stdout.write(s.makefile().readline())
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not tmp_path: its name can be too long for a socket, and others cannot enter it.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def serve(path: Path, test: Callable[[], Awaitable[None]]) -> None:
    async def pong(_: Request) -> Response:
        return PingResponse(version="0.1.0", pid=1, uptime=2)

    async def run() -> None:
        server = ControlServer(path, pong)
        await server.start()
        try:
            await test()
        finally:
            await server.close()

    asyncio.run(run())


async def as_nobody(*command: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        ["/usr/bin/python3", "-B", *command],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


def test_another_user_is_refused_even_where_the_socket_is_open_to_all(directory: Path) -> None:
    path = directory / "control"

    async def test() -> None:
        result = await as_nobody("-c", ASK, str(path), directory=directory)
        assert "PermissionError" in result.stderr
        await asyncio.to_thread(path.chmod, 0o666)
        result = await as_nobody("-c", ASK, str(path), directory=directory)
        response = parse_response(result.stdout.encode())
        assert isinstance(response, ErrorResponse)
        assert response.code == ErrorCode.NOT_PERMITTED

    serve(path, test)


def test_ikectl_of_another_user_says_so(directory: Path) -> None:
    path = directory / "control"
    # Others may be unable to read the tree that is tested, so they get a copy of the tool.
    shutil.copytree(ROOT / "cli" / "ikectl", directory / "cli" / "ikectl")
    shutil.copytree(ROOT / "cli" / "control", directory / "cli" / "control")
    subprocess.run(["chmod", "-R", "a+rX", directory], check=True)

    async def test() -> None:
        command = ("-m", "cli.ikectl", "--socket", str(path), "status")
        result = await as_nobody(*command, directory=directory)
        assert result.returncode == NOT_PERMITTED
        assert result.stderr == f"ikectl: not permitted to use {path}: run ikectl as root\n"

    serve(path, test)
