"""The two responders on one machine each, and the machine that their clients dial in from."""

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from interop.errors import LabError
from interop.gateway import Ikev1d, configuration
from interop.lab import Lab
from interop.netns import Host
from interop.peers.strongswan import CONNECTIONS, DAEMON, VICI, Connection
from interop.process import Process
from interop.settings import GatewaySettings
from interop.topology import Interface, Link, Machine, Topology
from interop.wait import until
from tests.bench.load import CLIENTS, Load

START_LIMIT = 60.0
LOAD_LIMIT = 600.0

OURS, CHARON = "198.51.100.1", "203.0.113.1"
TOPOLOGY = Topology(
    "bench",
    (
        Machine("ours", (Interface("wan0", f"{OURS}/24"),), "198.51.100.2"),
        Machine("charon", (Interface("wan0", f"{CHARON}/24"),), "203.0.113.2"),
        Machine(
            "clients",
            (Interface("ours0", "198.51.100.2/24"), Interface("charon0", "203.0.113.2/24")),
        ),
    ),
    (
        Link(("clients", "ours0"), ("ours", "wan0")),
        Link(("clients", "charon0"), ("charon", "wan0")),
    ),
)

# What costs charon time and a gateway of many clients would not leave as it is: the full-length
# exponents, the table of IKE SAs with one row, and the limit of half-open SAs, which has the clients
# of one NAT wait. OpenSSL computes all it can, being the fastest of the plugins.
_CHARON_CONF = """
charon {{
    {plugins}
    install_routes = no
    dos_protection = no
    {tuning}
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
_PLUGINS = (
    "load = random nonce gmp openssl hmac kdf md5 sha1 sha2 aes des kernel-netlink socket-default"
    " vici updown"
)
_TUNING = """dh_exponent_ansi_x9_42 = no
    ikesa_table_size = 4096
    ikesa_table_segments = 16"""


class Responder(ABC):
    """A running daemon."""

    name: str
    address: str
    process: Process

    @abstractmethod
    def sessions(self) -> int:
        """How many IKE SAs it has."""


class Ours(Responder):
    """ikev1d, or its IKE part alone where the kernel has no ESP."""

    name = "ikev1d"
    address = OURS

    def __init__(self, host: Host, settings: GatewaySettings, *, ike_only: bool) -> None:
        extra = {"ike": "half_open_per_address = 2000"}
        if ike_only:
            host.write("/run/ikev1d.toml", configuration(settings, extra), 0o600)
            module = ("-m", "tests.bench.no_esp", "-", "--config", "/run/ikev1d.toml")
            self.process = host.start("ikev1d", sys.executable, *module)
            until(lambda: _listens(host), "our IKE sockets", START_LIMIT)
            return
        daemon = Ikev1d(host, settings, extra)
        daemon.start()
        self.process = daemon.process
        self._daemon = daemon

    def sessions(self) -> int:
        return len(self._daemon.clients())


class Charon(Responder):
    """charon, as fast as its configuration makes it, or as Debian configures it."""

    address = CHARON

    def __init__(self, host: Host, settings: GatewaySettings, *, defaults: bool) -> None:
        self.name = "charon (defaults)" if defaults else "charon"
        text = _CHARON_CONF.format(
            plugins="load_modular = yes\n    plugins {\n include strongswan.d/charon/*.conf\n }"
            if defaults
            else _PLUGINS,
            tuning="" if defaults else _TUNING,
        )
        self._host = host
        host.write("/run/strongswan.conf", text)
        self.process = host.start(
            "charon", DAEMON, environment={"STRONGSWAN_CONF": "/run/strongswan.conf"}
        )
        until(lambda: host.path(VICI).is_socket(), "charon's control socket", START_LIMIT)
        connection = Connection(
            local_address=self.address,
            remote_address="%any",
            psk=settings.psk,
            ike_proposals="aes256-sha256-modp2048,3des-sha1-modp1024",
            esp_proposals="aes256-sha1,3des-sha1",
            remote_ts="dynamic[udp]",
        )
        host.write(CONNECTIONS, connection.text(), 0o600)
        self._swanctl("--load-all", "--noprompt", "--file", CONNECTIONS)

    def _swanctl(self, *arguments: str) -> str:
        return self._host.run("env", "STRONGSWAN_CONF=/run/strongswan.conf", "swanctl", *arguments)

    def sessions(self) -> int:
        return sum("ESTABLISHED" in line for line in self._swanctl("--list-sas").splitlines())


class Bench:
    """Both daemons, waiting for clients."""

    def __init__(self, lab: Lab, responders: tuple[Responder, Responder], psk: str) -> None:
        self._clients = lab["clients"]
        self._psk = psk
        self._number = 0
        self.ours, self.charon = responders

    def dial_in(
        self,
        responder: Responder,
        count: int,
        *,
        suite: str,
        quick_modes: int = 0,
        concurrency: int = 1,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Have new clients dial in; the initiator's report. Raises LabError if one did not get in."""
        load = Load(
            responder.address, self._psk, suite, self._number, count, quick_modes, concurrency, keep
        )
        self._number += count
        command = (sys.executable, "-m", "tests.bench.load", load.as_json())
        report: dict[str, Any] = json.loads(self._clients.run(*command, limit=LOAD_LIMIT))
        if report["failures"]:
            raise LabError(f"{responder.name}: {report['failures']} {report['examples']}")
        return report


@contextmanager
def bench(directory: Path, *, ike_only: bool, defaults: bool = False) -> Iterator[Bench]:
    """Start both. `ike_only` is for kernels without ESP, `defaults` as for `Charon`."""
    with Lab(TOPOLOGY, directory) as lab:
        lab["clients"].run("ip", "route", "add", "local", str(CLIENTS), "dev", "lo")
        ours = Ours(lab["ours"], GatewaySettings(address=OURS), ike_only=ike_only)
        charon = Charon(lab["charon"], GatewaySettings(address=CHARON), defaults=defaults)
        yield Bench(lab, (ours, charon), GatewaySettings().psk)


def _listens(host: Host) -> bool:
    return ":4500 " in host.run("ss", "-lun")
