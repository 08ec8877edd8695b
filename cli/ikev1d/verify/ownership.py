"""Whether everything the kernel has of ours has an owner in the gateway, and the other way round.

Each object has a name that both sides make the same way. The running daemon writes the names of
all it believes to have (`cli.ikev1d.verify.ledger`); without a daemon nothing has an owner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.verify.findings import failure, ok, warning
from cli.ikev1d.verify.network import Network
from l2tp.datapath.interface import Interfaces
from xfrm.model import Policy, Sa
from xfrm.ownership import ours
from xfrm.sadb import Sadb

Holdings = Mapping[str, set[str]]
"""Names of objects by kind."""

KINDS = {
    "sa": "SA",
    "policy": "policy",
    "proxy": "proxy ARP entry",
    "session": "L2TP session",
    "interface": "network interface",
    "route": "route",
}

SHOWN = 5
"""Names in one finding."""

PPPOL2TP = Path("/proc/net/pppol2tp")
_SESSION = re.compile(r"SESSION '.*?' [0-9A-F]+/\d+ ([0-9A-F]{4})/([0-9A-F]{4}) ->")
"""A line of it with our tunnel and session ID, in hex."""
_INTERFACES = ("ppp", "l2tp")


def name_sa(sa: Sa) -> str:
    """What tells an SA from all others."""
    mark = sa.mark.value if sa.mark else 0
    return f"{sa.spi:08x} to {sa.dst} mark {mark:#x}"


def name_policy(policy: Policy) -> str:
    """What tells a policy of ours from all others."""
    selector, mark = policy.selector, policy.mark.value if policy.mark else 0
    ends = f"{selector.src or 'any'} to {selector.dst or 'any'}"
    return f"{policy.direction.name.lower()} {ends} mark {mark:#x}"


def name_session(tunnel_id: int, session_id: int) -> str:
    """What tells an L2TP session from all others."""
    return f"{tunnel_id}/{session_id}"


def name_by(address: str, interface: str) -> str:
    """What tells a route, or an address that ARP is answered for, from all others."""
    return f"{address} by {interface}"


async def read_holdings(network: Network, config: Config | None) -> Holdings:
    """What the kernel has of ours. Raises KernelError."""
    holdings: dict[str, set[str]] = {kind: set() for kind in KINDS}
    with closing(Sadb()) as sadb:
        await sadb.open()
        states = await sadb.list_sas()
        holdings["sa"] = {name_sa(s.sa) for s in states if ours(s.sa) and s.sa.spi}
        policies = await sadb.list_policies()
        holdings["policy"] = {name_policy(policy) for policy in policies if ours(policy)}
    with closing(Interfaces()) as interfaces:
        await interfaces.open()
        holdings["proxy"] = {
            name_by(proxy.address, proxy.interface) for proxy in await interfaces.list_proxy_arp()
        }
    holdings["session"] = set(parse_sessions(_sessions()))
    if config is not None:
        holdings["interface"], holdings["route"] = _of_clients(network, config)
    return holdings


def _sessions() -> str:
    try:
        return PPPOL2TP.read_text()
    except FileNotFoundError:
        return ""  # the module is not loaded, so there are none


def parse_sessions(text: str) -> Iterator[str]:
    """The names of the sessions in /proc/net/pppol2tp."""
    for tunnel_id, session_id in _SESSION.findall(text):
        if int(session_id, 16):  # 0 is the tunnel's own socket
            yield name_session(int(tunnel_id, 16), int(session_id, 16))


def _of_clients(network: Network, config: Config) -> tuple[set[str], set[str]]:
    """Interfaces and routes that lead to addresses of clients."""
    given = [user.address for user in config.users.values() if user.address is not None]
    ranges = config.ppp.pool
    interfaces = {
        interface.name
        for interface in network.interfaces
        if interface.name.startswith(_INTERFACES)
        and any(address.ip == config.ppp.local_address for address in interface.addresses)
    }
    routes = {
        name_by(str(route.destination.network_address), route.interface)
        for route in network.routes
        if route.destination.prefixlen == 32
        and (
            route.destination.network_address in given
            or any(route.destination.network_address in part for part in ranges)
        )
    }
    return interfaces, routes


@dataclass(frozen=True, slots=True)
class Differences:
    """Names by kind: what nobody owns, and what is gone although somebody needs it."""

    ownerless: Holdings
    missing: Holdings

    def __bool__(self) -> bool:
        return any(self.ownerless.values()) or any(self.missing.values())

    def __and__(self, other: Differences) -> Differences:
        """What is different both times: clients come and go while we look."""
        return Differences(
            _both(self.ownerless, other.ownerless), _both(self.missing, other.missing)
        )


def compare(kernel: Holdings, gateway: Holdings) -> Differences:
    """Hold the kernel against the gateway."""
    return Differences(
        ownerless={kind: kernel[kind] - gateway.get(kind, set()) for kind in KINDS},
        missing={kind: gateway.get(kind, set()) - kernel[kind] for kind in KINDS},
    )


def check_ownership(differences: Differences, *, running: bool) -> Iterator[Finding]:
    """Judge what was found."""
    for kind, title in KINDS.items():
        left, gone = differences.ownerless[kind], differences.missing[kind]
        if left and running:
            yield warning(
                f"ownership.{kind}",
                f"{_counted(left, title)} in the kernel without a client: {_listed(left)}",
                "the gateway has lost track of it",
                "systemctl restart ikev1d removes it; please report it with the log",
            )
        elif left:
            yield warning(
                f"leftovers.{kind}",
                f"{_counted(left, title)} of a gateway that was killed: {_listed(left)}",
                _LEFT.get(kind, "it leads nowhere"),
                "systemctl start ikev1d removes it; it is not needed any more",
            )
        if gone:
            yield failure(
                f"ownership.missing_{kind}",
                f"{_counted(gone, title)} gone from the kernel: {_listed(gone)}",
                "another program has removed it, and the clients concerned are cut off",
                "look for it: another IKE daemon, `ip xfrm flush`, a network manager; "
                "then hang up the clients with `ikectl down`, so that they dial anew",
            )
    if not differences:
        what = (
            "everything in the kernel has its client, and every client has what it needs"
            if running
            else "nothing of an earlier gateway is in the kernel"
        )
        yield ok("ownership.kernel" if running else "leftovers.kernel", what)


_LEFT = {
    "sa": "its client believes to be connected, and sends into nothing",
    "policy": "it blocks L2TP that is not for this gateway, too",
    "proxy": "ARP is answered for an address at which nobody is",
}


def _both(one: Holdings, other: Holdings) -> Holdings:
    return {kind: names & other[kind] for kind, names in one.items()}


def _counted(names: set[str], title: str) -> str:
    if len(names) == 1:
        return f"1 {title} is"
    plural = "policies" if title == "policy" else f"{title.replace('entry', 'entrie')}s"
    return f"{len(names)} {plural} are"


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (", …" if len(names) > SHOWN else "")
