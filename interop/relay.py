"""A cable that loses or doubles packets: it stands between two interfaces of the machine relay.

``python -m interop.relay FAULT WEST EAST`` copies Ethernet frames between the interfaces both ways
and writes one JSON line for each fault to stdout. What the kernel left undone in a frame
(checksums, segmentation) travels with it in the virtio header of a packet socket, so the frames
stay as they are.
"""

import argparse
import json
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from interop.capture import Packet, parse_ethernet
from interop.netns import Host

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
VNET_HEADER = 10
LARGEST_FRAME = 65536 + VNET_HEADER
START_LIMIT = 30.0
"""Seconds until a relay runs: Python takes two to start in the embedded kernel."""

LOSSY_ESP_PACKETS = 40
"""ESP packets of one direction after which lose-first-esp loses no more."""

Fault = Callable[[Packet], int]
"""How many copies of a packet go on: 0 loses it, 2 doubles it."""


def lose_first_ike() -> Fault:
    """Lose every IKE datagram the first time it is seen in its direction."""
    seen = set[tuple[str, str, bytes]]()

    def copies(packet: Packet) -> int:
        datagram = (packet.source, packet.destination, packet.payload)
        if not packet.is_ike or datagram in seen:
            return 1
        seen.add(datagram)
        return 0

    return copies


def lose_first_esp() -> Fault:
    """Lose the first ESP packet of each size in each direction, among `LOSSY_ESP_PACKETS`.

    A repeated message is encrypted anew, but its size stays: so each L2TP and PPP message of a
    dial-in is lost about once.
    """
    counts = Counter[str]()
    seen = set[tuple[str, int]]()

    def copies(packet: Packet) -> int:
        if not packet.is_esp:
            return 1
        counts[packet.source] += 1
        message = (packet.source, len(packet.payload))
        if counts[packet.source] > LOSSY_ESP_PACKETS or message in seen:
            return 1
        seen.add(message)
        return 0

    return copies


def double() -> Fault:
    """Let every IPv4 packet pass twice."""
    return lambda _packet: 2


def clean() -> Fault:
    """Let every packet pass once."""
    return lambda _packet: 1


FAULTS: dict[str, Callable[[], Fault]] = {
    "clean": clean,
    "lose-first-ike": lose_first_ike,
    "lose-first-esp": lose_first_esp,
    "double": double,
}


def _open(interface: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.bind((interface, ETH_P_ALL))
    return port


def _report(copies: int, packet: Packet) -> None:
    kind = "ike" if packet.is_ike else "esp" if packet.is_esp else "other"
    line = {
        "copies": copies,
        "kind": kind,
        "source": packet.source,
        "destination": packet.destination,
        "bytes": len(packet.payload),
    }
    print(json.dumps(line), flush=True)


def relay(west: str, east: str, fault: Fault) -> None:
    """Copy frames between the two interfaces until the program is ended."""
    ports = (_open(west), _open(east))
    print("relaying", flush=True)
    while True:
        readable, _, _ = select.select(ports, [], [])
        for port in readable:
            other = ports[1 - ports.index(port)]
            frame = port.recv(LARGEST_FRAME)
            packet = parse_ethernet(frame[VNET_HEADER:])
            copies = 1 if packet is None else fault(packet)
            if packet is not None and copies != 1:
                _report(copies, packet)
            for _ in range(copies):
                other.send(frame)


@dataclass(frozen=True, slots=True)
class FaultReport:
    """One thing the relay did to a packet: lost it (copies 0) or doubled it (copies 2)."""

    copies: int
    kind: str
    source: str
    destination: str
    bytes: int


class Relay:
    """The relay program on ``host``, relaying once it is made."""

    def __init__(self, host: Host, fault: str, west: str = "west0", east: str = "east0") -> None:
        self.process = host.start("relay", sys.executable, "-m", "interop.relay", fault, west, east)
        self.process.wait_for_text("relaying", START_LIMIT)

    def stop(self) -> None:
        """Cut the cable."""
        self.process.stop()

    def faults(self) -> list[FaultReport]:
        """List what it has lost and doubled so far."""
        lines = self.process.text().splitlines()
        return [FaultReport(**json.loads(line)) for line in lines if line.startswith("{")]


def main() -> int:
    """Relay as the command line says, until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m interop.relay", description=__doc__)
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("west")
    parser.add_argument("east")
    options = parser.parse_args()
    relay(options.west, options.east, FAULTS[options.fault]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
