"""L2TP in clear gets no answer and makes no state, even if it names a living tunnel."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.capture import Capture
from interop.netns import Host
from interop.scenarios.play import dial_in
from interop.snapshot import take_snapshot
from interop.stage import Stage
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, no_nat
from interop.traffic import ping

L2TP = 1701
CLIENT_ADDRESS = "203.0.113.2"


def avp(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0x8000 | 6 + len(value), 0, kind) + value


def control(tunnel_id: int, ns: int, nr: int, *avps: bytes) -> bytes:
    """A control message of RFC 2661 section 3.1, written out by hand."""
    body = b"".join(avps)
    return struct.pack("!HHHHHH", 0xC802, 12 + len(body), tunnel_id, 0, ns, nr) + body


SCCRQ = control(
    0,
    0,
    0,
    avp(0, b"\0\1"),
    avp(2, b"\1\0"),
    avp(3, b"\0\0\0\3"),
    avp(7, b"intruder"),
    avp(9, b"\0\7"),
)


def send_from(host: Host, source: str, payload: bytes) -> None:
    """Send UDP 1701 to 1701 with any source address, past the host's own policies."""
    udp = struct.pack("!HHHH", L2TP, L2TP, 8 + len(payload), 0) + payload
    ip = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        0,
        0,
        64,
        socket.IPPROTO_UDP,
        0,
        socket.inet_aton(source),
        socket.inet_aton(GATEWAY_ADDRESS),
    )
    with host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(ip + udp, (GATEWAY_ADDRESS, 0))


@pytest.fixture
def stage(artefacts: Path) -> Iterator[Stage]:
    with Stage(no_nat(), artefacts) as stage:
        yield stage


def test_a_start_of_a_tunnel(stage: Stage) -> None:
    capture = Capture(stage.lab["gateway"], "wan0")
    for _ in range(3):
        send_from(stage.lab["internet"], "203.0.113.1", SCCRQ)
    assert ping(stage.lab["internet"], GATEWAY_ADDRESS)  # whatever was sent before has arrived

    packets = [p for p in capture.packets() if L2TP in (p.source_port, p.destination_port)]
    assert [p.source for p in packets] == ["203.0.113.1"] * 3
    assert stage.ikev1d.clients() == []
    assert stage.leftovers() == []


def test_a_living_tunnel(stage: Stage) -> None:
    client = stage.client()
    dial_in(stage, client)
    (before,) = stage.ikev1d.clients()
    kernel = take_snapshot(stage.lab["gateway"])
    stop = avp(0, b"\0\4") + avp(9, before["peer_tunnel_id"].to_bytes(2, "big")) + avp(1, b"\0\1")
    data = struct.pack("!HHHH", 0x4002, 14, before["tunnel_id"], before["session_id"])
    for number in range(8):
        # One of these has the sequence numbers that the client's next message would have.
        message = control(before["tunnel_id"], number, 2, stop)
        send_from(stage.lab["internet"], CLIENT_ADDRESS, message)
    # An LCP Terminate-Request, which PPP would believe.
    send_from(stage.lab["internet"], CLIENT_ADDRESS, data + bytes.fromhex("ff03c02105010004"))
    send_from(stage.lab["internet"], CLIENT_ADDRESS, SCCRQ)
    assert ping(stage.lab["internet"], GATEWAY_ADDRESS)

    assert ping(client.host, OFFICE_ADDRESS, count=3)
    (after,) = stage.ikev1d.clients()
    assert after["state"] == "up"
    assert after["session_id"] == before["session_id"]
    assert take_snapshot(stage.lab["gateway"]).added_since(kernel) == []
