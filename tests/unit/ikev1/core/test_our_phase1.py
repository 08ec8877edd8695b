"""Main Modes that we begin, where the connection is set so: the client has not renewed in time."""

from dataclasses import replace

import pytest
from msgspec import structs

from ikev1.core.credentials import Credentials, PresharedKey
from ikev1.core.effects import IkeSaDown, IkeSaUp
from ikev1.core.exchange import ConnectionSettings, Settings
from ikev1.core.keepalive import KEEPALIVE
from ikev1.core.natt import VARIANTS, Variant
from ikev1.core.phase1_renewal import ANSWER_WITHIN
from ikev1.core.rekey_time import INTERVAL, MAX_ATTEMPTS
from ikev1.core.rekeying import ANSWER_WITHIN as QUICK_MODE_WITHIN
from ikev1.core.rekeying import RETIRE_AFTER, SWITCH_AFTER
from ikev1.wire.enums import EncryptionAlgorithm, ExchangeType, Group, HashAlgorithm, PayloadType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import parse_payloads
from ikev1.wire.payloads import NatD, VendorId
from interop.certificates import Authority
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.profiles import Phase1Offer, Profile, only
from tests.support.ike_answering import Answering
from tests.support.ike_certificates import (
    GATEWAY_NAME,
    credential,
    gateway_identity,
    host_with,
    signer,
    trust_in,
)
from tests.support.ike_dialin import NAT, PRIVATE, Dialin, Sent
from tests.support.ike_host import PSK, IkeHost, settings

OFFER = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
LIFETIME = 28_800
PHONE = replace(only(IPHONE, OFFER), phase1_lifetime=LIFETIME, esp_lifetime=10 * LIFETIME)
WINDOWS = replace(only(WINDOWS_10, OFFER), phase1_lifetime=LIFETIME, esp_lifetime=10 * LIFETIME)
SOON = 0.95 * LIFETIME
"""By then we have begun, if nobody else has."""


def rekeying(**changes: object) -> Settings:
    return settings(default=ConnectionSettings(dpd_delay=0.0, rekey=True), **changes)


def connected(
    host: IkeHost, profile: Profile = PHONE, *, nat: bool = True, psk: bytes = PSK
) -> Answering:
    client = Dialin.behind_nat(host, profile) if nat else Dialin(host, profile)
    keys = Credentials([PresharedKey("gateway", psk)])
    return Answering(client.connect(), IkeHost(settings(credentials=keys)))


def main_mode(sent: Sent) -> Sent:
    """Those of the datagrams that are of a Main Mode."""
    messages = [
        (sent, sent[1][4 * sent[0].encapsulated :]) for sent in sent if sent[1] != KEEPALIVE
    ]
    kind = ExchangeType.IDENTITY_PROTECTION
    return [sent for sent, message in messages if parse_header(message).exchange_type == kind]


def check_renewed(host: IkeHost, client: Answering) -> None:
    """Both have a Phase 1 SA that we have begun, and it is what we speak under."""
    (engine_client,) = host.engine.clients
    *_, newest = host.engine.ike_sas_of(engine_client)
    (theirs,) = client.own.engine.clients
    (their_sa,) = client.own.engine.ike_sas_of(theirs)
    assert (newest.cookies, newest.keys) == (their_sa.cookies, their_sa.keys)
    client.take(host.close_client(engine_client.id))
    assert client.own.told_of(IkeSaDown)[-1].cause == "deleted by the client"
    assert host.engine._renewal._under_way == {}


@pytest.mark.parametrize("nat", [False, True])
@pytest.mark.parametrize("profile", [PHONE, WINDOWS], ids=["iPhone", "Windows"])
def test_we_renew_what_the_client_has_not(profile: Profile, nat: bool) -> None:
    host = IkeHost(rekeying())
    client = connected(host, profile, nat=nat)
    child = client.dialin.child()
    assert main_mode(host.advance(0.9 * LIFETIME - 1)) == []
    client.deliver(main_mode(host.advance(SOON)))

    first, second = host.told_of(IkeSaUp)
    assert (second.client, second.replaces) == (first.client, first.client)
    assert (first.ours, second.ours) == (False, True)
    assert (second.identity, second.connection, second.suite, second.nat, second.lifetime) == (
        first.identity,
        first.connection,
        first.suite,
        first.nat,
        first.lifetime,
    )
    # On port 4500 from the first message on, where the client has moved there.
    assert {path.encapsulated for path, _ in client.reached} == {nat}
    assert len(client.reached) == 3
    # The old SA and the children are as they were.
    (engine_client,) = host.engine.clients
    assert engine_client.phase1[0] == client.dialin.initiator.cookies
    assert host.inbound[child.inbound_spi] == host.outbound[child.inbound_spi] == child
    host.advance(LIFETIME + 61)
    assert host.told_of(IkeSaDown)[0].cause == "lifetime over"
    assert host.gone() == []
    check_renewed(host, client)


FLOATING = [variant for variant in VARIANTS if variant.floats]


@pytest.mark.parametrize("variant", FLOATING, ids=lambda variant: variant.name)
def test_the_variant_of_nat_traversal_is_kept(variant: Variant) -> None:
    host = IkeHost(rekeying())
    client = connected(host, replace(PHONE, vendor_ids=(variant.vendor_id,)))
    client.deliver(main_mode(host.advance(SOON)))
    (first, third, _) = (datagram[4:] for _, datagram in client.reached)
    offered = parse_payloads(PayloadType.SA, first[HEADER_LENGTH:]).all(VendorId)
    assert offered == (VendorId(variant.vendor_id),)
    nat_d = parse_payloads(PayloadType.KE, third[HEADER_LENGTH:]).all(NatD)
    assert [payload.type for payload in nat_d] == [variant.nat_d] * 2
    assert [event.nat for event in host.told_of(IkeSaUp)] == ["client", "client"]
    check_renewed(host, client)


def test_behind_a_nat_of_our_own_we_show_the_public_address() -> None:
    public = "192.0.2.1"
    host = IkeHost(rekeying(public_address=public))
    ports = (61000, 61001)
    dialin = Dialin(host, PHONE, PSK, PRIVATE, NAT, ports, gateway="10.0.0.1", dialled=public)
    client = Answering(dialin.connect())
    client.deliver(main_mode(host.advance(SOON)))
    # To the client there is no NAT before us.
    (theirs,) = client.own.told_of(IkeSaUp)
    assert (theirs.nat, theirs.identity) == ("server", public)
    assert [event.nat for event in host.told_of(IkeSaUp)] == ["both", "both"]
    check_renewed(host, client)


def test_with_certificates() -> None:
    root = Authority()
    own, alice = gateway_identity(root), root.issue("alice", names=["alice@example.org"])
    mine = credential(own, trust_in(root, own=own))
    host = IkeHost(rekeying(credentials=Credentials([], [mine])))
    dialin = Dialin(host, PHONE, inner=PRIVATE, nat=NAT, ports=(61000, 61001), signer=signer(alice))
    theirs = host_with(credential(alice, trust_in(root, own=alice, usage="ignore")), psk=False)
    client = Answering(dialin.connect(), theirs)
    client.deliver(main_mode(host.advance(SOON)))
    first, second = host.told_of(IkeSaUp)
    assert (second.authentication, second.identity) == (first.authentication, first.identity)
    assert second.identity == "C=DE, O=Acme, CN=alice"
    assert [event.identity for event in client.own.told_of(IkeSaUp)] == [f"@{GATEWAY_NAME}"]
    check_renewed(host, client)


def test_the_next_generation_is_ours_too() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    now = 0.0
    for number in range(2, 6):
        now += SOON
        client.deliver(main_mode(host.advance(now)))
        assert len(host.told_of(IkeSaUp)) == number
    (engine_client,) = host.engine.clients
    assert len(engine_client.phase1) == 2


def test_only_where_it_is_configured() -> None:
    host = IkeHost()
    connected(host)
    assert main_mode(host.advance(SOON)) == []


def test_not_what_the_client_has_renewed() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    host.advance(0.8 * LIFETIME)
    client.dialin.again("again", replace(PHONE, initial_contact=False)).main_mode()
    assert len(host.engine.clients) == 1
    assert main_mode(host.advance(SOON)) == []
    assert len(main_mode(host.advance(0.8 * LIFETIME + SOON))) == 1


# --- a child to renew, and no Phase 1 ------------------------------------------------------------


def test_a_child_that_outlives_its_phase_1_gets_one() -> None:
    """Windows, as its own engine takes an L2TP port of 1701 only."""
    host = IkeHost(rekeying())
    client = connected(host, replace(WINDOWS, esp_lifetime=3600))
    old = client.dialin.child()
    # The client deletes its Phase 1 alone.
    client.dialin.run(client.dialin.initiator.close(0.0)[1:])
    (engine_client,) = host.engine.clients
    assert engine_client.phase1 == []
    client.deliver(host.advance(0.95 * 3600))
    assert len(host.told_of(IkeSaUp)) == 2
    client.deliver(host.advance(host.now + 1.0))
    new = engine_client.newest
    assert new is not None
    assert new.sa.inbound_spi != old.inbound_spi
    assert new.sa.mark == old.mark
    client.deliver(host.advance(host.now + SWITCH_AFTER))
    client.deliver(host.advance(host.now + RETIRE_AFTER))
    assert host.inbound == host.outbound == {new.sa.inbound_spi: new.sa}


# --- a child to renew at the same time ------------------------------------------------------------


def test_a_child_waits_for_our_main_mode() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    spi = client.dialin.child().inbound_spi
    sent = main_mode(host.advance(SOON))
    assert host.child_expiring(spi) == []
    client.deliver(sent)
    (engine_client,) = host.engine.clients
    ((path, datagram),) = host.advance(SOON + INTERVAL)
    header = parse_header(datagram[4 * path.encapsulated :])
    assert header.exchange_type == ExchangeType.QUICK_MODE
    assert header.initiator_cookie + header.responder_cookie == engine_client.phase1[-1]


def test_our_main_mode_waits_for_a_quick_mode() -> None:
    host = IkeHost(rekeying())
    connected(host)
    while not main_mode(host.advance(host.engine.next_deadline() or 0.0)):
        pass
    when = host.now

    host = IkeHost(rekeying())
    client = connected(host)
    host.advance(when - 1)
    assert host.child_expiring(client.dialin.child().inbound_spi)
    while host.now < when - 2 + QUICK_MODE_WITHIN:
        assert main_mode(host.advance(host.now + 1)) == []
    assert len(main_mode(host.advance(host.now + 1 + INTERVAL))) == 1


# --- the way -------------------------------------------------------------------------------------


def test_each_message_is_lost_once_each_way() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    sent = main_mode(host.advance(SOON))
    for _ in range(3):
        again = main_mode(host.advance(host.now + 1.0))
        assert again == sent
        client.take(again)
        once_more = main_mode(host.advance(host.now + 2.0))
        assert once_more == sent
        sent = client.give(client.take(once_more))
    assert len(host.told_of(IkeSaUp)) == 2
    assert host.refusals() == []
    check_renewed(host, client)


def test_a_client_that_does_not_answer_keeps_what_it_has_until_its_end() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    while host.now < LIFETIME + 59:
        host.advance(host.now + 5)
        assert len(host.engine.clients) == 1
    assert len(host.refusals()) == MAX_ATTEMPTS
    assert {refusal.exchange for refusal in host.refusals()} == {"our Main Mode"}
    assert "rekey = false" in host.refusals()[0].remedy
    host.advance(LIFETIME + 61)
    assert len(host.told_of(IkeSaDown)) == 1
    assert client.dialin.child() in host.inbound.values()
    assert host.engine.half_open == 0


def test_an_answer_from_elsewhere_is_dropped() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    ((path, answer),) = client.take(main_mode(host.advance(SOON)))
    elsewhere = structs.replace(path, remote="192.0.2.66")
    assert main_mode(client.give([(elsewhere, answer)])) == []
    client.deliver(client.give([(path, answer)]))
    check_renewed(host, client)


# --- who answers ---------------------------------------------------------------------------------


def test_with_another_key_nothing_is_renewed() -> None:
    host = IkeHost(rekeying())
    client = connected(host, psk=b"another key")
    client.deliver(main_mode(host.advance(SOON)))
    host.advance(SOON + ANSWER_WITHIN)
    assert len(host.told_of(IkeSaUp)) == 1
    assert client.own.told_of(IkeSaUp) == []
    assert client.dialin.child() in host.inbound.values()


def test_somebody_else_with_the_same_key_is_not_the_client() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    client.dialin.inner = "192.168.1.99"
    client.deliver(main_mode(host.advance(SOON)))
    (refusal,) = host.refusals()
    assert "192.168.1.99" in refusal.cause
    assert PRIVATE in refusal.cause
    assert len(host.told_of(IkeSaUp)) == 1


def test_an_algorithm_is_not_allowed_any_more() -> None:
    host = IkeHost(rekeying())
    connected(host)
    stricter = replace(host.settings.ike, groups=frozenset({"modp2048"}))
    host.engine.reconfigure(replace(host.settings, ike=stricter), 1.0)
    assert main_mode(host.advance(SOON)) == []
    assert host.refusals()[0].setting == "ike.groups"
    assert len(host.engine.clients) == 1


def test_both_sides_renew_at_once() -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    ours = main_mode(host.advance(SOON))
    again = client.dialin.again("again", replace(PHONE, initial_contact=False)).connect()
    client.deliver(ours)
    (engine_client,) = host.engine.clients
    assert len(engine_client.phase1) == 3
    assert again.child() in host.outbound.values()
    check_renewed(host, client)


@pytest.mark.parametrize("messages", [0, 1, 2])
def test_the_client_goes_in_the_middle(messages: int) -> None:
    host = IkeHost(rekeying())
    client = connected(host)
    sent = main_mode(host.advance(SOON))
    for _ in range(messages):
        sent = client.give(client.take(sent))
    client.dialin.run(client.dialin.initiator.close(0.0))
    assert host.inbound == {}
    client.deliver(sent)
    assert len(host.engine.clients) == 0
    host.advance(host.now + 11 * LIFETIME)
    assert host.engine._context.ike_sas == {}
    assert host.engine.next_deadline() is None
