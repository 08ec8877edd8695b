"""What a gateway may leave in a kernel: SAs, policies, interfaces, routes, neighbour proxies.

And what its kernel has dropped on the way through IPsec.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from interop.netns import Host

_SEQUENCE_NUMBERS = re.compile(r" anti-replay (esn )?context:.*?(?= sel |$)")
"""What changes in an SA with each packet."""


@dataclass(frozen=True, slots=True)
class KernelSnapshot:
    """The network objects of one machine at one moment, each as a line of text."""

    objects: frozenset[str]

    def added_since(self, earlier: "KernelSnapshot") -> list[str]:
        """List what is here and was not there."""
        return sorted(self.objects - earlier.objects)

    def of_kind(self, kind: str) -> list[str]:
        """List the objects of one kind: "sa", "policy", "interface", "route", "rule", "proxy"."""
        return sorted(line for line in self.objects if line.startswith(f"{kind} "))


def _xfrm(host: Host, name: str, *listing: str) -> list[str]:
    entries = re.split(r"\n(?=\S)", host.run("ip", "xfrm", *listing).strip())
    lines = [f"{name} {' '.join(entry.split())}" for entry in entries if entry]
    return [_SEQUENCE_NUMBERS.sub("", line) for line in lines]


def take_snapshot(host: Host) -> KernelSnapshot:
    """Look at everything on ``host`` that a gateway puts there."""
    objects = _xfrm(host, "sa", "state", "list", "nokeys")
    objects += _xfrm(host, "policy", "policy", "list")
    objects += [
        f"interface {name} {address}"
        for name, addresses in host.interfaces().items()
        for address in addresses or ["-"]
    ]
    listings = {
        "route": ("-4", "route", "show", "table", "all"),
        "rule": ("-4", "rule", "show"),
        "proxy": ("-4", "neighbour", "show", "proxy"),
    }
    for kind, arguments in listings.items():
        objects += [f"{kind} {' '.join(line.split())}" for line in _lines(host, arguments)]
    return KernelSnapshot(frozenset(objects))


def _lines(host: Host, arguments: tuple[str, ...]) -> list[str]:
    return host.run("ip", *arguments).splitlines()


def ipsec_drops(host: Host) -> dict[str, int]:
    """Return how many packets IPsec has dropped on ``host`` by cause (proc.5, net/xfrm_stat).

    A packet for an SA that is not there yet, or no longer, is one of them.
    """
    lines = Path(f"/proc/{host.pid}/net/xfrm_stat").read_text().splitlines()
    counters = {name: int(count) for name, count in map(str.split, lines)}
    return {name: count for name, count in counters.items() if count}
