"""The host's answers come when they like, and may find that nobody waits for them any more."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikev1.core.effects import (
    ChildDown,
    ChildUp,
    ClientDown,
    ComputeDh,
    InstallInbound,
    InstallOutbound,
)
from ikev1.core.half_open import ANSWER_TIME
from ikev1.wire.enums import (
    Doi,
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.header import parse_header
from ikev1.wire.payloads import Delete, KeyExchange, Nonce
from interop.clients.ike import IPHONE
from interop.initiator.checks import Cause
from interop.initiator.effects import EspDeleted, EspSas
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_host import IkeHost, settings

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)
PFS = replace(FAST, pfs_group=Group.ECP_256)


def until_dh(host: IkeHost) -> Dialin:
    """A client whose message 3 has been taken."""
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(host.now))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)
    return client


def delete_ike_sa(client: Dialin) -> None:
    cookies = client.initiator.cookies
    client.give(client.protect([Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,))]))


def check_gone(host: IkeHost) -> None:
    """Nothing of anybody is left, here or in the kernel."""
    assert host.inbound == host.outbound == {}
    assert len(host.engine.clients) == 0
    assert host.engine.half_open == 0
    assert host.engine._context.ike_sas == {}


# --- Phase 1 (CVE-2011-4073) ---------------------------------------------------------------------


def test_dh_after_the_half_open_sa_timed_out() -> None:
    host = IkeHost(hold=(ComputeDh,))
    until_dh(host)
    host.advance(30.0)
    assert host.answer() == []
    check_gone(host)


def test_in_a_full_table_nobody_is_dropped_whose_dh_is_late() -> None:
    host = IkeHost(settings(half_open_limit=1), hold=(ComputeDh,))
    client = until_dh(host)
    other = Dialin(host, FAST, inner="198.51.100.8", seed="other")
    (first,) = other.note(other.initiator.start(0.0))
    host.now = ANSWER_TIME
    assert other.give(first) == []
    ((path, _),) = host.answer()
    assert path.remote == client.inner
    # It falls silent.
    ((path, _),) = host.advance(2 * ANSWER_TIME)
    assert path.remote == other.inner
    assert host.engine.half_open == 1


def test_dh_after_the_gateway_stopped() -> None:
    host = IkeHost(hold=(ComputeDh,))
    until_dh(host)
    host.close_all()
    assert host.answer() == []
    check_gone(host)


def test_an_answer_to_an_unknown_ticket() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    for ticket in (0, 1, 2, 3, 99):
        assert host.engine.complete(ticket, object(), 0.0) == []
    assert agree(client.sas[-1], client.child())


def test_dh_that_fails() -> None:
    """CVE-2015-3240: public values 0, 1, p-1, p and of a wrong length, in a MODP group."""
    prime_size = 256
    offer = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.MODP_2048)
    for public in (
        bytes(prime_size),
        (1).to_bytes(prime_size),
        b"\xff" * prime_size,
        b"\x02",
        bytes(prime_size) + b"\x02",
    ):
        host = IkeHost()
        client = Dialin(host, only(IPHONE, offer))
        (first,) = client.note(client.initiator.start(0.0))
        client.take(client.give(first)[0], floated=False)
        session = client.initiator._session
        (told,) = client.give_bytes(session.clear([KeyExchange(public), Nonce(bytes(16))]))
        assert parse_header(told).exchange_type == ExchangeType.INFORMATIONAL
        (refusal,) = host.refusals()
        assert refusal.notify == NotifyType.INVALID_KEY_INFORMATION
        assert refusal.client == client.initiator.cookies[:4].hex()
        assert "bad public value" in refusal.cause
        check_gone(host)


# --- Quick Mode ----------------------------------------------------------------------------------

Ending = Callable[[Dialin], object]
ENDINGS: dict[str, Ending] = {
    "deleted-by-the-client": delete_ike_sa,
    "closed": lambda client: client.host.close_client(client.ike_sa.client),
    "stopped": lambda client: client.host.close_all(),
    "lifetime": lambda client: client.host.advance(5000.0),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("question", [ComputeDh, InstallInbound, InstallOutbound])
def test_phase_1_ends_while_quick_mode_waits_for_the_host(question: type, ending: Ending) -> None:
    host = IkeHost()
    client = Dialin(host, PFS).main_mode()
    host.hold = (question,)
    client.run(client.initiator.quick_mode(0.0))
    assert len(host.held) == 1
    ending(client)
    host.answer_all()
    check_gone(host)
    assert host.told_of(ChildUp) == []
    assert host.told_of(ChildDown) == []
    assert len(host.told_of(ClientDown)) == 1


@pytest.mark.parametrize("question", [ComputeDh, InstallInbound])
def test_quick_mode_times_out_while_it_waits_for_the_host(question: type) -> None:
    host = IkeHost()
    client = Dialin(host, PFS).main_mode()
    host.hold = (question,)
    client.run(client.initiator.quick_mode(0.0))
    host.advance(30.0)
    host.answer_all()
    assert host.inbound == host.outbound == {}
    assert len(host.refusals()) == 1
    assert len(host.engine.clients) == 1
    assert agree(client.quick_mode(), client.child())


def delete_esp(client: Dialin, sas: EspSas) -> None:
    client.give(client.protect([Delete(Doi.IPSEC, ProtocolId.ESP, (sas.inbound_spi,))]))


@pytest.mark.parametrize("kernel", [False, True])
def test_a_child_that_ends_before_hash_3_is_not_completed(kernel: bool) -> None:
    """The outbound SA would have had no owner, and the child in use lost its place."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    old = client.child()
    (question,) = client.note(client.initiator.quick_mode(0.0))
    (answer,) = client.give(question)
    (third,) = client.take(answer, floated=False)
    if kernel:
        host.child_expired(int.from_bytes(client.sas[-1].outbound_spi))
    else:
        delete_esp(client, client.sas[-1])
    assert client.give(third) == []
    assert client.give(question) == []
    assert host.inbound == host.outbound == {old.inbound_spi: old}
    (engine_client,) = host.engine.clients
    assert engine_client.carrying is engine_client.children[0]
    assert host.advance(40.0) == []
    assert host.refusals() == []
    assert len(host.told_of(ChildUp)) == 1
    assert host.told_of(ChildDown) == []


def test_a_child_that_ends_while_its_outbound_sa_is_being_installed() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).main_mode()
    host.hold = (InstallOutbound,)
    client.quick_mode()
    assert len(host.outbound) == 1
    delete_esp(client, client.sas[-1])
    host.answer_all()
    assert host.inbound == host.outbound == {}
    assert host.told_of(ChildUp) == []
    assert agree(client.quick_mode(), client.child())


def test_two_quick_modes_at_once() -> None:
    """Both complete before the kernel has answered: one outbound SA is in use in the end."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    host.hold = (InstallOutbound,)
    client.quick_mode()
    second = client.quick_mode()
    host.answer_all()
    child = client.child(second)
    assert host.outbound == {child.inbound_spi: child}
    assert len(host.inbound) == 3
    (engine_client,) = host.engine.clients
    assert [entry.sa for entry in engine_client.children if entry.outbound] == [child]
    # Each of them ends at its time, whichever came up last.
    host.advance(3600.0 + 60.0)
    assert host.inbound == host.outbound == {}
    assert len(host.told_of(ChildDown)) == 3


def test_a_later_quick_mode_that_is_complete_first_stays_in_use() -> None:
    """HASH(3) of the first was lost, and is repeated after the second is up."""
    host = IkeHost()
    client = Dialin(host, FAST).main_mode()
    (question,) = client.note(client.initiator.quick_mode(0.0))
    (answer,) = client.give(question)
    (third,) = client.take(answer, floated=False)
    second = client.child(client.quick_mode())
    client.give(third)
    assert host.outbound == {second.inbound_spi: second}
    assert len(host.inbound) == len(host.told_of(ChildUp)) == 2
    # The client deletes the one that it holds for the older.
    client.run(client.initiator.delete_esp(client.sas[0].inbound_spi))
    assert host.inbound == host.outbound == {second.inbound_spi: second}


# --- the kernel refuses --------------------------------------------------------------------------


def test_the_kernel_refuses_the_inbound_sa() -> None:
    host = IkeHost(refuse_inbound="EEXIST")
    client = Dialin(host, FAST).main_mode()
    client.run(client.initiator.quick_mode(0.0))
    (refusal,) = host.refusals()
    assert refusal.cause == "the kernel refused the inbound SA: EEXIST"
    assert client.failures[0].cause is Cause.REFUSED
    assert "NO_PROPOSAL_CHOSEN to QM1" in client.failures[0].detail
    assert host.inbound == host.outbound == {}
    (engine_client,) = host.engine.clients
    assert engine_client.children == []


def test_the_kernel_refuses_the_outbound_sa() -> None:
    host = IkeHost(refuse_outbound="ENOMEM")
    client = Dialin(host, FAST).main_mode()
    client.run(client.initiator.quick_mode(0.0))
    assert host.refusals()[0].cause == "the kernel refused the outbound SA: ENOMEM"
    assert host.inbound == host.outbound == {}
    # The client has its SAs already: it is told to forget them.
    assert client.told_of(EspDeleted) == [EspDeleted(client.sas[0].outbound_spi)]
    assert client.failures[0].cause is Cause.REFUSED
    assert host.told_of(ChildUp) == []


def test_the_kernel_refuses_the_outbound_sa_of_a_rekey() -> None:
    """The old one stays in use."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    old = client.child()
    host.refuse_outbound = "ENOMEM"
    client.run(client.initiator.quick_mode(0.0))
    assert host.inbound == host.outbound == {old.inbound_spi: old}
    (engine_client,) = host.engine.clients
    assert engine_client.carrying is engine_client.children[0]
    assert engine_client.children[0].sa == old


def test_the_kernel_refuses_one_of_two_at_once() -> None:
    """The second replaces the oldest too, which the first did not come to replace."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    host.hold = (InstallOutbound,)
    host.refuse_outbound = "ENOMEM"
    client.quick_mode()
    host.refuse_outbound = ""
    second = client.child(client.quick_mode())
    host.answer_all()
    assert host.outbound == {second.inbound_spi: second}
    (engine_client,) = host.engine.clients
    assert engine_client.carrying is not None
    assert engine_client.carrying.sa == second
