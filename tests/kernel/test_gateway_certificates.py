"""Real clients with certificates dial in through a NAT, and are refused for the right reason."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from interop.capture import Capture
from interop.certificates import DAY, SERVER_AUTH, Authority, Identity, pem
from interop.netns import CommandError
from interop.peers.linux_client import LinuxClient
from interop.scenarios.play import check_gone, check_protected, dial_in, stop_gateway
from interop.stage import Stage
from interop.topology import client_nat
from interop.wait import until

NAME = "vpn.example.org"
LIMIT = 20.0
"""Seconds until a refusal is in the log."""
KINDS = {"rsa2048": "rsa", "p256": "ecdsa256", "p384": "ecdsa384"}
"""The gateway's keys, and what the log calls their methods."""


@dataclass(frozen=True)
class Hierarchy:
    """An authority, one that it has signed, and what both have signed for the gateway."""

    root: Authority
    between: Authority
    gateway: Identity

    @classmethod
    def of(cls, kind: str) -> "Hierarchy":
        root = Authority(f"Root {kind}", kind=kind)
        between = Authority(f"Staff {kind}", kind=kind, number=1, parent=root)
        own = between.issue("gateway", kind=kind, number=2, names=[NAME], usages=[SERVER_AUTH])
        return cls(root, between, own)

    def files(self, kind: str) -> dict[str, str | bytes]:
        return {
            f"/run/{kind}.p12": self.gateway.bundle("gateway"),
            f"/run/{kind}.ca": pem(self.root.certificate),
            f"/run/{kind}.crl": pem(self.between.crl()),
            "/run/passphrase": "lab\n",
        }


def section(kind: str) -> str:
    return f"""
pkcs12 = "{kind}.p12"
passphrase_file = "passphrase"
ca = ["{kind}.ca"]
crl = ["{kind}.crl"]
eku = "require"
"""


RSA = Hierarchy.of("rsa2048")
ALICE = RSA.between.issue("alice", kind="rsa2048", number=3)
HIERARCHIES = {kind: RSA if kind == "rsa2048" else Hierarchy.of(kind) for kind in KINDS}


def stage_with(artefacts: Path, *kinds: str, fault: str | None = None, clients: int = 1) -> Stage:
    files: dict[str, str | bytes] = {}
    for kind in kinds:
        files |= HIERARCHIES[kind].files(kind)
    tables = "\n[[certificate]]\n".join(map(section, kinds))
    return Stage(
        client_nat(clients), artefacts, fault=fault, extra={"[certificate]": tables}, files=files
    )


@pytest.fixture(scope="module")
def stage(module_artefacts: Path) -> Iterator[Stage]:
    with stage_with(module_artefacts, *KINDS, clients=2) as stage:
        yield stage


@pytest.fixture(scope="module")
def client(stage: Stage) -> LinuxClient:
    return stage.client(certificate=ALICE, remote_id=NAME, retransmit_timeout=1.0)


def ike_lines(stage: Stage, event: str, already: int = 0) -> list[str]:
    return [line for line in stage.ikev1d.log().splitlines()[already:] if event in line]


def test_strongswan_works_with_a_chain_of_three(stage: Stage, client: LinuxClient) -> None:
    capture = Capture(stage.lab["internet"], "east0")
    link = dial_in(stage, client)
    stage.check_traffic(client, link.address)
    (line,) = ike_lines(stage, "IKE SA up")
    assert "authentication=rsa" in line
    assert 'identity="C=DE, O=Acme, CN=alice"' in line
    client.hang_up()
    check_gone(stage)
    check_protected(stage, capture)


def test_libreswan_works_with_a_chain_of_three(stage: Stage) -> None:
    bob = RSA.between.issue("bob", kind="rsa3072")
    seen = len(stage.ikev1d.log().splitlines())
    client = stage.client(
        "client2",
        user="bob",
        program="libreswan",
        certificate=bob,
        remote_id=f"@{NAME}",
        ike="aes256-sha2_256-dh14",
    )
    link = dial_in(stage, client)
    stage.check_traffic(client, link.address)
    assert 'CN=bob"' in ike_lines(stage, "IKE SA up", seen)[0]
    client.hang_up()
    check_gone(stage)


@pytest.mark.parametrize("kind", ["rsa4096", "p256", "p384"])
def test_strongswan_with_other_keys(stage: Stage, client: LinuxClient, kind: str) -> None:
    ours = "rsa2048" if kind == "rsa4096" else kind
    who = HIERARCHIES[ours].between.issue(f"client {kind}", kind=kind, number=4)
    client.ipsec.load(replace(client.connection, certificate=who))
    client.ipsec.initiate()
    line = ike_lines(stage, "IKE SA up")[-1]
    assert f"CN=client {kind}" in line
    assert f"authentication={KINDS[ours]} " in line
    client.ipsec.terminate()


REFUSED = {
    "expired": (
        RSA.between.issue("late", kind="rsa2048", number=3, valid=(-9 * DAY, -DAY)),
        "has expired on",
    ),
    "another authority": (
        Authority("Mallory", kind="rsa2048", number=5).issue("mallory", kind="rsa2048", number=6),
        "is no authority of this gateway",
    ),
    "another usage": (
        RSA.between.issue("server", kind="rsa2048", number=3, usages=[SERVER_AUTH]),
        "is not for clients",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused(stage: Stage, client: LinuxClient, why: str) -> None:
    who, words = REFUSED[why]
    seen = len(stage.ikev1d.log().splitlines())
    client.ipsec.load(replace(client.connection, certificate=who))
    with pytest.raises(CommandError):
        client.ipsec.initiate(limit=3)
    line = until(
        lambda: ike_lines(stage, "Main Mode refused", seen), "the refusal in the log", LIMIT
    )[0]
    assert words in line
    assert "ikev1d.toml:" in line
    check_gone(stage)


def test_fragments_of_certificates_are_lost(artefacts: Path) -> None:
    """Each fragment is lost once, theirs and ours: messages 5 and 6 have 2 kB."""
    with stage_with(artefacts, "rsa2048", fault="lose-first-ike") as stage:
        client = stage.client(
            certificate=ALICE, remote_id=NAME, fragment_size=576, retransmit_timeout=1.0
        )
        client.ipsec.initiate()
        assert stage.relay is not None
        lost = [one for one in stage.relay.faults() if one.kind == "ike"]
        ours = stage.settings.address
        assert sum(one.source == ours and one.bytes > 500 for one in lost) > 1
        assert sum(one.source != ours for one in lost) > 5
        assert ike_lines(stage, "IKE SA up")
        stop_gateway(stage)
