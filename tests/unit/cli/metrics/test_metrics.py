"""Metrics: their text, what is counted, and who may fetch them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.ikev1d.metrics.counters import IkeCounters, L2tpCounters, Labels
from cli.ikev1d.metrics.exposition import (
    Family,
    counter,
    gauge,
    labelled,
    render,
)
from cli.ikev1d.metrics.listener import (
    MAX_CONNECTIONS,
    MAX_HEAD,
    ListenError,
    MetricsListener,
)
from cli.ikev1d.metrics.loop_lag import BOUNDS, LoopLag
from cli.ikev1d.metrics.process import process_families
from ikev1.core.effects import ClientDown, Dropped, IkeSaUp, Path, ProbeAnswered, Probed, Refused
from ikev1.wire.enums import NotifyType
from l2tp.core import effects as l2tp
from l2tp.ppp.auth import AuthRejected, PapRequest
from l2tp.ppp.users import User, verify

PATH = Path("192.0.2.1", 500, "203.0.113.9", 500)
PEER = l2tp.Peer(0x10000, "192.0.2.1", "203.0.113.9", 1701)


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples as Prometheus' own parser has them, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- text ----------------------------------------------------------------------------------------


def test_prometheus_reads_what_we_write() -> None:
    odd = 'a "quoted" \\ back\nslash'
    values: dict[Labels, float] = {("main-mode", odd): 3.0, ("quick-mode", "done"): 0.5}
    families = [
        gauge("ikev1d_clients", "Clients\nwith an \\ IKE SA.", 7),
        counter("ikev1d_dead_peers_total", "x", 10**15 + 1),
        labelled("ikev1d_exchanges_total", "counter", "x", ("exchange", "result"), values),
        *process_families(1_700_000_000.25),
    ]
    samples = read(render(families))
    assert samples["ikev1d_clients", ()] == 7
    assert samples["ikev1d_dead_peers_total", ()] == 10**15 + 1
    key = (("exchange", "main-mode"), ("result", odd))
    assert samples["ikev1d_exchanges_total", key] == 3
    assert samples["process_start_time_seconds", ()] == 1_700_000_000.25
    assert samples["process_resident_memory_bytes", ()] > 1_000_000


def test_the_event_loops_lag_is_a_histogram() -> None:
    async def observed() -> Family:
        lag = LoopLag()
        for late in (0.0, 0.001, 0.0011, 0.3, 7.0):
            lag.observe(late)
        return lag.family("lag_seconds", "x")

    text = render([asyncio.run(observed())])
    (family,) = text_string_to_metric_families(text)
    assert family.type == "histogram"
    samples = read(text)
    counts = [samples["lag_seconds_bucket", (("le", repr(bound)),)] for bound in BOUNDS]
    assert counts == [2, 3, 3, 3, 3, 3, 3, 3, 4, 4]
    assert samples["lag_seconds_bucket", (("le", "+Inf"),)] == 5
    assert samples["lag_seconds_count", ()] == 5
    assert samples["lag_seconds_sum", ()] == pytest.approx(7.3021)


# --- counters ------------------------------------------------------------------------------------


def ike_sa_up(replaces: str | None, *, ours: bool = False) -> IkeSaUp:
    return IkeSaUp(
        client="5f0c2a91",
        path=PATH,
        connection="l2tp",
        identity="10.0.0.2",
        authentication="psk",
        suite="aes256-sha256-modp2048",
        nat="client",
        lifetime=3600,
        implementation="macOS",
        duration=0.1,
        replaces=replaces,
        ours=ours,
    )


def test_ike_events_are_counted() -> None:
    counters = IkeCounters()
    refused = Refused("5f", PATH, "Main Mode", "no", NotifyType.NO_PROPOSAL_CHOSEN)
    silent = Refused("5f", PATH, "Quick Mode", "no answer")
    dead = ClientDown("5f", 1, "no sign of life for 180 s")
    for event in (ike_sa_up(None), ike_sa_up("aa"), refused, silent, dead):
        counters.count(event)
    counters.count(ike_sa_up("aa", ours=True))
    for probed in (Probed("5f"), Probed("5f"), ProbeAnswered("5f")):
        counters.count(probed)
    counters.count(ClientDown("5f", 1, "taken down by the operator"))
    counters.count(Dropped(PATH, "unknown-cookie"))
    assert counters.exchanges == {
        ("main-mode", "done"): 3,
        ("main-mode", "no-proposal-chosen"): 1,
        ("quick-mode", "silent"): 1,
    }
    assert counters.rekeys == {("ike", "responder"): 1, ("ike", "initiator"): 1}
    assert counters.probes == {("sent",): 2, ("answered",): 1}
    assert counters.dead_peers == 1
    assert counters.dropped == {("unknown-cookie",): 1}


def test_no_peer_makes_labels() -> None:
    """Whatever a login's cause says: a label of ours stands for it."""
    counters = L2tpCounters()
    for number in range(100):
        counters.count(l2tp.AuthFailed(1, PEER, f"user{number}", f"cause {number}", ""))
    counters.count(l2tp.AuthFailed(1, PEER, "eve", "wrong password", ""))
    asks = "no common authentication protocol, peer asks for pap"
    counters.count(l2tp.AuthFailed(1, PEER, "eve", asks, ""))
    counters.count(l2tp.Dropped(PEER, l2tp.DropReason.WRONG_MARK, "tunnel 7"))
    assert counters.logins == {
        ("", "other"): 100,
        ("", "wrong-password"): 1,
        ("", "no-common-protocol"): 1,
    }
    assert counters.dropped == {("wrong-mark",): 1}


@pytest.mark.parametrize(
    ("user", "label"), [("nobody", "unknown-user"), ("alice", "wrong-password")]
)
def test_a_refused_login_has_its_label(user: str, label: str) -> None:
    answer = verify(PapRequest(user, b"guessed"), {"alice": User("alice", "wonderland")})
    assert isinstance(answer, AuthRejected)
    counters = L2tpCounters()
    counters.count(l2tp.AuthFailed(1, PEER, user, answer.reason, answer.remedy))
    assert counters.logins == {("", label): 1}


# --- listener ------------------------------------------------------------------------------------


async def text() -> str:
    return "ikev1d_clients 1\n"


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    listener = MetricsListener(text)
    await listener.start("127.0.0.1", 0)
    try:
        yield listener.port
    finally:
        await listener.close()


async def asked(port: int, request: bytes) -> tuple[str, str]:
    """The status line and the body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = (await reader.read()).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return head.split("\r\n")[0], body


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "ikev1d_clients 1\n"),
        (b"GET /metrics?a=b HTTP/1.0\r\n\r\n", "200 OK", "ikev1d_clients 1\n"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK", ""),
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found", "see /metrics\n"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed", ""),
        (b"\x16\x03\x01\x00\r\n\r\n", "400 Bad Request", ""),
        (b"GET /metrics HTTP/1.1\r\n" + b"a" * 2 * MAX_HEAD, "431", ""),
    ],
)
def test_http(request_: bytes, status: str, body: str) -> None:
    async def conversation() -> tuple[str, str]:
        async with listening() as port:
            return await asked(port, request_)

    line, got = asyncio.run(conversation())
    assert line.startswith(f"HTTP/1.1 {status}")
    assert got == body


def test_connections_are_bounded_and_end_with_the_listener() -> None:
    async def crowd() -> bytes:
        async with listening() as port:
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
            # Those above the limit have been closed at once.
            turned_away = [await reader.read() for reader, _ in idle[MAX_CONNECTIONS:]]
        stayed = [await reader.read() for reader, _ in idle[:MAX_CONNECTIONS]]
        for _, writer in idle:
            writer.close()
        return b"".join(turned_away + stayed)

    assert asyncio.run(crowd()) == b""


def test_an_address_that_is_taken() -> None:
    async def start(port: int) -> None:
        await MetricsListener(text).start("127.0.0.1", port)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}: "):
            asyncio.run(start(port))
