"""strongSwan by ipsec.conf and its starter, as most instructions on the web have it."""

import re
from collections.abc import Iterator
from signal import SIGUSR1

from interop.certificates import Identity, pem
from interop.netns import Host
from interop.peers.strongswan import INITIATE_LIMIT, START_LIMIT, Connection
from interop.process import Process
from interop.wait import until

STARTER = "/usr/lib/ipsec/starter"
STROKE = "/usr/lib/ipsec/stroke"
DIRECTORY = "/run/starter"
STRONGSWAN_CONF = f"{DIRECTORY}/strongswan.conf"
CONFIGURATION = f"{DIRECTORY}/ipsec.conf"
SECRETS = f"{DIRECTORY}/ipsec.secrets"
CONTROL = "/run/charon.ctl"
LOOK = 0.3
"""Seconds between two questions to charon: each is a program."""

_STRONGSWAN_CONF = """
charon {{
    load = random nonce openssl gmp hmac kdf md5 sha1 sha2 aes pem pkcs1 pkcs8 x509 pubkey \
        constraints kernel-netlink socket-default stroke
    install_routes = no
    retransmit_timeout = 2.0
    retransmit_base = 1.2
    filelog {{
        lab {{
            path = {log}
            default = 1
            time_format = %T
            flush_line = yes
        }}
    }}
    plugins {{
        stroke {{
            secrets_file = {secrets}
        }}
    }}
}}
"""

# As the instructions have it, but for the proposals, which are those of the other Linux clients.
_CONN = """
config setup

{authority}
conn {name}
    keyexchange=ikev1
    type=transport
    auto=add
    left={local_address}
    leftprotoport={local_protoport}
    right={remote_address}
    rightprotoport={remote_protoport}
    ike={ike_proposals}!
    esp={esp_proposals}!
    ikelifetime={ike_lifetime}
    lifetime={esp_lifetime}
    {authentication}
"""


def strongswan_conf(host: Host, secrets: str) -> str:
    """What charon is told where stroke speaks to it: what it needs, and where it finds secrets.

    Left alone it asks the kernel for every algorithm it may know, and the embedded kernel loads
    them one by one: too slow for who waits for it.
    """
    return _STRONGSWAN_CONF.format(log=host.directory / "charon.log", secrets=secrets)


def _protoport(selector: str) -> str:
    """Translate swanctl's "dynamic[udp/1701]" to "udp/1701"."""
    return selector.removeprefix("dynamic[").removesuffix("]")


def _authentication(connection: Connection) -> Iterator[str]:
    if connection.certificate is None:
        yield "authby=secret"
    else:
        yield "authby=pubkey"
        yield f"leftcert={DIRECTORY}/client.pem"
    if connection.local_id:
        yield f"leftid={connection.local_id}"
    yield f"rightid={connection.remote_id or '%any'}"


class Starter:
    """starter and its charon on ``host``."""

    def __init__(self, host: Host) -> None:
        self.host = host
        host.write(STRONGSWAN_CONF, strongswan_conf(host, SECRETS))
        host.write(CONFIGURATION, "config setup\n")
        host.write(SECRETS, "", 0o600)
        # One that was killed leaves it, and it would pass for this one's.
        host.path(CONTROL).unlink(missing_ok=True)
        self.process: Process = host.start(
            "starter",
            *(STARTER, "--nofork", "--conf", CONFIGURATION),
            environment={"STRONGSWAN_CONF": STRONGSWAN_CONF},
        )

    def _stroke(self, *arguments: str, limit: float = INITIATE_LIMIT) -> str:
        return self.host.run(STROKE, *arguments, limit=limit)

    def load(self, connection: Connection) -> None:
        """Write the connection and its secret to where starter looks, and tell it."""
        until(self.host.path(CONTROL).is_socket, "charon's control socket", START_LIMIT)
        secret = f': PSK "{connection.psk}"\n'
        authority = ""
        if connection.certificate is not None:
            secret = f": RSA {DIRECTORY}/client.key\n"
            authority = f"ca root\n    cacert={DIRECTORY}/root.pem\n    auto=add\n"
            self._write_certificate(connection.certificate)
        self.host.write(SECRETS, secret, 0o600)
        self.host.write(
            CONFIGURATION,
            _CONN.format(
                name=connection.name,
                authority=authority,
                local_address=connection.local_address.replace("%any", "%defaultroute"),
                local_protoport=_protoport(connection.local_ts),
                remote_address=connection.remote_address,
                remote_protoport=_protoport(connection.remote_ts),
                ike_proposals=connection.ike_proposals,
                esp_proposals=connection.esp_proposals,
                ike_lifetime=connection.ike_lifetime,
                esp_lifetime=connection.esp_lifetime,
                authentication="\n    ".join(_authentication(connection)),
            ),
        )
        self._stroke("rereadsecrets")
        self.process.signal(SIGUSR1)
        until(lambda: connection.name in self.sas(), "starter to load the connection", START_LIMIT)

    def _write_certificate(self, identity: Identity) -> None:
        self.host.write(f"{DIRECTORY}/client.pem", identity.certificate_pem())
        self.host.write(f"{DIRECTORY}/client.key", identity.key_pem(), 0o600)
        self.host.write(f"{DIRECTORY}/root.pem", pem(identity.issuers[-1]))

    def initiate(self, name: str = "l2tp", limit: int = INITIATE_LIMIT) -> str:
        """Bring up both phases within ``limit`` seconds; charon's account of it.

        Raises `CommandError` if it fails.
        """
        return self.host.run("timeout", str(limit), STROKE, "up", name, limit=2 * limit)

    def terminate(self, name: str = "l2tp") -> str:
        """Delete the IKE SA and with it the IPsec SAs, and tell the peer."""
        return self._stroke("down", name)

    def rekey_child(self, name: str = "l2tp") -> str:
        """Replace the IPsec SA by a new Quick Mode. Raises `CommandError`, `StillWaitingError`."""
        return self._rekey(f"{name}{{}}", rf"{name}\{{(\d+)\}}:\s+INSTALLED")

    def rekey_ike(self, name: str = "l2tp") -> str:
        """Replace the IKE SA by a new Main Mode. Raises `CommandError`, `StillWaitingError`."""
        return self._rekey(name, rf"{name}\[(\d+)\]: ESTABLISHED")

    def _rekey(self, which: str, established: str) -> str:
        before = set(re.findall(established, self.sas()))
        self._stroke("rekey", which)
        until(
            lambda: set(re.findall(established, self.sas())) - before,
            f"another {which}",
            INITIATE_LIMIT,
            LOOK,
        )
        return self.sas()

    def sas(self) -> str:
        """List the connections and their SAs as stroke prints them."""
        return self._stroke("statusall")
