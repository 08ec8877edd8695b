"""The [[certificate]] sections: what may stand there, in which files, and which mistakes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from cli.ikev1d.config import Config, ConfigError, GatewayCertificate, load
from cli.ikev1d.token_key import TokenUri
from ikev1.crypto import signatures
from ikev1.wire.enums import HashAlgorithm, IdType
from ikev1.wire.payloads import Identification
from interop.certificates import DAY, SERVER_AUTH, Authority, Identity, pem

ROOT = Authority()
BETWEEN = Authority("Between", number=5, parent=ROOT)
OWN = BETWEEN.issue("gateway", number=9, names=["vpn.example.org"], usages=[SERVER_AUTH])
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PROOF = bytes(32)
PPP = '[ppp]\npool = "192.0.2.10-192.0.2.20"\nlocal_address = "192.0.2.1"\n'
USER = '[[user]]\nname = "alice"\nsecret = "secret"\n'

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(0o600)
        return path

    file("gateway.pem", OWN.chain_pem())
    file("gateway.key", OWN.key_pem())
    file("ca.pem", pem(ROOT.certificate))
    return file


def configured(write: Write, *lines: str) -> Config:
    return load(write("gateway.toml", "\n".join((PPP, USER, "[[certificate]]", *lines))))


def entry(
    write: Write,
    *lines: str,
    own: str = 'certificate = "gateway.pem"\nkey = "gateway.key"',
    ca: str = 'ca = ["ca.pem"]',
) -> GatewayCertificate:
    (made,) = configured(write, own, ca, *lines).certificates
    return made


def wrong(write: Write, *lines: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        configured(write, *lines)
    assert "gateway.toml:" in str(caught.value)
    return caught.value


def check_signs(made: GatewayCertificate, identity: Identity = OWN) -> None:
    signature = made.key.sign(HashAlgorithm.SHA2_256, PROOF)
    key = identity.key.public_key()
    signatures.verify(key, HashAlgorithm.SHA2_256, PROOF, signature)


def test_pem_with_an_intermediate_authority(write: Write) -> None:
    made = entry(write)
    assert [one.title for one in made.chain] == [
        '"C=DE, O=Acme, CN=gateway"',
        '"C=DE, O=Acme, CN=Between"',
    ]
    assert [one.der for one in made.trust.anchors] == [ROOT.der]
    assert made.connection == "l2tp"
    check_signs(made)


def test_a_certificate_alone_needs_no_preshared_key(write: Write) -> None:
    config = configured(
        write, 'certificate = "gateway.pem"', 'key = "gateway.key"', 'ca = ["ca.pem"]'
    )
    assert config.psks == ()


def test_der(write: Write) -> None:
    write("gateway.der", OWN.der)
    write("key.der", OWN.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    write("ca.der", ROOT.der)
    made = entry(write, own='certificate = "gateway.der"\nkey = "key.der"', ca='ca = ["ca.der"]')
    check_signs(made)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_traditional_keys(write: Write, encoding: Encoding) -> None:
    octets = OWN.key.private_bytes(encoding, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    write("gateway.key", octets)
    check_signs(entry(write))


def test_an_encrypted_key(write: Write) -> None:
    write("gateway.key", OWN.key_pem(b"open sesame"))
    write("passphrase", "open sesame\n")
    check_signs(entry(write, 'passphrase_file = "passphrase"'))


def test_pkcs12(write: Write) -> None:
    write("gateway.p12", OWN.bundle("gateway", "open sesame"))
    write("passphrase", "open sesame\n")
    made = entry(write, own='pkcs12 = "gateway.p12"\npassphrase_file = "passphrase"')
    assert len(made.chain) == 3
    check_signs(made)


BOTH = 'certificate = "gateway.pem"\nkey = "gateway.key"'
CA = 'ca = ["ca.pem"]'


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((CA,), "has not one certificate and key"),
        (('certificate = "gateway.pem"', CA), "has not one certificate and key"),
        ((BOTH, 'pkcs12 = "x"', CA), "has not one certificate and key"),
        ((BOTH,), "names no authority"),
        ((BOTH, 'ca = ["gateway.key"]'), "gateway.key: no certificate in PEM"),
        ((BOTH, 'ca = ["leaf.pem"]'), "is no authority"),
        ((BOTH, 'ca = ["none.pem"]'), "none.pem: No such file"),
        (('certificate = "ca.pem"', 'key = "gateway.key"', CA), "no certificate is for this"),
        (('certificate = "gateway.pem"', 'key = "ca.pem"', CA), "no private key"),
        (('certificate = "gateway.pem"', 'key = "locked.key"', CA), "name its passphrase_file"),
        ((BOTH, 'passphrase_file = "passphrase"', CA), "remove passphrase_file"),
        (('pkcs12 = "ca.pem"', CA), "no PKCS #12"),
        (('pkcs12 = "gateway.p12"', CA), "the passphrase is wrong"),
        ((BOTH, CA, 'eku = "never"'), "require, allow, ignore"),
        ((BOTH, CA, 'revocation = "maybe"'), "strict, lenient, off"),
        ((BOTH, CA, 'crl = ["ca.pem"]'), "no CRL in PEM"),
        ((BOTH, CA, 'client_ca = "Staff"'), "is not of the form CN=value"),
        ((BOTH, CA, 'id = "CN"'), "allowed: "),
        ((BOTH, CA, 'id = "a*b@example.org"'), "first character"),
        ((BOTH, CA, 'local_id = "@other.example.org"'), "is not in the certificate"),
        ((BOTH, CA, 'local_id = "vpn"'), "is not an identity"),
    ],
)
def test_mistakes(write: Write, lines: tuple[str, ...], words: str) -> None:
    write("leaf.pem", OWN.certificate_pem())
    write("locked.key", OWN.key_pem(b"open sesame"))
    write("gateway.p12", OWN.bundle("gateway"))
    write("passphrase", "x\n")
    error = wrong(write, *lines)
    assert words in str(error)
    assert "sesame" not in str(error)


def test_a_key_that_others_may_read(write: Write) -> None:
    write("gateway.key", OWN.key_pem()).chmod(0o644)
    assert "chmod 600" in str(wrong(write, BOTH, CA))


def test_identities(write: Write) -> None:
    assert entry(write).identity is None
    assert entry(write, 'local_id = "@vpn.example.org"').identity == Identification(
        IdType.FQDN, 0, 0, b"vpn.example.org"
    )
    assert entry(write, 'local_id = "C=*, O=Acme, CN=gateway"').identity == Identification(
        IdType.DER_ASN1_DN, 0, 0, OWN.certificate.subject.public_bytes()
    )


def test_the_same_authority_as_the_gateways(write: Write) -> None:
    trust = entry(write, 'client_ca = "%same"').trust
    assert trust.authority is not None
    assert trust.authority.matches(BETWEEN.name)
    assert not trust.authority.matches(ROOT.name)


def test_crls(write: Write) -> None:
    write("ca.crl", pem(ROOT.crl()))
    write("old.crl", ROOT.crl(valid=(-9 * DAY, -DAY)).public_bytes(Encoding.DER))
    config = configured(write, BOTH, CA, 'crl = ["ca.crl", "old.crl"]', "fetch = false")
    (made,) = config.certificates
    assert len(made.trust.crls) == 2
    assert not made.trust.fetch
    assert any("is out of date since" in warning for warning in config.warnings)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (ROOT.issue("gateway", number=9, usages=None), "has no subjectAltName"),
        (ROOT.issue("gateway", number=9, names=["x.org"]), "is not for a server"),
        (ROOT.issue("gateway", number=9, valid=(-9 * DAY, -DAY)), "has expired on"),
        (ROOT.issue("gateway", number=9, valid=(-DAY, 9 * DAY)), "expires on"),
    ],
)
def test_what_clients_will_not_like_is_a_warning(write: Write, own: Identity, words: str) -> None:
    write("gateway.pem", own.chain_pem())
    assert any(words in warning for warning in configured(write, BOTH, CA).warnings)


# --- tokens --------------------------------------------------------------------------------------


def test_uris() -> None:
    uri = TokenUri.parse("pkcs11:token=my%20vpn;object=gw;id=%01%ff?module-path=/x.so")
    assert uri == TokenUri("/x.so", "my vpn", "gw", b"\x01\xff")
    for text in (
        "file:x",
        "pkcs11:object=x",
        "pkcs11:token=x?module-path=/x.so",
        "pkcs11:object=x;slot-id=1?module-path=/x.so",
    ):
        with pytest.raises(ValueError, match=r"."):
            TokenUri.parse(text)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A SoftHSM token with the gateway's key in it, PIN 1234; the beginning of its URI."""
    if not SOFTHSM.exists():
        pytest.skip("softhsm2 is not installed")
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    key = tmp_path / "import.key"
    key.write_text(OWN.key_pem())
    pins = ("--pin", "1234", "--so-pin", "1234")
    for command in (
        ("--init-token", "--free", "--label", "vpn"),
        ("--import", str(key), "--token", "vpn", "--label", "gateway", "--id", "01"),
    ):
        subprocess.run(
            ("softhsm2-util", *command, *pins), check=True, capture_output=True, env=os.environ
        )
    return "pkcs11:token=vpn;object=gateway"


def in_a_process(write: Write, uri: str, pin: str) -> subprocess.CompletedProcess[str]:
    """Check a configuration as an operator would: SoftHSM reads its settings once."""
    write("pin", pin)
    config = write(
        "gateway.toml",
        "\n".join(
            (
                *(PPP, USER, "[[certificate]]", 'certificate = "gateway.pem"'),
                *(f'pkcs11 = "{uri}?module-path={SOFTHSM}"', 'passphrase_file = "pin"', CA),
            )
        ),
    )
    program = """
import sys
from pathlib import Path
from cli.ikev1d.config import ConfigError, load
try:
    made, again = (load(Path(sys.argv[1])).certificates[0] for _ in range(2))
except ConfigError as error:
    sys.exit(str(error))
print(made.key.sign(4, bytes(32)).hex(), again.key.sign(4, bytes(32)).hex())
"""
    return subprocess.run(
        (sys.executable, "-c", program, str(config)),
        check=False,
        capture_output=True,
        text=True,
        env=os.environ,
    )


def test_a_key_in_a_token_signs_before_and_after_a_reload(write: Write, token: str) -> None:
    done = in_a_process(write, token, "1234\n")
    assert done.returncode == 0, done.stderr
    for signature in map(bytes.fromhex, done.stdout.split()):
        signatures.verify(OWN.key.public_key(), HashAlgorithm.SHA2_256, PROOF, signature)


@pytest.mark.parametrize(
    ("uri", "pin", "words"),
    [
        ("pkcs11:token=vpn;object=gateway", "9999", "PinIncorrect"),
        ("pkcs11:token=vpn;object=other", "1234", "NoSuchKey"),
        ("pkcs11:token=none;object=gateway", "1234", "0 tokens fit"),
    ],
)
def test_tokens_out_of_reach(write: Write, token: str, uri: str, pin: str, words: str) -> None:
    done = in_a_process(write, uri, pin)
    assert done.returncode == 1
    assert words in done.stderr
    assert "certificate[0].pkcs11" in done.stderr
    assert token
    assert pin not in done.stderr
