"""ikectl: what it prints and how it exits, against a real control socket."""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.control import (
    ClientStatus,
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    Finding,
    GatewayStatus,
    MetricsResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    StatusResponse,
    VerifyResponse,
)
from cli.ikectl.__main__ import NOT_PERMITTED, NOT_RUNNING, OK, REFUSED, USAGE, main
from cli.ikev1d.control import ControlServer

ROOT = Path(__file__).parents[3]
CLIENTS = (
    ClientStatus(
        client="5f0c2a91",
        state="up",
        peer_address="203.0.113.9",
        peer_port=4500,
        local_address="192.0.2.1",
        identity="192.168.178.23",
        connection="l2tp",
        nat="client",
        ike_algorithms="aes256-sha256-modp2048",
        esp_algorithms="aes256-sha1",
        user="jacco",
        inner_address="192.168.1.128",
        age=3725,
        esp_rekey=2900,
        spi_in="c0ffee01",
    ),
    ClientStatus(
        client="aa0c2a91",
        state="ike",
        peer_address="203.0.113.9",
        peer_port=61234,
        local_address="192.0.2.1",
        identity="@evil\x1b[2J\nforged",
        connection="l2tp",
    ),
)
GATEWAY = GatewayStatus(
    version="0.1.0", pid=7, uptime=90, listen=("192.0.2.1:500",), half_open=0, established=2
)


async def answer(request: Request) -> Response:
    match request:
        case PingRequest():
            return PingResponse(version="0.1.0", pid=7, uptime=90)
        case DownRequest(client=client, user=user, peer=peer, everyone=everyone):
            everybody = tuple(status.client for status in CLIENTS)
            found = {
                "5f0c2a91": everybody[:1],
                "jacco": everybody[:1],
                "203.0.113.9:61234": everybody[1:],
            }
            return DownResponse(
                clients=everybody if everyone else found.get(client or user or peer, ())
            )
        case _:
            return StatusResponse(gateway=GATEWAY, clients=CLIENTS)


@contextmanager
def daemon(respond: Callable[[Request], Response] | None = None) -> Iterator[str]:
    """A control server in a thread of its own; gives the path of its socket."""

    async def fixed(request: Request) -> Response:
        return respond(request) if respond else await answer(request)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "control"
            server = ControlServer(path, fixed)
            asyncio.run_coroutine_threadsafe(server.start(), loop).result()
            yield str(path)
            asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_main(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        output = capsys.readouterr()
        return status, output.out, output.err

    return run_main


def test_status_table(run: Run) -> None:
    with daemon() as path:
        status, out, err = run("--socket", path, "status")
    summary, empty, titles, *rows = out.splitlines()
    assert (status, err, empty) == (OK, "", "")
    assert summary == "ikev1d 0.1.0, up 1m, 2 clients, 0 connecting, on 192.0.2.1:500"
    assert titles.split()[:4] == ["CLIENT", "STATE", "USER", "PEER"]
    assert [row.split()[0] for row in rows] == ["5f0c2a91", "aa0c2a91"]
    assert all(len(row) <= 120 for row in rows)
    assert "\x1b" not in out


def test_status_of_one_client_in_full(run: Run) -> None:
    with daemon() as path:
        status, out, _ = run("--socket", path, "status", "5f0c2a91")
        missing = run("--socket", path, "status", "00000000")
    assert status == OK
    assert "client 5f0c2a91" in out
    assert "c0ffee01" in out
    assert "aa0c2a91" not in out
    assert missing == (REFUSED, "", "ikectl: no such client; `ikectl status` lists them\n")


def test_status_verbose_has_every_client_in_full(run: Run) -> None:
    with daemon() as path:
        _, out, _ = run("--socket", path, "status", "--verbose")
    assert out.count("spi in") == 2
    assert "\x1b" not in out


def test_status_json(run: Run) -> None:
    with daemon() as path:
        status, out, _ = run("--socket", path, "status", "--json")
        _, one, _ = run("--socket", path, "status", "--json", "aa0c2a91")
    document = json.loads(out)
    assert status == OK
    assert document["v"] == 1
    assert [client["client"] for client in document["clients"]] == ["5f0c2a91", "aa0c2a91"]
    # Programs get what the peer said; JSON has its own escapes.
    assert document["clients"][1]["identity"] == "@evil\x1b[2J\nforged"
    assert [client["client"] for client in json.loads(one)["clients"]] == ["aa0c2a91"]


def test_status_without_clients_says_where_to_look(run: Run) -> None:
    with daemon(lambda _: StatusResponse(gateway=GATEWAY)) as path:
        status, out, _ = run("--socket", path, "status")
    assert status == OK
    assert "no client is connected" in out
    assert "log" in out


@pytest.mark.parametrize(
    ("arguments", "down"),
    [
        (["5f0c2a91"], "5f0c2a91"),
        (["--user", "jacco"], "5f0c2a91"),
        (["--peer", "203.0.113.9:61234"], "aa0c2a91"),
        (["--all"], "5f0c2a91 aa0c2a91"),
    ],
)
def test_down(run: Run, arguments: list[str], down: str) -> None:
    with daemon() as path:
        assert run("--socket", path, "down", *arguments) == (OK, f"hung up: {down}\n", "")


def test_down_of_nobody(run: Run) -> None:
    with daemon() as path:
        status, out, err = run("--socket", path, "down", "--user", "nobody")
    assert (status, out) == (REFUSED, "")
    assert "no such client" in err


@pytest.mark.parametrize(
    "arguments",
    [[], ["down"], ["down", "a", "--all"], ["down", "--user", "a", "--peer", "b"], ["explode"]],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == USAGE
    assert "usage: ikectl" in capsys.readouterr().err


def test_an_empty_selector_is_wrong_usage(run: Run) -> None:
    status, _, err = run("down", "--user", "")
    assert status == USAGE
    assert "exactly one" in err


def test_version(run: Run) -> None:
    with daemon() as path:
        assert run("--socket", path, "version") == (OK, "ikev1d 0.1.0, process 7, up 1m\n", "")


def test_daemon_not_running(run: Run, tmp_path: Path) -> None:
    status, out, err = run("--socket", str(tmp_path / "control"), "status")
    assert (status, out) == (NOT_RUNNING, "")
    assert str(tmp_path / "control") in err
    assert "systemctl start ikev1d" in err
    assert "ikev1d --config" in err
    assert "--socket" in err


def test_daemon_killed(run: Run) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/control"
        with socket.socket(socket.AF_UNIX) as left_over:
            left_over.bind(path)
        assert run("--socket", path, "status")[0] == NOT_RUNNING


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.NOT_PERMITTED, NOT_PERMITTED),
        (ErrorCode.BUSY, REFUSED),
        ("of-a-newer-daemon", REFUSED),
    ],
)
def test_error_of_the_daemon(run: Run, code: str, status: int) -> None:
    with daemon(lambda _: ErrorResponse(code, "not\x1b[31m today")) as path:
        result = run("--socket", path, "status")
    assert result == (status, "", "ikectl: not\\x1b[31m today\n")


@pytest.mark.parametrize("line", [b"", b"{}\n", b"garbage\n", b'{"v":1,"response":"status"'])
def test_an_answer_that_is_none(run: Run, line: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = f"{directory}/control"
        listener.bind(path)
        listener.listen()

        def answer_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(line)

        thread = threading.Thread(target=answer_once)
        thread.start()
        status, out, err = run("--socket", path, "status")
        thread.join()
    assert (status, out) == (REFUSED, "")
    assert err.startswith(f"ikectl: {path}: ")


def test_a_reader_that_has_seen_enough() -> None:
    with daemon() as path:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.ikectl", "--socket", path, "status", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
        process.stderr.close()
        status = process.wait()
    assert (status, errors) == (OK, b"")


FAILURE = Finding(
    check="forwarding.ip_forward",
    level="failure",
    what="IP forwarding is off",
    why="clients reach nothing",
    remedy="sysctl -w net.ipv4.ip_forward=1, " + "and more of this " * 10,
)
WARNING = Finding(check="pool.mtu", level="warning", what="too large \x1b[2J", remedy="mtu = 1380")
NOTE = Finding(check="clock.synchronised", level="note", what="nothing keeps the clock right")
WELL = Finding(check="kernel.tun", level="ok", what="tun is there")


def verified(run: Run, *findings: Finding, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
    response = VerifyResponse(running=True, findings=findings)
    with daemon(lambda _: response) as path:
        return run("--socket", path, "verify", *options)


def test_verify_tells_the_worst_first(run: Run) -> None:
    status, out, _ = verified(run, WELL, NOTE, WARNING, FAILURE)
    assert status == 2
    checks = ["forwarding.ip_forward", "pool.mtu", "clock.synchronised"]
    assert [line.split()[1].strip(":") for line in out.splitlines() if line[0] != " "][:3] == checks
    assert "why:    clients reach nothing" in out
    # A command stays on one line, whatever the width.
    assert any(FAILURE.remedy in line for line in out.splitlines())
    assert "tun is there" not in out
    assert "\x1b" not in out
    assert out.splitlines()[-1] == "1 failures, 1 warnings, 1 notes, 1 checks are well"


def test_verify_verbose_tells_what_is_well(run: Run) -> None:
    assert "tun is there" in verified(run, WELL, options=("-v",))[1]


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        ([], 0),
        (["ok", "note"], 0),
        (["ok", "warning"], 1),
        (["of-a-newer-daemon"], 1),
        (["warning", "failure"], 2),
    ],
)
def test_verify_exits_with_the_worst(levels: list[str], status: int, run: Run) -> None:
    findings = [Finding(check="a.b", level=level, what="x") for level in levels]
    assert verified(run, *findings)[0] == status


def test_verify_json(run: Run) -> None:
    status, out, _ = verified(run, WELL, FAILURE, options=("--json",))
    document = json.loads(out)
    assert status == 2
    assert document["running"] is True
    assert document["findings"][1]["remedy"] == FAILURE.remedy
    assert set(document["findings"][0]) == {"check", "level", "what", "why", "remedy"}


def test_verify_that_failed_is_unknown(run: Run) -> None:
    with daemon(lambda _: ErrorResponse(ErrorCode.FAILED, "no answer")) as path:
        assert run("--socket", path, "verify") == (3, "", "ikectl: no answer\n")


def test_verify_without_a_daemon_looks_at_the_machine(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "missing.toml"
    status, out, _ = run(
        "--socket", str(tmp_path / "nobody"), "verify", "--json", "--config", str(config)
    )
    document = json.loads(out)
    found = {finding["check"]: finding for finding in document["findings"]}
    assert status == 2
    assert document["running"] is False
    assert found["daemon.running"]["level"] == "failure"
    assert str(config) in found["configuration.file"]["what"]
    # Whatever this machine is like, it has been looked at.
    assert any(check.startswith("forwarding.") for check in found)


def test_metrics_are_printed_as_they_come(run: Run) -> None:
    text = "# TYPE ikev1d_clients gauge\nikev1d_clients 1\n"
    with daemon(lambda _: MetricsResponse(text=text)) as path:
        assert run("--socket", path, "metrics") == (OK, text, "")
