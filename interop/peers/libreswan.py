"""libreswan's pluto with IKEv1 as initiator, run from where it was unpacked."""

import re
import shutil
from collections.abc import Iterator, Mapping

from interop.certificates import PKCS12_PASSWORD, Identity
from interop.errors import LabError
from interop.kernel import REPOSITORY
from interop.netns import Host
from interop.peers.strongswan import INITIATE_LIMIT, Connection
from interop.process import Process
from interop.wait import until

UNPACKED = REPOSITORY / "build/libreswan/usr/libexec"
"""Put there by unpack-libreswan.sh: the package conflicts with strongSwan's."""
PROGRAMS = "/usr/libexec/ipsec"
"""Where pluto insists on finding the others."""
DIRECTORY = "/run/pluto"
CONTROL = f"{DIRECTORY}/pluto.ctl"
CONFIGURATION = f"{DIRECTORY}/ipsec.conf"
SECRETS = f"{DIRECTORY}/ipsec.secrets"
NSS = f"{DIRECTORY}/nss"
START_LIMIT = 30.0
"""Seconds until pluto listens."""
REKEY_LIMIT = 30.0
NICKNAME = "client"
NEVER = "0s"
"""When a client renews that does not."""
BUNDLE = f"{DIRECTORY}/client.p12"

_SETUP = """
config setup
    protostack=xfrm
    ikev1-policy=accept
"""

# The updown script would set routes, and a transport mode needs none.
_CONN = """
conn {name}
    ikev2=no
    type=transport
    {authentication}
    {liveness}
    left={local_address}
    leftprotoport={local_protoport}
    leftupdown=%disabled
    right={remote_address}
    rightprotoport={remote_protoport}
    ike={ike_proposals}
    esp={esp_proposals}
    pfs=no
    encapsulation={encapsulation}
    fragmentation={fragmentation}
    salifetime={esp_end}
    ikelifetime={ike_end}
    rekey={rekey}
    rekeymargin=60s
    rekeyfuzz=0%
    retransmit-interval={retransmit_milliseconds}
    auto=ignore
"""


_DPD_ACTIONS = {"none": "clear", "trap": "hold", "start": "restart"}


class UnknownSyntaxError(LabError):
    """A value of swanctl that has no translation here."""


def _protoport(selector: str) -> str:
    """Translate "dynamic[udp/1701]" to "17/1701", and any port to "17/%any"."""
    match = re.fullmatch(r"dynamic\[udp(?:/(\d+|0-65535))?\]", selector)
    if match is None:
        raise UnknownSyntaxError(selector)
    port = match[1]
    return f"17/{port}" if port and port.isdigit() else "17/%any"


def _conn(connection: Connection, retransmit_timeout: float) -> str:
    """Translate a connection to a conn section."""
    return _CONN.format(
        name=connection.name,
        local_address=connection.local_address.replace("%any", "%defaultroute"),
        local_protoport=_protoport(connection.local_ts),
        remote_address=connection.remote_address,
        remote_protoport=_protoport(connection.remote_ts),
        ike_proposals=connection.ike_proposals,
        esp_proposals=connection.esp_proposals,
        encapsulation="yes" if connection.encap else "auto",
        fragmentation=connection.fragmentation,
        # It renews both kinds of SA, or neither.
        rekey="no" if connection.ike_lifetime == NEVER else "yes",
        ike_end=connection.ike_over or connection.ike_lifetime,
        esp_end=connection.esp_end or connection.esp_lifetime,
        retransmit_milliseconds=round(1000 * retransmit_timeout),
        authentication="\n    ".join(_authentication(connection)),
        liveness="\n    ".join(_liveness(connection)),
    )


def _liveness(connection: Connection) -> Iterator[str]:
    if connection.dpd_delay != "0s":
        yield f"dpddelay={connection.dpd_delay}"
        yield f"dpdtimeout={connection.dpd_timeout}"
        yield f"dpdaction={_DPD_ACTIONS[connection.on_loss]}"


def _authentication(connection: Connection) -> Iterator[str]:
    yield "authby=rsasig" if connection.certificate else "authby=secret"
    if connection.certificate:
        yield f"leftcert={NICKNAME}"
        yield "leftrsasigkey=%cert"
        yield "rightrsasigkey=%cert"
        yield "rightca=%any"
        yield "sendca=all"
        yield f"rightid={connection.remote_id or '%fromcert'}"
    if connection.local_id or connection.certificate:
        yield f"leftid={connection.local_id or '%fromcert'}"


class Libreswan:
    """pluto on ``host``. ``retransmit_timeout`` is its first wait for an answer, in seconds.

    Like every libreswan client without rightid, it wants the gateway to show the address it dialled
    as its identity. ``helpers`` are threads for its cryptography, None for as many as it likes.
    Raises `LabError` if it has not been unpacked.
    """

    def __init__(
        self,
        host: Host,
        *,
        retransmit_timeout: float = 2.0,
        helpers: int | None = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        missing = [
            name
            for name, there in (
                (f"{UNPACKED}/ipsec/pluto", (UNPACKED / "ipsec/pluto").exists()),
                ("certutil (libnss3-tools)", shutil.which("certutil")),
            )
            if not there
        ]
        if missing:
            raise LabError(f"missing: {', '.join(missing)}; run make packages")
        self.host = host
        self._retransmit_timeout = retransmit_timeout
        if not host.path(NSS).exists():
            layers = f"lowerdir={UNPACKED}:/usr/libexec"
            host.run("mount", "-t", "overlay", "-o", layers, "overlay", "/usr/libexec")
            host.path(NSS).mkdir(parents=True)
            host.run("certutil", "-N", "-d", f"sql:{NSS}", "--empty-password")
        host.write(CONFIGURATION, _SETUP)
        host.write(SECRETS, "", 0o600)
        host.path(CONTROL).unlink(missing_ok=True)
        self.process: Process = host.start(
            "pluto",
            *(f"{PROGRAMS}/pluto", "--nofork", "--stderrlog", "--use-xfrm", "--no-dnssec"),
            *(() if helpers is None else ("--nhelpers", f"{helpers}")),
            *("--rundir", DIRECTORY, "--ipsecdir", DIRECTORY),
            *("--config", CONFIGURATION, "--nssdir", NSS, "--secretsfile", SECRETS),
            environment=environment,
        )

    def _whack(self, *arguments: str, limit: float = INITIATE_LIMIT) -> str:
        return self.host.run(f"{PROGRAMS}/whack", "--rundir", DIRECTORY, *arguments, limit=limit)

    def wait_until_ready(self) -> None:
        """Wait for its control socket. Raises `StillWaitingError`, `ProgramEndedError`."""
        self.process.wait_for_text("listening for IKE messages", START_LIMIT)
        until(self.host.path(CONTROL).is_socket, "pluto's control socket", START_LIMIT)

    def load(self, connection: Connection) -> None:
        """Load the connection and its secret, in place of what was loaded before."""
        self.wait_until_ready()
        self.host.write(CONFIGURATION, _SETUP + _conn(connection, self._retransmit_timeout))
        if connection.certificate is not None:
            self._import(connection.certificate)
        self.host.write(SECRETS, f'%any %any : PSK "{connection.psk}"\n', 0o600)
        self._whack("--rereadsecrets")
        command = (f"{PROGRAMS}/addconn", "--config", CONFIGURATION, "--ctlsocket", CONTROL)
        self.host.run(*command, connection.name)

    def _import(self, identity: Identity) -> None:
        """Put key and certificates into the NSS database; the root is the one that is trusted."""
        self.host.write(BUNDLE, identity.bundle(NICKNAME), 0o600)
        database = f"sql:{NSS}"
        self.host.run("pk12util", "-i", BUNDLE, "-d", database, "-W", PKCS12_PASSWORD, "-K", "")
        root = f"authority-{len(identity.issuers) - 1}"
        self.host.run("certutil", "-M", "-d", database, "-n", root, "-t", "CT,,")

    def initiate(self, name: str = "l2tp", limit: int = INITIATE_LIMIT) -> str:
        """Bring up both phases within ``limit`` seconds; pluto's account of it.

        Raises `CommandError` if it fails.
        """
        command = ("timeout", str(limit), f"{PROGRAMS}/whack", "--rundir", DIRECTORY)
        return self.host.run(*command, "--initiate", "--name", name, limit=2 * limit)

    def terminate(self, name: str = "l2tp") -> str:
        """Delete the IKE SA and the IPsec SAs, and tell the peer."""
        return self._whack("--terminate", "--name", name)

    def rekey_child(self, name: str = "l2tp") -> str:
        """Replace the IPsec SA by a new Quick Mode; the old one stays for its rekeymargin."""
        return self._replace(name, "QUICK")

    def rekey_ike(self, name: str = "l2tp") -> str:
        """Replace the IKE SA by a new Main Mode; the old one stays for its rekeymargin."""
        return self._replace(name, "MAIN")

    def _replace(self, name: str, exchange: str) -> str:
        """Let pluto believe that it is time to replace an SA; IKEv1 has no command for it.

        Raises `StillWaitingError`.
        """
        before = self._newest(name, exchange)
        self._whack("--asynchronous", "--impair", f"event-sa-replace:{before}")

        def replaced() -> bool:
            return self._newest(name, exchange) != before

        until(replaced, f"pluto to replace #{before}", REKEY_LIMIT)
        return self.sas()

    def _newest(self, name: str, exchange: str) -> str:
        """The number of the SA in use, of "MAIN" or "QUICK" Mode; empty without one."""
        pattern = rf'#(\d+): "{re.escape(name)}".* STATE_{exchange}_\w+ \(.* newest;'
        match = re.search(pattern, self.sas())
        return match[1] if match else ""

    def sas(self) -> str:
        """List the SAs as whack prints them; empty if there are none."""
        return self._whack("--showstates")

    def counters(self) -> str:
        """What it counts, as whack prints it."""
        return self._whack("--globalstatus")
