"""The status table and its numbers."""

from dataclasses import fields, replace

import pytest

from cli.control import ClientStatus, GatewayStatus
from cli.ikectl.render import details, duration, size, summary, table

CLIENT = ClientStatus(
    client="5f0c2a91",
    state="up",
    peer_address="203.0.113.9",
    peer_port=4500,
    local_address="192.0.2.1",
    identity="192.168.178.23",
    connection="l2tp",
    nat="client",
    ike_algorithms="aes256-sha256-modp2048",
    esp_algorithms="aes256-sha1",
    user="jacco",
    inner_address="192.168.1.128",
    age=3725,
    bytes_in=1_234_567,
    bytes_out=100_000,
    esp_rekey=2900,
)
WIDEST = replace(
    CLIENT,
    state="closing",
    peer_address="203.100.113.109",
    peer_port=61234,
    identity="a.very.long.user.name@mail.example",
    ike_algorithms="aes256-sha256-modp2048",
    esp_algorithms="aes256gcm16",
    user="EXAMPLE\\maria.mustermann",
    inner_address="192.168.100.128",
    nat="server",
    age=99 * 86400,
    bytes_in=10**12,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h00m"),
        (3725, "1h02m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (30 * 86_400 + 7 * 3600, "30d07h"),
    ],
)
def test_duration(seconds: int | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (1024, "1.0k"),
        (10_000, "9.8k"),
        (10_240, "10k"),
        (1_023_000, "999k"),
        (1_048_576, "1.0M"),
        (5 * 2**30, "5.0G"),
        (2**50, "1P"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_wide_table_says_everything() -> None:
    assert table([CLIENT, replace(CLIENT, client="aa0c2a91", user="", esp_rekey=None)], 200) == (
        "CLIENT    STATE  USER   PEER              IDENTITY        NAT     ADDRESS        "
        "IKE                     ESP            AGE    IN  OUT  REKEY\n"
        "5f0c2a91  up     jacco  203.0.113.9:4500  192.168.178.23  client  192.168.1.128  "
        "aes256-sha256-modp2048  aes256-sha1  1h02m  1.2M  98k    48m\n"
        "aa0c2a91  up     -      203.0.113.9:4500  192.168.178.23  client  192.168.1.128  "
        "aes256-sha256-modp2048  aes256-sha1  1h02m  1.2M  98k      -"
    )


def test_a_usual_client_fits_120_columns_uncut() -> None:
    assert table([CLIENT], 120) == (
        "CLIENT   STATE USER  PEER        IDENTITY       NAT ADDRESS       "
        "IKE                ESP           AGE   IN OUT REKEY\n"
        "5f0c2a91 up    jacco 203.0.113.9 192.168.178.23 cli 192.168.1.128 "
        "aes256-sha256-dh14 aes256-sha1 1h02m 1.2M 98k   48m"
    )


def test_the_widest_client_fits_120_columns() -> None:
    lines = table([CLIENT, WIDEST], 120).splitlines()
    assert max(map(len, lines)) <= 120
    # What names a client and where it is stays whole.
    for text in ("5f0c2a91", "203.100.113.109", "192.168.100.128", "closing", "99d00h", "931G"):
        assert text in lines[2]
    # The user is cut first.
    assert "EXAMPLE…" in lines[2]


def test_columns_are_aligned() -> None:
    lines = table([CLIENT, WIDEST], 120).splitlines()
    for title in ("STATE", "PEER", "ADDRESS"):
        at = lines[0].index(title)
        assert [line[at - 1] for line in lines] == [" "] * 3
        assert " " not in [line[at] for line in lines]
    assert len({len(line) for line in lines}) == 1


def test_a_peers_text_is_made_safe() -> None:
    bad = replace(CLIENT, identity="@\x1b[31m\n\u202e", user="a\tb", state="\x07")
    for text in (table([bad], 200), details([bad])):
        assert text.replace("\n", "").isprintable()
    assert len(table([bad], 200).splitlines()) == 2


def test_details_have_every_field() -> None:
    text = details([CLIENT, WIDEST])
    first, second = text.split("\n\n")
    assert first.splitlines()[0] == "client 5f0c2a91"
    assert len(first.splitlines()) == len(fields(ClientStatus)) == len(second.splitlines())
    assert "  age              1h02m" in first
    assert "  bytes in         1.2M (1234567 bytes)" in first
    assert "  spi in           -" in first
    assert "  mark             0x00000000" in first


def test_summary() -> None:
    gateway = GatewayStatus(
        version="0.1.0", pid=1, uptime=3600, listen=(), half_open=3, established=1
    )
    assert summary(gateway, 1) == "ikev1d 0.1.0, up 1h00m, 1 client, 3 connecting, on no address"
    failures = {"wrong-psk": 1, "no-proposal": 12, "b\n": 1}
    assert summary(replace(gateway, failures=failures), 0).splitlines()[1:] == [
        "refused since start: no-proposal 12, b\\n 1, wrong-psk 1"
    ]


def test_clients_in_user_space_are_marked_and_counted() -> None:
    slow = replace(CLIENT, client="aa0c2a91", data_path="user", data_path_cause="the same port")
    _, fast_row, slow_row = table([replace(CLIENT, data_path="kernel"), slow], 200).splitlines()
    assert fast_row.split()[1] == "up"
    assert slow_row.split()[1] == "up/user"
    assert "the same port" in details([slow])
    gateway = GatewayStatus(
        version="0.1.0", pid=7, uptime=90, listen=("192.0.2.1:500",), half_open=0, established=2
    )
    assert "1 in user space" in summary(gateway, 2, 1)
    assert "user space" not in summary(gateway, 2)
