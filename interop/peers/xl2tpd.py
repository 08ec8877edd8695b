"""xl2tpd with pppd and the kernel's L2TP, as access concentrator (LAC) or network server (LNS)."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from signal import SIGKILL

from interop.errors import LabError
from interop.netns import Host
from interop.process import STOP_LIMIT, Process
from interop.wait import until

CONFIGURATION = "/run/xl2tpd.conf"
OPTIONS = "/run/xl2tpd.options"
SECRETS = "/etc/ppp/chap-secrets"
CONTROL = "/run/xl2tpd/l2tp-control"
LINK_DIRECTORY = "/run/links"
START_LIMIT = 30.0
CONNECT_LIMIT = 60.0
"""Seconds a call may take: the programs' own retries are shorter."""

CALL_ENDED = ("pppd exited for call", "Connection closed to")
"""What xl2tpd writes when pppd has ended by itself, or when the other side has sent CDN."""
LOG_TAIL = 1000
"""Characters of pppd's log that tell why it ended."""

# pppd runs this when a link has its addresses; the move makes the file appear at once, complete.
_IP_UP = f"""#!/bin/sh
printf '{{"interface": "%s", "address": "%s", "peer": "%s", "dns": ["%s", "%s"]}}' \\
    "$1" "$4" "$5" "$DNS1" "$DNS2" > {LINK_DIRECTORY}/.new
mv {LINK_DIRECTORY}/.new {LINK_DIRECTORY}/"$1"
"""
_IP_DOWN = f"""#!/bin/sh
rm -f {LINK_DIRECTORY}/"$1"
"""


class CallEndedError(LabError):
    """pppd ended before the link was up; the text is the end of its log."""


@dataclass(frozen=True, slots=True)
class Link:
    """A PPP interface that is up, as pppd told its ip-up script."""

    interface: str
    address: str
    peer: str
    dns: tuple[str, ...]


def _prepare(host: Host, options: str, secrets: str) -> None:
    host.write("/etc/ppp/options", "")
    host.write("/etc/ppp/ip-up", _IP_UP, 0o755)
    host.write("/etc/ppp/ip-down", _IP_DOWN, 0o755)
    host.path(LINK_DIRECTORY).mkdir(exist_ok=True)
    host.path(CONTROL).parent.mkdir(exist_ok=True)
    host.write(SECRETS, secrets, 0o600)
    host.write(OPTIONS, options, 0o600)


def _start(host: Host, configuration: str) -> Process:
    host.write(CONFIGURATION, configuration)
    return host.start("xl2tpd", "xl2tpd", "-D", "-c", CONFIGURATION, "-C", CONTROL)


_LAC_CONF = """
[global]
port = {port}
access control = no
{debug}
[lac gateway]
lns = {server}
pppoptfile = {options}
length bit = yes
require authentication = no
redial = no
"""

_DEBUG = """debug tunnel = yes
debug state = yes
debug avp = yes
"""

# As NetworkManager-l2tp asks for it.
_LAC_OPTIONS = """
user "{user}"
noauth
noipdefault
nodefaultroute
usepeerdns
noccp
mtu 1400
mru 1400
debug
logfile {log}
lcp-restart 1
ipcp-restart 1
{extra}
"""


class Xl2tpdClient:
    """xl2tpd dialling out from ``host``, with one LAC called gateway.

    ``port`` is its own UDP port, 0 for one the kernel picks. ``options`` are further pppd options.
    """

    def __init__(
        self,
        host: Host,
        server: str,
        user: str,
        password: str,
        *,
        port: int = 1701,
        options: str = "",
    ) -> None:
        self.host = host
        self.pppd_log = host.directory / "pppd.log"
        _prepare(
            host,
            _LAC_OPTIONS.format(user=user, log=self.pppd_log, extra=options),
            f'"{user}" * "{password}" *\n',
        )
        self._configuration = _LAC_CONF.format(
            port=port, server=server, options=OPTIONS, debug=_DEBUG
        )
        self.start()

    def start(self) -> None:
        """Start xl2tpd; the call comes with `connect`."""
        self.process = _start(self.host, self._configuration)

    def _command(self, line: str) -> None:
        control = self.host.path(CONTROL)

        def sent() -> bool:
            self.process.require_running()
            try:
                # Without a reader this fails at once, where a blocking open would wait for one.
                descriptor = os.open(control, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENXIO):
                    return False
                raise
            with os.fdopen(descriptor, "w") as pipe:
                pipe.write(line + "\n")
            return True

        until(sent, "xl2tpd's control pipe", START_LIMIT)

    def links(self) -> list[Link]:
        """List the PPP links that are up."""
        return _links(self.host)

    def dial(self) -> None:
        """Dial, and wait for nothing. Raises `ProgramEndedError`."""
        if not self.process.running:
            self.start()
        self._command("c gateway")

    def pppd_running(self) -> bool:
        """Whether there is a call that pppd works on."""
        return "pppd" in self.host.processes().values()

    def _calls_ended(self) -> int:
        text = self.process.text()
        return sum(text.count(words) for words in CALL_ENDED)

    def connect(self) -> Link:
        """Dial, and wait for the PPP link.

        Raises `CallEndedError` when pppd gave up, `StillWaitingError` when nothing came of it.
        """
        # What an earlier call left in the log counts only if xl2tpd has not been restarted since.
        earlier = self._calls_ended() if self.process.running else 0
        self.dial()

        def up() -> list[Link]:
            self.process.require_running()
            if self._calls_ended() > earlier and not self.pppd_running():
                raise CallEndedError(self.pppd_log.read_text(errors="replace")[-LOG_TAIL:])
            return self.links()

        return until(up, "the PPP link", CONNECT_LIMIT)[0]

    def disconnect(self) -> None:
        """Hang up, and wait until pppd has said its last word: it belongs inside IPsec too.

        xl2tpd ends as well, as with NetworkManager-l2tp: one that goes on would dial again over the
        tunnel it has closed, until the gateway has confirmed that.
        """
        self._command("d gateway")
        until(lambda: not self.pppd_running(), "pppd to end", CONNECT_LIMIT)
        self.process.stop()

    def crash(self) -> None:
        """End xl2tpd and pppd without a word to anybody."""
        self.process.stop(SIGKILL)
        for pid, name in self.host.processes().items():
            if name == "pppd":
                os.kill(pid, SIGKILL)
        until(lambda: not self.pppd_running(), "pppd to be gone", STOP_LIMIT)
        for file in self.host.path(LINK_DIRECTORY).iterdir():
            file.unlink()


def _links(host: Host) -> list[Link]:
    files = [file for file in host.path(LINK_DIRECTORY).iterdir() if not file.name.startswith(".")]
    found = []
    for file in sorted(files):
        try:
            fields = json.loads(file.read_text())
        except FileNotFoundError:
            continue
        dns = tuple(address for address in fields.pop("dns") if address)
        found.append(Link(**fields, dns=dns))
    return found


_LNS_CONF = """
[global]
port = 1701
access control = no
{debug}
[lns default]
ip range = {pool}
local ip = {local}
require authentication = yes
refuse pap = yes
refuse chap = yes
name = gateway
pppoptfile = {options}
length bit = yes
"""

_LNS_OPTIONS = """
require-mschap-v2
{dns}
noccp
mtu 1400
mru 1400
nodefaultroute
debug
logfile {log}
lcp-restart 1
ipcp-restart 1
"""


class Xl2tpdServer:
    """xl2tpd answering on ``host``. ``pool`` is an address range, "192.168.1.100-192.168.1.120"."""

    def __init__(
        self, host: Host, local: str, pool: str, dns: tuple[str, ...], users: Mapping[str, str]
    ) -> None:
        self.host = host
        self.pppd_log = host.directory / "pppd.log"
        _prepare(
            host,
            _LNS_OPTIONS.format(
                dns="\n".join(f"ms-dns {address}" for address in dns), log=self.pppd_log
            ),
            "".join(f'"{user}" * "{password}" *\n' for user, password in users.items()),
        )
        self.process = _start(
            host, _LNS_CONF.format(pool=pool, local=local, options=OPTIONS, debug=_DEBUG)
        )

    def wait_until_ready(self) -> None:
        """Wait until it listens."""
        self.process.wait_for_text("Listening on IP address", START_LIMIT)

    def links(self) -> list[Link]:
        """List the PPP links that are up."""
        return _links(self.host)
