"""The authority of the matrix, and what it certifies: the gateway, and each user."""

from collections.abc import Mapping
from functools import cache

from interop.certificates import SERVER_AUTH, Authority, Identity, pem
from interop.topology import GATEWAY_ADDRESS

GATEWAY_NAME = "vpn.example.org"
SECTION = """
certificate = "gateway.pem"
key = "gateway.key"
ca = ["ca.pem"]
"""
"""The gateway's [[certificate]]; the paths begin where its configuration is."""
_KIND = "rsa2048"
"""What every client takes."""


@cache
def _authority() -> Authority:
    return Authority(kind=_KIND)


def gateway_files() -> Mapping[str, str | bytes]:
    """What `SECTION` names, by path on the gateway."""
    own = _authority().issue(
        "gateway", kind=_KIND, number=1, names=[GATEWAY_NAME, GATEWAY_ADDRESS], usages=[SERVER_AUTH]
    )
    return {
        "/run/gateway.pem": own.chain_pem(),
        "/run/gateway.key": own.key_pem(),
        "/run/ca.pem": pem(_authority().certificate),
    }


@cache
def client_identity(user: str) -> Identity:
    """The certificate of a user, with its key."""
    return _authority().issue(user, kind=_KIND, number=2)
