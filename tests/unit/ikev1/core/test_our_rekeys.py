"""Quick Modes that we begin, where the connection is set so: the client has not renewed in time."""

from dataclasses import replace

import pytest

from ikev1.core.effects import ChildDown, ChildSa, ChildUp, InstallOutbound, Refused
from ikev1.core.exchange import ConnectionSettings
from ikev1.core.rekey_time import MAX_ATTEMPTS, TRY_AGAIN_AFTER
from ikev1.core.rekeying import ANSWER_WITHIN, RETIRE_AFTER, SWITCH_AFTER
from ikev1.wire.enums import (
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.header import parse_header
from ikev1.wire.payloads import Notification
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.effects import EspDeleted
from interop.initiator.profiles import Phase1Offer, Profile, only
from tests.support.ike_dialin import Dialin, Sent, agree
from tests.support.ike_host import EVERY_ESP, IkeHost, settings

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
PHONE = replace(only(IPHONE, OFFER), phase1_lifetime=86_400)
REKEY = settings(default=ConnectionSettings(dpd_delay=0.0, rekey=True))
LIFETIME = 3600
SOON = 0.95 * LIFETIME
"""By then we have begun, if nobody else has."""


def connected(host: IkeHost, profile: Profile = PHONE, *, nat: bool = True) -> Dialin:
    """A client that takes our Quick Modes."""
    client = Dialin.behind_nat(host, profile) if nat else Dialin(host, profile)
    client.lets_server_rekey = client.initiator._lets_server_rekey = True
    return client.connect()


def quick_modes(sent: Sent) -> Sent:
    """Those of the datagrams that are of a Quick Mode."""
    return [
        (path, datagram)
        for path, datagram in sent
        if parse_header(datagram[4 * path.encapsulated :]).exchange_type == ExchangeType.QUICK_MODE
    ]


def carrying(host: IkeHost) -> list[ChildSa]:
    return list(host.outbound.values())


@pytest.mark.parametrize("nat", [False, True])
@pytest.mark.parametrize(
    "profile",
    [PHONE, only(WINDOWS_10, OFFER), replace(PHONE, pfs_group=Group.ECP_256)],
    ids=["iPhone", "Windows", "PFS"],
)
def test_we_renew_what_the_client_has_not(profile: Profile, nat: bool) -> None:
    host = IkeHost(REKEY)
    client = connected(host, profile, nat=nat)
    old = client.child()
    assert host.advance(0.9 * LIFETIME - 1) == []

    client.deliver(host.advance(SOON))
    new = client.child()
    assert agree(client.sas[-1], new)
    assert (new.mark, new.client, new.suite, new.lifetime, new.pfs_group) == (
        old.mark,
        old.client,
        old.suite,
        old.lifetime,
        old.pfs_group,
    )
    assert (new.encapsulated, new.client_port) == (old.encapsulated, old.client_port)
    assert new.inbound_encryption_key != old.inbound_encryption_key
    # Both take what comes; ours still goes through the old one.
    assert host.inbound == {old.inbound_spi: old, new.inbound_spi: new}
    assert carrying(host) == [old]
    assert [event.rekeyed for event in host.told_of(ChildUp)] == [False, True]

    host.advance(host.now + SWITCH_AFTER)
    assert carrying(host) == [new]
    # In one step, so that no packet is without an SA.
    swap = host.asked[-1]
    assert isinstance(swap, InstallOutbound)
    assert swap.replaces == (old,)

    # The client is told to forget the old one, or it would renew it too.
    client.deliver(host.advance(host.now + RETIRE_AFTER))
    assert client.told_of(EspDeleted) == [EspDeleted(client.sas[0].outbound_spi)]
    assert host.told_of(ChildDown) == [ChildDown(old, "rekeyed")]
    assert host.inbound == host.outbound == {new.inbound_spi: new}
    assert host.refusals() == []


def test_we_switch_as_soon_as_the_client_does() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    client.deliver(host.advance(SOON))
    new = client.child()
    host.advance(SOON + 0.25)
    assert carrying(host) == [old]
    host.received_by_spi[new.inbound_spi] = 1
    host.advance(SOON + 0.5)
    assert carrying(host) == [new]
    client.deliver(host.advance(SOON + 0.5 + RETIRE_AFTER))
    assert host.inbound == host.outbound == {new.inbound_spi: new}
    assert host.count(InstallOutbound) == 2


def test_again_and_again_under_one_phase_1() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    marks = set()
    for number in range(2, 22):
        client.deliver(host.advance(host.now + SOON))
        assert len(client.sas) == number
        marks.add(client.child().mark)
        client.deliver(host.advance(host.now + SWITCH_AFTER))
        assert carrying(host) == [client.child()]
        client.deliver(host.advance(host.now + RETIRE_AFTER))
        assert len(host.inbound) == 1
    assert len(marks) == 1


def test_only_where_it_is_configured() -> None:
    named = {"office": ConnectionSettings(dpd_delay=0.0, rekey=True)}
    for chosen, expected in ((settings(), 0), (settings(connections=named), 1)):
        host = IkeHost(chosen)
        client = connected(host)
        assert (client.child().rekey_seconds is not None) == bool(expected)
        assert len(quick_modes(host.advance(SOON))) == expected


def test_it_may_be_switched_off_while_clients_are_connected() -> None:
    host = IkeHost(REKEY)
    connected(host)
    host.engine.reconfigure(settings(), 1.0)
    assert host.advance(SOON) == []


def test_not_what_the_client_has_renewed() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    host.advance(0.8 * LIFETIME)
    client.quick_mode()
    assert quick_modes(host.advance(SOON)) == []
    # The next generation is ours, if need be.
    assert len(quick_modes(host.advance(0.8 * LIFETIME + SOON))) == 1


def test_the_kernels_count_of_octets_begins_it_too() -> None:
    host = IkeHost(REKEY)
    client = connected(host, replace(PHONE, esp_lifetime_kilobytes=250_000))
    child = client.child()
    assert child.rekey_kilobytes is not None
    assert 0.90 * 250_000 <= child.rekey_kilobytes <= 0.95 * 250_000
    host.now = 100.0
    client.deliver(host.child_expiring(child.inbound_spi))
    assert len(client.sas) == 2
    # The kernel says so for each of the two SAs.
    assert host.child_expiring(child.inbound_spi) == []


def test_moments_differ() -> None:
    """So that the clients of a restarted gateway do not all come at once."""
    host = IkeHost(REKEY)
    moments = set()
    for number in range(20):
        ports = (61000 + 2 * number, 61001 + 2 * number)
        client = Dialin.behind_nat(host, PHONE, ports=ports, seed=f"c{number}").connect()
        moments.add(client.child().rekey_seconds)
    assert len(moments) > 15
    assert all(moment and 0.90 * LIFETIME - 1 < moment <= SOON for moment in moments)


# --- the way -------------------------------------------------------------------------------------


def test_messages_1_and_2_are_lost() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    (first,) = quick_modes(host.advance(SOON))
    (again,) = quick_modes(host.advance(SOON + 1))
    assert again == first
    (second,) = client.take(again[1], floated=True)
    (third_time,) = quick_modes(host.advance(SOON + 3))
    assert client.take(third_time[1], floated=True) == [second]
    client.run([second])
    assert len(client.sas) == 2
    assert host.refusals() == []


def test_message_3_is_lost() -> None:
    """The client asks for it with its message 2, before we send through the new SA."""
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    (first,) = quick_modes(host.advance(SOON))
    (second,) = client.take(first[1], floated=True)
    (lost,) = client.give(second)
    assert len(client.sas) == 1
    host.advance(host.now + SWITCH_AFTER - 1)
    assert carrying(host) == [old]
    assert client.give(second) == [lost]
    client.take(lost, floated=True)
    assert agree(client.sas[-1], client.child())
    assert host.count(InstallOutbound) == 1


def test_message_3_is_lost_and_the_client_asks_again_by_itself() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    (first,) = quick_modes(host.advance(SOON))
    (second,) = client.take(first[1], floated=True)
    client.give(second)
    due = client.initiator.next_deadline()
    assert due is not None
    (again,) = client.initiator.advance(due)
    assert again == second
    client.run([again])
    assert agree(client.sas[-1], client.child())
    assert client.initiator.next_deadline() is None


def test_a_forged_answer_changes_nothing() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    (first,) = quick_modes(host.advance(SOON))
    (second,) = client.take(first[1], floated=True)
    forged = second.datagram[:-1] + bytes([second.datagram[-1] ^ 1])
    assert client.give_bytes(forged, floated=True) == []
    client.run([second])
    assert agree(client.sas[-1], client.child())


def test_a_client_that_does_not_answer_keeps_its_old_sa_until_its_end() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    asked = 0
    while host.now < LIFETIME + 59:
        asked += len({datagram for _, datagram in quick_modes(host.advance(host.now + 1))})
        assert host.inbound == host.outbound == {old.inbound_spi: old}
    # Few attempts, each repeated a few times.
    assert 1 < len(host.refusals()) <= MAX_ATTEMPTS
    assert asked == 5 * len(host.refusals())
    assert {refusal.cause for refusal in host.refusals()} == {"the client does not answer"}
    assert all("rekey = false" in refusal.remedy for refusal in host.refusals())
    host.advance(LIFETIME + 61)
    assert host.told_of(ChildDown) == [ChildDown(old, "lifetime over")]


def refuses(client: Dialin, kind: NotifyType) -> None:
    notification = Notification(1, ProtocolId.ESP, kind, b"", b"")
    client.run([client.protect([notification])])


def test_a_client_that_refuses_is_left_alone_for_a_while() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    assert len(quick_modes(host.advance(SOON))) == 1
    refuses(client, NotifyType.NO_PROPOSAL_CHOSEN)
    (refusal,) = host.refusals()
    assert refusal.exchange == "our Quick Mode"
    assert "NO_PROPOSAL_CHOSEN" in refusal.cause
    assert host.advance(SOON + TRY_AGAIN_AFTER - 1) == []
    assert host.inbound == {old.inbound_spi: old}
    assert len(quick_modes(host.advance(SOON + TRY_AGAIN_AFTER))) == 1


def test_a_status_notification_refuses_nothing() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    host.advance(SOON)
    refuses(client, NotifyType.CONNECTED)
    assert host.refusals() == []


# --- both at once --------------------------------------------------------------------------------


def test_both_sides_renew_at_once() -> None:
    """Both new children live, the newest carries, and nothing is left over."""
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    (ours,) = quick_modes(host.advance(SOON))
    theirs = client.child(client.quick_mode())
    assert carrying(host) == [theirs]
    client.deliver([ours])
    new = client.child()
    assert agree(client.sas[-1], new)
    assert set(host.inbound) == {sa.inbound_spi for sa in (old, theirs, new)}
    client.deliver(host.advance(host.now + SWITCH_AFTER))
    assert carrying(host) == [new]
    client.deliver(host.advance(host.now + RETIRE_AFTER))
    # The client deletes its own old one twice, as clients do.
    for _ in range(2):
        client.run(client.initiator.delete_esp(client.sas[0].inbound_spi))
    assert set(host.inbound) == {theirs.inbound_spi, new.inbound_spi}
    # Only the newest is renewed again, the other ends by itself.
    client.deliver(host.advance(2 * SOON))
    client.deliver(host.advance(host.now + SWITCH_AFTER + RETIRE_AFTER))
    client.deliver(host.advance(SOON + LIFETIME + 61))
    assert set(host.inbound) == {client.child().inbound_spi}
    assert carrying(host) == [client.child()]


def test_not_while_the_client_is_at_it() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    host.now = SOON - 10
    (question,) = client.note(client.initiator.quick_mode(0.0))
    client.give(question)
    # It gets our message 2 again, and no message 1.
    assert len({datagram for _, datagram in quick_modes(host.advance(SOON))}) == 1


def test_the_client_deletes_the_old_one_at_once() -> None:
    """Then the new one carries without delay."""
    host = IkeHost(REKEY)
    client = connected(host)
    client.deliver(host.advance(SOON))
    client.run(client.initiator.delete_esp(client.sas[0].inbound_spi))
    assert carrying(host) == [client.child()]
    assert host.inbound == host.outbound


def test_the_client_deletes_the_new_one_at_once() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    client.deliver(host.advance(SOON))
    client.run(client.initiator.delete_esp(client.sas[-1].inbound_spi))
    client.deliver(host.advance(host.now + SWITCH_AFTER + RETIRE_AFTER))
    assert host.inbound == host.outbound == {old.inbound_spi: old}


# --- the kernel and the operator ------------------------------------------------------------------


def test_the_kernel_refuses_the_inbound_sa() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    host.refuse_inbound = "EEXIST"
    client.deliver(host.advance(SOON))
    assert host.inbound == host.outbound == {old.inbound_spi: old}
    assert "EEXIST" in host.told_of(Refused)[0].cause


def test_the_kernel_refuses_the_outbound_sa() -> None:
    """The new child is given up, the old one goes on."""
    host = IkeHost(REKEY)
    client = connected(host)
    old = client.child()
    client.deliver(host.advance(SOON))
    new = client.child()
    host.refuse_outbound = "ENOMEM"
    host.hold = (InstallOutbound,)
    sent = list(host.advance(host.now + SWITCH_AFTER))
    host.refuse_outbound = ""
    client.deliver([*sent, *host.answer_all()])
    assert client.told_of(EspDeleted) == [EspDeleted(client.sas[-1].outbound_spi)]
    assert host.told_of(ChildDown)[-1].child == new
    assert host.inbound == host.outbound == {old.inbound_spi: old}


def test_an_algorithm_is_not_allowed_any_more() -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    stricter = replace(EVERY_ESP, encryption=frozenset({"aes256gcm16"}))
    host.engine.reconfigure(replace(REKEY, esp=stricter), 1.0)
    assert quick_modes(host.advance(SOON)) == []
    (refusal,) = host.refusals()
    assert refusal.setting == "esp.encryption"
    assert client.child() in host.inbound.values()


@pytest.mark.parametrize("seconds", [0.0, 1.0, SWITCH_AFTER, ANSWER_WITHIN])
def test_the_client_goes_in_the_middle(seconds: float) -> None:
    host = IkeHost(REKEY)
    client = connected(host)
    client.deliver(host.advance(SOON))
    host.advance(host.now + seconds)
    client.run(client.initiator.close(0.0))
    assert host.inbound == host.outbound == {}
    host.advance(2 * 86_400.0)
    assert len(host.engine.clients) == 0
    assert host.engine.next_deadline() is None
