"""Loads: what is asked for on the command line, and clients on loopback against nobody."""

import argparse
import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest

from interop.clients import CLIENTS
from interop.initiator.checks import Cause
from interop.initiator.profiles import only
from interop.initiator.report import Failure, Outcome, Report
from interop.initiator.udp import Client, Plan
from interop.load import clients
from interop.load.__main__ import Part, parse_mix
from interop.load.clients import Load
from interop.load.responders import Terms
from interop.settings import GatewaySettings


def test_a_mix_is_kinds_of_clients_with_their_shares() -> None:
    assert parse_mix("windows-10=2,iphone") == {"windows-10": 2.0, "iphone": 1.0}
    assert parse_mix("all") == dict.fromkeys(CLIENTS, 1.0)
    with pytest.raises(argparse.ArgumentTypeError, match=r"'amiga' is none of .*windows-10"):
        parse_mix("amiga=1")


def test_a_suite_is_all_that_is_offered() -> None:
    load = Load("192.0.2.1", "key", 0, 1, suite="3des-sha1-modp1024")
    profile = load.profile("windows-10")
    assert len(profile.phase1) == len(profile.esp) == 1
    assert only(profile, *profile.phase1, *profile.esp) == profile
    assert Load("192.0.2.1", "key", 0, 1).profile("iphone") == CLIENTS["iphone"].ike.profile


def test_the_key_is_not_shown() -> None:
    assert "correct horse" not in repr(Load("192.0.2.1", "correct horse", 0, 1))


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where clients come from, who are on loopback instead and soon give up."""
    found: list[str] = []

    class Recorded(Client):
        def __init__(self, plan: Plan, number: int) -> None:
            found.append(str(plan.source))
            impatient = replace(plan.profile.retransmission, base=0.0, tries=0)
            profile = replace(plan.profile, retransmission=impatient)
            local = ip_address("127.0.0.1")
            super().__init__(replace(plan, profile=profile, source=local), number)

    monkeypatch.setattr(clients, "Client", Recorded)
    return found


@pytest.mark.parametrize(("rate", "concurrency"), [(0.0, 2), (200.0, 1)])
def test_clients_that_nobody_answers_are_counted_by_cause(
    rate: float, concurrency: int, sources: list[str]
) -> None:
    load = Load("127.0.0.1", "key", 8, 6, rate=rate, concurrency=concurrency, crowd=3)
    report = asyncio.run(clients.Crowd(load).arrive())
    assert (report.clients, report.main_modes, report.connected) == (6, 0, 0)
    assert report.failures == {"timeout": 6}
    assert report.setup is None
    assert sorted(sources) == ["10.64.0.3", *["10.64.0.4"] * 3, *["10.64.0.5"] * 2]


def test_who_does_not_get_in_dials_again_as_long_as_there_is_patience(sources: list[str]) -> None:
    load = Load("127.0.0.1", "key", 0, 2, redial=0.001, patience=0.2)
    report = asyncio.run(clients.Crowd(load).arrive())
    assert report.failures == {"timeout": 2}
    assert report.attempts == {"timeout": len(sources) - 2}
    assert report.attempts["timeout"] > 2


def test_who_stays_rekeys_and_is_told_apart_from_who_is_lost() -> None:
    class Staying:
        def __init__(self, lost: Failure | None) -> None:
            self.lost = lost
            self.left = False

        async def run(self) -> Outcome:
            return Outcome(0.1, (0.2,), None, (), 0.3)

        async def rekey(self) -> Outcome:
            return Outcome(None, (0.05,), None, ())

        def leave(self) -> None:
            self.left = True

    callers = [Staying(None), Staying(None), Staying((Cause.REFUSED, "deleted"))]
    waiting = iter(callers)

    class Played(clients.Crowd):
        def _caller(self, kind: str, number: int) -> clients.Caller:
            return next(waiting)

    async def play() -> tuple[Report, Report, dict[str, int]]:
        crowd = Played(Load("127.0.0.1", "key", 0, 3, stay=True))
        return await crowd.arrive(), await crowd.rekey(), crowd.vanish()

    arrived, rekeyed, lost = asyncio.run(play())
    assert (arrived.connected, arrived.failures) == (3, {})
    assert arrived.setup is not None
    assert arrived.setup.max >= 300.0
    assert (rekeyed.quick_modes, rekeyed.main_modes) == (2, 0)
    assert lost == {"refused": 1}
    assert all(caller.left for caller in callers)


def test_whole_clients_log_in_as_a_user_of_their_own() -> None:
    terms = Terms(users=3)
    settings = terms.settings("192.0.2.1")
    assert list(settings.users) == [clients.user_name(number) for number in range(3)]
    assert settings.pool == ("10.192.0.2", "10.192.0.4")
    assert Terms().settings("192.0.2.1").users == GatewaySettings().users


def test_a_part_is_a_line_of_the_table() -> None:
    latency = {"p50": 1.25, "p90": 2.0, "p99": 3.5, "max": 4.0}
    report = {
        "connected": 90,
        "elapsed": 2.0,
        "initiator_cpu": 0.2,
        "attempts": {"timeout": 3, "refused": 4},
        "main_mode": latency,
        "quick_mode": None,
        "setup": latency,
    }
    part = Part("arrival", "ikev1d", 100, report, 2.5, 0.5, 40_000_000, 90)
    told = (
        "arrival | ikev1d | 100 | 45 | 1.2 / 3.5 | - | 1.2 / 3.5 | 7 | 10 | 5.00 | 2.00 | 40 | 90"
    )
    assert part.row() == f"| {told} |"
