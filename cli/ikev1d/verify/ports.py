"""Who else wants the gateway's UDP ports, or its SAs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.control import Finding
from cli.ikev1d.udp import IKE_PORT, NAT_T_PORT
from cli.ikev1d.verify.findings import failure, ok, warning
from l2tp.datapath.udp import L2TP_PORT

PORTS = (IKE_PORT, NAT_T_PORT, L2TP_PORT)

RIVALS = {
    "charon": "strongswan-starter",
    "charon-systemd": "strongswan",
    "pluto": "ipsec",
    "racoon": "racoon",
    "iked": "iked",
    "isakmpd": "isakmpd",
    "xl2tpd": "xl2tpd",
    "accel-pppd": "accel-ppp",
    "openl2tpd": "openl2tpd",
}
"""IKE and L2TP daemons by their names in /proc/PID/comm, each with its usual systemd unit."""


@dataclass(frozen=True, slots=True)
class UdpSocket:
    """A bound UDP socket; `pid` 0 and `program` "" where the process is not seen."""

    address: str
    port: int
    pid: int
    program: str


@dataclass(frozen=True, slots=True)
class PortFacts:
    """Sockets on the gateway's ports, and other daemons of its kind in this network namespace."""

    sockets: tuple[UdpSocket, ...]
    rivals: Mapping[int, str]
    """Names by process ID."""
    daemon: Collection[int]
    """The process IDs of the running ikev1d; none where it is down."""


def read_ports(daemon: Collection[int]) -> PortFacts:
    """Look through /proc."""
    sockets = [
        (address, port, inode)
        for address, port, inode in parse_udp(Path("/proc/net/udp").read_text())
        if port in PORTS
    ]
    owners = _owners({inode for _, _, inode in sockets})
    return PortFacts(
        sockets=tuple(
            UdpSocket(address, port, *owners.get(inode, (0, "")))
            for address, port, inode in sockets
        ),
        rivals=_rivals(),
        daemon=daemon,
    )


def parse_udp(text: str) -> Iterator[tuple[str, int, int]]:
    """Address, port and inode of each socket in /proc/net/udp that is not connected."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        local, remote, inode = fields[1], fields[2], fields[9]
        if remote != "00000000:0000":
            continue
        address, _, port = local.partition(":")
        yield socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16), int(inode)


def check_ports(facts: PortFacts) -> Iterator[Finding]:
    """Judge what was found."""
    taken = False
    for port in PORTS:
        others = [s for s in facts.sockets if s.port == port and s.pid not in facts.daemon]
        for other in others:
            taken = True
            yield _taken(other, running=bool(facts.daemon))
    holders = {s.pid for s in facts.sockets if s.pid not in facts.daemon}
    for pid, name in facts.rivals.items():
        if pid in holders:
            continue
        taken = True
        yield warning(
            "ports.other_daemon",
            f"{name} runs beside the gateway, as process {pid}",
            "when it starts or stops it may flush every SA and policy of the machine, and take "
            "the ports at the gateway's next start",
            f"systemctl disable --now {RIVALS[name]}",
        )
    if not taken:
        whose = "the gateway's alone" if facts.daemon else "free"
        yield ok("ports.udp", f"UDP {', '.join(map(str, PORTS))} are {whose}")


def _taken(other: UdpSocket, *, running: bool) -> Finding:
    who = f"{other.program} (process {other.pid})" if other.pid else "a process not seen from here"
    unit = RIVALS.get(other.program)
    remedy = f"systemctl disable --now {unit}" if unit else f"kill {other.pid or 'it'}"
    what = f"UDP {other.port} of {other.address} is taken by {who}"
    check = f"ports.udp_{other.port}"
    if running:
        why = "it gets some or all of what clients send to this port"
        return warning(check, what, why, remedy)
    return failure(check, what, "the gateway cannot start", remedy)


def _owners(inodes: set[int]) -> dict[int, tuple[int, str]]:
    """The process that has a socket, by inode."""
    links = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[int, tuple[int, str]] = {}
    for process in _processes():
        try:
            for descriptor in (process / "fd").iterdir():
                inode = links.get(str(descriptor.readlink()))
                if inode is not None:
                    owners[inode] = (int(process.name), _name(process))
        except OSError:
            continue  # it has ended, or is not ours to look at
    return owners


def _rivals() -> dict[int, str]:
    """Daemons of the gateway's kind in its own network namespace."""
    here = Path("/proc/self/ns/net").stat().st_ino
    found: dict[int, str] = {}
    for process in _processes():
        try:
            name = _name(process)
            if name in RIVALS and (process / "ns/net").stat().st_ino == here:
                found[int(process.name)] = name
        except OSError:
            continue
    return found


def _processes() -> Iterator[Path]:
    return (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _name(process: Path) -> str:
    return (process / "comm").read_text().strip()
