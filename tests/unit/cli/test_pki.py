"""ikectl pki: what each command writes, refuses and says."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from cli.ikectl.__main__ import OK, REFUSED, main
from cli.ikev1d.config import load

NAME = "vpn.example.com"
ADDRESS = "203.0.113.1"

Pki = Callable[..., tuple[int, str, str]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "pki"


@pytest.fixture
def pki(directory: Path, capsys: pytest.CaptureFixture[str]) -> Pki:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(["pki", "--directory", str(directory), *arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


@pytest.fixture
def made(pki: Pki) -> Pki:
    """A CA with an ECDSA key, which is made quickly."""
    assert pki("init", "--key", "ecdsa-p256", "--organization", "Acme")[0] == OK
    return pki


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def passphrase(out: str) -> bytes:
    (line,) = (line for line in out.splitlines() if "shown only now" in line)
    return line.rpartition(" ")[2].encode()


def revoked(directory: Path) -> set[int]:
    crl = x509.load_pem_x509_crl((directory / "crl.pem").read_bytes())
    assert crl == x509.load_der_x509_crl((directory / "crl.der").read_bytes())
    ca = certificate(directory / "ca.crt")
    key = ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(key)
    assert crl.issuer == ca.subject
    return {entry.serial_number for entry in crl}


def uses(subject: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(subject.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def alternatives(subject: x509.Certificate) -> list[x509.GeneralName]:
    return list(subject.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


# --- the CA ------------------------------------------------------------------------------------


def test_init_makes_an_rsa_3072_ca_for_ten_years(pki: Pki, directory: Path) -> None:
    status, out, _ = pki("init")
    ca = certificate(directory / "ca.crt")
    key = load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert status == OK
    assert "not encrypted" in out
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    assert key.public_key() == ca.public_key()
    assert ca.subject.rfc4514_string() == "CN=VPN CA"
    assert ca.not_valid_after_utc - ca.not_valid_before_utc == timedelta(days=3650, seconds=-1)
    ca.verify_directly_issued_by(ca)


def test_a_ca_may_issue_certificates_and_no_other_ca(made: Pki, directory: Path) -> None:
    extensions = certificate(directory / "ca.crt").extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature


def test_init_publishes_an_empty_crl(made: Pki, directory: Path) -> None:
    assert revoked(directory) == set()


def test_secrets_are_for_their_owner_alone(made: Pki, directory: Path) -> None:
    made("gateway", NAME)
    made("client", "alice")
    modes = {
        str(path.relative_to(directory)): mode(path)
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in (".crt", ".pem", ".der")
    }
    assert modes == {
        ".lock": 0o600,
        "ca.key": 0o600,
        "index.json": 0o600,
        f"gateway/{NAME}.key": 0o600,
        "clients/alice.p12": 0o600,
    }
    assert {mode(path) for path in (directory, *directory.iterdir()) if path.is_dir()} == {0o700}


def test_init_refuses_a_directory_that_has_a_ca(made: Pki, directory: Path) -> None:
    before = {path: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    status, _, err = made("init")
    assert status == REFUSED
    assert "has a CA already" in err
    assert {path: path.read_bytes() for path in directory.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("command", [["gateway", NAME], ["client", "a"], ["crl"], ["list"]])
def test_commands_without_a_ca_name_the_one_that_makes_it(
    pki: Pki, directory: Path, command: list[str]
) -> None:
    status, _, err = pki(*command)
    assert status == REFUSED
    assert "ikectl pki init" in err
    assert not directory.exists()


def test_an_encrypted_ca_key_opens_with_its_passphrase_alone(
    pki: Pki, directory: Path, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for file, text in ((right, "correct horse\n"), (wrong, "battery staple\n")):
        file.write_text(text)
        file.chmod(0o600)
    assert pki("--ca-passphrase-file", str(right), "init", "--key", "ecdsa-p256")[0] == OK
    assert b"ENCRYPTED" in (directory / "ca.key").read_bytes()
    assert pki("--ca-passphrase-file", str(right), "client", "alice")[0] == OK
    refused = pki("--ca-passphrase-file", str(wrong), "client", "bob")
    assert refused[0] == REFUSED
    assert "passphrase is wrong" in refused[2]
    without = pki("client", "bob")
    assert without[0] == REFUSED
    assert "--ca-passphrase-file" in without[2]
    assert not (directory / "clients/bob.p12").exists()


def test_a_passphrase_file_that_others_may_read_is_refused(pki: Pki, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("secret\n")
    file.chmod(0o640)
    status, _, err = pki("--ca-passphrase-file", str(file), "init")
    assert status == REFUSED
    assert f"chmod 600 {file}" in err


# --- the gateway -------------------------------------------------------------------------------


def test_a_gateway_certificate_is_what_apple_and_windows_ask_for(
    made: Pki, directory: Path
) -> None:
    status, out, _ = made("gateway", NAME, ADDRESS, "2001:db8::1")
    subject = certificate(directory / f"gateway/{NAME}.crt")
    assert status == OK
    assert f"{NAME}, {ADDRESS}, 2001:db8::1" in out
    assert subject.subject.rfc4514_string() == f"CN={NAME},O=Acme"
    assert alternatives(subject) == [
        x509.DNSName(NAME),
        x509.IPAddress(ip_address(ADDRESS)),
        x509.DNSName(ADDRESS),
        x509.IPAddress(ip_address("2001:db8::1")),
    ]
    assert uses(subject) == [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.IPSEC_IKE,
        x509.ObjectIdentifier("1.3.6.1.5.5.8.2.2"),
    ]
    usage = subject.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert subject.not_valid_after_utc - subject.not_valid_before_utc < timedelta(days=825)
    assert subject.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=59)


def test_a_gateway_certificate_verifies_under_the_rules_of_the_web(
    made: Pki, directory: Path
) -> None:
    """The strictest rules there are: they are those that Apple holds TLS servers to."""
    made("gateway", NAME, ADDRESS)
    store = Store([certificate(directory / "ca.crt")])
    subject = certificate(directory / f"gateway/{NAME}.crt")
    builder = PolicyBuilder().store(store)
    for dialled in (x509.DNSName(NAME), x509.IPAddress(ip_address(ADDRESS))):
        chain = builder.build_server_verifier(dialled).verify(subject, [])
        assert len(chain) == 2
    with pytest.raises(VerificationError):
        builder.build_server_verifier(x509.DNSName("evil.example.com")).verify(subject, [])


@pytest.mark.parametrize("names", [[NAME, ADDRESS], [ADDRESS, NAME], [ADDRESS]])
def test_the_section_for_the_gateway_is_taken_by_it(
    made: Pki, tmp_path: Path, names: list[str]
) -> None:
    _, out, _ = made("gateway", *names)
    section = out[out.index("[[certificate]]") :]
    file = tmp_path / "ikev1d.toml"
    file.write_text(f"""
{section}
[ppp]
pool = "192.168.1.128-192.168.1.254"
local_address = "192.168.1.99"
[[user]]
name = "alice"
secret = "wonderland"
""")
    file.chmod(0o600)
    config = load(file)
    assert config.warnings == ()
    shown = config.certificates[0].identity
    assert (shown is not None) == (NAME not in names)


def test_more_days_than_apple_takes_are_refused(made: Pki, directory: Path) -> None:
    status, _, err = made("gateway", NAME, "--days", "826")
    assert (status, "825" in err) == (REFUSED, True)
    assert list((directory / "gateway").iterdir()) == []
    assert made("gateway", NAME, "--days", "825")[0] == OK


def test_a_certificate_that_outlives_its_ca_is_refused(pki: Pki, directory: Path) -> None:
    pki("init", "--key", "ecdsa-p256", "--days", "100")
    status, _, err = pki("client", "alice")
    assert status == REFUSED
    assert "--days 99 at most" in err
    assert pki("client", "alice", "--days", "99")[0] == OK


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-vpn.example.com",
        "vpn_1.example.com",
        "../ca",
        "a..b",
        "vpn.1",
        "bücher.example",
        "*.a",
    ],
)
def test_a_gateway_name_that_is_none(made: Pki, directory: Path, name: str) -> None:
    status, _, err = made("gateway", "--", name)
    assert status == REFUSED
    assert "neither a DNS name nor an address" in err
    assert list((directory / "gateway").iterdir()) == []


# --- clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--legacy"]])
def test_a_client_gets_key_certificate_and_ca_in_one_file(
    made: Pki, directory: Path, options: list[str]
) -> None:
    status, out, _ = made("client", "alice", *options)
    data = (directory / "clients/alice.p12").read_bytes()
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_pkcs12(data, b"guess")
    container = pkcs12.load_pkcs12(data, passphrase(out))
    assert status == OK
    assert container.cert is not None
    assert container.cert.friendly_name == b"alice"
    assert container.key is not None
    assert container.key.public_key() == container.cert.certificate.public_key()
    assert container.cert.certificate == certificate(directory / "clients/alice.crt")
    ca = certificate(directory / "ca.crt")
    assert [other.certificate for other in container.additional_certs] == [ca]


PBE_SHA1_3DES = bytes.fromhex("060a2a864886f70d010c0103")
"""pbeWithSHAAnd3-KeyTripleDES-CBC, RFC 7292 appendix C."""
PBES2 = bytes.fromhex("06092a864886f70d01050d")
"""id-PBES2, RFC 8018 appendix A.4."""
AES256_CBC = bytes.fromhex("060960864801650304012a")
"""aes256-CBC-PAD, RFC 8018 appendix B.2.5."""
SHA1 = bytes.fromhex("06052b0e03021a")
SHA256 = bytes.fromhex("0609608648016503040201")


def test_the_encodings_of_a_container(made: Pki, directory: Path) -> None:
    made("client", "new")
    made("client", "old", "--legacy")
    new = (directory / "clients/new.p12").read_bytes()
    old = (directory / "clients/old.p12").read_bytes()
    assert all(oid in new for oid in (PBES2, AES256_CBC, SHA256))
    assert PBE_SHA1_3DES not in new
    assert all(oid in old for oid in (PBE_SHA1_3DES, SHA1))
    assert not any(oid in old for oid in (PBES2, AES256_CBC))


def test_a_client_certificate_can_never_be_the_gateways(made: Pki, directory: Path) -> None:
    made("client", "alice@example.com")
    subject = certificate(directory / "clients/alice@example.com.crt")
    assert uses(subject) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.IPSEC_IKE]
    assert alternatives(subject) == [x509.RFC822Name("alice@example.com")]
    names = subject.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == ["alice@example.com"]


def test_a_client_certificate_verifies(made: Pki, directory: Path) -> None:
    made("client", "alice")
    verifier = (
        PolicyBuilder()
        .store(Store([certificate(directory / "ca.crt")]))
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.permit_all().require_present(
                x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None
            ),
        )
        .build_client_verifier()
    )
    assert len(verifier.verify(certificate(directory / "clients/alice.crt"), []).chain) == 2


def test_the_passphrase_goes_to_a_file_instead_of_the_terminal(
    made: Pki, directory: Path, tmp_path: Path
) -> None:
    file = tmp_path / "alice.passphrase"
    _, out, _ = made("client", "alice", "--passphrase-file", str(file))
    secret = file.read_text().strip()
    assert mode(file) == 0o600
    assert secret not in out
    pkcs12.load_pkcs12((directory / "clients/alice.p12").read_bytes(), secret.encode())


def test_a_passphrase_file_that_is_there_stops_the_command(
    made: Pki, directory: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    file.write_text("mine")
    status, _, err = made("client", "alice", "--passphrase-file", str(file))
    assert status == REFUSED
    assert "not overwritten" in err
    assert file.read_text() == "mine"
    assert list((directory / "clients").iterdir()) == []


def test_a_refused_client_leaves_no_passphrase_file(made: Pki, tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    made("client", "alice")
    assert made("client", "alice", "--passphrase-file", str(file))[0] == REFUSED
    assert not file.exists()


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 65, "-rf", "é"])
def test_a_client_name_that_is_none(made: Pki, directory: Path, name: str) -> None:
    status, _, err = made("client", "--", name)
    assert status == REFUSED
    assert "a client's name" in err
    assert list((directory / "clients").iterdir()) == []


def test_a_name_that_has_a_certificate_does_not_get_another(made: Pki, directory: Path) -> None:
    made("client", "alice")
    before = (directory / "clients/alice.p12").read_bytes()
    status, _, err = made("client", "alice")
    assert status == REFUSED
    assert "ikectl pki renew alice" in err
    assert (directory / "clients/alice.p12").read_bytes() == before


def test_files_that_the_ca_did_not_write_are_not_overwritten(made: Pki, directory: Path) -> None:
    stranger = directory / "clients/alice.crt"
    stranger.write_text("mine")
    status, _, err = made("client", "alice")
    assert status == REFUSED
    assert "not overwritten" in err
    assert stranger.read_text() == "mine"
    assert not (directory / "clients/alice.p12").exists()
    assert "alice" not in (directory / "index.json").read_text()


def test_the_url_of_the_crl_is_in_every_certificate(pki: Pki, directory: Path) -> None:
    url = "http://vpn.example.com/crl.der"
    pki("init", "--key", "ecdsa-p256", "--crl-url", url)
    pki("client", "alice")
    extensions = certificate(directory / "clients/alice.crt").extensions
    (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name == [x509.UniformResourceIdentifier(url)]


def test_commands_at_once_lose_nothing(made: Pki, directory: Path) -> None:
    names = [f"client{number}" for number in range(6)]
    run = [["pki", "--directory", str(directory), "client", name] for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(main, run)) == [OK] * len(names)
    made("list")  # takes what they have said
    document = json.loads(made("list", "--json")[1])
    assert sorted(entry["name"] for entry in document["certificates"]) == names
    assert len(list((directory / "clients").glob("*.p12"))) == len(names)


# --- afterwards --------------------------------------------------------------------------------


def test_a_renewed_gateway_keeps_its_key_and_its_names(made: Pki, directory: Path) -> None:
    made("gateway", NAME, ADDRESS, "--days", "10")
    path, key = directory / f"gateway/{NAME}.crt", directory / f"gateway/{NAME}.key"
    old, old_key = certificate(path), key.read_bytes()
    assert made("renew", NAME, "--days", "20")[0] == OK
    new = certificate(path)
    assert key.read_bytes() == old_key
    assert new.public_key() == old.public_key()
    assert new.serial_number != old.serial_number
    assert alternatives(new) == alternatives(old)
    assert new.not_valid_after_utc - old.not_valid_after_utc >= timedelta(days=10)


def test_a_renewed_client_has_another_key_and_the_same_lifetime(made: Pki, directory: Path) -> None:
    made("client", "alice", "--days", "33")
    old = certificate(directory / "clients/alice.crt")
    _, out, _ = made("renew", "alice")
    container = pkcs12.load_pkcs12((directory / "clients/alice.p12").read_bytes(), passphrase(out))
    new = certificate(directory / "clients/alice.crt")
    assert container.cert is not None
    assert container.cert.certificate == new
    assert new.public_key() != old.public_key()
    assert new.subject == old.subject
    assert new.not_valid_after_utc - new.not_valid_before_utc == timedelta(days=33, seconds=-1)


def test_nothing_to_renew(made: Pki) -> None:
    status, _, err = made("renew", "nobody")
    assert status == REFUSED
    assert "ikectl pki list" in err


def test_what_was_revoked_is_not_renewed(made: Pki, directory: Path) -> None:
    made("client", "alice")
    made("revoke", "alice")
    status, _, err = made("renew", "alice")
    assert status == REFUSED
    assert "ikectl pki client alice" in err


def test_a_key_that_others_may_read_is_not_used(made: Pki, directory: Path) -> None:
    (directory / "ca.key").chmod(0o644)
    status, _, err = made("client", "alice")
    assert status == REFUSED
    assert f"chmod 600 {directory / 'ca.key'}" in err


def test_list_points_out_what_expires_soon(made: Pki) -> None:
    made("client", "alice", "--days", "20")
    made("client", "bob", "--days", "20")
    made("renew", "bob", "--days", "90")
    out = made("list")[1]
    assert "alice expires in 19 days: ikectl pki renew alice" in out
    assert "bob expires" not in out


def test_revoking_a_name_revokes_all_of_it(made: Pki, directory: Path) -> None:
    made("client", "alice")
    first = certificate(directory / "clients/alice.crt").serial_number
    made("renew", "alice")
    second = certificate(directory / "clients/alice.crt").serial_number
    made("client", "bob")
    status, out, _ = made("revoke", "alice", "--reason", "key-compromise")
    assert status == OK
    assert out.count("revoked alice") == 2
    assert revoked(directory) == {first, second}
    crl = x509.load_pem_x509_crl((directory / "crl.pem").read_bytes())
    entry = crl.get_revoked_certificate_by_serial_number(first)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason == x509.ReasonFlags.key_compromise


def test_revoking_by_serial_leaves_the_others(made: Pki, directory: Path) -> None:
    made("client", "alice")
    first = certificate(directory / "clients/alice.crt").serial_number
    made("renew", "alice")
    digits = f"{first:040X}"
    openssl = ":".join(digits[at : at + 2] for at in range(0, 40, 2))
    assert made("revoke", openssl)[0] == OK
    assert revoked(directory) == {first}
    assert "valid" in made("list")[1]


def test_what_cannot_be_revoked(made: Pki, directory: Path) -> None:
    made("client", "alice")
    assert made("revoke", "bob")[0] == REFUSED
    assert made("revoke", "alice")[0] == OK
    status, _, err = made("revoke", "alice")
    assert (status, "revoked already" in err) == (REFUSED, True)


def test_a_revoked_name_may_be_issued_again(made: Pki, directory: Path) -> None:
    made("client", "alice")
    old = certificate(directory / "clients/alice.crt").serial_number
    made("revoke", "alice")
    assert made("client", "alice")[0] == OK
    assert certificate(directory / "clients/alice.crt").serial_number != old
    assert revoked(directory) == {old}


def test_each_crl_has_the_next_number(made: Pki, directory: Path) -> None:
    made("crl", "--crl-days", "7")
    crl = x509.load_pem_x509_crl((directory / "crl.pem").read_bytes())
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
    assert crl.next_update_utc is not None
    assert crl.next_update_utc - crl.last_update_utc == timedelta(days=7)


def test_the_crl_is_published_in_one_more_place(made: Pki, directory: Path, tmp_path: Path) -> None:
    web = tmp_path / "www"
    web.mkdir()
    made("crl", "--publish", str(web))
    for file in ("crl.pem", "crl.der"):
        assert (web / file).read_bytes() == (directory / file).read_bytes()
        assert mode(web / file) == 0o644
    assert {path.name for path in web.iterdir()} == {"crl.pem", "crl.der"}


def test_list_shows_every_certificate(made: Pki) -> None:
    made("gateway", NAME)
    made("client", "alice")
    made("client", "bob")
    made("revoke", "alice")
    _, out, _ = made("list")
    states = {line.split()[0]: line.split()[2] for line in out.splitlines()[4:]}
    assert states == {NAME: "valid", "alice": "revoked", "bob": "valid"}
    document = json.loads(made("list", "--json")[1])
    assert [entry["state"] for entry in document["certificates"]] == ["valid", "revoked", "valid"]
    assert document["crl_number"] == 2


def test_list_says_that_a_crl_is_overdue(made: Pki, directory: Path) -> None:
    index = json.loads((directory / "index.json").read_text())
    index["crl_next_update"] = "2020-01-01T00:00:00+00:00"
    (directory / "index.json").write_text(json.dumps(index))
    assert "OVERDUE: ikectl pki crl" in made("list")[1]


def test_an_expired_certificate_makes_room_for_another(made: Pki, directory: Path) -> None:
    made("client", "alice")
    index = json.loads((directory / "index.json").read_text())
    index["entries"][0]["not_after"] = "2020-01-01T00:00:00+00:00"
    (directory / "index.json").write_text(json.dumps(index))
    assert "expired" in made("list")[1]
    assert made("client", "alice")[0] == OK


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"v": 1}', '{"v": 2}', '{"v":1,"x":1}'])
def test_an_index_that_cannot_be_read_stops_everything(
    made: Pki, directory: Path, content: str
) -> None:
    (directory / "index.json").write_text(content)
    for command in (["client", "alice"], ["list"], ["crl"]):
        status, _, err = made(*command)
        assert status == REFUSED
        assert "index.json" in err
    assert (directory / "index.json").read_text() == content


def test_a_key_of_another_ca_is_not_used(made: Pki, pki: Pki, directory: Path) -> None:
    other = directory.with_name("other")
    main(["pki", "--directory", str(other), "init", "--key", "ecdsa-p256"])
    (directory / "ca.key").write_bytes((other / "ca.key").read_bytes())
    status, _, err = made("client", "alice")
    assert status == REFUSED
    assert "do not belong together" in err
