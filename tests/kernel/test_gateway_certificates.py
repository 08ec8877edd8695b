"""Clients with certificates: real ones dial in, and are refused for the right reason."""

from pathlib import Path

import pytest

from interop.certificates import SERVER_AUTH, Authority, Identity, pem
from interop.scenarios.play import check_gone, dial_in
from interop.stage import Stage
from interop.topology import client_nat

NAME = "vpn.example.org"
SECTION = """
certificate = "gateway.pem"
key = "gateway.key"
ca = ["ca.pem"]
"""


def gateway_files(own: Identity, *authorities: Authority) -> dict[str, str | bytes]:
    return {
        "/run/gateway.pem": own.chain_pem(),
        "/run/gateway.key": own.key_pem(),
        "/run/ca.pem": "".join(pem(authority.certificate) for authority in authorities),
    }


@pytest.mark.parametrize(
    ("program", "kind", "method"),
    [
        ("strongswan", "rsa2048", "rsa"),
        ("libreswan", "rsa3072", "rsa"),
        ("strongswan", "p384", "ecdsa384"),
    ],
)
def test_dials_in(program: str, kind: str, method: str, artefacts: Path) -> None:
    root = Authority(kind=kind)
    own = root.issue("gw", kind=kind, number=1, names=[NAME], usages=[SERVER_AUTH])
    alice = root.issue("alice", kind=kind, number=2)
    with Stage(
        client_nat(), artefacts, extra={"[certificate]": SECTION}, files=gateway_files(own, root)
    ) as stage:
        client = stage.client(
            program=program,
            certificate=alice,
            remote_id=NAME if program == "strongswan" else f"@{NAME}",
            ike="aes256-sha2_256-dh14" if program == "libreswan" else "aes256-sha256-modp2048",
        )
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        log = stage.ikev1d.log()
        print(log)
        assert f"authentication={method}" in log
        client.hang_up()
        check_gone(stage)
