"""What the daemon says about itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from cli.ikev1d.config import Config
from cli.ikev1d.in_force import InForce
from cli.ikev1d.verify.running import RunningFacts, check_running
from tests.support.verify_samples import configured, wrong

WELL = RunningFacts(
    half_open=3,
    addresses=64,
    leased=10,
    file_limit=1024,
    stray_leases=0,
    lost_events=0,
    waiting=(),
    changed=False,
    no_kernel_path="",
    in_user_space={},
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def test_a_daemon_that_is_well(config: Config) -> None:
    assert {one.level for one in check_running(WELL, config)} == {"ok"}


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"half_open": 1700}, "daemon.half_open", "warning"),
        ({"leased": 60}, "daemon.pool", "warning"),
        ({"file_limit": 256}, "daemon.files", "warning"),
        ({"stray_leases": 2}, "daemon.leases", "warning"),
        ({"lost_events": 1}, "daemon.lost_events", "note"),
        ({"waiting": ("ppp", "marks")}, "daemon.restart", "warning"),
        ({"changed": True}, "daemon.reload", "note"),
        ({"no_kernel_path": "no l2tp_ppp"}, "daemon.data_path", "warning"),
        ({"in_user_space": {"5f0c2a91": "same port"}}, "daemon.data_path", "note"),
    ],
)
def test_a_daemon_that_is_not(
    change: dict[str, object], check: str, level: str, config: Config
) -> None:
    facts = replace(WELL, **change)  # type: ignore[arg-type]
    found = {one.check: one for one in check_running(facts, config)}
    assert found[check].level == level
    assert found[check].why


def test_clients_in_user_space_are_named_with_the_cause(config: Config) -> None:
    clients = {f"client{number}": "same port" for number in range(12)}
    facts = replace(WELL, in_user_space=clients)
    (what,) = [one.what for one in check_running(facts, config) if one.level == "note"]
    assert "client0 (same port)" in what
    assert "client11" not in what


def test_the_configuration_in_force(config: Config) -> None:
    in_force = InForce(config)
    assert not in_force.waiting
    assert not in_force.changed
    text = config.path.read_text()
    config.path.write_text(text.replace('"192.168.1.99"', '"192.168.1.98"'))
    assert in_force.changed
    assert in_force.reread()
    assert in_force.waiting == ("ppp",)
    assert not in_force.changed
    assert in_force.reread()
    assert in_force.waiting, "a second reload, which changes nothing, does not end the waiting"
    config.path.write_text(text)
    assert in_force.reread()
    assert not in_force.waiting
    assert wrong(check_running(replace(WELL, waiting=("ppp",)), config))["daemon.restart"].remedy
