"""Whether the kernel forwards between clients and office, and lets packets in at all."""

from __future__ import annotations

from collections.abc import Iterator

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.verify.findings import failure, note, ok, warning
from cli.ikev1d.verify.network import Interface, Network

STRICT = 1
"""Of rp_filter: a packet must come in where an answer would go out (RFC 3704 section 2.2)."""


def check_forwarding(network: Network, config: Config | None) -> Iterator[Finding]:
    """Judge forwarding, the reverse path filter and redirects."""
    if network.ip_forward and network.setting("default", "forwarding"):
        yield ok("forwarding.ip_forward", "IP forwarding is on")
    else:
        yield failure(
            "forwarding.ip_forward",
            "IP forwarding is off",
            "clients connect, and reach nothing but the gateway itself",
            "sysctl -w net.ipv4.ip_forward=1, and net.ipv4.ip_forward = 1 in /etc/sysctl.d/",
        )
    yield from _check_reverse_path(network, config)
    yield from _check_redirects(network)


def _check_reverse_path(network: Network, config: Config | None) -> Iterator[Finding]:
    """A strict filter drops what comes in elsewhere than where the way back to it leads."""
    defaults = network.default_interfaces()
    strict = [
        interface.name
        for interface in serving(network, config)
        if max(network.setting("all", "rp_filter"), network.setting(interface.name, "rp_filter"))
        == STRICT
    ]
    for name in strict:
        if defaults[:1] == [name]:
            continue
        way = f"leaves by {defaults[0]}" if defaults else "is not known"
        yield warning(
            "forwarding.rp_filter",
            f"rp_filter is strict on {name}, and the default route {way}",
            f"what clients on the internet send to {name} is dropped before anybody sees it",
            f"sysctl -w net.ipv4.conf.{name}.rp_filter=2 (loose), or route the answers by {name}",
        )
    if all(defaults[:1] == [name] for name in strict):
        how = f"strict on {strict[0]}, which is the way back, too" if strict else "not in the way"
        yield ok("forwarding.rp_filter", f"the reverse path filter is {how}")


def serving(network: Network, config: Config | None) -> list[Interface]:
    """The interfaces that clients come in by: those configured, else those of default routes."""
    gateway = config.gateway if config else None
    if gateway is not None and gateway.interfaces:
        return [one for one in network.interfaces if one.name in gateway.interfaces]
    if gateway is not None and gateway.listen:
        return [
            one
            for one in network.interfaces
            if one.name != "lo" and any(entry.ip in gateway.listen for entry in one.addresses)
        ]
    return [one for one in network.interfaces if one.name in network.default_interfaces()]


def _check_redirects(network: Network) -> Iterator[Finding]:
    # With forwarding on, a redirect counts only if both settings allow it (ip-sysctl).
    if not network.setting("all", "accept_redirects"):
        return
    names = [
        one.name
        for one in network.interfaces
        if one.addresses and one.name != "lo" and network.setting(one.name, "accept_redirects")
    ]
    if names:
        yield note(
            "forwarding.accept_redirects",
            f"ICMP redirects are heeded on {', '.join(names)}",
            "any host on that network may send the clients' packets another way",
            "sysctl -w net.ipv4.conf.all.accept_redirects=0",
        )
