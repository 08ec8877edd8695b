"""Messages that hold together but miss something, have too much of it, or the wrong thing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cli.ikev1d.config.algorithms import STRICT
from ikev1.core.effects import ChildUp, IkeSaUp
from ikev1.core.ike_sa import REMEMBERED_MESSAGE_IDS
from ikev1.wire.enums import (
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    IkeAttribute,
    LifeType,
    NotifyType,
    PayloadType,
)
from ikev1.wire.message import build_message
from ikev1.wire.payloads import KeyExchange, Nonce, Payload, RawPayload, VendorId
from ikev1.wire.sa import SaPayload
from interop.clients.ike import IPHONE
from interop.initiator.effects import Notified
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost, settings
from tests.support.ike_offers import (
    esp_offer,
    esp_transform,
    ike_offer,
    ike_policy,
    ike_transform,
)

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)
MAIN, QUICK = ExchangeType.IDENTITY_PROTECTION, ExchangeType.QUICK_MODE
FIRST = b"initiate" + bytes(8)
OFFER = ike_offer(ike_transform())
ESP = esp_offer(esp_transform())
NONCE = Nonce(bytes(16))


def refused_at_first(values: Sequence[Payload]) -> tuple[NotifyType | None, str]:
    """The refusal of a message 1."""
    host = IkeHost()
    host.receive(build_message(FIRST, MAIN, 0, values), Dialin(host).path(floated=False))
    (refusal,) = host.refusals()
    assert host.engine.half_open == 0
    assert host.engine.next_deadline() is None
    return refusal.notify, refusal.cause


def test_message_1_has_one_sa() -> None:
    for values in ([NONCE], [OFFER, OFFER], [VendorId(bytes(16))]):
        notify, cause = refused_at_first(values)
        assert notify == NotifyType.PAYLOAD_MALFORMED
        assert "SA payloads, not one" in cause


@pytest.mark.parametrize("doi", [0, 2, 0xFFFFFFFF])
def test_another_doi(doi: int) -> None:
    notify, cause = refused_at_first([SaPayload(doi, 0, (), bytes(40))])
    assert notify == NotifyType.DOI_NOT_SUPPORTED
    assert f"DOI {doi} is not IPsec's" in cause


def test_a_lifetime_that_is_no_number() -> None:
    wide = ike_transform(
        (IkeAttribute.LIFE_TYPE, LifeType.SECONDS), (IkeAttribute.LIFE_DURATION, bytes(9))
    )
    notify, cause = refused_at_first([ike_offer(wide)])
    assert notify == NotifyType.ATTRIBUTES_NOT_SUPPORTED
    assert cause.startswith("malformed message: ")


def test_what_message_1_brings_besides_is_passed_over() -> None:
    host = IkeHost()
    values: list[Payload] = [OFFER, VendorId(b"x"), NONCE, RawPayload(PayloadType(200), b"?")]
    sent = host.receive(build_message(FIRST, MAIN, 0, values), Dialin(host).path(floated=False))
    assert len(sent) == 1
    assert host.engine.half_open == 1


KE = KeyExchange(b"\x02" * 256)


@pytest.mark.parametrize(
    "values",
    [
        [NONCE],
        [KE],
        [KE, KE, NONCE],
        [KE, NONCE, NONCE],
        [KE, Nonce(bytes(7))],
        [KE, Nonce(bytes(257))],
        [VendorId(bytes(16))],
    ],
)
def test_message_3_has_one_ke_and_one_nonce_of_8_to_256_octets(values: list[Payload]) -> None:
    host = IkeHost()
    client = Dialin(host)
    (answer,) = client.give_bytes(build_message(FIRST, MAIN, 0, [OFFER]))
    answers = client.give_bytes(build_message(answer[:16], MAIN, 0, values))
    (refusal,) = host.refusals()
    assert refusal.notify == NotifyType.PAYLOAD_MALFORMED
    assert len(answers) == 1, "the client is told, it has shown that it is there"
    assert host.engine.half_open == 0
    assert host.asked == []


@pytest.mark.parametrize("size", [8, 256])
def test_nonces_of_extreme_sizes(size: int) -> None:
    host = IkeHost()
    Dialin(host, replace(FAST, nonce_size=size)).connect()
    assert len(host.told_of(ChildUp)) == 1


# --- Quick Mode ----------------------------------------------------------------------------------


def quick_mode(values: Sequence[Payload]) -> tuple[IkeHost, list[bytes]]:
    host = IkeHost()
    client = Dialin(host, FAST).main_mode()
    return host, client.give(client.protect(values, QUICK))


@pytest.mark.parametrize(
    "values",
    [
        [NONCE],
        [ESP],
        [ESP, ESP, NONCE],
        [ESP, NONCE, NONCE],
        [ESP, Nonce(bytes(7))],
        [ESP, Nonce(bytes(257))],
        [esp_offer(esp_transform(group=Group.ECP_256)), NONCE],
    ],
)
def test_quick_mode_1_has_one_sa_one_nonce_and_ke_for_pfs(values: list[Payload]) -> None:
    host, answers = quick_mode(values)
    (refusal,) = host.refusals()
    assert (refusal.exchange, refusal.notify) == ("Quick Mode", NotifyType.PAYLOAD_MALFORMED)
    assert len(answers) == 1
    assert host.inbound == {}


def test_quick_mode_without_identities_is_for_the_two_addresses() -> None:
    """RFC 2409 section 5.5."""
    host, answers = quick_mode([ESP, NONCE])
    assert len(answers) == 1
    assert host.refusals() == []
    (child,) = host.inbound.values()
    assert child.client_port == 0


@pytest.mark.parametrize("count", [1, 3])
def test_quick_mode_has_two_identities_or_none(count: int) -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    identity = client.sas[0].ids[0]
    client.give(client.protect([ESP, NONCE, *[identity] * count], QUICK))
    (refusal,) = host.refusals()
    assert refusal.cause == f"{count} identities, not two"
    assert refusal.notify == NotifyType.INVALID_ID_INFORMATION


def test_ke_without_a_group_is_not_pfs() -> None:
    host, answers = quick_mode([ESP, NONCE, KeyExchange(bytes(64))])
    assert len(answers) == 1
    (child,) = host.inbound.values()
    assert child.pfs_group is None


# --- what is remembered, and what may change meanwhile -------------------------------------------


def test_message_ids_are_remembered_up_to_a_bound() -> None:
    client = Dialin(IkeHost(), FAST).main_mode()
    sa = client.ike_sa
    probe = client.note(client.initiator.are_you_there(1))[0]
    client.give(probe)
    for number in range(REMEMBERED_MESSAGE_IDS + 10):
        sa.remember(number)
    assert len(sa.seen) == REMEMBERED_MESSAGE_IDS
    client.run(client.initiator.are_you_there(2))
    assert client.told_of(Notified)[-1].data == (2).to_bytes(4)


def test_new_settings_are_for_new_exchanges() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    assert host.engine.reconfigure(settings(ike=ike_policy(STRICT)), host.now) == []
    assert client.quick_mode()
    Dialin(host, FAST, inner="198.51.100.8", seed="other").main_mode()
    assert host.refusals()[0].setting == "ike.hash"
    assert len(host.told_of(IkeSaUp)) == 1
