"""Clients that are refused: the log names cause and remedy, nothing stays, others go on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from interop.netns import CommandError
from interop.peers.linux_client import LinuxClient
from interop.peers.xl2tpd import Xl2tpdClient
from interop.scenarios.play import dial_in
from interop.snapshot import KernelSnapshot, take_snapshot
from interop.stage import Stage
from interop.topology import OFFICE_ADDRESS, client_nat
from interop.traffic import ping
from interop.wait import until

LIMIT = 20.0
"""Seconds until all of a refused client is gone: its own programs' tries included."""


class Crowd:
    """A gateway with one client that works, and one that will not."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        # From a port of its own: a second client on its flow would move it to user space.
        self.good = stage.client("client2", user="bob", port="0-65535", l2tp_port=0)
        dial_in(stage, self.good)
        self.bad: LinuxClient = stage.client(retransmit_timeout=1.0)
        self.with_good_alone: KernelSnapshot = take_snapshot(stage.lab["gateway"])

    def refused_line(self, event: str, already: int) -> str:
        """The log line of a refusal, the first of its kind after `already` lines."""

        def lines() -> list[str]:
            return [
                line for line in self.stage.ikev1d.log().splitlines()[already:] if event in line
            ]

        return until(lines, f"{event!r} in the log", LIMIT)[0]

    def log_size(self) -> int:
        """Lines logged so far."""
        return len(self.stage.ikev1d.log().splitlines())

    def check_others(self) -> None:
        """Nothing of the refused client is in the kernel, and the other one works."""

        def added() -> list[str]:
            return take_snapshot(self.stage.lab["gateway"]).added_since(self.with_good_alone)

        until(lambda: not added(), "nothing of the refused client to be left", LIMIT)
        (status,) = [c for c in self.stage.ikev1d.clients() if c["state"] == "up"]
        assert status["user"] == "bob"
        assert ping(self.good.host, OFFICE_ADDRESS, count=2)


@pytest.fixture(scope="module")
def crowd(module_artefacts: Path) -> Iterator[Crowd]:
    with Stage(client_nat(clients=2), module_artefacts) as stage:
        yield Crowd(stage)


def test_wrong_preshared_key(crowd: Crowd) -> None:
    seen = crowd.log_size()
    crowd.bad.ipsec.load(replace(crowd.bad.connection, psk="not the right one"))
    with pytest.raises(CommandError):
        crowd.bad.ipsec.initiate(limit=6)

    line = crowd.refused_line("Main Mode refused", seen)
    assert "does not verify under any of 1 preshared keys" in line
    assert "remedy=" in line
    assert "ikev1d.toml:" in line
    crowd.check_others()
    # While charon still repeats message 5, what it is told to initiate next waits for that.
    until(lambda: crowd.bad.ipsec.sas() == "", "charon to give up", LIMIT)


def test_no_acceptable_proposal(crowd: Crowd) -> None:
    seen = crowd.log_size()
    crowd.bad.ipsec.load(replace(crowd.bad.connection, ike_proposals="aes128-md5-modp2048"))
    with pytest.raises(CommandError):
        crowd.bad.ipsec.initiate(limit=6)

    line = crowd.refused_line("Main Mode refused", seen)
    assert "offered: aes128-md5-modp2048" in line
    assert 'add \\"md5\\" to ike.hash' in line
    crowd.check_others()


def test_no_acceptable_esp_proposal(crowd: Crowd) -> None:
    seen = crowd.log_size()
    crowd.bad.ipsec.load(replace(crowd.bad.connection, esp_proposals="aes128-md5"))
    with pytest.raises(CommandError):
        crowd.bad.ipsec.initiate(limit=6)

    line = crowd.refused_line("Quick Mode refused", seen)
    assert "offered: aes128-md5" in line
    assert 'add \\"md5\\" to esp.integrity' in line
    crowd.bad.ipsec.terminate()
    crowd.check_others()


def test_wrong_port(crowd: Crowd) -> None:
    seen = crowd.log_size()
    crowd.bad.ipsec.load(replace(crowd.bad.connection, remote_ts="dynamic[udp/1702]"))
    with pytest.raises(CommandError):
        crowd.bad.ipsec.initiate(limit=6)

    line = crowd.refused_line("Quick Mode refused", seen)
    assert "port 1702, not L2TP's 1701" in line
    assert "remedy=" in line
    crowd.bad.ipsec.terminate()
    crowd.check_others()


@pytest.mark.parametrize(
    ("user", "password", "cause"),
    [("alice", "guessed", "wrong password"), ("mallory", "guessed", "unknown user")],
)
def test_login(crowd: Crowd, user: str, password: str, cause: str) -> None:
    seen = crowd.log_size()
    bad = crowd.bad
    bad.ipsec.load(bad.connection)
    bad.ipsec.initiate()
    bad.l2tp.process.stop()
    dialler = Xl2tpdClient(bad.host, bad.connection.remote_address, user, password)
    dialler.dial()

    line = crowd.refused_line("login refused", seen)
    assert f"user={user}" in line
    assert cause in line
    assert "remedy=" in line
    assert password not in crowd.stage.ikev1d.log()
    dialler.process.stop()
    bad.ipsec.terminate()
    crowd.check_others()
