"""Whether clients' addresses fit the networks around the gateway, and their packets the wire."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from cli.control import Finding
from cli.ikev1d.config import AddressRange, Config
from cli.ikev1d.verify.findings import failure, note, ok, warning
from cli.ikev1d.verify.forwarding import serving
from cli.ikev1d.verify.mtu import largest_inner, overheads, size_on_the_wire
from cli.ikev1d.verify.network import Interface, Network


def check_pool(network: Network, config: Config) -> Iterator[Finding]:
    """Judge the pool, proxy ARP and the MTU."""
    yield from _check_own_addresses(network, config)
    yield from _check_neighbourhood(network, config)
    yield from _check_mtu(network, config)


def _check_own_addresses(network: Network, config: Config) -> Iterator[Finding]:
    """No client may get an address of the gateway itself."""
    ppp = config.ppp
    for interface in network.interfaces:
        for address in (entry.ip for entry in interface.addresses):
            if address != ppp.local_address and any(address in part for part in ppp.pool):
                yield failure(
                    "pool.own_address",
                    f"the pool has {address}, which is the gateway's own on {interface.name}",
                    "the client that gets it reaches nothing, and nobody reaches the gateway there",
                    f"leave it out of ppp.pool, see {config.where('ppp.pool')}",
                )


def _check_neighbourhood(network: Network, config: Config) -> Iterator[Finding]:
    """Addresses of a neighbouring network need proxy ARP there, and others have no use for it."""
    ppp, where = config.ppp, config.where("ppp.proxy_arp")
    pool = ", ".join(map(str, ppp.pool))
    around = [
        (interface, network_)
        for interface in network.interfaces
        for network_ in _broadcast_networks(interface)
        if any(_overlap(part, network_) for part in ppp.pool)
    ]
    if ppp.proxy_arp is None:
        for interface, network_ in around:
            yield warning(
                "pool.proxy_arp",
                f"the pool {pool} is within {network_} of {interface.name}, without proxy ARP",
                "hosts there ask by ARP for clients, and nobody answers",
                f'proxy_arp = "{interface.name}" in [ppp], see {where}',
            )
        if not around:
            yield note(
                "pool.routing",
                f"the pool {pool} is on no network of the gateway",
                "other hosts reach clients only if their router sends this network here, "
                "or if the gateway masquerades",
            )
        return
    at = next((one for one in network.interfaces if one.name == ppp.proxy_arp), None)
    if at is None:
        yield failure(
            "pool.proxy_arp",
            f"there is no interface {ppp.proxy_arp} to answer ARP on",
            "clients get no network interface",
            f"correct ppp.proxy_arp, see {where}",
        )
        return
    networks = _broadcast_networks(at)
    outside = [part for part in ppp.pool if not any(_within(part, one) for one in networks)]
    if outside:
        yield warning(
            "pool.proxy_arp",
            f"{', '.join(map(str, outside))} of the pool is not within the network of {at.name}",
            "nobody there asks by ARP for these addresses",
            f"take a pool within {', '.join(map(str, networks)) or 'it'}, or route the pool to the "
            f"gateway and remove ppp.proxy_arp, see {where}",
        )
    else:
        yield ok("pool.proxy_arp", f"ARP for the pool {pool} is answered on {at.name}")


def _check_mtu(network: Network, config: Config) -> Iterator[Finding]:
    mtu, algorithms = config.ppp.mtu, tuple(overheads(config.esp))
    good = True
    for interface in serving(network, config):
        too_large = [one for one in algorithms if size_on_the_wire(mtu, one) > interface.mtu]
        if not too_large:
            continue
        good = False
        fits = min(largest_inner(interface.mtu, one) for one in too_large)
        size = max(size_on_the_wire(mtu, one) for one in too_large)
        # Where the others fit, it takes a client that chooses the odd one out.
        judge = warning if len(too_large) == len(algorithms) else note
        yield judge(
            "pool.mtu",
            f"with {', '.join(one.name for one in too_large)} an inner packet of {mtu} octets takes"
            f" {size} on the wire behind a NAT, and {interface.name} carries {interface.mtu}",
            "such packets are fragmented, and a path that drops fragments hangs",
            f"mtu = {fits} in [ppp], see {config.where('ppp.mtu')}",
        )
    if good:
        yield ok("pool.mtu", f"inner packets of {mtu} octets fit the wire")


def _broadcast_networks(interface: Interface) -> list[IPv4Network]:
    """The networks in which ARP is spoken: not those of one host, as of a client's interface."""
    if interface.name == "lo":
        return []
    networks = [entry.network for entry in interface.addresses]
    return [network for network in networks if network.num_addresses > 2]


def _overlap(part: AddressRange, network: IPv4Network) -> bool:
    return part.first <= network.broadcast_address and network.network_address <= part.last


def _within(part: AddressRange, network: IPv4Network) -> bool:
    return part.first in network and part.last in network
