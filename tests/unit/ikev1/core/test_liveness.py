"""Dead peer detection: only the silent are asked, only the dead are dropped (RFC 3706)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.exchange import ConnectionSettings
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.profiles import Profile
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost, settings

DELAY = 20.0
TIMEOUT = 65.0


def dialled_in(profile: Profile = IPHONE, delay: float = DELAY) -> tuple[IkeHost, Dialin]:
    """A client with both phases up, and a host that watches it."""
    host = IkeHost(settings(dpd_delay=delay, dpd_timeout=TIMEOUT))
    client = Dialin(host, profile=profile)
    client.main_mode().quick_mode()
    return host, client


def probes(host: IkeHost, until: float, *, answered_by: Dialin | None = None) -> list[float]:
    """When the host sends something of its own accord up to a time, in whole seconds."""
    times = []
    while host.now < until:
        sent = host.advance(host.now + 1)
        if sent:
            times.append(host.now)
        if answered_by is not None:
            answered_by.deliver(sent)
    return times


def test_a_silent_client_is_asked_again_and_again_and_is_then_gone() -> None:
    host, _ = dialled_in()
    assert probes(host, TIMEOUT - 1) == [20, 30, 40, 50, 60]
    host.advance(TIMEOUT + 5)
    (gone,) = host.gone()
    assert gone.cause == "no sign of life for 70 s"
    assert host.inbound == {}
    assert host.outbound == {}


def test_a_client_that_answers_stays() -> None:
    host, client = dialled_in()
    assert probes(host, 100, answered_by=client) == [20, 40, 60, 80, 100]
    assert host.gone() == []


def test_traffic_counts_as_life() -> None:
    host, _ = dialled_in()
    (known,) = host.engine.clients
    for minute in range(10):
        host.received[known.mark] = minute + 1
        assert probes(host, host.now + DELAY) == []
    # It stops, and is asked after the delay.
    assert probes(host, host.now + DELAY) == [220]


def test_a_client_that_cannot_be_asked_is_left_to_l2tp() -> None:
    host, _ = dialled_in(WINDOWS_10)
    assert probes(host, 3000) == []
    assert host.gone() == []


def test_a_phase_1_that_is_gone_is_not_asked() -> None:
    host, client = dialled_in()
    host.received.clear()
    client.run(client.initiator.close(host.now))
    assert probes(host, 300) == []


@pytest.mark.parametrize("delay", [0.0])
def test_no_delay_means_never(delay: float) -> None:
    host, _ = dialled_in(delay=delay)
    assert probes(host, 3000) == []


def test_the_counter_of_probes_rises() -> None:
    """RFC 3706 section 5.4; the initiator answers with the number it was asked with."""
    host, client = dialled_in()
    seen = []
    for _ in range(3):
        sent = host.advance(host.now + DELAY)
        client.deliver(sent)
        seen.append(sent)
    assert len({datagram for sent in seen for _, datagram in sent}) == 3


def test_other_clients_are_not_disturbed() -> None:
    host, _ = dialled_in()
    alive = Dialin(host, profile=replace(IPHONE), inner="198.51.100.8", seed="other")
    alive.main_mode().quick_mode()
    (dead, living) = host.engine.clients
    for _ in range(8):
        host.received[living.mark] = host.received.get(living.mark, 0) + 1
        host.advance(host.now + DELAY / 2)
    assert [event.client for event in host.gone()] == [dead.id]
    assert list(host.engine.clients) == [living]


def test_each_connection_has_its_own_times() -> None:
    keys = [
        PresharedKey("phones", b"phones", identity="198.51.100.8"),
        PresharedKey("office", b"office", identity="198.51.100.7"),
    ]
    host = IkeHost(
        settings(
            credentials=Credentials(keys),
            dpd_delay=DELAY,
            dpd_timeout=TIMEOUT,
            connections={"phones": ConnectionSettings(dpd_delay=300, dpd_timeout=1800)},
        )
    )
    Dialin(host, psk=b"office").main_mode().quick_mode()
    Dialin(host, psk=b"phones", inner="198.51.100.8", seed="phone").main_mode().quick_mode()
    office, phone = host.engine.clients
    host.advance(TIMEOUT + 5)
    assert [event.client for event in host.gone()] == [office.id]
    assert probes(host, 305) == [300]
    assert list(host.engine.clients) == [phone]
