"""The responders that are measured, each on a machine of its own, and the one for their clients."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from interop.errors import LabError
from interop.facilities import missing_on_host
from interop.gateway import CONFIGURATION, CONTROL, configuration
from interop.kernel import REPOSITORY
from interop.lab import Lab
from interop.netns import Host
from interop.peers.strongswan import CONNECTIONS, DAEMON, VICI, Connection
from interop.process import Process
from interop.settings import GatewaySettings
from interop.topology import Interface, Link, Machine, Topology
from interop.wait import until
from tests.bench.load import CLIENTS, Load

START_LIMIT = 60.0
LOAD_LIMIT = 900.0
SUITES = ("aes256-sha256-modp2048", "3des-sha1-modp1024")
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
    load = random openssl
}}
"""
_TUNED = """
    load = random nonce gmp openssl hmac kdf sha1 sha2 md5 kernel-netlink socket-default vici
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


class Responder(ABC):
    """A running daemon."""

    def __init__(self, name: str, host: Host, address: str) -> None:
        self.name = name
        self.host = host
        self.address = address

    process: Process

    @abstractmethod
    def sessions(self) -> int:
        """How many IKE SAs it has."""


class OurDaemon(Responder):
    """ikev1d with the `instruments` that `tests.bench.daemon` has."""

    def __init__(self, host: Host, address: str, instruments: Sequence[str] = ()) -> None:
        super().__init__("ikev1d", host, address)
        settings = GatewaySettings(address=address)
        extra = {"ike": "half_open_per_address = 2000"}
        host.write(CONFIGURATION, configuration(settings, extra), 0o600)
        if missing_on_host():
            instruments = ["--pretend-esp", *instruments]
        arguments = (*instruments, "--", "--config", CONFIGURATION)
        self.process = host.start("ikev1d", *python("tests.bench.daemon", *arguments))
        until(lambda: " ready " in self.process.text(), "ikev1d to be ready", START_LIMIT)

    def sessions(self) -> int:
        answer = self.host.run(*python("cli.ikectl", "--socket", CONTROL, "status", "--json"))
        return int(json.loads(answer)["gateway"]["established"])


class Charon(Responder):
    """strongSwan's charon; `tuned` as fast as it gets by configuration."""

    def __init__(self, host: Host, address: str, *, tuned: bool) -> None:
        super().__init__("charon, tuned" if tuned else "charon, as installed", host, address)
        host.write(_CHARON_CONF, _CHARON.format(settings=_TUNED if tuned else _AS_INSTALLED))
        environment = {"STRONGSWAN_CONF": _CHARON_CONF}
        self.process = host.start("charon", DAEMON, environment=environment)
        until(lambda: host.path(VICI).is_socket(), "charon's control socket", START_LIMIT)
        connection = Connection(
            local_address=address,
            remote_address="%any",
            psk=GatewaySettings().psk,
            ike_proposals=",".join(SUITES),
            esp_proposals="aes256-sha1,3des-sha1",
            remote_ts="dynamic[udp]",
        )
        host.write(CONNECTIONS, connection.text(), 0o600)
        self._swanctl("--load-all", "--noprompt", "--file", CONNECTIONS)

    def _swanctl(self, *arguments: str) -> str:
        return self.host.run("env", f"STRONGSWAN_CONF={_CHARON_CONF}", "swanctl", *arguments)

    def sessions(self) -> int:
        return sum("ESTABLISHED" in line for line in self._swanctl("--list-sas").splitlines())


KINDS = ("ours", "tuned", "installed")


class Bench:
    """Responders that wait for clients."""

    def __init__(self, lab: Lab, responders: Mapping[str, Responder]) -> None:
        self.responders = MappingProxyType(dict(responders))
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
        load = Load(
            target=responder.address,
            psk=GatewaySettings().psk,
            suite=suite,
            first=self._number,
            count=count,
            quick_modes=quick_modes,
            concurrency=concurrency,
            keep=keep,
        )
        self._number += count
        command = python("tests.bench.load", load.as_json())
        report: dict[str, Any] = json.loads(self._clients.run(*command, limit=LOAD_LIMIT))
        if report["failures"]:
            raise LabError(f"{responder.name}: {report['failures']} {report['examples']}")
        return report


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module, also one of the tests, which are not installed."""
    return ("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-m", module, *arguments)


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
    directory: Path, *, kinds: Sequence[str] = KINDS, instruments: Sequence[str] = ()
) -> Iterator[Bench]:
    """Start responders of these kinds, ours with `instruments` of `tests.bench.daemon`."""
    with Lab(_topology(kinds), directory) as lab:
        lab["clients"].run("ip", "route", "add", "local", str(CLIENTS), "dev", "lo")
        responders: dict[str, Responder] = {}
        for index, kind in enumerate(kinds):
            address = f"198.51.{index}.1"
            if kind == "ours":
                responders[kind] = OurDaemon(lab[kind], address, instruments)
            else:
                responders[kind] = Charon(lab[kind], address, tuned=kind == "tuned")
        yield Bench(lab, responders)
