"""The control protocol's lines."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import fields

import pytest

from cli.control import (
    MAX_REQUEST,
    MAX_SELECTOR,
    PROTOCOL_VERSION,
    ClientStatus,
    ControlError,
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    Finding,
    GatewayStatus,
    Level,
    MetricsRequest,
    MetricsResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    StatusRequest,
    StatusResponse,
    UnknownRequestError,
    VerifyRequest,
    VerifyResponse,
    build_request,
    build_response,
    build_status,
    parse_request,
    parse_response,
    printable,
)

CLIENT = ClientStatus(
    client="5f0c2a91",
    state="up",
    peer_address="203.0.113.9",
    peer_port=4500,
    local_address="192.0.2.1",
    identity="192.168.178.23",
    connection="l2tp",
    implementation="macOS or iOS",
    nat="client",
    ike_algorithms="aes256-sha256-modp2048",
    esp_algorithms="aes256-sha1",
    user="jacco",
    auth="mschapv2",
    inner_address="192.168.1.128",
    interface="ppp0",
    data_path="kernel",
    age=3725,
    bytes_in=1234567,
    bytes_out=2**40,
    ike_rekey=100,
    esp_rekey=None,
    spi_in="c0ffee01",
    spi_out="0badcafe",
    mark=0x10000,
    tunnel_id=1,
    peer_tunnel_id=2,
    session_id=3,
    peer_session_id=4,
    host_name="iPhone",
)
GATEWAY = GatewayStatus(
    version="0.1.0",
    pid=4711,
    uptime=99,
    listen=("192.0.2.1:500", "192.0.2.1:4500"),
    half_open=1,
    established=1,
    config="/etc/ikev1d/gateway.toml",
    failures={"no-proposal-chosen": 4, "wrong-psk": 1},
)

FINDING = Finding(
    check="forwarding.ip_forward",
    level=Level.FAILURE,
    what="IP forwarding is off",
    why="clients reach nothing",
    remedy="sysctl -w net.ipv4.ip_forward=1",
)


@pytest.mark.parametrize(
    "request_",
    [
        PingRequest(),
        StatusRequest(),
        VerifyRequest(),
        MetricsRequest(),
        DownRequest(client="5f0c2a91"),
        DownRequest(user='EXAMPLE\\müller "x"'),
        DownRequest(peer="203.0.113.9:4500"),
        DownRequest(everyone=True),
    ],
)
def test_request_survives_the_line(request_: Request) -> None:
    line = build_request(request_)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_request(line) == request_


@pytest.mark.parametrize(
    "response",
    [
        PingResponse(version="0.1.0", pid=1, uptime=2),
        StatusResponse(gateway=GATEWAY),
        StatusResponse(gateway=GATEWAY, clients=(CLIENT, CLIENT)),
        DownResponse(clients=()),
        DownResponse(clients=("5f0c2a91", "11223344")),
        VerifyResponse(running=True, findings=()),
        VerifyResponse(running=False, findings=(FINDING, FINDING)),
        MetricsResponse(text="ikev1d_clients 1\n"),
        ErrorResponse(ErrorCode.BUSY, "16 requests"),
    ],
)
def test_response_survives_the_line(response: Response) -> None:
    line = build_response(response)
    assert line.count(b"\n") == 1
    assert parse_response(line) == response


@pytest.mark.parametrize("batches", [[], [[]], [[CLIENT]], [[CLIENT, CLIENT], [], [CLIENT]]])
def test_status_in_parts_is_the_same_line(batches: list[list[ClientStatus]]) -> None:
    async def given() -> AsyncIterator[list[ClientStatus]]:
        for batch in batches:
            yield batch

    async def joined() -> bytes:
        return b"".join([part async for part in build_status(GATEWAY, given())])

    clients = tuple(client for batch in batches for client in batch)
    whole = build_response(StatusResponse(gateway=GATEWAY, clients=clients))
    assert asyncio.run(joined()) == whole


def test_status_is_plain_json_with_every_field() -> None:
    document = json.loads(build_response(StatusResponse(gateway=GATEWAY, clients=(CLIENT,))))
    assert document["v"] == PROTOCOL_VERSION
    assert document["response"] == "status"
    assert set(document["clients"][0]) == {item.name for item in fields(ClientStatus)}
    assert document["clients"][0]["bytes_out"] == 2**40
    assert document["clients"][0]["esp_rekey"] is None
    assert document["gateway"]["failures"] == {"no-proposal-chosen": 4, "wrong-psk": 1}


def test_fields_of_a_newer_daemon_are_ignored() -> None:
    document = json.loads(build_response(StatusResponse(gateway=GATEWAY, clients=(CLIENT,))))
    document["weather"] = "fair"
    document["clients"][0]["colour"] = [1, 2]
    assert parse_response(json.dumps(document).encode()) == StatusResponse(
        gateway=GATEWAY, clients=(CLIENT,)
    )


def test_unknown_request_is_told_apart() -> None:
    with pytest.raises(UnknownRequestError, match="dance"):
        parse_request(b'{"v":1,"request":"dance"}\n')


def test_unknown_request_name_is_made_safe() -> None:
    with pytest.raises(UnknownRequestError) as caught:
        parse_request(json.dumps({"v": 1, "request": "\x1b[31m" + "x" * 3000}).encode())
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"\xff\xfe\n",
        b"status\n",
        b"[]\n",
        b"null\n",
        b'{"v":1}\n',
        b'{"v":1,"request":7}\n',
        b'{"v":1,"request":["status"]}\n',
        b'{"request":"status"}\n',
        b'{"v":2,"request":"status"}\n',
        b'{"v":true,"request":"status"}\n',
        b'{"v":1,"request":"status"',
        b"[" * MAX_REQUEST,
        b'{"v":' + b"1" * (MAX_REQUEST - 6),
        b'{"v":1,"request":"down"}\n',
        b'{"v":1,"request":"down","client":"a","user":"b"}\n',
        b'{"v":1,"request":"down","everyone":1}\n',
        b'{"v":1,"request":"down","client":["a"]}\n',
        b'{"v":1,"request":"down","user":null}\n',
        json.dumps({"v": 1, "request": "down", "user": "x" * (MAX_SELECTOR + 1)}).encode(),
    ],
)
def test_anything_else_is_a_control_error(line: bytes) -> None:
    with pytest.raises(ControlError):
        parse_request(line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"v":1,"response":"weather"}', "does not know"),
        (b'{"v":1,"response":"ping","version":"1","pid":"x","uptime":1}', "PingResponse.pid"),
        (b'{"v":1,"response":"ping","version":"1"}', "lacks a field"),
        (b'{"v":1,"response":"down","clients":"x"}', "DownResponse.clients"),
        (b'{"v":1,"response":"down","clients":[1]}', "DownResponse.clients"),
        (b'{"v":1,"response":"status","gateway":[]}', "GatewayStatus"),
    ],
)
def test_response_of_the_wrong_shape_names_the_field(line: bytes, text: str) -> None:
    with pytest.raises(ControlError, match=text):
        parse_response(line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("jacco", "jacco"),
        ("Jürgen 日本", "Jürgen 日本"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("EXAMPLE\\jacco", "EXAMPLE\\\\jacco"),
        ("a\\nb", "a\\\\nb"),
        ("\ud800", "\\ud800"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_printable_is_bounded() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 10 + "…"
