"""Network address translation on a router of the lab.

nftables does it where the kernel has it. The embedded kernel's nftables knows no IP family, so
there the older iptables does the same.
"""

from interop.netns import CommandError, Host

PORTS = "20000-60000"
"""Outside ports: never the port the client used, as behind a carrier's NAT."""

_NFT = """
table ip lab {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "{interface}" meta l4proto {{ tcp, udp }} masquerade to :{ports}
        oifname "{interface}" masquerade
    }}
}}
"""


def masquerade(router: Host, interface: str) -> None:
    """Hide what leaves ``router`` by ``interface`` behind that interface's address."""
    try:
        router.run("nft", "-f", "-", stdin=_NFT.format(interface=interface, ports=PORTS))
    except CommandError as error:
        if "Operation not supported" not in str(error):
            raise
        append = ("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", interface)
        for protocol in ("tcp", "udp"):
            router.run(*append, "-p", protocol, "-j", "MASQUERADE", "--to-ports", PORTS)
        router.run(*append, "-j", "MASQUERADE")
