"""A gateway and the network around it, both as they should be."""

from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from cli.control import Finding
from cli.ikev1d.config import Config, load
from cli.ikev1d.verify.network import Interface, Network, Route

BASIC = """
[ppp]
pool = "192.168.1.128-192.168.1.191"
local_address = "192.168.1.99"
{ppp}
[[psk]]
secret = "x"
[[user]]
name = "alice"
secret = "wonderland"
"""


def configured(directory: Path, *, ppp: str = 'proxy_arp = "lan0"', more: str = "") -> Config:
    """A configuration with these lines of [ppp], and more sections."""
    path = directory / "ikev1d.toml"
    path.write_text(BASIC.format(ppp=ppp) + more)
    path.chmod(0o600)
    return load(path)


NETWORK = Network(
    interfaces=(
        Interface("lo", 65536, (IPv4Interface("127.0.0.1/8"),)),
        Interface("wan0", 1500, (IPv4Interface("198.51.100.1/24"),)),
        Interface("lan0", 1500, (IPv4Interface("192.168.1.1/24"),)),
    ),
    routes=(
        Route(IPv4Network("0.0.0.0/0"), "wan0"),
        Route(IPv4Network("192.168.1.0/24"), "lan0"),
    ),
    mark_rules=(),
    ip_forward=1,
    settings={name: {"forwarding": 1} for name in ("all", "default", "wan0", "lan0")},
)


def wrong(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Warnings and failures by their check."""
    return {one.check: one for one in findings if one.level in ("warning", "failure")}
