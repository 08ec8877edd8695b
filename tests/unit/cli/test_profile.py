"""ikectl profile: what each device gets, held against its platform's published schema."""

import base64
import plistlib
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from cli.ikectl.__main__ import OK, REFUSED, main
from tests.support import apple_schema, nm_l2tp_keys, windows_cmdlets

ROOT = Path(__file__).parents[3]
SERVER = "vpn.example.com"
PSK = "k€y 'with' \\ \u2019quotes\u2019, $(commas) and `all`"
FORMATS = ("apple", "windows", "linux", "text")
EXTENSIONS = {"apple": "mobileconfig", "windows": "ps1", "linux": "sh", "text": "txt"}

Profile = Callable[..., str]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "pki"
    for command in (
        ["init", "--key", "ecdsa-p256"],
        ["gateway", SERVER],
        ["client", "alice", "--passphrase-file", str(directory / "alice.passphrase"), "--legacy"],
        ["client", "modern"],
    ):
        assert main(["pki", "--directory", str(directory), *command]) == OK
    return directory


@pytest.fixture
def psk(tmp_path: Path) -> Path:
    file = tmp_path / "psk"
    file.write_text(f"{PSK}\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def profile(tmp_path: Path, pki: Path, psk: Path) -> Profile:
    """Make a profile with a preshared key, or with --client; gives what is in the file."""

    def run(kind: str, *options: str) -> str:
        file = tmp_path / "profile"
        file.unlink(missing_ok=True)
        machine = ["--pki", str(pki)]
        if "--client" not in options:
            machine += ["--psk-file", str(psk)]
        arguments = [kind, "--server", SERVER, "--output", str(file), *machine, *options]
        assert main(["profile", *arguments]) == OK
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        return file.read_bytes().decode("utf-8-sig")

    return run


def payloads(text: str) -> dict[str, dict[str, Any]]:
    profile = plistlib.loads(text.encode())
    return {payload["PayloadType"]: payload for payload in profile["PayloadContent"]}


# --- Apple -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--user", "alice", "--name", "The office"],
        ["--route", "192.168.1.0/24"],
        ["--client", "alice"],
        ["--client", "modern", "--user", "alice"],
    ],
)
def test_apple_profiles_are_of_apples_schema(profile: Profile, options: list[str]) -> None:
    assert apple_schema.faults(plistlib.loads(profile("apple", *options).encode())) == []


def test_the_schema_check_sees_faults(profile: Profile) -> None:
    document = plistlib.loads(profile("apple").encode())
    (vpn,) = document["PayloadContent"]
    vpn["IPSec"]["SharedSecret"] = "text"
    vpn["IPSec"]["Invented"] = 1
    vpn["IPv4"]["OverridePrimary"] = 2
    vpn["PayloadUUID"] = document["PayloadUUID"]
    del vpn["UserDefinedName"]
    assert len(apple_schema.faults(document)) == 5


def test_apple_with_a_preshared_key(profile: Profile) -> None:
    vpn = payloads(profile("apple", "--user", "alice", "--name", "The office"))[
        "com.apple.vpn.managed"
    ]
    assert vpn["VPNType"] == "L2TP"
    assert vpn["UserDefinedName"] == "The office"
    assert vpn["PPP"] == {"CommRemoteAddress": SERVER, "AuthName": "alice"}
    assert vpn["IPSec"] == {
        "RemoteAddress": SERVER,
        "AuthenticationMethod": "SharedSecret",
        "SharedSecret": PSK.encode(),
    }
    assert vpn["IPv4"] == {"OverridePrimary": 1}


def test_apple_with_routes_keeps_the_rest_outside_and_says_what_it_cannot(
    profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    vpn = payloads(profile("apple", "--route", "10.0.0.0/8"))["com.apple.vpn.managed"]
    assert vpn["IPv4"] == {"OverridePrimary": 0}
    assert "no routes from a profile" in capsys.readouterr().err


def test_apple_with_a_certificate(profile: Profile, pki: Path) -> None:
    text = profile("apple", "--client", "alice")
    assert plistlib.loads(text.encode())["PayloadScope"] == "System"
    found = payloads(text)
    client = found["com.apple.security.pkcs12"]
    authority = x509.load_der_x509_certificate(found["com.apple.security.root"]["PayloadContent"])
    assert authority == x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    assert client["PayloadContent"] == (pki / "clients/alice.p12").read_bytes()
    assert found["com.apple.vpn.managed"]["IPSec"] == {
        "RemoteAddress": SERVER,
        "AuthenticationMethod": "Certificate",
        "PayloadCertificateUUID": client["PayloadUUID"],
    }


def test_the_passphrase_is_in_a_profile_only_if_asked_for(profile: Profile, pki: Path) -> None:
    file = pki / "alice.passphrase"
    without = payloads(profile("apple", "--client", "alice"))
    inside = payloads(profile("apple", "--client", "alice", "--p12-passphrase-file", str(file)))
    assert "Password" not in without["com.apple.security.pkcs12"]
    assert inside["com.apple.security.pkcs12"]["Password"] == file.read_text().strip()


def test_a_container_that_apple_devices_may_refuse_is_named(
    profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    profile("apple", "--client", "alice")
    assert "--legacy" not in capsys.readouterr().err
    profile("apple", "--client", "modern")
    assert "ikectl pki renew modern --legacy" in capsys.readouterr().err


def test_the_next_profile_of_a_user_replaces_the_one_before(profile: Profile) -> None:
    def identity(*options: str) -> tuple[str, str]:
        document = plistlib.loads(profile("apple", *options).encode())
        return document["PayloadIdentifier"], document["PayloadUUID"]

    assert identity("--user", "alice") == identity("--user", "alice", "--route", "10.0.0.0/8")
    assert identity("--user", "alice") != identity("--user", "bob")
    assert identity("--user", "alice")[0] == "com.example.vpn.l2tp.alice"


def test_a_signed_profile_holds_the_profile_and_the_gateways_certificate(
    tmp_path: Path, pki: Path, psk: Path
) -> None:
    file = tmp_path / "signed"
    machine = ["--psk-file", str(psk), "--pki", str(pki), "--sign", SERVER]
    assert main(["profile", "apple", "--server", SERVER, "--output", str(file), *machine]) == OK
    data = file.read_bytes()
    signers = pkcs7.load_der_pkcs7_certificates(data)
    gateway = x509.load_pem_x509_certificate((pki / f"gateway/{SERVER}.crt").read_bytes())
    assert gateway in signers
    inside = data[data.index(b"<?xml") : data.index(b"</plist>") + len(b"</plist>\n")]
    assert apple_schema.faults(plistlib.loads(inside)) == []


# --- Windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--user", "alice", "--name", "It's the office"],
        ["--route", "192.168.1.0/24", "--route", "10.0.0.0/8"],
        ["--strict", "--behind-nat"],
        ["--client", "alice"],
    ],
)
def test_windows_scripts_use_the_documented_parameters(
    profile: Profile, options: list[str]
) -> None:
    script = profile("windows", *options)
    assert windows_cmdlets.faults(script) == []
    expected = len(re.findall(r"(?:Add|Get|Set|Remove)-Vpn|Import-", script))
    assert len(list(windows_cmdlets.calls(script))) == expected


def test_the_parameter_check_sees_faults() -> None:
    script = "Add-VpnConnection -Name 'a' -TunnelType L2TPv3 -Invented 1 -Force yes\n"
    assert len(windows_cmdlets.faults(script)) == 4


def test_windows_with_a_preshared_key(profile: Profile) -> None:
    script = profile("windows", "--name", "It's")
    (add,) = (given for name, given in windows_cmdlets.calls(script) if name == "Add-VpnConnection")
    assert add == {
        "Name": "It's",
        "ServerAddress": SERVER,
        "TunnelType": "L2tp",
        "AuthenticationMethod": "MSChapv2",
        "EncryptionLevel": "Required",
        "RememberCredential": None,
        "Force": None,
        "L2tpPsk": PSK,
    }
    assert "RunAsAdministrator" not in script


def test_windows_with_routes(profile: Profile) -> None:
    script = profile("windows", "--route", "192.168.1.0/24", "--route", "10.0.0.0/8")
    found = list(windows_cmdlets.calls(script))
    assert [given["DestinationPrefix"] for name, given in found if name.endswith("Route")] == [
        "192.168.1.0/24",
        "10.0.0.0/8",
    ]
    assert any("SplitTunneling" in given for name, given in found if name == "Add-VpnConnection")


def test_windows_certificates_go_to_the_computers_store(profile: Profile, pki: Path) -> None:
    script = profile("windows", "--client", "alice")
    found = dict(windows_cmdlets.calls(script))
    assert script.startswith("#Requires -RunAsAdministrator\r\n")
    assert found["Import-Certificate"]["CertStoreLocation"] == r"Cert:\LocalMachine\Root"
    assert found["Import-PfxCertificate"]["CertStoreLocation"] == r"Cert:\LocalMachine\My"
    assert "L2tpPsk" not in found["Add-VpnConnection"]
    blobs = re.findall(r"FromBase64String\(@'\r\n(.*?)\r\n'@", script, re.DOTALL)
    authority, container = (base64.b64decode(blob) for blob in blobs)
    ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    assert authority == ca.public_bytes(Encoding.DER)
    assert container == (pki / "clients/alice.p12").read_bytes()


def test_windows_behind_a_nat_sets_the_registry(profile: Profile) -> None:
    script = profile("windows", "--behind-nat")
    assert "AssumeUDPEncapsulationContextOnSendRule -PropertyType DWord -Value 2" in script
    assert "Assume" not in profile("windows")


def test_windows_scripts_are_utf8_with_a_mark(tmp_path: Path, profile: Profile) -> None:
    profile("windows")
    data = (tmp_path / "profile").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\n") == data.count(b"\r\n")


# --- Linux -------------------------------------------------------------------------------------


def keyfile(script: str) -> RawConfigParser:
    (text,) = re.findall(r"cat >.*<<'END_OF_FILE'\n(.*?)\nEND_OF_FILE\n", script, re.DOTALL)
    parser = RawConfigParser(delimiters=("=",), interpolation=None)
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("options", [[], ["--user", "alice"], ["--client", "alice"]])
def test_linux_connections_have_the_plugins_keys(profile: Profile, options: list[str]) -> None:
    connection = keyfile(profile("linux", *options))
    vpn = dict(connection["vpn"])
    assert vpn.keys() <= nm_l2tp_keys.DATA
    assert vpn["service-type"] == nm_l2tp_keys.SERVICE
    assert {vpn["machine-auth-type"], vpn["user-auth-type"]} <= nm_l2tp_keys.AUTHENTICATION_TYPES
    if connection.has_section("vpn-secrets"):
        assert set(connection["vpn-secrets"]) <= nm_l2tp_keys.SECRETS


def test_linux_with_a_preshared_key(profile: Profile) -> None:
    connection = keyfile(profile("linux", "--user", "alice", "--route", "10.0.0.0/8"))
    assert connection["vpn-secrets"]["ipsec-psk"] == PSK.replace("\\", "\\\\")
    assert connection["vpn"]["user"] == "alice"
    assert dict(connection["ipv4"]) == {
        "method": "auto",
        "never-default": "true",
        "route1": "10.0.0.0/8",
    }


def test_linux_with_a_certificate(profile: Profile, pki: Path) -> None:
    script = profile("linux", "--client", "alice")
    vpn = keyfile(script)["vpn"]
    path = "/etc/NetworkManager/certs/alice.p12"
    assert vpn["machine-auth-type"] == "tls"
    assert {vpn[f"machine-{part}"] for part in ("ca", "cert", "key")} == {path}
    (blob,) = re.findall(rf"{path}\" <<'END_OF_FILE'\n(.*?)\nEND_OF_FILE", script, re.DOTALL)
    assert base64.b64decode(blob) == (pki / "clients/alice.p12").read_bytes()


@pytest.mark.parametrize("options", [[], ["--client", "alice"]])
def test_a_shell_runs_the_linux_script(
    profile: Profile, tmp_path: Path, options: list[str]
) -> None:
    """With NetworkManager's directory elsewhere, and a stand-in that says how it was called."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "nmcli").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    (commands / "nmcli").chmod(0o755)
    system = tmp_path / "etc"
    (system / "system-connections").mkdir(parents=True)
    script = profile("linux", *options).replace("/etc/NetworkManager", str(system))
    environment = {"PATH": f"{commands}:/usr/bin:/bin"}

    def shell() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-s"],
            input=script,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    done = shell()
    (connection,) = (system / "system-connections").iterdir()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == ["connection", "load", str(connection)]
    written = [connection, *system.glob("certs/*")]
    assert len(written) == (2 if options else 1)
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in written)
    again = shell()
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


# --- text, and what all have in common ---------------------------------------------------------


def test_text_says_what_to_type(profile: Profile) -> None:
    text = profile("text", "--user", "alice")
    assert text.count(PSK) == 4
    assert re.search(r"Server +vpn\.example\.com", text)
    assert re.search(r"Group name +\(empty\)", text)
    assert "certlm" not in text


def test_text_names_the_computers_store_for_windows(profile: Profile) -> None:
    text = profile("text", "--client", "alice")
    assert "Machine as the store location, not Current User" in text
    assert "L2TP/IPsec with certificate" in text


@pytest.mark.parametrize("kind", FORMATS)
def test_the_file_is_named_after_connection_and_user(
    kind: str, tmp_path: Path, psk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["profile", kind, "--server", SERVER, "--psk-file", str(psk)]
    assert main([*arguments, "--user", "al/ice", "--name", "Büro 1"]) == OK
    assert (tmp_path / f"B-ro-1-al-ice.{EXTENSIONS[kind]}").exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_is_overwritten(kind: str, tmp_path: Path, psk: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("mine")
    arguments = ["--server", SERVER, "--psk-file", str(psk), "--output", str(file)]
    assert main(["profile", kind, *arguments]) == REFUSED
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["windows", "--sign", SERVER], "for apple profiles"),
        (["apple", "--p12-passphrase-file", "x"], "goes with --client"),
        (["apple", "--client", "nobody"], "nobody.p12"),
        (["apple", "--client", "../ca"], "a client's name"),
        (["apple", "--client", "alice", "--sign", "other.example.com"], "other.example.com.crt"),
        (["text", "--name", "a\nb"], "printable"),
        (["text", "--user", "a\x1b[2J"], "printable"),
        (["text", "--server", "a b"], "neither a DNS name nor an address"),
        (["text", "--url", "https://a.example", "--output", "-"], "needs a file"),
        (["text", "--url", "https://a.example", "--serve", "127.0.0.1"], "needs a file"),
    ],
)
def test_what_is_refused(
    options: list[str], cause: str, pki: Path, psk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind, *rest = options
    arguments = ["--server", SERVER, "--pki", str(pki), *rest]
    if "--client" not in rest:
        arguments += ["--psk-file", str(psk)]
    assert main(["profile", kind, *arguments]) == REFUSED
    assert cause in capsys.readouterr().err


def test_without_a_terminal_the_key_comes_from_a_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["profile", "text", "--server", SERVER, "--output", "-"]) == REFUSED
    assert "--psk-file" in capsys.readouterr().err


def test_a_key_that_others_may_read_is_refused(
    psk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    psk.chmod(0o644)
    arguments = ["--server", SERVER, "--psk-file", str(psk), "--output", "-"]
    assert main(["profile", "text", *arguments]) == REFUSED
    assert f"chmod 600 {psk}" in capsys.readouterr().err


def test_a_profile_goes_to_standard_output(psk: Path) -> None:
    command = [sys.executable, "-m", "cli.ikectl", "profile", "apple", "--output", "-"]
    command += ["--server", SERVER, "--psk-file", str(psk)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert apple_schema.faults(plistlib.loads(done.stdout)) == []


def test_a_url_gives_a_file_that_nobody_guesses_and_a_code_for_it(
    tmp_path: Path, psk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    base = "https://vpn.example.com/profiles/"
    arguments = ["--server", SERVER, "--psk-file", str(psk), "--url", base]
    assert main(["profile", "apple", *arguments]) == OK
    out = capsys.readouterr().out
    (file,) = tmp_path.glob("*.mobileconfig")
    assert re.fullmatch(r"vpn\.example\.com-[A-Za-z0-9_-]{16}\.mobileconfig", file.name)
    assert out.splitlines()[-1] == f"{base}{file.name}"
    assert "▀" in out or "▄" in out
