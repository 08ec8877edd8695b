"""What a peer is told whose SAs we do not have, as after our restart."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikev1.core.effects import Path
from ikev1.core.limits import HINTS
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.core.spi import FIRST_SPI, MULTIPLIER, SHIFT, SpiSpace, stamp_of
from ikev1.wire.enums import (
    EncryptionAlgorithm,
    ExchangeType,
    Flag,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message, parse_payloads
from ikev1.wire.payloads import Delete, Notification
from interop.clients.ike import IPHONE
from interop.initiator.effects import Closed, EspDeleted
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import NAT, Dialin
from tests.support.ike_host import IkeHost, deterministic

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)
ESP_SIZE = 100


def after_a_restart(client: Dialin) -> IkeHost:
    """The same client with a gateway that knows nothing."""
    client.host = IkeHost(now=1000.0)
    return client.host


def notification_in(hint: bytes) -> tuple[bytes, Notification]:
    """Cookies and notification of a hint, which is in clear and holds nothing else."""
    message = hint.removeprefix(NON_ESP_MARKER)
    header = parse_header(message)
    assert header.exchange_type == ExchangeType.INFORMATIONAL
    assert not header.flags & Flag.ENCRYPTION
    assert header.message_id
    (item,) = parse_payloads(header.next_payload, message[HEADER_LENGTH:]).items
    assert isinstance(item.value, Notification)
    return message[:16], item.value


# --- cookies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Dialin, Dialin.behind_nat])
def test_whoever_speaks_under_lost_cookies_is_told(kind: type[Dialin]) -> None:
    client = kind(IkeHost(), FAST).connect()
    host = after_a_restart(client)
    questions = [
        *client.note(client.initiator.are_you_there(1)),
        *client.note(client.initiator.quick_mode(host.now)),
        *client.note(client.initiator.close(host.now)),
    ]
    for question in questions:
        (hint,) = client.give(question)
        assert len(hint) <= len(question.datagram)
        cookies, notify = notification_in(hint)
        assert cookies == client.initiator.cookies
        assert notify.notify_type == NotifyType.INVALID_COOKIE
        assert notify.protocol_id == ProtocolId.ISAKMP
    assert host.drops() == ["unknown-cookie"] * len(questions)
    assert len(host.engine.clients) == 0


def test_a_message_3_or_5_of_a_main_mode_that_was_cut_off() -> None:
    client = Dialin(IkeHost(), FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    after_a_restart(client)
    (hint,) = client.give(third)
    assert notification_in(hint)[1].notify_type == NotifyType.INVALID_COOKIE


def test_no_notification_is_answered_with_another() -> None:
    """Or two gateways that know nothing of each other would talk forever."""
    host = IkeHost()
    client = Dialin(host, FAST)
    for notify in (NotifyType.INVALID_COOKIE, NotifyType.INVALID_SPI, NotifyType.PAYLOAD_MALFORMED):
        value = Notification(1, ProtocolId.ISAKMP, notify, b"", bytes(100))
        question = build_message(bytes(range(1, 17)), ExchangeType.INFORMATIONAL, 5, [value])
        assert client.give_bytes(question) == []
    assert host.drops() == ["unknown-cookie"] * 3


def test_what_is_smaller_than_the_hint_gets_none() -> None:
    client = Dialin(IkeHost(), FAST)
    header = build_message(bytes(range(1, 17)), ExchangeType.QUICK_MODE, 5, [], flags=1)
    assert client.give_bytes(header) == []


def test_what_comes_late_after_a_goodbye_gets_none() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    goodbyes = client.note(client.initiator.close(host.now))
    for goodbye in (*goodbyes, *goodbyes):
        assert client.give(goodbye) == []
    assert host.engine.half_open == len(host.engine.clients) == 0


def test_hints_are_bounded_for_all_senders_together() -> None:
    rate, burst = HINTS
    host = IkeHost(now=1000.0)
    numbers = count(1)

    def answered(attempts: int) -> int:
        total = 0
        for number, _ in zip(numbers, range(attempts), strict=False):
            cookies = number.to_bytes(8) + bytes(range(8))
            question = build_message(
                cookies, ExchangeType.QUICK_MODE, 5, [Delete(1, ProtocolId.ESP, (bytes(4),) * 16)]
            )
            path = Path("203.0.113.1", 500, f"198.51.{number % 256}.{number // 256}", 500)
            total += len(host.receive(question, path))
            total += len(host.unknown_spi(number, path, ESP_SIZE))
        return total

    assert answered(int(burst)) == burst
    host.advance(1001.0)
    assert answered(int(burst)) == rate


# --- SPIs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("floated", [False, True])
def test_esp_of_nobody_gets_invalid_spi(floated: bool) -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST) if floated else Dialin(host, FAST)
    path = client.path(floated)
    ((to, hint),) = host.unknown_spi(0xC0FFEE01, path, ESP_SIZE)
    assert to == path
    assert hint.startswith(NON_ESP_MARKER) == floated
    cookies, notify = notification_in(hint)
    assert any(cookies[:8])
    assert cookies[8:] == bytes(8)
    assert notify.notify_type == NotifyType.INVALID_SPI
    assert (notify.protocol_id, notify.spi) == (ProtocolId.ESP, bytes.fromhex("c0ffee01"))
    assert host.unknown_spi(0xC0FFEE01, path, len(hint) - 1) == []
    assert host.drops() == ["unknown-spi"] * 2


@pytest.mark.parametrize("kind", [Dialin, Dialin.behind_nat])
def test_a_client_that_we_know_gets_a_delete_that_it_can_believe(kind: type[Dialin]) -> None:
    """It has missed one, or the kernel has lost an SA."""
    host = IkeHost()
    neighbour = Dialin.behind_nat(host, FAST, ports=(62000, 62001), seed="neighbour").connect()
    client = kind(host, FAST).connect()
    child = client.child()
    host.child_expired(child.inbound_spi)  # the Delete for it is lost
    path = client.path(child.encapsulated)
    client.deliver(host.unknown_spi(child.inbound_spi, path, ESP_SIZE))
    assert client.told_of(EspDeleted)
    assert neighbour.child() in host.inbound.values()


def test_of_an_sa_that_is_there_nothing_is_said() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST).connect()
    elsewhere = Path("203.0.113.1", 4500, NAT, 64000, encapsulated=True)
    assert host.unknown_spi(client.child().inbound_spi, elsewhere, ESP_SIZE) == []
    assert host.drops() == []


@given(st.text(max_size=8))
def test_spis_have_their_runs_stamp(seed: str) -> None:
    space = SpiSpace(deterministic(seed))
    taken: set[int] = set()
    for _ in range(50):
        spi = space.draw(taken.__contains__)
        assert FIRST_SPI <= spi < 1 << 32
        assert spi not in taken
        assert (spi * MULTIPLIER) % (1 << 32) >> SHIFT == stamp_of(spi) == space.stamp
        taken.add(spi)


def test_spis_of_other_runs_have_another_stamp() -> None:
    spaces = [SpiSpace(deterministic(f"run {number}")) for number in range(20)]
    stamps = {stamp_of(space.draw(lambda _: False)) for space in spaces}
    assert len(stamps) >= len(spaces) - 1


def test_the_children_of_clients_have_it() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    client.quick_mode()
    assert {stamp_of(spi) for spi in host.inbound} == {host.engine.spi_stamp}


# --- last words ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Dialin, Dialin.behind_nat])
def test_a_farewell_made_in_advance_ends_everything(kind: type[Dialin]) -> None:
    """The daemon was killed, and the next one sends it: no key is needed for that."""
    host = IkeHost()
    client = kind(host, FAST).connect()
    client.quick_mode()
    words = host.engine.farewell(client.child().mark)
    assert len(host.inbound) == 2
    after_a_restart(client)
    client.deliver([(send.path, send.datagram) for send in words])
    deleted = {event.spi for event in client.told_of(EspDeleted)}
    assert deleted == {spi.to_bytes(4) for spi in host.inbound}
    assert client.told_of(Closed) == [Closed(by_server=True)]


def test_a_farewell_after_a_rekey_ends_both_children() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    host.engine.farewell(client.child().mark)
    client.quick_mode()
    words = host.engine.farewell(client.child().mark)
    after_a_restart(client)
    client.deliver([(send.path, send.datagram) for send in words])
    deleted = {event.spi for event in client.told_of(EspDeleted)}
    assert deleted == {spi.to_bytes(4) for spi in host.inbound}
    assert client.told_of(Closed) == [Closed(by_server=True)]


def test_a_farewell_goes_where_the_client_is_now() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST).connect()
    host.moved(client.child().inbound_spi, NAT, 64000)
    words = host.engine.farewell(client.child().mark)
    assert {send.path.remote_port for send in words} == {64000}


def test_there_is_none_for_nobody_and_without_a_phase_1() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    mark = client.child().mark
    assert host.engine.farewell(mark + 1) == []
    goodbye = Delete(1, ProtocolId.ISAKMP, (client.initiator.cookies,))
    client.give(client.protect([goodbye]))
    assert client.child() in host.inbound.values()
    assert host.engine.farewell(mark) == []
