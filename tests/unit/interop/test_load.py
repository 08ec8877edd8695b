"""Loads: what is asked for on the command line, and clients on loopback against nobody."""

import argparse
import asyncio
from dataclasses import replace
from ipaddress import ip_address

import pytest

from interop.clients import CLIENTS
from interop.initiator.profiles import only
from interop.initiator.udp import Client, Plan
from interop.load import clients
from interop.load.__main__ import Part, parse_mix
from interop.load.clients import Load


def test_a_mix_is_kinds_of_clients_with_their_shares() -> None:
    assert parse_mix("windows-10=2,iphone") == {"windows-10": 2.0, "iphone": 1.0}
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


@pytest.mark.parametrize(("rate", "concurrency"), [(0.0, 2), (200.0, 1)])
def test_clients_that_nobody_answers_are_counted_by_cause(
    rate: float, concurrency: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[str] = []

    class Recorded(Client):
        def __init__(self, plan: Plan, number: int) -> None:
            sources.append(str(plan.source))
            impatient = replace(plan.profile.retransmission, base=0.0, tries=0)
            profile = replace(plan.profile, retransmission=impatient)
            local = ip_address("127.0.0.1")
            super().__init__(replace(plan, profile=profile, source=local), number)

    monkeypatch.setattr(clients, "Client", Recorded)
    load = Load("127.0.0.1", "key", 8, 6, rate=rate, concurrency=concurrency, crowd=3)
    report = asyncio.run(clients.run(load))
    assert (report.clients, report.main_modes) == (6, 0)
    assert report.failures == {"timeout": 6}
    assert sorted(sources) == ["10.64.0.3", *["10.64.0.4"] * 3, *["10.64.0.5"] * 2]


def test_a_part_is_a_line_of_the_table() -> None:
    latency = {"p50": 1.25, "p90": 2.0, "p99": 3.5, "max": 4.0}
    report = {"main_modes": 90, "main_mode": latency, "quick_mode": None}
    part = Part("arrival", "ikev1d", 100, report, 2.0, 0.5, 40_000_000, 90)
    assert part.row() == "| arrival | ikev1d | 100 | 45 | 1.2 / 3.5 | - | 10 | 5.00 | 40 | 90 |"
