"""The responders that are tried, each on a machine of its own, and the one for their clients."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from interop.certificates import SERVER_AUTH, Authority, Identity, pem
from interop.errors import LabError
from interop.gateway import CONFIGURATION, CONTROL, configuration
from interop.lab import Lab
from interop.load.clients import CLIENTS, Load
from interop.netns import Host
from interop.peers.libreswan import Libreswan
from interop.peers.strongswan import CONNECTIONS, DAEMON, VICI, Connection, write_certificate
from interop.process import Process
from interop.settings import GatewaySettings
from interop.topology import Interface, Link, Machine, Topology
from interop.wait import until

CLIENT_PROGRAM = (sys.executable, "-m", "interop.load.clients")
START_LIMIT = 60.0
LOAD_LIMIT = 900.0
SUITES = ("aes256-sha256-modp2048", "3des-sha1-modp1024")
"""What is measured."""
PHASE_1 = (*SUITES, "aes256-sha1-modp2048", "aes256-sha1-modp1024", "aes128-sha1-modp1024")
"""What a responder has to be told to accept, so that every client of the mix gets in."""
WARM_UP = 20
"""Clients before anything is measured: caches, modules, lazy imports."""

_CHARON_CONF = "/run/strongswan.conf"
_CHARON = """
charon {{
    {settings}
    install_routes = no
    dos_protection = no
    syslog {{
        daemon {{
            default = -1
        }}
        auth {{
            default = -1
        }}
    }}
    filelog {{
        stdout {{
            default = 1
            time_format = %T
        }}
    }}
}}
swanctl {{
    load = random openssl pem pkcs1 pkcs8 x509
}}
"""
_TUNED = """
    load = random nonce gmp openssl hmac kdf sha1 sha2 md5 pem pkcs1 pkcs8 x509 pubkey constraints \
        kernel-netlink socket-default vici
    dh_exponent_ansi_x9_42 = no
    ikesa_table_size = 4096
    ikesa_table_segments = 16
"""
"""What makes charon fast: GMP before OpenSSL for modp groups, short exponents like ours, a hash
table of IKE SAs in place of a list, and no plugin that is not needed."""
_AS_INSTALLED = """
    load_modular = yes
    plugins {
        include /etc/strongswan.d/charon/*.conf
    }
"""
"""What Debian's package sets."""


@dataclass(frozen=True, slots=True)
class Certificates:
    """What a responder and its clients have in place of a preshared key."""

    responder: Identity
    client: Identity

    @classmethod
    def of(cls, kind: str) -> "Certificates":
        """Keys of a kind, "rsa2048" or "p256", and chains of two."""
        root = Authority(kind=kind)
        names = ["vpn.example.org"]
        return cls(
            root.issue("gateway", kind=kind, number=1, names=names, usages=[SERVER_AUTH]),
            root.issue("client", kind=kind, number=2),
        )


_CERTIFICATE = """
certificate = "gateway.pem"
key = "gateway.key"
ca = ["ca.pem"]
revocation = "off"

[[connection]]
name = "l2tp"
same_identity = "several"
"""


class Responder(ABC):
    """A running daemon."""

    def __init__(self, name: str, host: Host, address: str) -> None:
        self.name = name
        self.host = host
        self.address = address

    process: Process

    @abstractmethod
    def start(self) -> None:
        """Start it, or start it again after `Process.stop`, and wait until it serves."""

    @abstractmethod
    def sessions(self) -> int:
        """How many IKE SAs it has."""


class OurDaemon(Responder):
    """ikev1d, started by `command`, which takes its arguments."""

    def __init__(
        self,
        host: Host,
        address: str,
        command: Sequence[str],
        certificates: Certificates | None = None,
        workers: int = 1,
    ) -> None:
        super().__init__("ikev1d", host, address)
        settings = GatewaySettings(address=address)
        extra = {"ike": "half_open_per_address = 2000", "gateway": f"workers = {workers}"}
        if certificates is not None:
            own = certificates.responder
            extra["[certificate]"] = _CERTIFICATE
            host.write("/run/gateway.pem", own.certificate_pem())
            host.write("/run/gateway.key", own.key_pem(), 0o600)
            host.write("/run/ca.pem", pem(own.issuers[-1]))
        host.write(CONFIGURATION, configuration(settings, extra), 0o600)
        self._command = command
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and wait until it serves."""
        self.process = self.host.start("ikev1d", *self._command, "--config", CONFIGURATION)
        until(lambda: " ready " in self.process.text(), "ikev1d to be ready", START_LIMIT)

    def sessions(self) -> int:
        """Clients of `ikectl status`."""
        command = (sys.executable, "-m", "cli.ikectl", "--socket", CONTROL, "status", "--json")
        answer = self.host.run(*command)
        return int(json.loads(answer)["gateway"]["established"])


class Charon(Responder):
    """strongSwan's charon; `tuned` as fast as it gets by configuration."""

    def __init__(
        self,
        host: Host,
        address: str,
        *,
        tuned: bool,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__("charon, tuned" if tuned else "charon, as installed", host, address)
        self._certificate = None if certificates is None else certificates.responder
        host.write(_CHARON_CONF, _CHARON.format(settings=_TUNED if tuned else _AS_INSTALLED))
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and load its connection."""
        host = self.host
        host.path(VICI).unlink(missing_ok=True)
        environment = {"STRONGSWAN_CONF": _CHARON_CONF}
        self.process = host.start("charon", DAEMON, environment=environment)
        until(lambda: host.path(VICI).is_socket(), "charon's control socket", START_LIMIT)
        connection = Connection(
            local_address=self.address,
            remote_address="%any",
            psk=GatewaySettings().psk,
            ike_proposals=",".join(PHASE_1),
            esp_proposals="aes256-sha1,aes128-sha1,3des-sha1",
            remote_ts="dynamic[udp]",
            certificate=self._certificate,
        )
        host.write(CONNECTIONS, connection.text(), 0o600)
        if self._certificate is not None:
            write_certificate(host, self._certificate)
        self._swanctl("--load-all", "--noprompt", "--file", CONNECTIONS)

    def _swanctl(self, *arguments: str) -> str:
        return self.host.run("env", f"STRONGSWAN_CONF={_CHARON_CONF}", "swanctl", *arguments)

    def sessions(self) -> int:
        """IKE SAs of swanctl that are up."""
        return sum("ESTABLISHED" in line for line in self._swanctl("--list-sas").splitlines())


class Pluto(Responder):
    """libreswan's pluto. It has no group 2 any more."""

    def __init__(self, host: Host, address: str) -> None:
        super().__init__("pluto", host, address)
        self._pluto = Libreswan(host)
        self._load()

    def start(self) -> None:
        """Start it, or start it again, and load its connection."""
        self._pluto = Libreswan(self.host)
        self._load()

    def _load(self) -> None:
        self.process = self._pluto.process
        self._pluto.load(
            Connection(
                local_address=self.address,
                remote_address="%any",
                psk=GatewaySettings().psk,
                ike_proposals=",".join(
                    suite.replace("sha256", "sha2_256") for suite in PHASE_1 if "1024" not in suite
                ),
                esp_proposals="aes256-sha1,aes128-sha1,3des-sha1",
                remote_ts="dynamic[udp]",
            )
        )

    def sessions(self) -> int:
        """Main Modes of whack that are done."""
        return sum("STATE_MAIN_R3" in line for line in self._pluto.sas().splitlines())


KINDS = ("ours", "tuned", "installed")
"""Those that are measured beside each other: `OTHER_KINDS` has the rest."""
OTHER_KINDS = ("pluto",)
IKEV1D = (sys.executable, "-m", "cli.ikev1d")


class Bench:
    """Responders that wait for clients."""

    def __init__(
        self,
        lab: Lab,
        responders: Mapping[str, Responder],
        certificates: Certificates | None = None,
    ) -> None:
        self.responders = MappingProxyType(dict(responders))
        self._certificate = ""
        if certificates is not None:
            who = certificates.client
            self._certificate = who.key_pem() + who.certificate_pem()
        self._clients = lab["clients"]
        self._number = 0

    def __getitem__(self, kind: str) -> Responder:
        return self.responders[kind]

    def dial_in(
        self,
        responder: Responder,
        count: int,
        *,
        suite: str,
        quick_modes: int,
        concurrency: int,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Have new clients dial in; the initiator's report.

        Raises LabError if one of them did not get in.
        """
        load = self.load(
            responder,
            count,
            suite=suite,
            quick_modes=quick_modes,
            concurrency=concurrency,
            keep=keep,
        )
        report = self.run(load)
        if report["failures"]:
            raise LabError(f"{responder.name}: {report['failures']} {report['examples']}")
        return report

    def load(self, responder: Responder, count: int, **choices: Any) -> Load:
        """`count` clients that have not dialled before; `choices` are fields of `Load`."""
        first, self._number = self._number, self._number + count
        return Load(
            target=responder.address,
            psk=GatewaySettings().psk,
            first=first,
            count=count,
            certificate=self._certificate,
            **choices,
        )

    def run(self, load: Load) -> dict[str, Any]:
        """Let the clients of a load dial in, or dial again; the initiator's report."""
        answer = self._clients.run(*CLIENT_PROGRAM, stdin=load.as_json(), limit=LOAD_LIMIT)
        report: dict[str, Any] = json.loads(answer)
        return report


def _topology(kinds: Sequence[str]) -> Topology:
    machines = [
        Machine(kind, (Interface("wan0", f"198.51.{index}.1/24"),), f"198.51.{index}.2")
        for index, kind in enumerate(kinds)
    ]
    near = [Interface(kind, f"198.51.{index}.2/24") for index, kind in enumerate(kinds)]
    links = [Link(("clients", kind), (kind, "wan0")) for kind in kinds]
    return Topology("bench", (*machines, Machine("clients", tuple(near))), tuple(links))


@contextmanager
def bench(
    directory: Path,
    *,
    kinds: Sequence[str] = KINDS,
    ikev1d: Sequence[str] = IKEV1D,
    certificates: Certificates | None = None,
    workers: int = 1,
) -> Iterator[Bench]:
    """Start responders of these kinds, ours by the command `ikev1d`, with so many processes.

    With `certificates` clients have those; pluto knows the preshared key alone.
    """
    with Lab(_topology(kinds), directory) as lab:
        lab["clients"].run("ip", "route", "add", "local", str(CLIENTS), "dev", "lo")
        responders: dict[str, Responder] = {}
        for index, kind in enumerate(kinds):
            address = f"198.51.{index}.1"
            if kind == "ours":
                responders[kind] = OurDaemon(lab[kind], address, ikev1d, certificates, workers)
            elif kind == "pluto":
                responders[kind] = Pluto(lab[kind], address)
            else:
                responders[kind] = Charon(
                    lab[kind], address, tuned=kind == "tuned", certificates=certificates
                )
        yield Bench(lab, responders, certificates)
