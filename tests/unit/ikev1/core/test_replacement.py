"""A client that comes again while it is connected, and others that only look like it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ikev1.core.clients import MarkSpace
from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.effects import ChildDown, ClientDown, SessionsLost
from ikev1.core.exchange import ConnectionSettings, Settings
from ikev1.core.replacement import Proof, SameIdentity
from ikev1.core.responder import Responder
from ikev1.wire.enums import (
    Doi,
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.payloads import Delete, Notification
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.effects import Closed
from interop.initiator.profiles import Phase1Offer, Profile, only
from tests.support.ike_dialin import NAT, Dialin, agree
from tests.support.ike_host import PSK, IkeHost, deterministic, settings

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
PHONE = only(IPHONE, OFFER)
QUIET = replace(PHONE, initial_contact=False)
LAPTOP = replace(QUIET, fqdn="laptop.example")
OTHER_NAT = "198.51.100.98"

HERS = PresharedKey("hers", b"her own", one_client=True)
NAMED = PresharedKey("named", b"for a name", identity="@laptop.example")
GROUP = PresharedKey("office", PSK)


def serving(
    *keys: PresharedKey, policy: SameIdentity = SameIdentity.REPLACE, **changes: object
) -> Settings:
    connections = {key.connection: ConnectionSettings(same_identity=policy) for key in keys}
    return settings(credentials=Credentials(keys), connections=connections, **changes)


def dial(
    host: IkeHost,
    key: PresharedKey,
    profile: Profile = QUIET,
    *,
    nat: str = NAT,
    port: int = 61000,
    inner: str = "192.168.1.2",
) -> Dialin:
    return Dialin(
        host,
        profile,
        key.secret,
        inner=inner,
        nat=nat,
        ports=(port, port + 1),
        seed=f"{key.secret!r}/{nat}/{port}/{inner}",
    )


def check_only(host: IkeHost, client: Dialin) -> None:
    """Nothing is left of anybody else, and this one works."""
    child = client.child()
    assert host.inbound == host.outbound == {child.inbound_spi: child}
    assert agree(client.sas[-1], child)
    assert len(host.engine.clients) == 1


# --- from elsewhere ------------------------------------------------------------------------------


@pytest.mark.parametrize(("nat", "port"), [(NAT, 62000), (OTHER_NAT, 61000)])
@pytest.mark.parametrize(
    ("key", "profile"),
    [(HERS, PHONE), (HERS, only(WINDOWS_10, OFFER)), (NAMED, replace(PHONE, fqdn=LAPTOP.fqdn))],
    ids=["own key", "windows", "name"],
)
def test_who_begins_anew_replaces_its_older_session_by_what_only_it_can_prove(
    key: PresharedKey, profile: Profile, nat: str, port: int
) -> None:
    host = IkeHost(serving(HERS, NAMED, GROUP))
    old = dial(host, key, profile).connect()
    old_child = old.child()
    new = dial(host, key, profile, nat=nat, port=port).connect()
    check_only(host, new)
    assert new.child().mark != old_child.mark
    (down,) = host.told_of(ClientDown)
    assert down.mark == old_child.mark
    assert down.cause == f"replaced: the client has connected again from {new.path(True)}"
    # The older session may be another device's: it is told.
    old.deliver(host.sent)
    assert old.told_of(Closed) == [Closed(by_server=True)]


def test_the_key_says_who_it_is_whatever_identity_it_shows() -> None:
    host = IkeHost(serving(HERS))
    dial(host, HERS, inner="192.168.1.2").connect()
    check_only(host, dial(host, HERS, inner="10.9.9.9", nat=OTHER_NAT).connect())


@pytest.mark.parametrize("profile", [PHONE, QUIET, LAPTOP, only(WINDOWS_10, OFFER)])
@pytest.mark.parametrize(("nat", "port"), [(NAT, 62000), (OTHER_NAT, 61000)])
@pytest.mark.parametrize("policy", SameIdentity)
def test_with_a_key_of_many_nobody_is_taken_for_another(
    profile: Profile, nat: str, port: int, policy: SameIdentity
) -> None:
    """The same private address, or name, behind another NAT or through two stacked ones."""
    host = IkeHost(serving(GROUP, policy=policy))
    one = dial(host, GROUP, profile).connect()
    other = dial(host, GROUP, profile, nat=nat, port=port).connect()
    assert host.told_of(ClientDown) == []
    for client in (one, other):
        child = client.child()
        assert host.inbound[child.inbound_spi] == host.outbound[child.inbound_spi] == child


def test_names_are_compared_in_full_and_without_regard_to_case() -> None:
    long = "a" * 150
    keys = [PresharedKey("n", name.encode(), identity=f"@{long}{name}") for name in ("one", "two")]
    host = IkeHost(serving(*keys))
    for key, name in zip(keys, ("one", "two"), strict=True):
        dial(host, key, replace(QUIET, fqdn=long + name)).connect()
    assert len(host.engine.clients) == 2
    dial(host, keys[0], replace(QUIET, fqdn=(long + "one").upper()), port=63000).connect()
    assert len(host.engine.clients) == 2
    assert len(host.told_of(ClientDown)) == 1


def test_an_address_that_a_key_is_bound_to_names_nobody() -> None:
    """Every home has a 192.168.1.2, and the key may be in several."""
    bound = PresharedKey("homes", PSK, identity="192.168.1.2")
    host = IkeHost(serving(bound))
    dial(host, bound).connect()
    dial(host, bound, nat=OTHER_NAT).connect()
    assert len(host.engine.clients) == len(host.inbound) == 2


def test_the_same_name_in_another_connection_is_somebody_else() -> None:
    other = replace(NAMED, connection="other", secret=b"another")
    host = IkeHost(serving(NAMED, other))
    dial(host, NAMED, LAPTOP).connect()
    dial(host, other, LAPTOP, port=62000).connect()
    assert len(host.engine.clients) == 2


def test_several_devices_with_one_key() -> None:
    host = IkeHost(serving(HERS, policy=SameIdentity.SEVERAL))
    first, second = dial(host, HERS, PHONE), dial(host, HERS, PHONE, port=62000)
    for device in (first, second):
        device.connect()
    assert len(host.engine.clients) == len(host.inbound) == 2
    # Each of them is known again where it is.
    again = first.again("after a restart").connect()
    assert len(host.engine.clients) == len(host.inbound) == 2
    assert agree(second.sas[-1], second.child())
    assert agree(again.sas[-1], again.child())


def test_keep_refuses_the_newcomer() -> None:
    host = IkeHost(serving(HERS, policy=SameIdentity.KEEP))
    old = dial(host, HERS).connect()
    dial(host, HERS, PHONE, port=62000).main_mode()
    check_only(host, old)
    (refusal,) = host.refusals()
    assert refusal.cause == (
        f"the client with this preshared key is connected already, from {old.path(True)}, "
        'and same_identity is "keep"'
    )
    assert refusal.notify == NotifyType.AUTHENTICATION_FAILED
    assert '"replace"' in refusal.remedy
    assert HERS.secret.decode() not in str(refusal)
    # When the older one has gone the place is free.
    old.run(old.initiator.close(host.now))
    check_only(host, dial(host, HERS, port=63000).connect())


def test_keep_refuses_who_is_connected_to_another_engine_of_the_gateway() -> None:
    host = IkeHost(serving(HERS, policy=SameIdentity.KEEP))
    asked: list[Proof] = []

    def elsewhere(proof: Proof) -> bool:
        asked.append(proof)
        return len(asked) == 1

    host.engine = Responder(host.settings, MarkSpace(), deterministic("r"), elsewhere)
    dial(host, HERS).main_mode()
    (refusal,) = host.refusals()
    assert "is connected already, to another process of the gateway" in refusal.cause
    check_only(host, dial(host, HERS, port=63000).connect())
    assert [proof.what for proof in asked] == 2 * [HERS.secret]


def test_keep_lets_a_client_renew_its_phase_1_and_come_back_where_it_was() -> None:
    host = IkeHost(serving(HERS, policy=SameIdentity.KEEP))
    old = dial(host, HERS).connect()
    renewed = old.again("renewed").connect()
    assert renewed.child().mark == old.child().mark
    check_only(host, old.again("after a restart", PHONE).connect())


# --- at the same address and port ----------------------------------------------------------------


def test_another_key_at_the_same_address_and_port_is_another_client() -> None:
    """Two homes with the same private network, whose NAT gives one the other's old port."""
    his = PresharedKey("hers", b"his own", one_client=True)
    host = IkeHost(serving(HERS, his))
    hers = dial(host, HERS).connect()
    mine = dial(host, his).connect()
    assert host.told_of(ClientDown) == []
    assert hers.child().mark != mine.child().mark


# --- INITIAL-CONTACT in Quick Mode ---------------------------------------------------------------


def contact(client: Dialin) -> Notification:
    cookies = client.initiator.cookies
    return Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b"")


def test_in_quick_mode_it_ends_what_was_before_this_phase_1() -> None:
    host = IkeHost()
    neighbour = dial(host, GROUP, port=63000).connect()
    old = dial(host, GROUP).connect()
    old_child = old.child()
    host.advance(10.0)
    back = old.again("after the crash").main_mode()
    first = back.protect([contact(back)], ExchangeType.QUICK_MODE)
    back.give(first)  # has no SA, and so fails, but INITIAL-CONTACT is believed before
    (down,) = host.told_of(ChildDown)
    assert (down.child, down.cause) == (old_child, "replaced: the client says INITIAL-CONTACT")
    (lost,) = host.told_of(SessionsLost)
    assert lost.mark == old_child.mark
    back.quick_mode()
    assert back.child().mark == old_child.mark
    for client in (neighbour, back):
        child = client.child()
        assert host.inbound[child.inbound_spi] == host.outbound[child.inbound_spi] == child
    assert len(host.inbound) == 2


def test_in_a_later_quick_mode_it_ends_nothing_of_its_own() -> None:
    host = IkeHost()
    client = dial(host, GROUP).connect()
    client.give(client.protect([contact(client)], ExchangeType.QUICK_MODE))
    assert host.told_of(SessionsLost) == []
    check_only(host, client)


def test_windows_says_it_in_message_1_and_is_not_believed_twice() -> None:
    """After eight hours its Phase 1 is new while its session goes on."""
    host = IkeHost()
    client = dial(host, GROUP, only(WINDOWS_10, OFFER)).connect()
    host.advance(27_000.0)
    client.quick_mode()
    host.advance(28_861.0)
    again = client.again("again").main_mode()
    again.give(again.protect([contact(again)], ExchangeType.QUICK_MODE))
    assert host.told_of(SessionsLost) == []
    assert host.told_of(ClientDown) == []
    assert client.child() in host.inbound.values()


# --- keys that are taken out ---------------------------------------------------------------------


def test_a_key_that_is_taken_out_ends_its_clients_alone() -> None:
    host = IkeHost(serving(HERS, GROUP))
    hers, other = dial(host, HERS).connect(), dial(host, GROUP, port=62000).connect()
    hers.deliver(host.reconfigure(serving(GROUP)))
    check_only(host, other)
    (down,) = host.told_of(ClientDown)
    assert down.cause == "its preshared key was taken out of the configuration"
    assert hers.told_of(Closed) == [Closed(by_server=True)]
    dial(host, HERS, port=64000).main_mode()
    assert len(host.engine.clients) == 1


def test_a_key_that_is_for_others_now_is_still_there() -> None:
    host = IkeHost(serving(GROUP))
    client = dial(host, GROUP).connect()
    host.reconfigure(serving(replace(GROUP, identity="@laptop.example")))
    check_only(host, client)


def test_a_key_that_is_taken_out_in_the_middle_of_main_mode() -> None:
    host = IkeHost(serving(HERS, GROUP))
    client = dial(host, HERS)
    (first,) = client.note(client.initiator.start(0.0))
    (answer,) = client.give(first)
    (third,) = client.take(answer, first.floated)
    (answer,) = client.give(third)
    (fifth,) = client.take(answer, third.floated)
    host.reconfigure(serving(GROUP))
    client.give(fifth)
    (refusal,) = host.refusals()
    assert "taken out" in refusal.cause
    assert len(host.engine.clients) == 0


# --- Deletes of the older session, late -----------------------------------------------------------


def test_a_late_delete_of_the_replaced_session_ends_nothing() -> None:
    host = IkeHost(serving(HERS))
    old = dial(host, HERS).connect()
    spi = old.sas[-1].inbound_spi
    deletes = [
        old.protect([Delete(Doi.IPSEC, ProtocolId.ESP, (spi,))], message_id=7),
        old.protect([Delete(Doi.IPSEC, ProtocolId.ISAKMP, (old.initiator.cookies,))], message_id=8),
    ]
    new = dial(host, HERS, port=62000).connect()
    for delete in (*deletes, *deletes):
        assert old.give(delete) == []
    check_only(host, new)
