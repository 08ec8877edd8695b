"""A client whose NAT has given it another address or port, and that renews its Phase 1 from there.

Nothing else of it has come from there before: whose is the new SA?
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikev1.core.effects import ChildDown, ClientDown, Continued, IkeSaUp, InstallInbound
from ikev1.core.lineage import UNITE_WITHIN
from ikev1.core.replacement import SameIdentity
from interop.clients.ike import WINDOWS_10
from interop.initiator.effects import Closed, EspDeleted
from interop.initiator.profiles import Profile, only
from tests.support.ike_dialin import NAT, Dialin, agree
from tests.support.ike_host import IkeHost
from tests.unit.ikev1.core.test_replacement import (
    GROUP,
    HERS,
    LAPTOP,
    NAMED,
    OFFER,
    OTHER_NAT,
    PHONE,
    QUIET,
    dial,
    serving,
)

ELSEWHERE = pytest.mark.parametrize(
    ("nat", "port"), [(NAT, 62000), (OTHER_NAT, 61000)], ids=["port", "address"]
)


def from_elsewhere(
    old: Dialin, profile: Profile | None = None, *, nat: str = NAT, port: int = 62000
) -> Dialin:
    """The same device with a new Phase 1, some time later, from where its NAT has put it."""
    host = old.host
    host.advance(host.now + 100.0)
    old.nat, old.ports = nat, (port, port + 1)
    return old.again("renewed", profile or replace(old.profile, initial_contact=False))


def check_one(host: IkeHost, *clients: Dialin) -> None:
    """All these Phase 1 SAs are of one client at one place; the newest child of it carries."""
    (client,) = host.engine.clients
    newest = clients[-1]
    assert [sa.cookies for sa in host.engine.ike_sas_of(client)] == [
        dialin.initiator.cookies for dialin in clients
    ]
    assert client.path == newest.path(True)
    for sa in host.engine.ike_sas_of(client):
        assert (sa.client, sa.path) == (client.id, client.path)
    assert host.inbound == {child.sa.inbound_spi: child.sa for child in client.children}
    for child in client.children:
        assert (child.sa.client, child.sa.mark) == (client.id, client.mark)
        assert child.sa.path == client.path
    carrying = client.newest
    assert carrying is not None
    assert host.outbound == {carrying.sa.inbound_spi: carrying.sa}
    assert host.engine.clients.find(client.path, client.identity, client.connection) is client
    assert not host.told_of(ClientDown)
    assert not host.told_of(ChildDown)


# --- with a proof of its own ---------------------------------------------------------------------


@ELSEWHERE
@pytest.mark.parametrize(("key", "profile"), [(HERS, QUIET), (NAMED, LAPTOP)], ids=["key", "name"])
def test_who_proves_who_it_is_goes_on(key: object, profile: Profile, nat: str, port: int) -> None:
    host = IkeHost(serving(HERS, NAMED))
    old = dial(host, key, profile).connect()  # type: ignore[arg-type]
    mark = old.child().mark
    renewed = from_elsewhere(old, nat=nat, port=port).main_mode()
    # What it had follows at once, and not when it next sends something.
    check_one(host, old, renewed)
    renewed.quick_mode()
    check_one(host, old, renewed)
    assert renewed.child().mark == mark
    assert [event.replaces for event in host.told_of(IkeSaUp)] == [None, old.ike_sa.client]


@ELSEWHERE
def test_one_that_dials_anew_loses_what_it_had(nat: str, port: int) -> None:
    """It may be another device with the same key, so the older one is told where it is."""
    host = IkeHost(serving(HERS))
    old = dial(host, HERS).connect()
    place, older_child = old.path(True), old.child()
    other = from_elsewhere(old, nat=nat, port=port).connect()
    old.nat, old.ports = place.remote, (place.remote_port - 1, place.remote_port)
    old.deliver(host.dialled_anew(other.child().mark))
    (down,) = host.told_of(ChildDown)
    assert down.child.inbound_spi == older_child.inbound_spi
    assert down.cause == f"replaced: the client has connected again from {other.path(True)}"
    assert old.told_of(EspDeleted)
    assert old.told_of(Closed) == [Closed(by_server=True)]
    child = other.child()
    assert host.inbound == host.outbound == {child.inbound_spi: child}
    # Once: what it dials later, in SAs that it has renewed where it is, costs nothing.
    host.advance(host.now + 100.0)
    again = other.again("later").connect()
    assert host.dialled_anew(again.child().mark) == []
    assert len(host.inbound) == 2


def test_another_identity_with_the_key_is_another_session() -> None:
    host = IkeHost(serving(HERS))
    old = dial(host, HERS).connect()
    mark = old.child().mark
    host.advance(100.0)
    assert dial(host, HERS, inner="10.9.9.9", port=62000).connect().child().mark != mark
    assert len(host.engine.clients) == 1


def test_without_a_nat_there_is_no_going_on() -> None:
    host = IkeHost(serving(HERS))
    old = Dialin(host, QUIET, HERS.secret, inner="198.51.100.5").connect()
    mark = old.child().mark
    host.advance(100.0)
    new = Dialin(host, QUIET, HERS.secret, inner="198.51.100.6", seed="new").connect()
    assert new.child().mark != mark
    assert len(host.inbound) == len(host.outbound) == len(host.engine.clients) == 1


# --- with a key of many --------------------------------------------------------------------------


def answers(old: Dialin) -> None:
    """The device still has its older Phase 1, under which it is asked where the younger is."""
    old.deliver(old.host.sent[-20:])


def test_who_answers_under_its_older_phase_1_goes_on() -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    mark = old.child().mark
    renewed = from_elsewhere(old).main_mode()
    assert len(host.engine.clients) == 2
    answers(old)
    check_one(host, old, renewed)
    renewed.quick_mode()
    check_one(host, old, renewed)
    # Nothing in the kernel has had to change its mark.
    assert renewed.child().mark == mark
    (continued,) = host.told_of(Continued)
    assert (continued.mark, continued.client) == (mark, old.ike_sa.client)


def test_it_is_asked_before_it_can_begin_a_quick_mode() -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    renewed = from_elsewhere(old).main_mode()
    (question, sixth) = renewed.talk[-1][1]
    assert question[4:20] == old.initiator.cookies
    assert sixth[4:20] == renewed.initiator.cookies


@pytest.mark.parametrize("shown", ["answer", "esp", "message"])
def test_the_younger_stays_where_it_has_sas(shown: str) -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    older_child = old.child()
    renewed = from_elsewhere(old).connect()
    mark = renewed.child().mark
    assert mark != older_child.mark
    if shown == "esp":
        host.moved(older_child.inbound_spi, NAT, 62001)
    elif shown == "message":
        old.run(old.initiator.are_you_there(1))
    else:
        answers(old)
    check_one(host, old, renewed)
    assert renewed.child().mark == mark
    assert agree(renewed.sas[-1], renewed.child())
    # The older SAs still serve for what is on its way, and go as they would have gone.
    assert older_child.inbound_spi in host.inbound
    old.run(old.initiator.close(host.now))
    assert host.inbound == {renewed.child().inbound_spi: renewed.child()}
    (continued,) = host.told_of(Continued)
    assert (continued.mark, continued.other_mark) == (mark, older_child.mark)


def test_in_the_middle_of_its_quick_mode() -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    renewed = from_elsewhere(old).main_mode()
    host.hold = (InstallInbound,)
    renewed.run(renewed.initiator.quick_mode(host.now))
    answers(old)
    host.hold = ()
    renewed.deliver(host.answer_all())
    check_one(host, old, renewed)
    assert agree(renewed.sas[-1], renewed.child())


def test_a_quick_mode_of_the_older_that_is_under_way_is_given_up() -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    (question,) = old.note(old.initiator.quick_mode(0.0))
    old.give(question)
    assert len(host.inbound) == 2
    host.advance(host.now + 1.0)
    old.ports = (62000, 62001)
    renewed = old.again("renewed", QUIET).connect()
    host.moved(old.child().inbound_spi, NAT, 62001)
    check_one(host, old, renewed)
    assert len(host.inbound) == 2
    host.advance(host.now + 100.0)
    check_one(host, old, renewed)


def test_two_devices_stay_two() -> None:
    """Behind stacked NATs, with one private address: each speaks from its own place."""
    host = IkeHost(serving(GROUP))
    one = dial(host, GROUP, PHONE).connect()
    host.advance(100.0)
    other = dial(host, GROUP, QUIET, port=62000).connect()
    for device in (one, other):
        device.run(device.initiator.are_you_there(1))
        host.moved(device.child().inbound_spi, NAT, device.ports[1])
        device.quick_mode()
    assert host.told_of(Continued) == []
    assert one.child().mark != other.child().mark
    assert len(host.outbound) == 2


def test_a_port_that_is_given_to_another_much_later_makes_nobody_one() -> None:
    host = IkeHost(serving(GROUP))
    one = dial(host, GROUP, PHONE).connect()
    host.advance(100.0)
    dial(host, GROUP, QUIET, port=62000).connect()
    host.advance(host.now + UNITE_WITHIN + 1.0)
    host.moved(one.child().inbound_spi, NAT, 62001)
    assert host.told_of(Continued) == []
    assert len(host.engine.clients) == 2


@pytest.mark.parametrize("difference", ["key", "identity", "implementation", "contact", "age"])
def test_who_does_not_look_alike_stays_another(difference: str) -> None:
    his = replace(GROUP, secret=b"another", one_client=False, connection=GROUP.connection)
    host = IkeHost(serving(GROUP, his))
    one = dial(host, GROUP, QUIET).connect()
    if difference != "age":
        host.advance(100.0)
    key = his if difference == "key" else GROUP
    profile = {"implementation": only(WINDOWS_10, OFFER), "contact": PHONE}.get(difference, QUIET)
    inner = "192.168.1.9" if difference == "identity" else "192.168.1.2"
    other = dial(host, key, profile, port=62000, inner=inner).connect()
    marks = one.child().mark, other.child().mark
    host.unite(*marks)
    host.moved(one.child().inbound_spi, NAT, 62001)
    host.unite(*marks)
    host.unite(*reversed(marks))
    assert host.told_of(Continued) == []
    assert len(host.engine.clients) == len(host.outbound) == 2


@ELSEWHERE
def test_what_the_host_has_heard_in_its_new_sas_makes_it_one(nat: str, port: int) -> None:
    """Windows knows no R-U-THERE, and after a while has no older Phase 1."""
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, only(WINDOWS_10, OFFER)).connect()
    older_child = old.child()
    renewed = from_elsewhere(old, nat=nat, port=port).connect()
    assert len(host.engine.clients) == 2
    host.unite(older_child.mark, renewed.child().mark)
    check_one(host, old, renewed)
    renewed.quick_mode()
    check_one(host, old, renewed)


def test_with_policy_several_a_device_with_the_key_is_asked_too() -> None:
    host = IkeHost(serving(HERS, policy=SameIdentity.SEVERAL))
    old = dial(host, HERS, PHONE).connect()
    renewed = from_elsewhere(old).main_mode()
    answers(old)
    renewed.quick_mode()
    check_one(host, old, renewed)


def test_a_client_with_many_sas_keeps_no_more_than_anybody() -> None:
    host = IkeHost(serving(GROUP))
    old = dial(host, GROUP, PHONE).connect()
    for _ in range(15):
        old.quick_mode()
    renewed = from_elsewhere(old).connect()
    renewed.quick_mode()
    host.unite(old.child(old.sas[0]).mark, renewed.child().mark)
    (client,) = host.engine.clients
    assert len(client.children) == len(host.inbound) == 16
    assert host.outbound == {renewed.child().inbound_spi: renewed.child()}
