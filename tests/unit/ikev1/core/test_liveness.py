"""Dead peer detection: only the silent are asked, only the dead are dropped (RFC 3706)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.effects import CountReceived, ProbeAnswered, Probed, Received
from ikev1.core.exchange import ConnectionSettings
from ikev1.core.informational import answer_to_probe, probe
from ikev1.core.liveness import LOOK_BATCH, LOOK_PAUSE, PROBE_INTERVAL
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
    assert probes(host, TIMEOUT - 1) == [20, 30, 50]
    host.advance(TIMEOUT)
    (gone,) = host.gone()
    assert gone.cause == "no sign of life for 65 s"
    assert host.inbound == {}
    assert host.outbound == {}


def test_times_that_are_no_whole_numbers_end_too() -> None:
    """(seen + timeout) - seen may be less than the timeout, by what a float rounds off."""
    seen = 495.81
    assert (seen + TIMEOUT) - seen < TIMEOUT
    host = IkeHost(settings(dpd_delay=DELAY, dpd_timeout=TIMEOUT), now=seen)
    Dialin(host, profile=IPHONE).main_mode().quick_mode()
    looks = 0
    while not host.gone():
        deadline = host.engine.next_deadline()
        assert deadline is not None
        host.advance(deadline)
        looks += 1
        assert looks < 20
    assert host.now == seen + TIMEOUT


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


def test_probes_and_their_answers_are_told() -> None:
    host, client = dialled_in()
    host.advance(DELAY)
    assert len(host.told_of(Probed)) == 1
    client.deliver(host.advance(host.now + PROBE_INTERVAL))
    assert (len(host.told_of(Probed)), len(host.told_of(ProbeAnswered))) == (2, 1)
    # To what was not asked, or is answered already, nothing is an answer.
    (owner,) = host.engine.clients
    (sa,) = host.engine.ike_sas_of(owner)
    for number in (owner.probes, owner.probes + 1):
        answer = answer_to_probe(sa, probe(sa, number))
        assert answer is not None
        client.run([client.protect([answer], message_id=number + 1)])
    assert len(host.told_of(ProbeAnswered)) == 1


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


def test_many_clients_are_looked_at_in_batches() -> None:
    """A crowd that dialled in at once does not hold up the host at once."""
    host, _ = dialled_in()
    for number in range(LOOK_BATCH * 2):
        Dialin(host, inner=f"192.0.2.{number + 1}", seed=str(number)).main_mode().quick_mode()
    looks: list[tuple[float, tuple[int, ...]]] = []
    while len(looks) < 3:
        due = host.engine.next_deadline()
        assert due is not None
        for effect in host.engine.advance(due):
            if isinstance(effect, CountReceived):
                looks.append((due, effect.marks))
                host.engine.complete(effect.ticket, Received((1,) * len(effect.marks)), due)
    assert [len(marks) for _, marks in looks] == [LOOK_BATCH, LOOK_BATCH, 1]
    assert [time for time, _ in looks] == [DELAY, DELAY + LOOK_PAUSE, DELAY + 2 * LOOK_PAUSE]
    assert {mark for _, marks in looks for mark in marks} == {
        client.mark for client in host.engine.clients
    }


def test_a_client_that_goes_while_its_turn_comes_is_not_looked_at() -> None:
    host, _ = dialled_in()
    for number in range(LOOK_BATCH):
        Dialin(host, inner=f"192.0.2.{number + 1}", seed=str(number)).main_mode().quick_mode()
    host.advance(DELAY)
    *_, last = host.engine.clients
    host.close_client(last.id)
    host.sent.clear()
    host.advance(DELAY + 1)
    assert host.sent == []


def test_the_layers_above_hear_of_every_message() -> None:
    host, client = dialled_in()
    (known,) = host.engine.clients
    host.alive.clear()
    client.deliver(host.advance(DELAY))
    assert host.alive == [known.mark]
