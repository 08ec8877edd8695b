"""Loading a configuration: what each section becomes, and where each key is."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from cli.ikev1d.config import AddressRange, Config, Connection, Secret, load
from cli.ikev1d.config.algorithms import DEFAULT, STRICT

Load = Callable[[str], Config]

MINIMAL = """\
[[psk]]
secret = "keysharedbyallclients"

[ppp]
pool = "192.168.1.128-192.168.1.254"
local_address = "192.168.1.99"

[[user]]
name = "jacco"
secret = "mysecret"
"""


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    def write_and_load(text: str) -> Config:
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        path.chmod(0o600)
        return load(path)

    return write_and_load


def test_minimal(load_text: Load) -> None:
    config = load_text(MINIMAL)
    assert config.warnings == ()
    assert config.gateway.listen == ()
    assert config.gateway.public_address is None
    assert config.gateway.control_socket == Path("/run/ikev1d/control")
    assert config.gateway.log_format == "text"
    assert config.ike.encryption == DEFAULT.ike_encryption
    assert config.ike.hashes == DEFAULT.ike_hashes
    assert config.ike.groups == DEFAULT.ike_groups
    assert config.esp.encryption == DEFAULT.esp_encryption
    assert config.esp.integrity == DEFAULT.esp_integrity
    (psk,) = config.psks
    assert psk.secret == Secret(b"keysharedbyallclients")
    assert (psk.local, psk.remote, psk.identity) == (None, None, None)
    assert config.l2tp.secret is None
    assert config.ppp.auth == ("mschapv2", "chap-md5")
    assert config.ppp.pool == (AddressRange.parse("192.168.1.128-192.168.1.254"),)
    assert config.ppp.local_address == IPv4Address("192.168.1.99")
    assert config.ppp.proxy_arp is None
    user = config.users["jacco"]
    assert user.secret == Secret(b"mysecret")
    assert user.address is None
    assert user.permits(IPv4Address("192.168.1.130"))
    assert config.marks.count == 0x7FFF


def test_everything_set(load_text: Load) -> None:
    config = load_text(
        """
        [gateway]
        listen = ["192.0.2.1", "198.51.100.1"]
        public_address = "203.0.113.1"
        name = "vpn"
        control_socket = "/run/other/control"
        log_format = "json"
        log_level = "debug"
        [ike]
        policy = "strict"
        hash = ["sha256", "sha1"]
        max_lifetime = 28800
        half_open_limit = 100
        half_open_per_address = 10
        half_open_timeout = 20
        dpd_delay = 15
        dpd_timeout = 90
        [esp]
        policy = "strict"
        integrity = ["sha512"]
        max_lifetime = 3600
        pfs = "if-asked"
        [[psk]]
        secret = "one"
        local = "192.0.2.1"
        remote = "203.0.113.0/24"
        id = "user@host.example"
        one_client = true
        connection = "branch"
        [[psk]]
        secret = "two"
        [[connection]]
        name = "branch"
        dpd_delay = 60
        dpd_timeout = 600
        hello_interval = 300
        echo_interval = 20
        echo_failures = 9
        rekey = true
        same_identity = "keep"
        [l2tp]
        host_name = "lns"
        hello_interval = 90
        secret = "tunnel"
        [ppp]
        pool = ["10.1.0.0/24", "10.2.0.5"]
        local_address = "10.1.0.1"
        auth = ["pap"]
        dns = ["10.0.0.53", "10.0.0.54"]
        wins = ["10.0.0.55"]
        mtu = 1280
        echo_interval = 0
        echo_failures = 3
        same_user = "replace"
        proxy_arp = "eth1"
        [[user]]
        name = "sam"
        secret = "grün"
        address = "10.3.0.5"
        [marks]
        base = 0x00010000
        mask = 0x00ff0000
        """
    )
    gateway = config.gateway
    assert gateway.listen == (IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1"))
    assert gateway.public_address == IPv4Address("203.0.113.1")
    assert gateway.name == "vpn"
    assert gateway.control_socket == Path("/run/other/control")
    assert (gateway.log_format, gateway.log_level) == ("json", "debug")
    ike = config.ike
    assert ike.encryption == STRICT.ike_encryption
    assert ike.hashes == ("sha256", "sha1")
    assert ike.groups == STRICT.ike_groups
    assert (ike.max_lifetime, ike.half_open_limit, ike.half_open_per_address) == (28800, 100, 10)
    assert ike.half_open_timeout == 20
    assert (ike.dpd_delay, ike.dpd_timeout) == (15, 90)
    assert config.esp.encryption == STRICT.esp_encryption
    assert config.esp.integrity == ("sha512",)
    assert config.esp.max_lifetime == 3600
    branch, other = config.psks
    assert branch.connection == "branch"
    assert branch.local == IPv4Network("192.0.2.1/32")
    assert branch.remote == IPv4Network("203.0.113.0/24")
    assert branch.identity == "user@host.example"
    assert (branch.one_client, other.one_client) == (True, False)
    assert other.secret.reveal() == b"two"
    assert config.connections == {
        "branch": Connection(
            name="branch",
            dpd_delay=60,
            dpd_timeout=600,
            hello_interval=300,
            echo_interval=20,
            echo_failures=9,
            rekey=True,
            same_identity="keep",
        )
    }
    assert config.l2tp.host_name == "lns"
    assert config.l2tp.hello_interval == 90
    assert config.l2tp.secret == Secret(b"tunnel")
    ppp = config.ppp
    assert [str(part) for part in ppp.pool] == ["10.1.0.1-10.1.0.254", "10.2.0.5"]
    assert ppp.auth == ("pap",)
    assert ppp.dns == (IPv4Address("10.0.0.53"), IPv4Address("10.0.0.54"))
    assert ppp.wins == (IPv4Address("10.0.0.55"),)
    assert ppp.same_user == "replace"
    assert (ppp.mtu, ppp.echo_interval, ppp.echo_failures) == (1280, 0, 3)
    assert ppp.proxy_arp == "eth1"
    sam = config.users["sam"]
    assert sam.secret.reveal() == "grün".encode()
    assert sam.address == IPv4Address("10.3.0.5")
    assert sam.permits(IPv4Address("10.3.0.5"))
    assert not sam.permits(IPv4Address("10.1.0.2"))
    assert (config.marks.base, config.marks.mask, config.marks.count) == (0x10000, 0xFF0000, 254)


def test_a_connection_differs_from_the_others_in_what_it_says(load_text: Load) -> None:
    config = load_text(
        """
        [ike]
        dpd_delay = 15
        dpd_timeout = 90
        [[psk]]
        secret = "one"
        [[psk]]
        secret = "two"
        connection = "phones"
        [[connection]]
        name = "phones"
        dpd_timeout = 1800
        echo_interval = 0
        """
        + MINIMAL.partition("[ppp]")[1]
        + MINIMAL.partition("[ppp]")[2]
    )
    assert config.warnings == ()
    phones, others = config.connection("phones"), config.connection("l2tp")
    assert (phones.dpd_delay, phones.dpd_timeout, phones.echo_interval) == (15, 1800, 0)
    assert (others.dpd_delay, others.dpd_timeout, others.echo_interval) == (15, 90, 30)
    assert phones.hello_interval == others.hello_interval == 60
    assert not phones.rekey
    assert not others.rekey
    assert phones.same_identity == others.same_identity == "replace"


def test_more_keys_for_any_address_than_are_tried_are_worth_a_warning(load_text: Load) -> None:
    keys = [f'[[psk]]\nsecret = "key {number}"\n' for number in range(64)]
    named = '[[psk]]\nsecret = "branch"\nremote = "203.0.113.0/24"\n'
    rest = "[ppp]" + MINIMAL.partition("[ppp]")[2]
    assert load_text("".join((*keys, named, rest))).warnings == ()
    (warning,) = load_text("".join((*keys, named, keys[0], rest))).warnings
    assert "gateway.toml:132: psk[65]: 65 keys are for clients at any address" in warning
    assert "only 64 are tried" in warning


def test_a_connection_that_no_key_is_for_is_worth_a_warning(load_text: Load) -> None:
    (warning,) = load_text(MINIMAL + '[[connection]]\nname = "phnoes"\n').warnings
    assert "gateway.toml:11: connection[0]:" in warning
    assert '"phnoes"' in warning


def test_interfaces(load_text: Load) -> None:
    config = load_text('[gateway]\ninterfaces = ["eth0", "ppp-uplink"]\n' + MINIMAL)
    assert config.gateway.interfaces == ("eth0", "ppp-uplink")


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("%any", None),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("@host.example", "@host.example"),
        ("user@host.example", "user@host.example"),
        ("keyid:group 1", "keyid:group 1"),
    ],
)
def test_identities(load_text: Load, written: str, identity: str | None) -> None:
    config = load_text(MINIMAL.replace("[ppp]", f'id = "{written}"\n[ppp]'))
    assert config.psks[0].identity == identity


def test_where_names_the_line(load_text: Load, tmp_path: Path) -> None:
    config = load_text(
        "\n".join(
            [
                "# a comment",  # 1
                "[ike]",
                'policy = "strict"',
                "encryption = [  # 4",
                '  "aes256",',
                '  "3des",',
                "]",
                MINIMAL,  # 8
            ]
        )
    )
    file = tmp_path / "gateway.toml"
    assert config.path == file
    assert config.where("ike.encryption") == f"{file}:4"
    assert config.where("ike.encryption[1]") == f"{file}:6"
    assert config.where("psk[0].secret") == f"{file}:9"
    assert config.where("user[0]") == f"{file}:15"
    # Not written: the line of what it would be in.
    assert config.where("ike.groups") == f"{file}:2"
    assert config.where("psk[0].remote") == f"{file}:8"
    assert config.where("psk") == f"{file}:8"
    assert config.where("esp.integrity") == str(file)
    assert str(config.psks[0].place) == f"{file}:8"
    assert str(config.users["jacco"].place) == f"{file}:15"


def test_loading_again_sees_the_changed_files(load_text: Load, tmp_path: Path) -> None:
    users = tmp_path / "chap-secrets"
    users.write_text("jacco * secret *\n")
    users.chmod(0o600)
    text = MINIMAL.replace("[[user]]", '[[user]]\nname = "sam"\nsecret = "x"\n#').partition("#")[0]
    text = text.replace("[ppp]", '[ppp]\nusers_file = "chap-secrets"')
    assert set(load_text(text).users) == {"sam", "jacco"}
    users.write_text("jacco * secret *\nmaria * other *\n")
    assert set(load_text(text).users) == {"sam", "jacco", "maria"}


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"word\n", b"word"),
        (b"word", b"word"),
        (b"two words \r\n", b"two words "),
        (b"\x00\xff\n\n", b"\x00\xff\n"),
    ],
)
def test_secret_in_a_file_of_its_own(
    load_text: Load, tmp_path: Path, content: bytes, secret: bytes
) -> None:
    file = tmp_path / "psk.secret"
    file.write_bytes(content)
    file.chmod(0o600)
    relative = MINIMAL.replace('secret = "keysharedbyallclients"', 'secret_file = "psk.secret"')
    assert load_text(relative).psks[0].secret.reveal() == secret
    absolute = MINIMAL.replace('secret = "keysharedbyallclients"', f'secret_file = "{file}"')
    assert load_text(absolute).psks[0].secret.reveal() == secret


def test_no_secret_is_shown(load_text: Load) -> None:
    config = load_text(MINIMAL.replace("[ppp]", '[l2tp]\nsecret = "tunnelsecret"\n[ppp]'))
    shown = f"{config!r} {config} {config.psks[0].secret} {config.users['jacco'].secret!r}"
    for secret in ("keysharedbyallclients", "mysecret", "tunnelsecret"):
        assert secret not in shown


def test_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        Secret(b"x").__reduce__()


def test_secrets_compare_by_value() -> None:
    assert Secret(b"x") == Secret(b"x")
    assert Secret(b"x") != Secret(b"y")
    assert Secret(b"x") != b"x"


def test_group_readable_secrets_are_warned_of(load_text: Load, tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    load_text(MINIMAL)
    path.chmod(0o640)
    (warning,) = load(path).warnings
    assert "mode 0640" in warning
    assert f"chmod 600 {path}" in warning


def test_a_file_without_secrets_may_be_read_by_all(load_text: Load, tmp_path: Path) -> None:
    for name in ("psk.secret", "user.secret"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o400)
    text = MINIMAL.replace('secret = "keysharedbyallclients"', 'secret_file = "psk.secret"')
    load_text(text.replace('secret = "mysecret"', 'secret_file = "user.secret"'))
    (tmp_path / "gateway.toml").chmod(0o644)
    assert load(tmp_path / "gateway.toml").warnings == ()


def test_nobody_to_log_in_is_warned_of(load_text: Load) -> None:
    (warning,) = load_text(MINIMAL.partition("[[user]]")[0]).warnings
    assert "there are no users" in warning


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("192.168.1.128-192.168.1.254", "192.168.1.128", "192.168.1.254", 127),
        ("192.168.1.128 - 192.168.1.128", "192.168.1.128", "192.168.1.128", 1),
        ("192.168.1.128/25", "192.168.1.129", "192.168.1.254", 126),
        ("192.168.1.128/31", "192.168.1.128", "192.168.1.129", 2),
        ("192.168.1.5", "192.168.1.5", "192.168.1.5", 1),
        ("10.0.0.0/8", "10.0.0.1", "10.255.255.254", 2**24 - 2),
    ],
)
def test_address_range(text: str, first: str, last: str, count: int) -> None:
    made = AddressRange.parse(text)
    assert (made.first, made.last, len(made)) == (IPv4Address(first), IPv4Address(last), count)
    assert IPv4Address(first) in made
    assert IPv4Address(last) + 1 not in made
    assert next(iter(made)) == IPv4Address(first)


def test_address_range_in_order() -> None:
    assert [str(address) for address in AddressRange.parse("10.0.0.254-10.0.1.1")] == [
        "10.0.0.254",
        "10.0.0.255",
        "10.0.1.0",
        "10.0.1.1",
    ]
