"""From nothing to a client with a certificate by `ikectl pki` alone, and its end by `revoke`."""

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from cli.ikectl.__main__ import OK, main
from interop.certificates import Identity
from interop.netns import CommandError
from interop.scenarios.play import check_gone, dial_in
from interop.stage import Stage
from interop.topology import client_nat

NAME = "vpn.example.com"


def unpacked(container: Path, passphrase: Path) -> Identity:
    """What a device takes out of the file that it is given."""
    found = pkcs12.load_pkcs12(container.read_bytes(), passphrase.read_text().strip().encode())
    assert found.cert is not None
    assert isinstance(found.key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))
    issuers = tuple(other.certificate for other in found.additional_certs)
    return Identity(found.cert.certificate, found.key, issuers)


def test_a_client_of_ikectl_pki_dials_in_until_it_is_revoked(
    artefacts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = artefacts / "pki"

    def pki(*arguments: str) -> str:
        assert main(["pki", "--directory", str(directory), *arguments]) == OK
        out = capsys.readouterr().out
        sys.stdout.write(out)
        return out

    pki("init", "--organization", "Acme")
    topology = client_nat()
    _, _, section = pki("gateway", NAME, topology.gateway_address).partition("[[certificate]]\n")
    passphrase = artefacts / "alice.passphrase"
    pki("client", "alice", "--passphrase-file", str(passphrase))

    with Stage(topology, artefacts, extra={"[certificate]": section}) as stage:
        alice = unpacked(directory / "clients/alice.p12", passphrase)
        client = stage.client(certificate=alice, remote_id=NAME)
        link = dial_in(stage, client)
        stage.check_traffic(client, link.address)
        (status,) = stage.ikev1d.clients()
        assert "CN=alice" in status["identity"]
        client.hang_up()
        check_gone(stage)

        pki("revoke", "alice")
        stage.ikev1d.reload()
        stage.ikev1d.wait_for_log("reload")
        with pytest.raises(CommandError):
            client.ipsec.initiate(limit=6)
        stage.ikev1d.wait_for_log("revoked")
        check_gone(stage)
