"""Many clients over loopback sockets, their report, and the command line."""

import argparse
import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, ip_address
from pathlib import Path

import pytest

from ikev1.core.effects import Path as IkePath
from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import IPHONE, PROFILES, STRONGSWAN
from interop.initiator import __main__ as command
from interop.initiator.checks import WARNINGS, Cause
from interop.initiator.derivation import dh_key
from interop.initiator.profiles import Phase1Offer, Retransmission, only
from interop.initiator.report import Latency, Outcome, Report, latency, summarize
from interop.initiator.udp import Plan, run
from tests.support.ike_host import PSK, IkeHost

LOOPBACK = "127.0.0.1"
FAST = only(
    STRONGSWAN,
    Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256),
)


@dataclass
class Server:
    """The responder behind two UDP sockets, in the place of ports 500 and 4500."""

    host: IkeHost
    near: socket.socket
    floated: socket.socket
    peers: set[tuple[str, int]]

    @property
    def ports(self) -> tuple[int, int]:
        return self.near.getsockname()[1], self.floated.getsockname()[1]

    def readable(self, sock: socket.socket, floated: bool) -> None:
        datagram, (address, port) = sock.recvfrom(65535)
        self.peers.add((address, port))
        path = IkePath(LOOPBACK, 4500 if floated else 500, address, port, floated)
        for to, answer in self.host.receive(datagram, path):
            (self.floated if to.encapsulated else self.near).sendto(
                answer, (to.remote, to.remote_port)
            )


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        near, floated = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)
        )
        for sock in (near, floated):
            sock.bind((LOOPBACK, 0))
            sock.setblocking(False)
        yield Server(IkeHost(), near, floated, set())


def plan(server: Server, **changes: object) -> Plan:
    port, floated_port = server.ports
    values: dict[str, object] = {
        "profile": FAST,
        "psk": PSK,
        "target": ip_address(LOOPBACK),
        "port": port,
        "floated_port": floated_port,
        "make_dh": dh_key,
        "inner": IPv4Network("10.77.0.0/16"),
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


async def served(server: Server, made: Plan, count: int, concurrency: int) -> Report:
    loop = asyncio.get_running_loop()
    for sock, floated in ((server.near, False), (server.floated, True)):
        loop.add_reader(sock, server.readable, sock, floated)
    try:
        return await run(made, count, concurrency)
    finally:
        for sock, floated in ((server.near, False), (server.floated, True)):
            loop.remove_reader(sock)
            # What the last client sent before it ended.
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.readable(sock, floated)


def test_many_clients_behind_a_nat(server: Server) -> None:
    report = asyncio.run(served(server, plan(server, quick_modes=2), 5, 3))

    assert (report.clients, report.main_modes, report.quick_modes) == (5, 5, 10)
    assert report.failures == {}
    assert report.findings == {}
    assert report.main_mode is not None
    assert report.quick_mode is not None
    assert len(server.host.gone()) == 5
    assert server.host.inbound == {}
    # Each from a port towards 500 and another one towards 4500.
    assert len(server.peers) == 10


def test_kept_sas_stay(server: Server) -> None:
    asyncio.run(served(server, plan(server, keep=True), 3, 3))

    assert len(server.host.inbound) == 3
    assert server.host.gone() == []


def test_source_ports_are_two_in_a_row(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        base = probe.getsockname()[1] // 2  # below what the kernel gives out by itself

    asyncio.run(served(server, plan(server, source_port=base, source=ip_address(LOOPBACK)), 2, 1))

    assert server.peers == {(LOOPBACK, base + offset) for offset in range(4)}


def test_without_inner_addresses_there_is_no_nat(server: Server) -> None:
    # The responder has to be where the client believes it to be, so that NAT-D fits.
    made = plan(server, inner=None, quick_modes=0)

    report = asyncio.run(served(server, made, 1, 1))

    assert report.main_modes == 1


def test_silent_server_is_a_timeout(server: Server) -> None:
    hasty = replace(FAST, retransmission=Retransmission(base=0.01, tries=1))

    report = asyncio.run(run(plan(server, profile=hasty), 2, 2))

    assert report.failures == {"timeout": 2}
    assert report.examples == {"timeout": "no answer to MM1"}
    assert report.main_mode is None


def test_refusal_is_counted_by_cause(server: Server) -> None:
    unacceptable = only(
        IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group(1))
    )

    report = asyncio.run(served(server, plan(server, profile=unacceptable), 1, 1))

    assert report.failures == {"refused": 1}
    assert report.examples == {"refused": "NO_PROPOSAL_CHOSEN to MM1"}


def test_percentiles_are_by_nearest_rank() -> None:
    assert latency([value / 1000 for value in range(100, 0, -1)]) == Latency(50, 90, 99, 100)
    assert latency([0.007]) == Latency(7, 7, 7, 7)
    assert latency([]) is None


def test_report_counts_causes_and_keeps_an_example_of_each() -> None:
    timeout, refused = (Cause.TIMEOUT, "no answer to MM1"), (Cause.REFUSED, "INVALID_COOKIE to MM3")
    warning = (Cause.QM2_ATTRIBUTES, "#1")
    outcomes = [
        Outcome(0.1, (0.2, 0.3), None, (warning,)),
        Outcome(0.1, (), timeout, ()),
        Outcome(None, (), timeout, ()),
        Outcome(None, (), refused, ()),
    ]

    report = summarize(outcomes, 2.0, 0.5)

    assert report.failures == {"timeout": 2, "refused": 1}
    assert report.findings == {"qm2-attributes": 1}
    assert report.examples == {
        "timeout": "no answer to MM1",
        "refused": "INVALID_COOKIE to MM3",
        "qm2-attributes": "#1",
    }
    assert json.loads(report.as_json())["main_modes"] == 2
    text = report.as_text()
    assert "4 clients, 2 Main Modes, 2 Quick Modes in 2.00 s (1.0/s)" in text
    assert "failed timeout: 2, such as no answer to MM1" in text
    assert "found qm2-attributes: 1, such as #1" in text


def test_transforms_are_written_as_in_strongswan() -> None:
    assert command.phase1_offer("3des-sha1-modp1024") == Phase1Offer(
        EncryptionAlgorithm.TRIPLE_DES_CBC, None, HashAlgorithm.SHA1, Group.MODP_1024
    )
    assert command.phase1_offer("aes256-sha256-ecp384") == Phase1Offer(
        EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA2_256, Group.ECP_384
    )


@pytest.mark.parametrize("text", ["", "aes256", "aes256-sha1-modp768", "a-b-c", "3des-sha1-2-1"])
def test_bad_transforms_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not CIPHER-HASH-GROUP"):
        command.phase1_offer(text)


def test_command_reports_failure_by_its_status(
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    psk_file = tmp_path / "psk"
    psk_file.write_bytes(PSK + b"\n")
    server.near.close()  # nobody answers, and the kernel says so
    port = server.floated.getsockname()[1]
    monkeypatch.setitem(
        PROFILES,
        "strongswan",
        replace(FAST, retransmission=Retransmission(base=0.01, tries=0)),
    )
    monkeypatch.setattr(
        "sys.argv",
        [
            "initiator",
            "--target",
            LOOPBACK,
            "--port",
            str(port),
            "--psk-file",
            str(psk_file),
            "--count",
            "2",
            "--json",
        ],
    )

    assert command.main() == 1
    assert json.loads(capsys.readouterr().out)["failures"] == {"timeout": 2}


def test_warnings_are_tolerated_unless_strict() -> None:
    arguments = ["--target", LOOPBACK, "--psk-file", "psk"]

    lenient = command.tolerated(command.parser().parse_args(arguments))
    strict = command.tolerated(
        command.parser().parse_args([*arguments, "--strict", "--tolerate", "qm2-ids"])
    )

    assert lenient == WARNINGS
    assert strict == {Cause.QM2_IDS}
