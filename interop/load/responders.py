"""The daemons that are tried, all of them told the same as far as they can be told."""

import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from interop.certificates import SERVER_AUTH, Authority, Identity, pem
from interop.gateway import CONFIGURATION, CONTROL, configuration
from interop.load.clients import user_name
from interop.netns import Host
from interop.peers.libreswan import Libreswan
from interop.peers.strongswan import CONNECTIONS, DAEMON, VICI, Connection, write_certificate
from interop.process import Process
from interop.settings import USERS, GatewaySettings
from interop.wait import until

START_LIMIT = 60.0
SERVER_NAME = "vpn.example.org"
"""That of its certificate."""
SUITES = ("aes256-sha256-modp2048", "3des-sha1-modp1024")
"""What is measured."""
PHASE_1 = (*SUITES, "aes256-sha1-modp2048", "aes256-sha1-modp1024", "aes128-sha1-modp1024")
"""What a responder has to be told to accept, so that every client of the mix gets in."""
DPD_DELAY = 60
"""Seconds; what ikev1d has by itself."""
DPD_TIMEOUT = 180
LOCAL = IPv4Address("10.192.0.1")
"""The gateway's inner address; whole clients get those after it."""

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
        return cls(
            root.issue("gateway", kind=kind, number=1, names=[SERVER_NAME], usages=[SERVER_AUTH]),
            root.issue("client", kind=kind, number=2),
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What all responders of a bench are told.

    `users` is how many whole clients can log in, with `password`. `preload` is a library that
    daemons other than ours are started with.
    """

    certificates: Certificates | None = None
    users: int = 0
    password: str = field(default=USERS["alice"], repr=False)
    preload: Path | None = None
    workers: int = 1
    """Processes of ours."""

    def settings(self, address: str) -> GatewaySettings:
        """The lab's settings for a gateway at this address."""
        if not self.users:
            return GatewaySettings(address=address)
        return GatewaySettings(
            address=address,
            users={user_name(number): self.password for number in range(self.users)},
            local=str(LOCAL),
            pool=(str(LOCAL + 1), str(LOCAL + self.users)),
        )

    def connection(self, address: str, ike_proposals: str) -> Connection:
        """The connection of a daemon that is not ours."""
        return Connection(
            local_address=address,
            remote_address="%any",
            psk=GatewaySettings().psk,
            ike_proposals=ike_proposals,
            esp_proposals="aes256-sha1,aes128-sha1,3des-sha1",
            remote_ts="dynamic[udp]",
            dpd_delay=f"{DPD_DELAY}s",
            dpd_timeout=f"{DPD_TIMEOUT}s",
            certificate=None if self.certificates is None else self.certificates.responder,
        )

    def environment(self) -> dict[str, str]:
        """Of a daemon that is not ours."""
        return {} if self.preload is None else {"LD_PRELOAD": str(self.preload)}


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
        terms: Terms,
    ) -> None:
        super().__init__("ikev1d", host, address)
        extra = {
            "ike": "half_open_per_address = 2000",
            "gateway": f"workers = {terms.workers}",
        }
        if terms.certificates is not None:
            own = terms.certificates.responder
            extra["[certificate]"] = _CERTIFICATE
            host.write("/run/gateway.pem", own.certificate_pem())
            host.write("/run/gateway.key", own.key_pem(), 0o600)
            host.write("/run/ca.pem", pem(own.issuers[-1]))
        host.write(CONFIGURATION, configuration(terms.settings(address), extra), 0o600)
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

    def __init__(self, host: Host, address: str, terms: Terms, *, tuned: bool) -> None:
        super().__init__("charon, tuned" if tuned else "charon, as installed", host, address)
        self._terms = terms
        host.write(_CHARON_CONF, _CHARON.format(settings=_TUNED if tuned else _AS_INSTALLED))
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and load its connection."""
        host = self.host
        host.path(VICI).unlink(missing_ok=True)
        environment = {"STRONGSWAN_CONF": _CHARON_CONF, **self._terms.environment()}
        self.process = host.start("charon", DAEMON, environment=environment)
        until(lambda: host.path(VICI).is_socket(), "charon's control socket", START_LIMIT)
        connection = self._terms.connection(self.address, ",".join(PHASE_1))
        host.write(CONNECTIONS, connection.text(), 0o600)
        if connection.certificate is not None:
            write_certificate(host, connection.certificate)
        self._swanctl("--load-all", "--noprompt", "--file", CONNECTIONS)

    def _swanctl(self, *arguments: str) -> str:
        return self.host.run("env", f"STRONGSWAN_CONF={_CHARON_CONF}", "swanctl", *arguments)

    def sessions(self) -> int:
        """IKE SAs of swanctl: a list of thousands would cost it more than its clients."""
        found = re.search(r"IKE_SAs: (\d+) total, (\d+) half-open", self._swanctl("--stats"))
        return int(found[1]) - int(found[2]) if found else 0


class Pluto(Responder):
    """libreswan's pluto, as installed. It has no group 2 any more."""

    def __init__(self, host: Host, address: str, terms: Terms) -> None:
        super().__init__("pluto", host, address)
        self._terms = terms
        self.start()

    def start(self) -> None:
        """Start it, or start it again, and load its connection."""
        self._pluto = Libreswan(self.host, helpers=None, environment=self._terms.environment())
        self.process = self._pluto.process
        suites = [suite.replace("sha256", "sha2_256") for suite in PHASE_1 if "1024" not in suite]
        self._pluto.load(self._terms.connection(self.address, ",".join(suites)))

    def sessions(self) -> int:
        """Main Modes of whack that are done."""
        found = re.search(r"enumerate\.STATE_MAIN_R3=(\d+)", self._pluto.counters())
        return int(found[1]) if found else 0


KINDS = ("ours", "tuned", "installed")
"""Those that are measured beside each other: `OTHER_KINDS` has the rest."""
OTHER_KINDS = ("pluto",)
IKEV1D = (sys.executable, "-m", "cli.ikev1d")
