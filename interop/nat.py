"""Network address translation on a router of the lab.

nftables does it where the kernel has it. The embedded kernel's nftables knows no IP family, so
there the older iptables does the same.
"""

from interop.netns import CommandError, Host

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


def _nft(router: Host, rules: str) -> bool:
    """Load rules; False where the kernel cannot."""
    try:
        router.run("nft", "-f", "-", stdin=rules)
    except CommandError as error:
        if "Operation not supported" not in str(error):
            raise
        return False
    return True


def masquerade(router: Host, interface: str) -> None:
    """Hide what leaves ``router`` by ``interface`` behind that interface's address."""
    if _nft(router, _MASQUERADE.format(interface=interface, ports=PORTS)):
        return
    append = ("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-o", interface)
    for protocol in ("tcp", "udp"):
        router.run(*append, "-p", protocol, "-j", "MASQUERADE", "--to-ports", PORTS)
    router.run(*append, "-j", "MASQUERADE")


def publish(router: Host, interface: str, address: str) -> None:
    """Hand what comes to the IKE ports of ``router`` by ``interface`` to ``address`` inside.

    Bare ESP goes nowhere, as with nearly every router.
    """
    ports = ", ".join(IKE_PORTS)
    if _nft(router, _PUBLISH.format(interface=interface, ports=ports, address=address)):
        return
    append = ("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-i", interface, "-p", "udp")
    for port in IKE_PORTS:
        router.run(*append, "--dport", port, "-j", "DNAT", "--to-destination", address)
