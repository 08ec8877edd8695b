"""The server that gives a profile away once."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cli.ikectl.__main__ import REFUSED, main
from cli.ikectl.errors import CommandError
from cli.ikectl.profile.serve import Document, OneTimeServer, parse_address

LOOPBACK = IPv4Address("127.0.0.1")
DOCUMENT = Document("office.mobileconfig", "application/x-apple-aspen-config", b"secret" * 1000)
LONG = 20.0
"""Seconds that no test waits out."""


@contextmanager
def serving(seconds: float = LONG) -> Iterator[tuple[OneTimeServer, Callable[[], bool]]]:
    """A server that waits in a thread; gives it and what says how the wait ended."""
    with OneTimeServer(LOOPBACK, 0, DOCUMENT) as server, ThreadPoolExecutor(1) as pool:
        waited = pool.submit(server.wait, seconds)
        yield server, waited.result


def get(server: OneTimeServer, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_the_first_device_gets_the_profile_and_the_server_ends() -> None:
    with serving() as (server, ended):
        assert get(server, server.path) == (200, DOCUMENT.data)
        assert ended()
    assert server.taker == "127.0.0.1"


def test_the_url_names_address_path_and_file() -> None:
    with OneTimeServer(LOOPBACK, 0, DOCUMENT) as server:
        assert server.url == f"http://127.0.0.1:{server.server_address[1]}{server.path}"
        assert server.path.endswith("/office.mobileconfig")
        assert len(server.path) > 22 + len("/office.mobileconfig")


def test_no_two_servers_have_the_same_path() -> None:
    with (
        OneTimeServer(LOOPBACK, 0, DOCUMENT) as one,
        OneTimeServer(LOOPBACK, 0, DOCUMENT) as other,
    ):
        assert one.path != other.path


def test_a_wrong_path_gets_nothing_and_spends_nothing() -> None:
    with serving() as (server, ended):
        for path in ("/", "/favicon.ico", "/office.mobileconfig", f"{server.path}x", "/%C3%A9"):
            status, body = get(server, path)
            assert status == 404
            assert b"secret" not in body
        assert get(server, server.path, "POST")[0] == 501
        assert get(server, server.path)[0] == 200
        assert ended()


def test_octets_that_are_no_path_get_nothing_and_spend_nothing() -> None:
    with serving() as (server, ended):
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as connection:
            connection.sendall(b"GET /\xff\xe9 HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.0 404 ")
        assert get(server, server.path)[0] == 200
        assert ended()


def test_many_at_once_get_it_once() -> None:
    with serving() as (server, ended):
        barrier = threading.Barrier(8)

        def race(_: int) -> int:
            barrier.wait()
            try:
                return get(server, server.path)[0]
            except OSError:
                # The server has ended between connection and request.
                return 410

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(race, range(8))) == [200, *[410] * 7]
        assert ended()


def test_nobody_comes() -> None:
    with serving(0.0) as (server, ended):
        assert not ended()
    assert server.taker == ""


def test_a_silent_connection_does_not_keep_the_profile_from_its_device() -> None:
    with serving() as (server, ended):
        silent = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
        silent.connect()
        assert get(server, server.path)[0] == 200
        assert ended()
        silent.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("192.168.1.99", ("192.168.1.99", 0)), ("127.0.0.1:8080", ("127.0.0.1", 8080))],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    address, port = parse_address(text)
    assert (str(address), port) == expected


@pytest.mark.parametrize("text", ["", "vpn", "10.0.0.1:", "10.0.0.1:x", "10.0.0.1:70000", "::1"])
def test_what_is_no_address(text: str) -> None:
    if text == "10.0.0.1:":
        assert parse_address(text)[1] == 0
        return
    with pytest.raises(CommandError, match="not ADDRESS"):
        parse_address(text)


@pytest.mark.parametrize("text", ["8.8.8.8", "0.0.0.0", "100.64.0.1:80"])
def test_secrets_are_not_served_on_the_internet(text: str) -> None:
    with pytest.raises(CommandError, match="private network"):
        parse_address(text)


def test_key_and_passphrase_are_not_given_away_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--server", "vpn.example.com", "--client", "alice", "--serve", "127.0.0.1"]
    arguments += ["--p12-passphrase-file", str(tmp_path / "passphrase")]
    assert main(["profile", "apple", *arguments]) == REFUSED
    assert "not given away unencrypted" in capsys.readouterr().err
