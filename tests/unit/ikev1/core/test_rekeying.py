"""One client through its rekeys: the mark stays, the newest outbound SA carries."""

from dataclasses import replace

import pytest

from ikev1.core.context import MAX_CHILDREN, MAX_PHASE1
from ikev1.core.effects import (
    ChildDown,
    ChildUp,
    ClientDown,
    IkeSaDown,
    IkeSaUp,
    InstallOutbound,
)
from ikev1.core.phase2 import MAX_EXCHANGES
from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.effects import Closed, EspDeleted, Notified
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import PRIVATE, Dialin, agree
from tests.support.ike_host import EVERY_ESP, IkeHost, settings

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
BEGINS = only(IPHONE, OFFER)
"""Says INITIAL-CONTACT, as a client does that has no SAs."""
RENEWS = replace(BEGINS, initial_contact=False)
"""The same client when it renews."""


def renewed(client: Dialin, seed: str = "again") -> Dialin:
    """The client's next Phase 1."""
    return client.again(seed, RENEWS)


def check_carrying(host: IkeHost, newest: Dialin) -> None:
    """Of one client with several children, only the newest has its outbound SA in the kernel."""
    child = newest.child()
    assert agree(newest.sas[-1], child)
    assert host.outbound == {child.inbound_spi: child}
    (client,) = host.engine.clients
    assert client.carrying is not None
    assert client.carrying.sa == child
    assert [entry.sa for entry in client.children if entry.outbound] == [child]


# --- Quick Mode ----------------------------------------------------------------------------------


@pytest.mark.parametrize("nat", [False, True])
def test_quick_mode_under_the_same_phase_1(nat: bool) -> None:
    host = IkeHost()
    client = (Dialin.behind_nat if nat else Dialin)(host, BEGINS).connect()
    old = client.child()
    host.advance(2880.0)
    client.quick_mode()
    new = client.child()
    assert (new.mark, new.client) == (old.mark, old.client)
    assert new.inbound_spi != old.inbound_spi
    assert new.inbound_encryption_key != old.inbound_encryption_key
    assert host.inbound == {old.inbound_spi: old, new.inbound_spi: new}
    check_carrying(host, client)
    assert [event.rekeyed for event in host.told_of(ChildUp)] == [False, True]
    # The client deletes the old one, or its lifetime ends it.
    client.run(client.initiator.delete_esp(client.sas[0].inbound_spi))
    assert host.inbound == {new.inbound_spi: new}
    check_carrying(host, client)
    assert host.told_of(ClientDown) == []


def test_the_old_child_ends_by_itself() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    old = client.child()
    host.advance(2880.0)
    client.quick_mode()
    host.advance(3660.0)
    assert host.told_of(ChildDown) == [ChildDown(old, "lifetime over")]
    check_carrying(host, client)


def test_the_old_one_carries_until_hash_3() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    old = client.child()
    (question,) = client.note(client.initiator.quick_mode(0.0))
    client.give(question)
    assert len(host.inbound) == 2
    assert host.outbound == {old.inbound_spi: old}


@pytest.mark.parametrize("nat", [False, True])
def test_the_older_one_carries_again_when_the_newest_is_deleted(nat: bool) -> None:
    host = IkeHost()
    client = (Dialin.behind_nat if nat else Dialin)(host, BEGINS).connect()
    children = [client.child()]
    for _ in range(2):
        client.quick_mode()
        children.append(client.child())
    for number in (2, 1):
        client.run(client.initiator.delete_esp(client.sas[number].inbound_spi))
        older = children[number - 1]
        assert host.outbound == {older.inbound_spi: older}
        assert len(host.inbound) == number
    # Never without one: the older was there before the newest was taken out.
    last = [question for question in host.asked if isinstance(question, InstallOutbound)][-1]
    assert (last.child, last.replaces) == (children[0], (children[1],))
    client.quick_mode()
    check_carrying(host, client)


def test_the_older_one_carries_again_when_the_newest_expires_in_the_kernel() -> None:
    """By its octets, say."""
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    old = client.child()
    client.quick_mode()
    host.child_expired(client.child().inbound_spi)
    assert host.inbound == host.outbound == {old.inbound_spi: old}


def test_the_kernel_refuses_to_let_the_older_one_carry_again() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    old = client.child()
    client.quick_mode()
    host.refuse_outbound = "ENOMEM"
    client.run(client.initiator.delete_esp(client.sas[1].inbound_spi))
    assert host.inbound == host.outbound == {}
    assert client.told_of(EspDeleted)[-1] == EspDeleted(client.sas[0].outbound_spi)
    assert host.told_of(ChildDown)[-1].child == old
    assert "ENOMEM" in host.told_of(ChildDown)[-1].cause
    host.refuse_outbound = ""
    client.quick_mode()
    check_carrying(host, client)


def test_more_children_than_anybody_needs() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    first = client.child()
    for _ in range(MAX_CHILDREN):
        client.quick_mode()
    assert len(host.inbound) == MAX_CHILDREN
    assert host.told_of(ChildDown) == [ChildDown(first, "too many child SAs")]
    check_carrying(host, client)


def test_more_quick_modes_at_once_than_anybody_needs() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).main_mode()
    for _ in range(MAX_EXCHANGES + 3):
        (question,) = client.note(client.initiator.quick_mode(0.0))
        client.give(question)
    assert host.drops() == ["too-many-quick-modes"] * 3
    assert len(host.inbound) == MAX_EXCHANGES
    host.advance(31.0)
    assert host.inbound == {}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_quick_modes_at_once(order: tuple[int, int]) -> None:
    """Both children live, in whatever order they are completed; the later one carries."""
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    questions = [client.note(client.initiator.quick_mode(0.0))[0] for _ in range(2)]
    answers = [client.give(question)[0] for question in questions]
    thirds = [client.take(answer, floated=False)[0] for answer in answers]
    for number in order:
        client.give(thirds[number])
    _, earlier, later = (client.child(sas) for sas in client.sas)
    assert len(host.inbound) == 3
    assert host.outbound == {later.inbound_spi: later}
    # Whichever of them the client then deletes, the other one is there.
    client.run(client.initiator.delete_esp(client.sas[2].inbound_spi))
    assert host.outbound == {earlier.inbound_spi: earlier}


def test_a_client_that_never_rekeys() -> None:
    """All ends a minute after the client's own time, and the client is told."""
    host = IkeHost()
    client = Dialin(host, replace(BEGINS, phase1_lifetime=86_400)).connect()
    child = client.child()
    host.advance(3659.0)
    assert host.inbound == host.outbound == {child.inbound_spi: child}
    client.deliver(host.advance(3660.0))
    assert host.inbound == host.outbound == {}
    assert client.told_of(EspDeleted) == [EspDeleted(client.sas[0].outbound_spi)]
    assert host.told_of(ClientDown) == []
    # It may begin again under the same Phase 1, and under the same mark.
    client.quick_mode()
    assert client.child().mark == child.mark
    client.deliver(host.advance(90_000.0))
    assert client.told_of(Closed) == [Closed(by_server=True)]
    assert len(host.told_of(ClientDown)) == 1


def test_a_child_that_outlives_its_phase_1_ends_without_a_word() -> None:
    host = IkeHost()
    client = Dialin(host, replace(BEGINS, esp_lifetime=28_800)).connect()
    client.deliver(host.advance(3661.0))
    assert host.told_of(ClientDown) == []
    assert len(host.inbound) == 1
    assert host.advance(28_861.0) == []
    assert host.inbound == host.outbound == {}
    assert len(host.told_of(ClientDown)) == 1


# --- Phase 1 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("nat", [False, True])
def test_quick_mode_under_a_new_phase_1(nat: bool) -> None:
    host = IkeHost()
    client = (Dialin.behind_nat if nat else Dialin)(host, BEGINS).connect()
    old = client.child()
    host.advance(2880.0)
    again = renewed(client).connect()
    new = again.child()
    assert (new.mark, new.client) == (old.mark, old.client)
    check_carrying(host, again)
    first, second = host.told_of(IkeSaUp)
    assert (second.client, first.replaces, second.replaces) == (first.client, None, first.client)
    (engine_client,) = host.engine.clients
    assert [sa.cookies for sa in host.engine.ike_sas_of(engine_client)] == [
        client.initiator.cookies,
        again.initiator.cookies,
    ]
    # The first Phase 1 and its child end; the client does not.
    host.advance(3660.0)
    assert len(host.told_of(IkeSaDown)) == len(host.told_of(ChildDown)) == 1
    assert host.told_of(ClientDown) == []
    check_carrying(host, again)


def test_quick_mode_under_the_older_of_two_phase_1() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    renewed(client).connect()
    client.quick_mode()
    check_carrying(host, client)


def test_a_phase_1_is_renewed_after_the_old_one_has_gone() -> None:
    """Its child SAs live on, and so does the client."""
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    mark = client.child().mark
    client.run(client.initiator.close(0.0)[1:])  # the Delete of the IKE SA alone
    assert len(host.inbound) == 1
    again = renewed(client).connect()
    assert again.child().mark == mark
    check_carrying(host, again)


def test_more_phase_1_than_anybody_needs() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    for number in range(MAX_PHASE1):
        last = renewed(client, f"again{number}").main_mode()
    (engine_client,) = host.engine.clients
    assert len(engine_client.phase1) == MAX_PHASE1
    assert engine_client.phase1[-1] == last.initiator.cookies
    assert host.told_of(IkeSaDown)[0].cause == "too many Phase 1 SAs"
    assert client.child() in host.inbound.values()


def test_we_speak_under_the_newest_phase_1() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    again = renewed(client).connect()
    sent = host.close_client(again.ike_sa.client)
    again.deliver(sent)
    client.deliver(sent)
    assert again.told_of(Closed) == client.told_of(Closed) == [Closed(by_server=True)]
    assert host.inbound == {}


# --- INITIAL-CONTACT -----------------------------------------------------------------------------


def test_initial_contact_replaces_the_client() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    old = client.child()
    client.quick_mode()
    again = client.again("after a restart").connect()
    new = again.child()
    assert host.inbound == host.outbound == {new.inbound_spi: new}
    assert new.mark != old.mark
    assert new.client != old.client
    (gone,) = host.told_of(ClientDown)
    assert (gone.client, gone.mark) == (old.client, old.mark)
    assert "INITIAL-CONTACT" in gone.cause
    order = [type(event) for event in host.told]
    assert order.index(ClientDown) < len(order) - 1 - order[::-1].index(IkeSaUp)
    assert host.told_of(IkeSaUp)[1].replaces is None


def test_initial_contact_before_message_5_is_proved_does_nothing() -> None:
    host = IkeHost()
    client = Dialin(host, BEGINS).connect()
    Dialin(host, BEGINS, psk=b"wrong", seed="liar").main_mode()
    assert client.child() in host.inbound.values()


@pytest.mark.parametrize("nat", [False, True])
def test_another_client_at_the_same_address_is_left_alone(nat: bool) -> None:
    """Behind a NAT with another port, or with another identity."""
    host = IkeHost()
    kind = Dialin.behind_nat
    client = kind(host, BEGINS).connect()
    inner = PRIVATE if nat else "192.168.1.3"
    ports = (62000, 62001) if nat else (61000, 61001)
    other = kind(host, BEGINS, inner=inner, ports=ports, seed="other").connect()
    assert len(host.engine.clients) == 2
    assert client.child().mark != other.child().mark
    assert len(host.inbound) == len(host.outbound) == 2
    assert host.told_of(ClientDown) == []


def test_clients_behind_one_nat_keep_apart_through_rekeys() -> None:
    host = IkeHost()
    ports = [(61000 + 2 * n, 61001 + 2 * n) for n in range(5)]
    clients = [
        Dialin.behind_nat(host, BEGINS, ports=ports[n], seed=f"c{n}").connect() for n in range(5)
    ]
    marks = [client.child().mark for client in clients]
    assert len(set(marks)) == 5
    for client in clients:
        client.quick_mode()
    assert [client.child().mark for client in clients] == marks
    clients[2].run(clients[2].initiator.close(0.0))
    assert len(host.outbound) == 4
    for client in (*clients[:2], *clients[3:]):
        assert agree(client.sas[-1], client.child())


# --- Windows, which says it by a vendor ID -------------------------------------------------------

WINDOWS = only(WINDOWS_10, OFFER)
KEEPS = replace(WINDOWS, vendor_ids=WINDOWS.vendor_ids[:-2])
"""A Windows that still has a Phase 1 SA leaves the vendor ID away ([MS-IKEE])."""


def test_windows_after_a_restart() -> None:
    host = IkeHost()
    client = Dialin(host, WINDOWS).connect()
    mark = client.child().mark
    again = client.again("after a restart").connect()
    assert again.child().mark != mark
    assert len(host.inbound) == len(host.engine.clients) == 1


def test_windows_renews_its_phase_1() -> None:
    host = IkeHost()
    client = Dialin(host, WINDOWS).connect()
    again = client.again("again", KEEPS).connect()
    assert again.child().mark == client.child().mark
    check_carrying(host, again)


@pytest.mark.parametrize("late", [28_800.0, 28_830.0, 28_861.0])
def test_windows_whose_phase_1_has_ended_keeps_its_session(late: float) -> None:
    """After eight hours it has none, and says so, while its child SAs are in use."""
    host = IkeHost()
    client = Dialin(host, WINDOWS).connect()
    mark = client.child().mark
    host.advance(27_000.0)
    client.quick_mode()
    host.advance(late)
    again = client.again("again").connect()
    assert again.child().mark == mark
    assert host.told_of(ClientDown) == []
    check_carrying(host, again)


# --- lifetimes -----------------------------------------------------------------------------------


def test_a_client_that_asks_for_more_than_we_allow_is_told() -> None:
    """RESPONDER-LIFETIME, in message 2 of Quick Mode and nowhere else."""
    host = IkeHost(settings(esp=replace(EVERY_ESP, max_lifetime=600)))
    client = Dialin(host, BEGINS).connect()
    assert client.child().lifetime == 600
    (told,) = client.told_of(Notified)
    # Life type 1, seconds; a duration of four octets.
    assert told == Notified("RESPONDER_LIFETIME", bytes.fromhex("80010001 00020004 00000258"))
    host.advance(600 + 59)
    assert client.child() in host.inbound.values()
    host.advance(600 + 61)
    assert host.inbound == {}


def test_a_client_that_asks_for_less_is_told_nothing() -> None:
    client = Dialin(IkeHost(), BEGINS).connect()
    assert client.told_of(Notified) == []
