"""Network address translation on a router of the lab.

nftables does it where the kernel has it. The embedded kernel's nftables knows no IP family, so
there the older iptables does the same.
"""

import subprocess
from functools import cache

from interop.netns import Host

PORTS = "20000-60000"
"""Outside ports: never the port the client used, as behind a carrier's NAT."""

IKE_PORTS = ("500", "4500")

_MASQUERADE = """
table ip lab {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "{interface}" meta l4proto {{ tcp, udp }} masquerade to :{ports}
        oifname "{interface}" masquerade
    }}
}}
"""

_PUBLISH = """
table ip lab {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        iifname "{interface}" udp dport {{ {ports} }} dnat to {address}
    }}
}}
"""


# The same for iptables-restore.
_OLD_MASQUERADE = """
*nat
-A POSTROUTING -o {interface} -p tcp -j MASQUERADE --to-ports {ports}
-A POSTROUTING -o {interface} -p udp -j MASQUERADE --to-ports {ports}
-A POSTROUTING -o {interface} -j MASQUERADE
COMMIT
"""

_OLD_PUBLISH = """
*nat
-A PREROUTING -i {interface} -p udp -m multiport --dports {ports} -j DNAT --to-destination {address}
COMMIT
"""


@cache
def _nft_knows_ip() -> bool:
    try:
        subprocess.run(
            ["unshare", "--net", "nft", "add table ip probe"],
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        if "Operation not supported" not in error.stderr:
            raise
        return False
    return True


def _load(router: Host, rules: str, old_rules: str) -> None:
    if _nft_knows_ip():
        router.run("nft", "-f", "-", stdin=rules)
    else:
        router.run("iptables-legacy-restore", "--noflush", stdin=old_rules)


def masquerade(router: Host, interface: str) -> None:
    """Hide what leaves ``router`` by ``interface`` behind that interface's address."""
    values = {"interface": interface, "ports": PORTS}
    _load(router, _MASQUERADE.format(**values), _OLD_MASQUERADE.format(**values))


def publish(router: Host, interface: str, address: str) -> None:
    """Hand what comes to the IKE ports of ``router`` by ``interface`` to ``address`` inside.

    Bare ESP goes nowhere, as with nearly every router.
    """
    values = {"interface": interface, "ports": ",".join(IKE_PORTS), "address": address}
    _load(router, _PUBLISH.format(**values), _OLD_PUBLISH.format(**values))
