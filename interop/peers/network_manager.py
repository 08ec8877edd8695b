"""NetworkManager with its L2TP plugin, as a desktop runs it: nmcli asks, the rest is its own doing.

The plugin writes ipsec.conf, xl2tpd.conf and pppd's options, and starts xl2tpd with pppd; for IPsec
it starts strongSwan's starter, or asks a running libreswan. All of it keeps its files in /etc and
/var/lib, so the machine gets these two for itself.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from signal import SIGKILL, SIGTERM

from interop.certificates import Identity, pem
from interop.netns import CommandError, Host
from interop.peers.libreswan import NSS, SECRETS, UNPACKED, Libreswan
from interop.peers.starter import strongswan_conf
from interop.peers.xl2tpd import Link
from interop.process import Process
from interop.wait import StillWaitingError, until

VPN, WIRED = "vpn", "wired"
UUID = "2f1d9d3c-6a0e-4a57-9a55-0f6c1d3b7a10"
"""The plugin names strongSwan's connection after it."""
OWN = "/run/network-manager"
BUNDLE = f"{OWN}/certificates"
CERTIFICATE_FILES = ("machine-ca", "machine-cert", "machine-key")
"""Keys of the connection, and names of the files they name."""
START_LIMIT = 60.0
"""Seconds until the bus, and then NetworkManager, answers."""
CONNECT_LIMIT = 90
"""Seconds for nmcli; the plugin restarts strongSwan, and waits for it."""
TOO_SLOW = re.compile("The VPN service failed to start|Unknown reason")
"""What nmcli says where IPsec is not up within the 10 s that NetworkManager gives the plugin."""
DIAL_TRIES = 3
"""A busy embedded kernel can take longer, the first time; its user clicks again."""
REKEY_LIMIT = 30.0
LOOK = 0.3
"""Seconds between two questions to a program by a program."""
STOP_LIMIT = 10.0

# udev is not there to announce interfaces; with a read-only /sys NetworkManager does not wait for
# it, as in a container.
_MOUNTS = f"""
own={OWN}
for directory in etc var/lib
do
    mkdir -p $own/$directory/upper $own/$directory/work
    options=lowerdir=/$directory,upperdir=$own/$directory/upper,workdir=$own/$directory/work
    mount -t overlay -o $options overlay /$directory
done
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /etc/ppp/peers
"""
_UNMOUNT = f"umount /sys; umount -l /etc /var/lib; rm -rf {OWN} /run/NetworkManager"
# The plugin has libreswan restarted, for which that asks a systemd: what the plugin wants of it is
# that pluto reads the new secrets.
_SYSTEMCTL = f"{OWN}/systemctl"
_RESTART = """#!/bin/sh
exec /usr/libexec/ipsec/whack --rundir /run/pluto --rereadsecrets
"""
_MOUNT_LIBRESWAN = f"""
mount --bind {_SYSTEMCTL} /usr/bin/systemctl
mount --bind {UNPACKED.parent}/sbin/ipsec /usr/sbin/ipsec
mkdir -p /var/lib/ipsec/nss
mount --bind {NSS} /var/lib/ipsec/nss
"""
_UNMOUNT_LIBRESWAN = "umount /usr/bin/systemctl /usr/sbin/ipsec /var/lib/ipsec/nss"

# A cable that is pulled would take the interface's address with it, for the next client too.
_CONFIGURATION = """
[main]
plugins=keyfile
ignore-carrier=*
no-auto-default=*
auth-polkit=root-only
dns=none
[connectivity]
enabled=false
[logging]
level=INFO
domains=DEFAULT,VPN,VPN_PLUGIN:DEBUG
"""

_WIRED = """
[connection]
id={name}
type=ethernet
interface-name=wan0
[ipv4]
method=manual
address1={address},{router}
[ipv6]
method=disabled
"""

# What nm-connection-editor writes; everything that is not said is the plugin's default.
_CONNECTION = """
[connection]
id={name}
uuid={uuid}
type=vpn
autoconnect=false
[vpn]
service-type=org.freedesktop.NetworkManager.l2tp
gateway={server}
user={user}
password-flags=0
ipsec-enabled=yes
{machine}
[vpn-secrets]
password={password}
{machine_secrets}
[ipv4]
method=auto
never-default=true
[ipv6]
method=disabled
"""

_LEFTOVERS = ("nm-l2tp-service", "starter", "charon", "xl2tpd", "pppd", "nm-dispatcher")


def _machine(psk: str, certificate: Identity | None) -> tuple[list[str], list[str]]:
    """How the machine proves who it is: keys of the connection, and its secrets."""
    if certificate is None:
        return ["machine-auth-type=psk", "ipsec-psk-flags=0"], [f"ipsec-psk={psk}"]
    files = [f"{name}={BUNDLE}/{name}.pem" for name in CERTIFICATE_FILES]
    return ["machine-auth-type=tls", "machine-certpass-flags=4", *files], []


class NetworkManager:
    """A machine whose user dials ``server`` with NetworkManager-l2tp.

    With ``libreswan`` it finds that in the place of strongSwan, started as by the system.
    """

    def __init__(
        self,
        host: Host,
        server: str,
        *,
        psk: str,
        user: str,
        password: str,
        certificate: Identity | None = None,
        libreswan: bool = False,
    ) -> None:
        self.host = host
        self._libreswan: Libreswan | None = None
        machine, secrets = _machine(psk, certificate)
        connection = _CONNECTION.format(
            name=VPN,
            uuid=UUID,
            server=server,
            user=user,
            password=password,
            machine="\n".join(machine),
            machine_secrets="\n".join(secrets),
        )
        with ExitStack() as undo:
            undo.callback(host.run, "sh", "-c", _UNMOUNT)
            host.run("sh", "-ec", _MOUNTS)
            if certificate is not None:
                self._write_certificate(certificate)
            self._write_profile(WIRED, self._wired())
            self._write_profile(VPN, connection)
            host.write("/etc/NetworkManager/NetworkManager.conf", _CONFIGURATION)
            host.write("/etc/strongswan.conf", strongswan_conf(host, "/etc/ipsec.secrets"))
            if libreswan:
                self._start_libreswan(undo)
            self._start(undo)
            self._undo = undo.pop_all()

    def _start_libreswan(self, undo: ExitStack) -> None:
        host = self.host
        self._libreswan = Libreswan(host)
        undo.callback(host.run, "sh", "-c", _UNMOUNT_LIBRESWAN)
        undo.callback(self._libreswan.process.stop)
        host.write(_SYSTEMCTL, _RESTART, 0o755)
        host.run("sh", "-ec", _MOUNT_LIBRESWAN)
        host.write(SECRETS, "include /etc/ipsec.d/ipsec.nm-l2tp.secrets\n", 0o600)
        self._libreswan.wait_until_ready()

    def _start(self, undo: ExitStack) -> None:
        command = ("dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address")
        bus = self.host.start("dbus", *command)
        undo.callback(bus.stop)
        bus.wait_for_text("unix:", START_LIMIT)
        undo.callback(self._end_programs)
        # It and all that it starts go before the rest of a busy lab: it has no patience.
        command = ("nice", "-n", "-15", "NetworkManager", "--debug")
        self.process: Process = self.host.start("NetworkManager", *command)
        # With SIGTERM it would take the interface's address with it.
        undo.callback(self.process.stop, SIGKILL)
        until(self._ready, "NetworkManager to answer", START_LIMIT, LOOK)
        self._nmcli("connection", "up", WIRED)

    def _write_profile(self, name: str, text: str) -> None:
        path = f"/etc/NetworkManager/system-connections/{name}.nmconnection"
        self.host.write(path, text, 0o600)

    def _wired(self) -> str:
        """Describe the interface as it is: NetworkManager dials through one that is its own."""
        (address,) = self.host.ip("-4", "address", "show", "dev", "wan0")
        inet = address["addr_info"][0]
        (route,) = self.host.ip("-4", "route", "show", "default")
        return _WIRED.format(
            name=WIRED, address=f"{inet['local']}/{inet['prefixlen']}", router=route["gateway"]
        )

    def _write_certificate(self, certificate: Identity) -> None:
        content = (
            pem(certificate.issuers[-1]),
            certificate.certificate_pem(),
            certificate.key_pem(),
        )
        for name, text in zip(CERTIFICATE_FILES, content, strict=True):
            self.host.write(f"{BUNDLE}/{name}.pem", text, 0o600)

    def _ready(self) -> bool:
        self.process.require_running()
        with suppress(CommandError):
            return bool(self._nmcli("-t", "-f", "STATE", "general"))
        return False

    def _nmcli(self, *arguments: str) -> str:
        return self.host.run("nmcli", *arguments, limit=2 * CONNECT_LIMIT)

    def dial_in(self) -> Link:
        """Ask NetworkManager for the connection. Raises `CommandError`, `StillWaitingError`."""
        for attempt in range(1, DIAL_TRIES + 1):
            try:
                self._nmcli("--wait", str(CONNECT_LIMIT), "connection", "up", VPN)
                break
            except CommandError as error:
                if attempt == DIAL_TRIES or not TOO_SLOW.search(str(error)):
                    raise
        (link,) = until(self._links, "the PPP interface", STOP_LIMIT, LOOK)
        return link

    def _links(self) -> list[Link]:
        fields = self._nmcli("-t", "-f", "IP4.DNS", "connection", "show", VPN)
        dns = tuple(line.partition(":")[2] for line in fields.splitlines())
        return [
            Link(link["ifname"], inet["local"], inet.get("address", ""), dns)
            for link in self.host.ip("-4", "address", "show")
            if link["ifname"].startswith("ppp")
            for inet in link["addr_info"]
        ]

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        self.host.run("ip", "route", "replace", network, "dev", link.interface)

    def rekey_esp(self) -> None:
        """Let the IPsec daemon replace the ESP SAs by a new Quick Mode. Raises `LabError`."""
        if self._libreswan is not None:
            self._libreswan.rekey_child(UUID)
            return
        self._rekey(f"{UUID}{{}}", re.compile(rf"{UUID}\{{(\d+)\}}:\s+INSTALLED"))

    def rekey_ike(self) -> None:
        """Let the IPsec daemon replace the IKE SA by a new Main Mode. Raises `LabError`."""
        if self._libreswan is not None:
            self._libreswan.rekey_ike(UUID)
            return
        self._rekey(UUID, re.compile(rf"{UUID}\[(\d+)\]: ESTABLISHED"))

    def _rekey(self, name: str, pattern: re.Pattern[str]) -> None:
        def established() -> set[str]:
            return set(pattern.findall(self.host.run("ipsec", "statusall", UUID)))

        before = established()
        self.host.run("ipsec", "stroke", "rekey", name)
        until(lambda: established() - before, f"another {name}", REKEY_LIMIT, LOOK)

    def hang_up(self) -> None:
        """Ask NetworkManager to take the connection down. Raises `CommandError`."""
        self._nmcli("--wait", str(CONNECT_LIMIT), "connection", "down", VPN)
        until(lambda: "pppd" not in self.host.processes().values(), "pppd to end", STOP_LIMIT)

    def stop(self) -> None:
        """End everything, and give the machine its /etc back. May be called twice."""
        self._undo.close()

    def _end_programs(self) -> None:
        """End what NetworkManager and its plugin have started."""
        for number in (SIGTERM, SIGKILL):
            for pid in self._left():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            with suppress(StillWaitingError):
                until(lambda: not list(self._left()), "its programs to end", STOP_LIMIT)

    def _left(self) -> Iterator[int]:
        return (pid for pid, name in self.host.processes().items() if name in _LEFTOVERS)
