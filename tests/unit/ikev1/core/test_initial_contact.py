"""INITIAL-CONTACT in a message of its own, as Mac OS X 10.5 sends it (RFC 2407 section 4.6.3.3)."""

from __future__ import annotations

from dataclasses import replace

from ikev1.core.effects import ChildDown, SessionsLost
from ikev1.wire.enums import Doi, NotifyType, ProtocolId
from ikev1.wire.payloads import Notification
from interop.clients.ike import IPHONE
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost

QUIET = replace(IPHONE, initial_contact=False)
"""Says nothing of it in message 5."""


def first_contact(client: Dialin) -> Notification:
    cookies = client.initiator.cookies
    return Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b"")


def test_what_was_before_is_forgotten() -> None:
    host = IkeHost()
    Dialin(host, QUIET, seed="before the crash").main_mode().quick_mode()
    host.advance(10.0)
    back = Dialin(host, QUIET, seed="after it").main_mode()
    (client,) = host.engine.clients
    assert len(client.phase1) == 2
    old = client.children[0].sa

    back.give(back.protect([first_contact(back)]))
    assert client.phase1 == [back.initiator.cookies]
    assert client.children == []
    assert host.inbound == {}
    assert host.outbound == {}
    (down,) = host.told_of(ChildDown)
    assert down.child == old
    assert "INITIAL-CONTACT" in down.cause

    back.quick_mode()
    assert len(host.inbound) == len(host.outbound) == 1


def test_a_quick_mode_may_overtake_it() -> None:
    """What was in the older SAs is forgotten, and the new ones come up."""
    host = IkeHost()
    Dialin(host, QUIET, seed="before the crash").main_mode().quick_mode()
    host.advance(10.0)
    back = Dialin(host, QUIET, seed="after it").main_mode()
    (client,) = host.engine.clients
    old = client.children[0].sa

    (message_1,) = back.note(back.initiator.quick_mode(host.now))
    (message_2,) = back.give(message_1)
    back.give(back.protect([first_contact(back)]))
    (lost,) = host.told_of(SessionsLost)
    assert lost.mark == old.mark
    for send in back.take(message_2, message_1.floated):
        back.give(send)
    assert [child.sa for child in client.children] == [back.child()]
    assert len(host.inbound) == len(host.outbound) == 1


def test_its_own_sas_stay() -> None:
    host = IkeHost()
    client = Dialin(host).main_mode()
    client.quick_mode()
    client.give(client.protect([first_contact(client)]))
    assert len(host.inbound) == len(host.outbound) == 1


def test_another_client_is_not_touched() -> None:
    host = IkeHost()
    other = Dialin(host, seed="other", inner="198.51.100.8")
    other.main_mode().quick_mode()
    host.advance(10.0)
    client = Dialin(host).main_mode()
    client.quick_mode()
    client.give(client.protect([first_contact(client)]))
    assert len(host.engine.clients) == 2
    assert len(host.inbound) == 2
