"""strongSwan's charon with IKEv1, configured over swanctl, as initiator or as responder."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from interop.certificates import Identity, pem
from interop.netns import Host
from interop.process import Process
from interop.wait import until

DAEMON = "/usr/lib/ipsec/charon"
CONFIGURATION = "/run/strongswan.conf"
BARE_CONFIGURATION = "/run/strongswan-bare.conf"
"""For swanctl where it reads no key: to load what it needs for that takes half of its time."""
SWANCTL = "/run/swanctl"
"""Where swanctl looks for certificates and keys: beside its file."""
CONNECTIONS = f"{SWANCTL}/swanctl.conf"
VICI = "/run/charon.vici"
OWN_CERTIFICATE = "client.pem"
START_LIMIT = 30.0
"""Seconds until charon listens for swanctl."""
INITIATE_LIMIT = 30
"""Seconds both phases may take together."""

# Without these lists each program also probes the kernel for every algorithm it may know, which
# makes the embedded kernel load a few dozen modules, one by one.
_STRONGSWAN_CONF = """
charon {{
    load = random nonce openssl gmp hmac kdf md5 sha1 sha2 aes pem pkcs1 pkcs8 x509 pubkey \
        constraints kernel-netlink socket-default vici
    install_routes = no
    retransmit_timeout = {retransmit_timeout}
    retransmit_base = 1.2
    retransmit_tries = {retransmit_tries}
    fragment_size = {fragment_size}
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
            default = {log_level}
            time_format = %T
            time_add_ms = yes
            flush_line = yes
        }}
    }}
}}
swanctl {{
    load = random openssl pem pkcs1 pkcs8 x509
}}
"""

_BARE_CONF = """
swanctl {
    load = random
}
"""

_SWANCTL_CONF = """
connections {{
    {name} {{
        version = 1
        local_addrs = {local_address}
        remote_addrs = {remote_address}
        proposals = {ike_proposals}
        rekey_time = {ike_lifetime}
        {ike_end}
        dpd_delay = {dpd_delay}
        dpd_timeout = {dpd_timeout}
        unique = {unique}
        encap = {encap}
        fragmentation = {fragmentation}
        local {{
            {local}
        }}
        remote {{
            {remote}
        }}
        children {{
            {name} {{
                mode = transport
                local_ts = {local_ts}
                remote_ts = {remote_ts}
                esp_proposals = {esp_proposals}
                rekey_time = {esp_lifetime}
                {esp_end}
                dpd_action = {on_loss}
                close_action = {on_loss}
            }}
        }}
    }}
}}
{secrets}
"""

_PRESHARED_KEY = """
secrets {{
    ike-{name} {{
        secret = "{psk}"
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Connection:
    """One swanctl connection for L2TP: transport mode. Values are in swanctl's own syntax.

    With a ``certificate`` it is used in place of the ``psk``, and the gateway's has to come from
    the root of its chain.

    The defaults are what NetworkManager-l2tp on a current Linux would agree with most gateways.
    Lifetimes are swanctl times ("4h"), which are when this side renews, "0s" for never. `ike_over`
    is how much later an SA ends, and `esp_end` when; with them it renews at its very time.
    """

    local_address: str
    remote_address: str
    psk: str
    name: str = "l2tp"
    local_id: str | None = None
    ike_proposals: str = "aes256-sha256-modp2048"
    esp_proposals: str = "aes256-sha1"
    local_ts: str = "dynamic[udp/1701]"
    remote_ts: str = "dynamic[udp/1701]"
    ike_lifetime: str = "4h"
    esp_lifetime: str = "1h"
    ike_over: str = ""
    esp_end: str = ""
    dpd_delay: str = "0s"
    dpd_timeout: str = "150s"
    on_loss: str = "none"
    """What to do when the peer is dead or has deleted the SA: "none", "trap" or "start"."""
    unique: str = "no"
    encap: bool = False
    """Whether to insist on ESP in UDP by feigning a NAT."""
    fragmentation: str = "yes"
    """Of IKE messages: "no", "yes" to a peer that announces it, or "force"."""
    certificate: Identity | None = None
    remote_id: str | None = None
    """What the gateway has to show itself as; None for any. With INITIAL-CONTACT, charon has to
    know whom it says it to."""

    def __repr__(self) -> str:
        return f"Connection({self.name}, {self.local_address} - {self.remote_address})"

    def text(self) -> str:
        """Return the swanctl.conf that describes it, secret included."""
        return _SWANCTL_CONF.format(
            name=self.name,
            local_address=self.local_address,
            remote_address=self.remote_address,
            local="\n            ".join(self._local()),
            remote="\n            ".join(self._remote()),
            secrets="" if self.certificate else _PRESHARED_KEY.format(name=self.name, psk=self.psk),
            ike_proposals=self.ike_proposals,
            esp_proposals=self.esp_proposals,
            local_ts=self.local_ts,
            remote_ts=self.remote_ts,
            ike_lifetime=self.ike_lifetime,
            esp_lifetime=self.esp_lifetime,
            ike_end=f"over_time = {self.ike_over}\nrand_time = 0s" if self.ike_over else "",
            esp_end=f"life_time = {self.esp_end}\nrand_time = 0s" if self.esp_end else "",
            dpd_delay=self.dpd_delay,
            dpd_timeout=self.dpd_timeout,
            on_loss=self.on_loss,
            unique=self.unique,
            encap="yes" if self.encap else "no",
            fragmentation=self.fragmentation,
        )

    def _local(self) -> Iterator[str]:
        yield "auth = pubkey" if self.certificate else "auth = psk"
        if self.certificate:
            yield f"certs = {OWN_CERTIFICATE}"
        if self.local_id:
            yield f"id = {self.local_id}"

    def _remote(self) -> Iterator[str]:
        yield "auth = pubkey" if self.certificate else "auth = psk"
        if self.remote_id:
            yield f"id = {self.remote_id}"


def write_certificate(host: Host, identity: Identity) -> None:
    """Put a certificate where swanctl looks for it; its authorities are those that are trusted."""
    shutil.rmtree(host.path(f"{SWANCTL}/x509ca"), ignore_errors=True)
    host.write(f"{SWANCTL}/x509/{OWN_CERTIFICATE}", identity.certificate_pem())
    host.write(f"{SWANCTL}/private/{OWN_CERTIFICATE}", identity.key_pem(), 0o600)
    for number, issuer in enumerate(identity.issuers):
        host.write(f"{SWANCTL}/x509ca/{number}.pem", pem(issuer))


class StrongSwan:
    """charon on ``host``. ``retransmit_timeout`` is its first wait for an answer, in seconds.

    ``fragment_size`` is that of an IP packet with a fragment of an IKE message in it.
    """

    def __init__(
        self,
        host: Host,
        *,
        retransmit_timeout: float = 2.0,
        retransmit_tries: int = 5,
        fragment_size: int = 1280,
        log_level: int = 1,
    ) -> None:
        self.host = host
        host.write(
            CONFIGURATION,
            _STRONGSWAN_CONF.format(
                retransmit_timeout=retransmit_timeout,
                retransmit_tries=retransmit_tries,
                fragment_size=fragment_size,
                log_level=log_level,
            ),
        )
        host.write(BARE_CONFIGURATION, _BARE_CONF)
        # One that was killed leaves it, and it would pass for this one's.
        host.path(VICI).unlink(missing_ok=True)
        self.process: Process = host.start(
            "charon", DAEMON, environment={"STRONGSWAN_CONF": CONFIGURATION}
        )

    def _swanctl(
        self,
        *arguments: str,
        configuration: str = BARE_CONFIGURATION,
        limit: float = INITIATE_LIMIT,
    ) -> str:
        environment = {"STRONGSWAN_CONF": configuration}
        return self.host.run("swanctl", *arguments, environment=environment, limit=limit)

    def wait_until_ready(self) -> None:
        """Wait for its control socket. Raises `StillWaitingError`, `ProgramEndedError`."""

        def listening() -> bool:
            self.process.require_running()
            return self.host.path(VICI).is_socket()

        until(listening, "charon's control socket", START_LIMIT)

    def load(self, connection: Connection) -> None:
        """Load the connection and its secret, in place of what was loaded before."""
        self.wait_until_ready()
        self.host.write(CONNECTIONS, connection.text(), 0o600)
        if connection.certificate is not None:
            write_certificate(self.host, connection.certificate)
        command = ("--load-all", "--clear", "--noprompt", "--file", CONNECTIONS)
        self._swanctl(*command, configuration=CONFIGURATION)

    def initiate(self, name: str = "l2tp", limit: int = INITIATE_LIMIT) -> str:
        """Bring up both phases within ``limit`` seconds; charon's account of it.

        Raises `CommandError` if it fails.
        """
        return self._swanctl(
            "--initiate",
            "--child",
            name,
            "--timeout",
            str(limit),
            limit=2 * limit,
        )

    def terminate(self, name: str = "l2tp") -> str:
        """Delete the IKE SA and with it the IPsec SAs, and tell the peer."""
        return self._swanctl("--terminate", "--ike", name)

    def rekey_child(self, name: str = "l2tp") -> str:
        """Replace the IPsec SA by a new Quick Mode. Raises `CommandError`, `StillWaitingError`."""
        return self._rekey("--child", "INSTALLED")

    def rekey_ike(self, name: str = "l2tp") -> str:
        """Replace the IKE SA by a new Main Mode. Raises `CommandError`, `StillWaitingError`."""
        return self._rekey("--ike", "ESTABLISHED")

    def _rekey(self, kind: str, state: str) -> str:
        """Start the exchange for the newest SA, and wait for a newer one in this state."""
        pattern = re.compile(rf"#(\d+),(?: reqid \d+,)? {state}\b")
        before = set(pattern.findall(self.sas()))
        # By number: by name charon renews all of them, those that a newer one has replaced as well.
        self._swanctl("--rekey", f"{kind}-id", max(before, key=int))

        def replaced() -> set[str]:
            return set(pattern.findall(self.sas())) - before

        until(replaced, f"another SA that is {state}", INITIATE_LIMIT)
        return self.sas()

    def sas(self) -> str:
        """List the IKE SAs and their children as swanctl prints them; empty if there are none."""
        return self._swanctl("--list-sas")
