"""Programs that one may look for in the matrix, and why they are not there."""

from collections.abc import Mapping
from types import MappingProxyType

ABSENT: Mapping[str, str] = MappingProxyType(
    {
        "charon-cmd": "its IKEv1 profiles are for tunnel mode and Mode Config; it has no L2TP",
        "vpnc": "Aggressive Mode and XAUTH for tunnel mode only; it has no L2TP",
        "NetworkManager-strongswan": "IKEv2 only",
        "connman-vpn": "its L2TP plugin has no IPsec, and runs the same xl2tpd and pppd",
        "l2tpns, accel-ppp": "servers only",
        "racoon (ipsec-tools), Shrew ike, isakmpd, Openswan": "not in Debian stable any more",
        "OpenL2TP, rp-l2tp, kl2tpd (go-l2tp)": "not in Debian stable",
        "NetworkManager-l2tp on libreswan with a certificate": (
            "the plugin writes no leftid for libreswan, which then shows the machine's address; a"
            " certificate would have to have that in its subjectAltName, and the gateway says so"
        ),
        "phones, Macs, Windows": "emulated, from what is known of them; see clients.md",
    }
)
"""Name to reason; versions are those of Debian stable."""
