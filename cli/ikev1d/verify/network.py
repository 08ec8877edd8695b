"""The machine's interfaces, routes and network settings, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from socket import AF_INET
from typing import Any

from pyroute2.iproute.linux import AsyncIPRoute

SYSCTL = Path("/proc/sys/net/ipv4")
SETTINGS = ("rp_filter", "accept_redirects", "forwarding")
"""Read for each interface, and for "all" and "default"."""
MAIN_TABLE = 254
UNICAST = 1
"""rtm_type of a route that leads somewhere."""
_ALL_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface."""

    name: str
    mtu: int
    addresses: tuple[IPv4Interface, ...] = ()
    peers: tuple[IPv4Address, ...] = ()
    """The other ends, of a point-to-point interface."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the main table."""

    destination: IPv4Network
    interface: str
    metric: int = 0


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A rule of policy routing that looks at packet marks."""

    priority: int
    mark: int
    mask: int


@dataclass(frozen=True, slots=True)
class Network:
    """What the machine's network is like at one moment."""

    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]
    mark_rules: tuple[MarkRule, ...]
    ip_forward: int
    settings: Mapping[str, Mapping[str, int]]
    """Of /proc/sys/net/ipv4/conf: by interface, then by name."""

    def default_interfaces(self) -> list[str]:
        """Where the default routes lead, the preferred one first."""
        defaults = [route for route in self.routes if route.destination.prefixlen == 0]
        return [route.interface for route in sorted(defaults, key=lambda route: route.metric)]

    def setting(self, interface: str, name: str) -> int:
        """A setting of an interface; 0 where it has none."""
        return self.settings.get(interface, {}).get(name, 0)


async def read_network() -> Network:
    """Ask the kernel."""
    async with AsyncIPRoute() as routes:
        names = {link["index"]: link async for link in await routes.link("dump")}
        addresses: dict[int, list[IPv4Interface]] = {}
        peers: dict[int, list[IPv4Address]] = {}
        async for entry in await routes.addr("dump", family=AF_INET):
            local, address = entry.get_attr("IFA_LOCAL"), entry.get_attr("IFA_ADDRESS")
            if local is None:
                continue
            if address != local:
                peers.setdefault(entry["index"], []).append(IPv4Address(address))
            interface = IPv4Interface(f"{local}/{entry['prefixlen']}")
            addresses.setdefault(entry["index"], []).append(interface)
        found = [route async for route in await routes.route("dump", family=AF_INET)]
        rules = [rule async for rule in await routes.rule("dump", family=AF_INET)]
    interfaces = tuple(
        Interface(
            link.get_attr("IFLA_IFNAME"),
            link.get_attr("IFLA_MTU"),
            tuple(addresses.get(index, ())),
            tuple(peers.get(index, ())),
        )
        for index, link in names.items()
    )
    by_index = {index: link.get_attr("IFLA_IFNAME") for index, link in names.items()}
    return Network(
        interfaces=interfaces,
        routes=tuple(
            Route(
                IPv4Network((route.get_attr("RTA_DST") or 0, route["dst_len"])),
                by_index.get(route.get_attr("RTA_OIF"), ""),
                route.get_attr("RTA_PRIORITY") or 0,
            )
            for route in found
            if route["type"] == UNICAST and _table(route) == MAIN_TABLE
        ),
        mark_rules=tuple(
            MarkRule(
                rule.get_attr("FRA_PRIORITY") or 0,
                rule.get_attr("FRA_FWMARK"),
                _mask(rule.get_attr("FRA_FWMASK")),
            )
            for rule in rules
            if rule.get_attr("FRA_FWMARK") is not None
        ),
        ip_forward=_number(SYSCTL / "ip_forward"),
        settings={
            directory.name: {name: _number(directory / name) for name in SETTINGS}
            for directory in sorted((SYSCTL / "conf").iterdir())
        },
    )


def _table(route: Any) -> int:
    table: int = route.get_attr("RTA_TABLE") or route["table"]
    return table


def _mask(mask: int | None) -> int:
    return _ALL_BITS if mask is None else mask


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0  # the interface has gone meanwhile
