"""What `ikectl pki` writes, read by others: OpenSSL's command line, and NSS as libreswan has it.

Here because these programs are of the lab's packages; no kernel is asked for anything.
"""

import plistlib
import subprocess
from pathlib import Path

import pytest

from cli.ikectl.__main__ import OK, main

NAME = "vpn.example.com"
ADDRESS = "203.0.113.1"
ENCODINGS = {"modern": [], "legacy": ["--legacy"]}


def tool(*command: str) -> str:
    """Run a program; what it said, or AssertionError with it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["rsa3072", "ecdsa-p384"])
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA with a gateway, two clients in both encodings, and one that is revoked."""
    directory = tmp_path_factory.mktemp("pki") / "pki"

    def run(*arguments: str) -> None:
        assert main(["pki", "--directory", str(directory), *arguments]) == OK

    run("init", "--key", request.param, "--organization", "Acme")
    run("gateway", NAME, ADDRESS)
    for name, options in (*ENCODINGS.items(), ("revoked", [])):
        run("client", name, "--passphrase-file", str(directory / f"{name}.txt"), *options)
    run("revoke", "revoked")
    return directory


def test_openssl_verifies_the_chain_for_what_each_is_for(pki: Path) -> None:
    verify = ("openssl", "verify", "-x509_strict", "-CAfile", str(pki / "ca.crt"))
    gateway = str(pki / f"gateway/{NAME}.crt")
    tool(*verify, "-purpose", "sslserver", "-verify_hostname", NAME, gateway)
    tool(*verify, "-purpose", "sslserver", "-verify_ip", ADDRESS, gateway)
    client = str(pki / "clients/modern.crt")
    tool(*verify, "-purpose", "sslclient", client)
    with pytest.raises(AssertionError, match="purpose"):
        tool(*verify, "-purpose", "sslserver", client)


def test_openssl_reads_the_crl_and_refuses_who_is_on_it(pki: Path) -> None:
    ca = str(pki / "ca.crt")
    for form in ("pem", "der"):
        file = str(pki / f"crl.{form}")
        shown = tool("openssl", "crl", "-inform", form, "-in", file, "-CAfile", ca, "-noout")
        assert "verify OK" in shown
    verify = ("openssl", "verify", "-crl_check", "-CAfile", ca, "-CRLfile", str(pki / "crl.pem"))
    tool(*verify, str(pki / "clients/modern.crt"))
    with pytest.raises(AssertionError, match="certificate revoked"):
        tool(*verify, str(pki / "clients/revoked.crt"))


def test_openssl_verifies_a_signed_profile(pki: Path, tmp_path: Path) -> None:
    psk, signed, inside = (tmp_path / name for name in ("psk", "signed.mobileconfig", "plain"))
    psk.write_text("keysharedbyallclients\n")
    psk.chmod(0o600)
    options = ["--psk-file", str(psk), "--pki", str(pki), "--sign", NAME, "--output", str(signed)]
    assert main(["profile", "apple", "--server", NAME, *options]) == OK
    # The signer's certificate is a server's; Apple takes such, OpenSSL wants one for mail.
    verify = ("openssl", "cms", "-verify", "-inform", "DER", "-purpose", "any")
    tool(*verify, "-CAfile", str(pki / "ca.crt"), "-in", str(signed), "-out", str(inside))
    (vpn,) = plistlib.loads(inside.read_bytes())["PayloadContent"]
    assert vpn["IPSec"]["SharedSecret"] == b"keysharedbyallclients"


@pytest.mark.parametrize("name", ENCODINGS)
def test_openssl_unpacks_the_container(pki: Path, name: str) -> None:
    file, passphrase = str(pki / f"clients/{name}.p12"), f"file:{pki / name}.txt"
    unpacked = tool("openssl", "pkcs12", "-in", file, "-passin", passphrase, "-noenc")
    assert unpacked.count("BEGIN CERTIFICATE") == 2
    assert unpacked.count("BEGIN PRIVATE KEY") == 1


@pytest.mark.parametrize("name", ENCODINGS)
def test_nss_imports_the_container(pki: Path, tmp_path: Path, name: str) -> None:
    database = f"sql:{tmp_path}"
    tool("certutil", "-N", "-d", database, "--empty-password")
    container, passphrase = str(pki / f"clients/{name}.p12"), str(pki / f"{name}.txt")
    tool("pk12util", "-i", container, "-w", passphrase, "-d", database)
    assert name in tool("certutil", "-K", "-d", database)
    tool("certutil", "-A", "-d", database, "-n", "ca", "-t", "CT,,", "-i", str(pki / "ca.crt"))
    tool("certutil", "-V", "-d", database, "-n", name, "-u", "C")
