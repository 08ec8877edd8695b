"""Each refusal names its cause, a remedy and the setting, and leaves nothing."""

import ipaddress
from collections.abc import Callable
from dataclasses import replace

import pytest

from cli.ikev1d.config.algorithms import DEFAULT, STRICT
from ikev1.core.clients import MarkSpace
from ikev1.core.credentials import MAX_CANDIDATES, Credentials, PresharedKey
from ikev1.core.effects import IkeSaUp
from ikev1.core.responder import Responder
from ikev1.wire.enums import (
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
)
from ikev1.wire.header import HEADER_LENGTH
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Payload, VendorId
from interop.clients.ike import IPHONE, WINDOWS_10
from interop.initiator.checks import Cause
from interop.initiator.effects import Notified
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import CLIENT, GATEWAY, NAT, Dialin
from tests.support.ike_host import PSK, IkeHost, deterministic, settings
from tests.support.ike_offers import ike_offer, ike_policy, ike_transform

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


def network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


def host_with(*keys: PresharedKey) -> IkeHost:
    return IkeHost(settings(credentials=Credentials(keys)))


def check_nothing_left(host: IkeHost) -> None:
    """At the latest when the half-open SA times out."""
    host.advance(host.now + 31)
    assert host.engine.half_open == 0
    assert len(host.engine.clients) == 0
    assert host.inbound == host.outbound == {}
    assert host.told_of(IkeSaUp) == []
    assert host.engine._context.ike_sas == {}


# --- the preshared key ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Dialin, Dialin.behind_nat])
def test_a_wrong_preshared_key(kind: Callable[..., Dialin]) -> None:
    host = IkeHost()
    client = kind(host, FAST, psk=b"secret of another").main_mode()
    (refusal,) = host.refusals()
    assert refusal.client == client.initiator.cookies[:4].hex()
    assert refusal.exchange == "Main Mode"
    assert "message 5 does not verify under any of 1 preshared keys (office)" in refusal.cause
    assert refusal.remedy == "make the client's secret and the [[psk]] the same"
    assert (refusal.setting, refusal.notify) == ("psk", NotifyType.AUTHENTICATION_FAILED)
    check_nothing_left(host)
    assert host.refusals() == [refusal], "told once, and nothing else is blamed for it"


def test_no_secret_is_told_with_it() -> None:
    host = IkeHost()
    Dialin(host, FAST, psk=b"secret of another").main_mode()
    told = repr(host.told) + repr(host.settings)
    assert PSK.decode() not in told
    assert "secret of another" not in told


def test_a_client_that_retries_with_the_right_key_gets_in() -> None:
    """Message 5 is protected by the key alone: forging one must not end the client's exchange."""
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (second,) = client.give(first)
    (third,) = client.take(second, floated=False)
    (fourth,) = client.give(third)
    (fifth,) = client.take(fourth, floated=False)
    forged = fifth.datagram[:HEADER_LENGTH] + bytes(len(fifth.datagram) - HEADER_LENGTH)
    assert client.give_bytes(forged) == []
    client.run([fifth])
    client.quick_mode()
    assert client.sas


def test_but_not_forever() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    (fifth,) = client.take(client.give(third)[0], floated=False)
    for bit in (1, 2, 4):
        forged = bytearray(fifth.datagram)
        forged[HEADER_LENGTH] ^= bit
        client.give_bytes(bytes(forged))
    assert client.give(fifth) == []
    assert host.drops() == ["unknown-cookie"]
    check_nothing_left(host)


def test_no_key_for_the_address() -> None:
    host = host_with(PresharedKey("branch", PSK, remote=network("192.0.2.0/24")))
    client = Dialin(host, FAST).main_mode()
    (refusal,) = host.refusals()
    assert refusal.cause == f"no preshared key for {GATEWAY} and {CLIENT}"
    assert refusal.remedy == "add a [[psk]] whose local and remote fit these addresses"
    assert refusal.setting == "psk"
    assert client.failures[0].cause is Cause.REFUSED
    assert client.failures[0].detail == "NO_PROPOSAL_CHOSEN to MM1"
    check_nothing_left(host)


def test_a_key_for_another_address_of_ours_is_none() -> None:
    host = host_with(PresharedKey("branch", PSK, local=network("203.0.113.2/32")))
    Dialin(host, FAST).main_mode()
    assert "no preshared key" in host.refusals()[0].cause


def test_a_key_for_the_address_of_the_nat() -> None:
    host = host_with(PresharedKey("branch", PSK, remote=network(f"{NAT}/32")))
    Dialin.behind_nat(host, FAST).connect()
    assert host.told_of(IkeSaUp)[0].connection == "branch"


def test_the_right_one_of_several_keys_is_found_and_named() -> None:
    host = host_with(
        PresharedKey("pair", b"1", network(f"{GATEWAY}/32"), network(f"{CLIENT}/32")),
        PresharedKey("net", b"2", remote=network("198.51.100.0/24")),
        PresharedKey("anybody", PSK),
        PresharedKey("other", b"4"),
    )
    Dialin(host, FAST).connect()
    assert host.told_of(IkeSaUp)[0].connection == "anybody"
    assert host.refusals() == []


def test_the_closest_of_equal_keys_is_named() -> None:
    keys = [
        PresharedKey("anybody", PSK),
        PresharedKey("net", PSK, remote=network("198.51.100.0/24")),
        PresharedKey("subnet", PSK, remote=network("198.51.100.0/28")),
        PresharedKey("ours", PSK, local=network(f"{GATEWAY}/32")),
    ]
    for order in (keys, keys[::-1]):
        host = host_with(*order)
        Dialin(host, FAST).connect()
        assert host.told_of(IkeSaUp)[0].connection == "subnet"


def test_all_keys_that_were_tried_are_named() -> None:
    host = host_with(PresharedKey("home", b"1"), PresharedKey("work", b"2"))
    Dialin(host, FAST).main_mode()
    assert "any of 2 preshared keys (home, work)" in host.refusals()[0].cause


def test_no_more_keys_are_tried_than_the_bound() -> None:
    keys = [PresharedKey(f"c{number}", b"x") for number in range(MAX_CANDIDATES)]
    host = host_with(*keys, PresharedKey("last", PSK))
    Dialin(host, FAST).main_mode()
    assert f"any of {MAX_CANDIDATES} preshared keys" in host.refusals()[0].cause


# --- keys that belong to an identity -------------------------------------------------------------


def test_a_key_of_the_identity_that_is_shown() -> None:
    host = host_with(PresharedKey("laptop", PSK, identity=CLIENT))
    Dialin(host, FAST).connect()
    assert host.told_of(IkeSaUp)[0].connection == "laptop"


def test_a_key_of_another_identity() -> None:
    host = host_with(PresharedKey("laptop", PSK, identity="@laptop"))
    client = Dialin(host, FAST).main_mode()
    (refusal,) = host.refusals()
    assert refusal.cause == (
        f"the peer is {CLIENT}, but the preshared key it used belongs to @laptop"
    )
    assert refusal.remedy == "set the client's identity, or the id of this [[psk]]"
    assert refusal.setting == "psk"
    assert not client.sas
    check_nothing_left(host)


@pytest.mark.parametrize("names", [("@phone", CLIENT), (CLIENT, "@phone")])
def test_one_secret_for_two_identities(names: tuple[str, str]) -> None:
    host = host_with(*(PresharedKey(name, PSK, identity=name) for name in names))
    Dialin(host, FAST).connect()
    assert host.told_of(IkeSaUp)[0].connection == CLIENT


def test_the_key_of_the_identity_is_closer_than_one_for_anybody() -> None:
    host = host_with(PresharedKey("anybody", PSK), PresharedKey("laptop", PSK, identity=CLIENT))
    Dialin(host, FAST).connect()
    assert host.told_of(IkeSaUp)[0].connection == "laptop"


# --- other refusals ------------------------------------------------------------------------------


def test_no_acceptable_proposal() -> None:
    host = IkeHost(settings(ike=ike_policy(STRICT)))
    client = Dialin(host, WINDOWS_10).main_mode()
    (refusal,) = host.refusals()
    assert refusal.exchange == "Main Mode"
    assert refusal.cause.startswith("Phase 1: no offered proposal is allowed; offered: aes256-sha1")
    assert refusal.remedy == 'to accept aes256-sha1-ecp384, add "sha1" to ike.hash'
    assert (refusal.setting, refusal.notify) == ("ike.hash", NotifyType.NO_PROPOSAL_CHOSEN)
    assert client.failures[0].detail == "NO_PROPOSAL_CHOSEN to MM1"
    assert host.engine.half_open == 0
    check_nothing_left(host)


def test_no_acceptable_esp_proposal() -> None:
    host = IkeHost(settings(esp=replace(settings().esp, encryption=frozenset({"aes128gcm16"}))))
    client = Dialin(host, FAST).main_mode()
    client.run(client.initiator.quick_mode(0.0))
    (refusal,) = host.refusals()
    assert refusal.exchange == "Quick Mode"
    assert refusal.remedy == 'to accept aes256-sha256, add "aes256" to esp.encryption'
    assert client.failures[0].cause is Cause.REFUSED
    assert host.inbound == {}
    assert len(host.engine.clients) == 1, "its Phase 1 goes on"


def test_aggressive_mode() -> None:
    host = IkeHost()
    offer: list[Payload] = [ike_offer(ike_transform()), VendorId(bytes(20))]
    question = build_message(b"initiate" + bytes(8), ExchangeType.AGGRESSIVE, 0, offer)
    (answer,) = Dialin(host).give_bytes(question)
    (refusal,) = host.refusals()
    assert refusal.exchange == "Aggressive Mode"
    assert "gives a hash of the preshared key to whoever asks" in refusal.cause
    assert "leave the group name" in refusal.remedy
    assert refusal.notify == NotifyType.UNSUPPORTED_EXCHANGE_TYPE
    assert len(answer) <= len(question)
    check_nothing_left(host)


def test_the_client_fell_silent_after_message_2() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    client.give(first)
    assert host.engine.next_deadline() == 30.0
    host.advance(30.0)
    (refusal,) = host.refusals()
    assert refusal.cause == "the client fell silent after our message 2"
    assert "filters UDP port 500 on the way back" in refusal.remedy
    check_nothing_left(host)


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [(Dialin, "filters UDP port 500"), (Dialin.behind_nat, "port 4500: open that port")],
)
def test_the_client_fell_silent_after_message_4(kind: Callable[..., Dialin], remedy: str) -> None:
    """Behind a NAT its next message goes to port 4500, and that is what is filtered."""
    host = IkeHost()
    client = kind(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)
    host.advance(30.0)
    (refusal,) = host.refusals()
    assert refusal.cause == "the client fell silent after our message 4"
    assert remedy in refusal.remedy
    check_nothing_left(host)


def test_message_5_on_port_500_behind_a_nat_is_waited_for_on_4500() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    (fifth,) = client.take(client.give(third)[0], floated=False)
    assert fifth.floated
    assert client.give_bytes(fifth.datagram[4:], floated=False) == []
    assert host.drops() == ["not-floated"]
    client.run([fifth])
    client.quick_mode()
    assert client.child().encapsulated


def test_every_mark_in_use() -> None:
    host = IkeHost()
    host.engine = Responder(host.settings, MarkSpace(mask=0x3), deterministic("r"))
    clients = [
        Dialin(host, FAST, inner=f"198.51.100.{number}", seed=str(number)).main_mode()
        for number in range(1, 5)
    ]
    assert sorted(client.mark for client in host.engine.clients) == [1, 2, 3]
    (refusal,) = host.refusals()
    assert (refusal.cause, refusal.setting) == ("every SA mark is in use", "marks.mask")
    host.close_client(clients[1].ike_sa.client)
    Dialin(host, FAST, inner="198.51.100.9", seed="9").main_mode()
    assert sorted(client.mark for client in host.engine.clients) == [1, 2, 3]


def test_a_refused_client_does_not_disturb_others() -> None:
    host = IkeHost()
    good = Dialin(host, FAST).connect()
    before = (dict(host.inbound), dict(host.outbound))
    Dialin(host, FAST, psk=b"wrong", inner="198.51.100.8", seed="8").main_mode()
    host.advance(31.0)
    assert (host.inbound, host.outbound) == before
    good.run(good.initiator.are_you_there(1))
    assert good.told_of(Notified)[-1].name == "R_U_THERE_ACK"


def test_the_policies_of_the_configuration_reach_the_engine() -> None:
    host = IkeHost(settings(ike=ike_policy(DEFAULT)))
    assert Dialin(host, WINDOWS_10).connect().sas
