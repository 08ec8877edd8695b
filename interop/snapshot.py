"""What a gateway may leave in a kernel: SAs, policies, interfaces, routes, neighbour proxies.

And what its kernel has dropped on the way through IPsec.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from interop.netns import Host

_SEQUENCE_NUMBERS = re.compile(r" anti-replay (esn )?context:.*?(?= sel |$)| lastused \S+ \S+")
"""What changes in an SA with each packet; newer kernels tell when the last one was."""


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


_SEPARATOR = "link show dev lo"
"""A question with a known answer, between the others: all are put to one `ip`."""
_QUESTIONS = (
    "address show",
    "route show table all",
    "rule show",
    "neighbour show proxy",
    # ip ends after a list of xfrm, whatever comes next.
    "xfrm policy list",
)
_ASK = """
ip -4 -oneline -batch -
echo 1: lo:
ip -4 -oneline xfrm state list nokeys
"""
_KINDS = ("address", "route", "rule", "proxy", "policy", "sa")
"""What the answers are about, in their order."""


def take_snapshot(host: Host) -> KernelSnapshot:
    """Look at everything on ``host`` that a gateway puts there."""
    listings = _listings(host)
    interfaces = Path(f"/proc/{host.pid}/net/dev").read_text().splitlines()[2:]
    without = {line.partition(":")[0].strip() for line in interfaces}
    objects = []
    for line in listings.pop("address"):
        _, name, _, address, *_ = line.split()
        objects.append(f"interface {name} {address.partition('/')[0]}")
        without.discard(name)
    objects += [f"interface {name} -" for name in without]
    for kind, lines in listings.items():
        objects += [_SEQUENCE_NUMBERS.sub("", f"{kind} {line}") for line in lines]
    return KernelSnapshot(frozenset(objects))


def _listings(host: Host) -> dict[str, list[str]]:
    """What `ip` says of each kind, a line for each object, single spaces within."""
    questions = f"\n{_SEPARATOR}\n".join(_QUESTIONS) + "\n"
    answers: list[list[str]] = [[]]
    for line in host.run("sh", "-ec", _ASK, stdin=questions).splitlines():
        words = line.replace("\\", " ").split()
        if words[1:2] == ["lo:"]:
            answers.append([])
        else:
            answers[-1].append(" ".join(words))
    return dict(zip(_KINDS, answers, strict=True))


def ipsec_drops(host: Host) -> dict[str, int]:
    """Return how many packets IPsec has dropped on ``host`` by cause (proc.5, net/xfrm_stat).

    A packet for an SA that is not there yet, or no longer, is one of them.
    """
    lines = Path(f"/proc/{host.pid}/net/xfrm_stat").read_text().splitlines()
    counters = {name: int(count) for name, count in map(str.split, lines)}
    return {name: count for name, count in counters.items() if count}
