"""pppd's chap-secrets: its words, its columns, and who gets in."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from cli.ikev1d.config import Config, ConfigError, Secret, load
from cli.ikev1d.config.chap_secrets import MAX_WORD, first_word, parse

FILE = Path("chap-secrets")

HOWTO = """\
# Secrets for authentication using CHAP
# client        server  secret                  IP addresses
jacco           *       "mysecret"              192.168.1.128/25
*               jacco   "mysecret"              192.168.1.128/25
sam             *       "rumpelstiltskin"       192.168.1.5
*               sam     "rumpelstiltskin"       192.168.1.5
"""


def words(text: str | bytes) -> list[bytes]:
    """The words of a line as the secret column sees them, one at a time."""
    data = text.encode() if isinstance(text, str) else text
    (entry,) = parse(b"c s " + data, FILE)
    return [entry.secret.reveal(), *(word.encode() for word in entry.addresses)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret", [b"secret"]),
        ("secret   \t *  ", [b"secret", b"*"]),
        ('"two words" x', [b"two words", b"x"]),
        ("'two \"words\"'", [b'two "words"']),
        ('"it\'s"', [b"it's"]),
        ('pre"mid dle"post', [b"premid dlepost"]),
        ('""', [b""]),
        ("secret#comment", [b"secret"]),
        ("secret # comment", [b"secret"]),
        ('"se#cret"', [b"se#cret"]),
        (r"se\#cret", [b"se#cret"]),
        (r"two\ words", [b"two words"]),
        (r"EXAMPLE\\jacco", [rb"EXAMPLE\jacco"]),
        (r'"EXAMPLE\\jacco"', [rb"EXAMPLE\jacco"]),
        (r"\"x\"", [b'"x"']),
        (r"\a\b\f\n\r\s\t\v", b"\a\b\f\n\r \t\v"),
        (r"\101\12x\7", b"A\nx\x07"),
        (r"\x41\x4ax\x", b"AJx\x00"),
        (r"\q", [b"q"]),
        ("one\\\ntwo three", [b"onetwo", b"three"]),
        ("one \\\n two", [b"one", b"two"]),
        ('"one\ntwo"', [b"one\ntwo"]),
        ("grün", ["grün".encode()]),
        (b"\xe9", [b"\xe9"]),
        ("s a -- noccp", [b"s", b"a"]),
    ],
)
def test_words(text: str | bytes, expected: list[bytes] | bytes) -> None:
    assert words(text) == ([expected] if isinstance(expected, bytes) else expected)


def test_lines_and_their_numbers() -> None:
    text = "# comment\n\na * x *\n\ttoo few\nb \\\n  srv \\\n  'y\n' -\r\nc * z\n"
    entries = parse(text.encode(), FILE)
    assert [(entry.client, entry.server, entry.place.line) for entry in entries] == [
        ("a", "*", 3),
        ("b", "srv", 5),
        ("c", "*", 9),
    ]
    assert [entry.secret.reveal() for entry in entries] == [b"x", b"y\n", b"z"]
    assert [entry.addresses for entry in entries] == [("*",), ("-",), ()]


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b'a * "TOPSECRET *\nb * x *\n', 1, "quote on this line is not closed"),
        (b"ok * x\na * '\n", 2, "quote"),
        (b"a\xe9 * TOPSECRET *\n", 1, "UTF-8"),
        (b"a * x " + b"1" * (MAX_WORD + 1), 1, "longer than 1023 bytes"),
    ],
)
def test_errors_name_the_line(data: bytes, line: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        parse(data, FILE)
    assert caught.value.place.line == line
    assert "TOPSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "permitted", "refused"),
    [
        ("", [], ["192.168.1.5"]),
        ("-", [], ["192.168.1.5"]),
        ("*", ["192.168.1.5", "10.0.0.1"], []),
        ("192.168.1.5", ["192.168.1.5"], ["192.168.1.6"]),
        ("192.168.1.128/25", ["192.168.1.128", "192.168.1.255"], ["192.168.1.127"]),
        ("192.168.1.130/25", ["192.168.1.128"], ["192.168.1.127"]),
        ("!192.168.1.5 *", ["192.168.1.6"], ["192.168.1.5"]),
        ("192.168.1.0/24 !0.0.0.0/0", ["192.168.1.6"], ["10.0.0.1"]),
        ("!192.168.1.0/28 192.168.1.0/24", ["192.168.1.16"], ["192.168.1.15", "10.0.0.1"]),
    ],
)
def test_rules(column: str, permitted: list[str], refused: list[str]) -> None:
    (entry,) = parse(f"jacco * secret {column}\n".encode(), FILE)
    rules = entry.rules()
    assert all(rules.permits(IPv4Address(address)) for address in permitted)
    assert not any(rules.permits(IPv4Address(address)) for address in refused)


@pytest.mark.parametrize(
    ("column", "address"),
    [
        ("*", None),
        ("192.168.1.128/25", None),
        ("0.0.0.0/0", None),
        ("192.168.1.128/26 192.168.1.192/26", None),
        ("!10.0.0.0/8 *", None),
        ("192.168.1.5", "192.168.1.5"),
        ("192.168.1.5 192.168.1.6", "192.168.1.5"),
        ("!192.168.1.4 192.168.1.5 192.168.1.0/24", "192.168.1.5"),
        ("10.0.0.0/8 192.168.1.5", "192.168.1.5"),
    ],
)
def test_a_user_gets_one_address_or_one_of_the_pool(
    tmp_path: Path, column: str, address: str | None
) -> None:
    config = load_users(tmp_path, f"jacco * secret {column}\n")
    assert config.users["jacco"].address == (IPv4Address(address) if address else None)
    assert config.warnings == ()


@pytest.mark.parametrize(
    "column",
    ["192.168.1.128/26", "192.168.1.129/26 192.168.2.0/24", "!192.168.1.200 *", "10.0.0.0/8"],
)
def test_a_user_of_a_part_of_the_pool_gets_none_of_it(tmp_path: Path, column: str) -> None:
    config = load_users(tmp_path, f"ok * x *\njacco * secret {column}\n")
    jacco = config.users["jacco"]
    assert jacco.address is None
    assert not any(jacco.permits(address) for part in config.ppp.pool for address in part)
    (warning,) = config.warnings
    assert "chap-secrets:2: " in warning
    assert "not all of ppp.pool" in warning


@pytest.mark.parametrize("word", ["vpn.example", "TOPSECRET", "192.168.1.0/33", "::1", "1.2.3.4+"])
def test_a_word_that_is_no_address_is_refused_and_not_shown(tmp_path: Path, word: str) -> None:
    # What stands there may be the second half of a secret with a space.
    with pytest.raises(ConfigError, match="chap-secrets:2: the addresses of client") as caught:
        load_users(tmp_path, f"# one\njacco * secret {word} *\n")
    assert word not in str(caught.value)


def load_users(tmp_path: Path, text: str, name: str | None = None) -> Config:
    users = tmp_path / "chap-secrets"
    users.write_text(text)
    users.chmod(0o600)
    config = tmp_path / "gateway.toml"
    gateway = f'[gateway]\nname = "{name}"\n' if name else ""
    config.write_text(
        f'{gateway}[[psk]]\nsecret = "x"\n[ppp]\npool = "192.168.1.128-192.168.1.254"\n'
        'local_address = "192.168.1.99"\nusers_file = "chap-secrets"\n'
    )
    config.chmod(0o600)
    return load(config)


def test_the_howtos_file(tmp_path: Path) -> None:
    config = load_users(tmp_path, HOWTO)
    jacco, sam = config.users["jacco"], config.users["sam"]
    assert set(config.users) == {"jacco", "sam"}
    assert jacco.secret == Secret(b"mysecret")
    assert jacco.address is None
    assert sam.secret == Secret(b"rumpelstiltskin")
    assert sam.address == IPv4Address("192.168.1.5")
    assert str(sam.place) == f"{tmp_path / 'chap-secrets'}:5"
    # Both ends authenticate there; the other end's lines are not users.
    (warning,) = config.warnings
    assert "chap-secrets:4: 2 entries" in warning


def test_the_server_column(tmp_path: Path) -> None:
    text = "a * any *\na vpn ours *\nb other theirs *\nc vpn ours *\n"
    config = load_users(tmp_path, text, "vpn")
    assert {name: user.secret.reveal() for name, user in config.users.items()} == {
        "a": b"ours",
        "c": b"ours",
    }
    assert "chap-secrets:3: 1 entries" in config.warnings[0]
    assert "theirs" not in config.warnings[0]


def test_without_a_gateway_name_only_the_star_counts(tmp_path: Path) -> None:
    config = load_users(tmp_path, "a l2tpd x *\nb * y *\n")
    assert set(config.users) == {"b"}
    assert "gateway.name" in config.warnings[0]


def test_the_first_of_two_lines_counts(tmp_path: Path) -> None:
    config = load_users(tmp_path, "a * first *\na * second *\n")
    assert config.users["a"].secret == Secret(b"first")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("* * TOPSECRET *", "every user needs a name"),
        ('a * "" *', "the secret is empty"),
    ],
)
def test_an_entry_that_would_let_anybody_in_is_left_out(
    tmp_path: Path, line: str, text: str
) -> None:
    config = load_users(tmp_path, f"ok * x *\n{line}\n")
    assert set(config.users) == {"ok"}
    (warning,) = config.warnings
    assert f'chap-secrets:2: client "{line[0]}" is not used: {text}' in warning
    assert "TOPSECRET" not in warning


@pytest.mark.parametrize("column", ["", "-", "- *"])
def test_a_user_without_addresses_is_warned_of(tmp_path: Path, column: str) -> None:
    config = load_users(tmp_path, f"jacco * TOPSECRET {column}\n")
    assert not config.users["jacco"].permits(IPv4Address("192.168.1.128"))
    (warning,) = config.warnings
    assert 'chap-secrets:1: client "jacco" cannot log in: it may have no address' in warning
    assert "TOPSECRET" not in warning


def test_a_secret_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"chap-secrets:1: .*iconv"):
        load_users(tmp_path, "jacco * \\xe9 *\n")


def test_secret_in_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "jacco.secret"
    file.write_text("# jacco's\n'my secret' more\n")
    file.chmod(0o600)
    config = load_users(tmp_path, f"jacco * @{file} *\n")
    assert config.users["jacco"].secret == Secret(b"my secret")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {file}"):
        load_users(tmp_path, f"jacco * @{file} *\n")


def test_a_secret_file_without_a_word() -> None:
    with pytest.raises(ConfigError, match="no secret in this file"):
        first_word(b"# nothing\n\n", FILE)


def test_a_user_of_both_files(tmp_path: Path) -> None:
    load_users(tmp_path, "jacco * x *\n")
    config = tmp_path / "gateway.toml"
    config.write_text(config.read_text() + '[[user]]\nname = "jacco"\nsecret = "y"\n')
    with pytest.raises(ConfigError, match=r"chap-secrets:1: user .jacco. is at .*gateway\.toml:7"):
        load(config)
