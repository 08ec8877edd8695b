"""What a wrong configuration is told: the file, the line, the key, what is allowed, what to do."""

import os
from pathlib import Path

import pytest

from cli.ikev1d.config import ConfigError, load

PSK = '[[psk]]\nsecret = "TOPSECRET"\n'
PPP = '[ppp]\npool = "192.168.1.128-192.168.1.254"\nlocal_address = "192.168.1.99"\n'
USER = '[[user]]\nname = "jacco"\nsecret = "TOPSECRET"\n'
REST = PSK + PPP + USER


def failure(tmp_path: Path, text: str | bytes, mode: int = 0o600) -> ConfigError:
    path = tmp_path / "gateway.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "TOPSECRET" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        # An algorithm that is not one.
        (
            '[ike]\n\nencryption = [\n "aes256",\n "3dse",\n]\n' + REST,
            5,
            "ike.encryption[1]",
            ["3dse", "aes256, aes192, aes128, 3des", 'did you mean "3des"'],
        ),
        ('[ike]\nhash = ["sha2_256"]\n' + REST, 2, "ike.hash[0]", ['did you mean "sha256"']),
        ('[ike]\ngroups = ["14"]\n' + REST, 2, "ike.groups[0]", ['group 14 is named "modp2048"']),
        ('[esp]\nencryption = ["des"]\n' + REST, 2, "esp.encryption[0]", ["aes256gcm16"]),
        ("[esp]\nintegrity = []\n" + REST, 2, "esp.integrity", ["empty", "remove the key"]),
        ('[ike]\nhash = ["sha1", "sha1"]\n' + REST, 2, "ike.hash[1]", ["twice"]),
        ('[ike]\npolicy = "paranoid"\n' + REST, 2, "ike.policy", ["default, strict"]),
        ('[esp]\npfs = "yes"\n' + REST, 2, "esp.pfs", ["if-asked"]),
        # Unknown and missing keys.
        (
            "[ike]\nencrytion = []\n" + REST,
            2,
            "ike.encrytion",
            ["no such key", 'did you mean "encryption"', "half_open_limit"],
        ),
        ('[l2tp]\npool = "10.0.0.0/8"\n' + REST, 2, "l2tp.pool", ["it belongs into [ppp]"]),
        ('[metrics]\nlisten = "9410"\n' + REST, 2, "metrics.listen", ["127.0.0.1:9410"]),
        ('[metrics]\nlisten = "localhost:9410"\n' + REST, 2, "metrics.listen", ["IPv4"]),
        ('[metrics]\nlisten = "127.0.0.1:70000"\n' + REST, 2, "metrics.listen", ["port"]),
        ("[ikev2]\n" + REST, 1, "ikev2", ["no such section", "gateway"]),
        (PSK + '[[user]]\nnmae = "x"\nsecret = "x"\n' + PPP, 4, "user[0].nmae", ['"name"']),
        (PSK + PPP + USER + '[[user]]\nsecret = "x"\n', 9, "user[1].name", ["is missing"]),
        (PSK + '[ppp]\npool = "10.0.0.0/8"\n', 3, "ppp.local_address", ["missing", "99"]),
        (PSK, None, "ppp", ["is missing", "add a [ppp] section"]),
        (PPP, None, "psk", ["no client can authenticate", "[[psk]]"]),
        # Types and bounds.
        (
            '[ike]\nmax_lifetime = "1h"\n' + REST,
            2,
            "ike.max_lifetime",
            ["a whole number", "quotes"],
        ),
        ("[ike]\nmax_lifetime = 10\n" + REST, 2, "ike.max_lifetime", [">= 300"]),
        ("[ike]\nmax_lifetime = 3600.0\n" + REST, 2, "ike.max_lifetime", ["a whole number"]),
        ("[ike]\nhalf_open_limit = true\n" + REST, 2, "ike.half_open_limit", ["true or false"]),
        ('[ike]\nencryption = "aes256"\n' + REST, 2, "ike.encryption", ["a list in brackets"]),
        ("[ppp]\nmtu = 9000\n", 2, "ppp.mtu", ["<= 1500"]),
        ("[psk]\nsecret = 'TOPSECRET'\n" + PPP, 1, "psk", ["a list", "a table"]),
        ("ike = 3\n" + REST, 1, "ike", ["a table"]),
        ("[[psk]]\nsecret = 12\n" + PPP, 2, "psk[0].secret", ["the secret itself, a string"]),
        ('[[psk]]\nsecret = ""\n' + PPP, 2, "psk[0].secret", ["the secret itself"]),
        # Values that do not fit each other.
        (
            "[ike]\nhalf_open_limit = 10\nhalf_open_per_address = 11\n" + REST,
            3,
            "ike.half_open_per_address",
            ["above half_open_limit"],
        ),
        ("[marks]\nmask = 0x00f0f000\n" + REST, 2, "marks.mask", ["not one run", "0x7fff0000"]),
        ("[marks]\nbase = 1\n" + REST, 2, "marks.base", ["outside of mask"]),
        ("[marks]\nbase = 0xff\nmask = 0xff\n" + REST, 2, "marks.base", ["no mark"]),
        ("[marks]\nmask = 0x100000000\n" + REST, 2, "marks.mask", ["<= 4294967295"]),
        (
            "[ike]\ndpd_delay = 90\ndpd_timeout = 90\n" + REST,
            3,
            "ike.dpd_timeout",
            ["90 is not above dpd_delay, 90"],
        ),
        (
            REST + '[[connection]]\nname = "l2tp"\ndpd_delay = 200\n',
            9,
            "connection[0].dpd_timeout",
            ["180 is not above dpd_delay, 200"],
        ),
        (
            REST + '[[connection]]\nname = "l2tp"\n[[connection]]\nname = "l2tp"\n',
            11,
            "connection[1]",
            ['"l2tp" has a section at', "gateway.toml:9 too", "make one of the two"],
        ),
        (REST + "[[connection]]\necho_interval = 1\n", 9, "connection[0].name", ["is missing"]),
        (
            REST + '[[connection]]\nname = "l2tp"\nsame_identity = "kepp"\n',
            11,
            "connection[0].same_identity",
            ['"kepp" is not known here', "replace, keep, several"],
        ),
        # Texts that mean nothing.
        ('[gateway]\nlisten = ["::"]\n' + REST, 2, "gateway.listen[0]", ["not an IPv4 address"]),
        (
            '[gateway]\npublic_address = "vpn.example"\n' + REST,
            2,
            "gateway.public_address",
            ["not an IPv4 address"],
        ),
        ('[gateway]\nname = "a\\nb"\n' + REST, 2, "gateway.name", ["not a name of 255 bytes"]),
        (f'[l2tp]\nhost_name = "{"ü" * 128}"\n' + REST, 2, "l2tp.host_name", ["255 bytes"]),
        (
            '[gateway]\nlisten = ["192.0.2.1"]\ninterfaces = ["eth0"]\n' + REST,
            3,
            "gateway.interfaces",
            ["gateway.listen"],
        ),
        ('[gateway]\ninterfaces = ["eth 0"]\n' + REST, 2, "gateway.interfaces[0]", ["eth1"]),
        (PPP + 'proxy_arp = "eth 1"\n' + PSK, 4, "ppp.proxy_arp", ["eth1"]),
        ('[gateway]\ncontrol_socket = "x"\n' + REST, 2, "gateway.control_socket", ["absolute"]),
        (
            f'[gateway]\ncontrol_socket = "/{"x" * 107}"\n' + REST,
            2,
            "gateway.control_socket",
            ["107 bytes"],
        ),
        ("[gateway]\nworkers = 0\n" + REST, 2, "gateway.workers", ["1"]),
        (
            '[gateway]\nworkers = 2\n[[certificate]]\npkcs11 = "pkcs11:"\n' + REST,
            2,
            "gateway.workers",
            ["token"],
        ),
        (
            "[gateway]\nworkers = 5\n[marks]\nmask = 3\n" + REST,
            2,
            "gateway.workers",
            ["3 marks", "marks.mask"],
        ),
        ('[gateway]\nlog_level = "INFO"\n' + REST, 2, "gateway.log_level", ["debug, info"]),
        (PSK + 'remote = "vpn.example"\n' + PPP, 3, "psk[0].remote", ["%any", "203.0.113.0/24"]),
        (PSK + 'remote = "203.0.113.1/24"\n' + PPP, 3, "psk[0].remote", ["network"]),
        (PSK + 'id = "host.example"\n' + PPP, 3, "psk[0].id", ["@host.example", "keyid:"]),
        (PSK + 'id = "@"\n' + PPP, 3, "psk[0].id", ["not an identity"]),
        (PSK + 'id = "keyid:\\n"\n' + PPP, 3, "psk[0].id", ["not an identity"]),
        (PSK + 'secret_file = "x"\n' + PPP, 1, "psk[0]", ["has both", "secret, secret_file"]),
        ("[[psk]]\n" + PPP, 1, "psk[0]", ["has neither secret nor secret_file"]),
        ('[[psk]]\nsecret_file = "none"\n' + PPP, 2, "psk[0].secret_file", ["No such file"]),
        ('[[psk]]\nsecret_file = "."\n' + PPP, 2, "psk[0].secret_file", ["is not a file"]),
        (PPP + "proxy_arp = true\n" + PSK, 4, "ppp.proxy_arp", ["eth1", "or false"]),
        (PPP + 'dns = ["1.1.1.1", "1.0.0.1", "9.9.9.9"]\n' + PSK, 4, "ppp.dns", ["2 servers"]),
        (PPP + 'auth = ["mschap-v2"]\n' + PSK, 4, "ppp.auth[0]", ['did you mean "mschapv2"']),
        # Pools.
        (PSK + PPP.replace("-192.168.1.254", "-192.168.1.1"), 4, "ppp.pool", ["above the last"]),
        (PSK + PPP.replace('"192.168.1.128-192.168.1.254"', "[]"), 4, "ppp.pool", ["no address"]),
        (
            PSK + PPP.replace('"192.168.1.128-192.168.1.254"', '"192.168.1.99"'),
            4,
            "ppp.pool",
            ["no address"],
        ),
        (
            PSK + PPP.replace('"192.168.1.128-', '["10.0.0.0/24", "10.0.0.9"]#'),
            4,
            "ppp.pool",
            ["10.0.0.1-10.0.0.254 and 10.0.0.9 overlap"],
        ),
        (
            PSK + PPP.replace('"192.168.1.128-', '["10.0.0.0/24",\n "10.1.0.0/33"]#'),
            5,
            "ppp.pool[1]",
            ["10.1.0.0/33"],
        ),
        # Users.
        (REST + USER, 9, "", ['user "jacco" is at', "gateway.toml:6"]),
        (REST + 'address = "192.168.1.99"\n', 6, "", ["the address of ppp.local_address"]),
        (
            REST + 'address = "10.9.9.9"\n[[user]]\nname = "sam"\nsecret="x"\naddress="10.9.9.9"\n',
            10,
            "",
            ['user "sam"', 'the address of "jacco"', "gateway.toml:6"],
        ),
        (PPP + 'users_file = "none"\n' + PSK, 4, "ppp.users_file", ["No such file"]),
        # Not TOML at all.
        ("[ike]\npolicy = strict\n", 2, "", ["not TOML at column 10: Invalid value", "quotes"]),
        ("[ike]\n[ike]\n", 2, "", ["not TOML", "twice"]),
        ("[[psk]]\nsecret = 'TOPSECRET\n", 2, "", ["not TOML"]),
        ("# one\n[ike", 2, "", ["not TOML", "end of the file"]),
    ],
)
def test_error(tmp_path: Path, text: str, line: int | None, key: str, words: list[str]) -> None:
    error = failure(tmp_path, text)
    assert (error.place.line, error.key) == (line, key)
    file = tmp_path / "gateway.toml"
    place = f"{file}:{line}" if line else str(file)
    assert str(error).startswith(f"{place}: {key}")
    for word in words:
        assert word in str(error)


def test_not_utf8(tmp_path: Path) -> None:
    error = failure(tmp_path, b"# first\n# caf\xe9\n")
    assert error.place.line == 2
    assert "UTF-8" in str(error)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml.*No such file"):
        load(tmp_path / "none.toml")


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a file"):
            load(path)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666, 0o644])
def test_secrets_open_to_everybody_are_refused(tmp_path: Path, mode: int) -> None:
    error = failure(tmp_path, REST, mode)
    assert f"mode {mode:04o}" in str(error)
    assert f"chmod 600 {tmp_path / 'gateway.toml'}" in str(error)


@pytest.mark.parametrize("key", ["psk[0].secret_file", "ppp.users_file"])
def test_files_of_secrets_open_to_everybody_are_refused(tmp_path: Path, key: str) -> None:
    file = tmp_path / "open"
    file.write_text("TOPSECRET")
    file.chmod(0o644)
    if key == "ppp.users_file":
        text = PSK + PPP + 'users_file = "open"\n'
    else:
        text = '[[psk]]\nsecret_file = "open"\n' + PPP
    error = failure(tmp_path, text)
    assert error.key == key
    assert f"chmod 600 {file}" in str(error)


def test_empty_secret_file(tmp_path: Path) -> None:
    (tmp_path / "psk").write_text("\n")
    (tmp_path / "psk").chmod(0o600)
    error = failure(tmp_path, '[[psk]]\nsecret_file = "psk"\n' + PPP)
    assert (error.key, error.problem) == ("psk[0].secret_file", "the file is empty")


def test_a_users_secret_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"caf\xe9")
    (tmp_path / "secret").chmod(0o600)
    text = PSK + PPP + '[[user]]\nname = "jacco"\nsecret_file = "secret"\n'
    error = failure(tmp_path, text)
    assert error.place.line == 6
    assert "iconv" in str(error)
