"""What has brought down or fooled other IKEv1 daemons, played against this one.

Each test names the flaw. Flaws of signatures, certificates and XAUTH have no place here yet.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from ikev1.core.effects import ComputeDh, IkeSaUp
from ikev1.crypto.dh import modp_prime
from ikev1.wire.enums import (
    AuthAlgorithm,
    Doi,
    EncryptionAlgorithm,
    EspTransform,
    ExchangeType,
    Flag,
    Group,
    HashAlgorithm,
    IdType,
    IkeAttribute,
    LifeType,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message, build_payloads
from ikev1.wire.payloads import (
    Delete,
    Fragment,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Notification,
    Payload,
    RawPayload,
    VendorId,
)
from ikev1.wire.sa import SaPayload
from interop.clients.ike import IPHONE
from interop.initiator.effects import Notified
from interop.initiator.profiles import EspOffer, Phase1Offer, only
from tests.support.ike_dialin import CLIENT, GATEWAY, Dialin, agree
from tests.support.ike_host import IkeHost
from tests.support.ike_offers import esp_offer, esp_transform, ike_offer, ike_transform
from tests.support.ike_samples import APPLE_MM1_DATAGRAM

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)
UNKNOWN_COOKIES = bytes(range(1, 17))
FIRST = b"attacker" + bytes(8)
MAIN, AGGRESSIVE = ExchangeType.IDENTITY_PROTECTION, ExchangeType.AGGRESSIVE
INFORMATIONAL, QUICK = ExchangeType.INFORMATIONAL, ExchangeType.QUICK_MODE


class Victim:
    """A gateway with one connected client, and somebody who sends it datagrams."""

    def __init__(self) -> None:
        self.host = IkeHost()
        self.client = Dialin(self.host, FAST).connect()
        self.attacker = Dialin(self.host, FAST, inner="192.0.2.66", seed="attacker")
        self.asked = len(self.host.asked)

    def gets(self, *datagrams: bytes) -> list[bytes]:
        """Give it datagrams from elsewhere; returns all that it sends."""
        return [answer for datagram in datagrams for answer in self.attacker.give_bytes(datagram)]

    def check_unharmed(self) -> None:
        """Nothing was asked of the host, nothing was made or lost, and the client is served."""
        assert len(self.host.asked) == self.asked
        assert len(self.host.engine.clients) == 1
        assert len(self.host.told_of(IkeSaUp)) == 1
        child = self.client.child()
        assert self.host.inbound == self.host.outbound == {child.inbound_spi: child}
        self.client.run(self.client.initiator.are_you_there(1))
        assert self.client.told_of(Notified)[-1].name == "R_U_THERE_ACK"
        assert agree(self.client.quick_mode(), self.client.child())


@pytest.fixture
def victim() -> Victim:
    return Victim()


def dpd(kind: NotifyType, cookies: bytes) -> Notification:
    return Notification(Doi.IPSEC, ProtocolId.ISAKMP, kind, cookies, bytes(4))


@pytest.mark.parametrize("kind", [NotifyType.R_U_THERE, NotifyType.R_U_THERE_ACK])
def test_cve_2009_0790_dpd_without_a_state(victim: Victim, kind: NotifyType) -> None:
    message = build_message(UNKNOWN_COOKIES, INFORMATIONAL, 5, [dpd(kind, UNKNOWN_COOKIES)])
    assert victim.gets(message) == []
    assert victim.host.drops() == ["unknown-cookie"]
    victim.check_unharmed()


@pytest.mark.parametrize("situation", [0, 2, 3, 7, 0xFFFFFFFF])
def test_cve_2015_3204_unknown_situation(victim: Victim, situation: int) -> None:
    offer = SaPayload(Doi.IPSEC, situation, (), b"labels of some kind, long enough")
    victim.gets(build_message(FIRST, MAIN, 0, [offer]))
    (refusal,) = victim.host.refusals()
    assert refusal.notify == NotifyType.SITUATION_NOT_SUPPORTED
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


@pytest.mark.parametrize("kind", [14, 19, 32, 127, 128, 255])
def test_cve_2015_3204_unknown_first_payload(victim: Victim, kind: int) -> None:
    values: list[Payload] = [RawPayload(PayloadType(kind), bytes(60))]
    victim.gets(build_message(FIRST, MAIN, 0, values))
    assert victim.host.refusals()[0].notify == NotifyType.PAYLOAD_MALFORMED
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


def test_cve_2022_23094_malformed_first_messages(victim: Victim) -> None:
    good = build_message(FIRST, MAIN, 0, [ike_offer(ike_transform())])
    for exchange in (MAIN, AGGRESSIVE):
        for cut in range(HEADER_LENGTH, len(good)):
            datagram = bytearray(good[:cut])
            datagram[18] = exchange
            datagram[24:28] = cut.to_bytes(4)
            victim.gets(bytes(datagram))
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


@pytest.mark.parametrize("exchange", [INFORMATIONAL, QUICK, ExchangeType.TRANSACTION])
def test_cve_2020_1763_encrypted_without_a_state(victim: Victim, exchange: ExchangeType) -> None:
    for body in (b"", bytes(16), bytes(range(64))):
        header = build_message(UNKNOWN_COOKIES, exchange, 5, [], flags=Flag.ENCRYPTION)
        size = (HEADER_LENGTH + len(body)).to_bytes(4)
        question = header[:16] + b"\x08" + header[17:24] + size + body
        # A hint in clear, and that only where it is no larger than the question.
        assert all(len(answer) <= len(question) for answer in victim.gets(question))
    victim.check_unharmed()


def test_cve_2023_30570_a_second_aggressive_message(victim: Victim) -> None:
    """The error reply must name no state to go on with, and there must be none."""
    weak: list[Payload] = [ike_offer(ike_transform(group=Group.MODP_768)), Nonce(bytes(16))]
    (answer,) = victim.gets(build_message(FIRST, AGGRESSIVE, 0, weak))
    cookies = answer[:16]
    assert cookies == FIRST
    for exchange in (AGGRESSIVE, MAIN, INFORMATIONAL, QUICK):
        for reused in (cookies, FIRST[:8] + b"\1" * 8):
            victim.gets(build_message(reused, exchange, 0, weak))
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


def quick_mode(client: Dialin, values: Sequence[Payload], message_id: int = 0x55) -> list[bytes]:
    """A first message of Quick Mode with a good HASH(1)."""
    return client.give(client.protect(values, QUICK, message_id))


def addresses() -> tuple[Identification, Identification]:
    ci, cr = (bytes(int(part) for part in text.split(".")) for text in (CLIENT, GATEWAY))
    return (
        Identification(IdType.IPV4_ADDR, 17, 1701, ci),
        Identification(IdType.IPV4_ADDR, 17, 1701, cr),
    )


@pytest.mark.parametrize("id_type", [IdType.FQDN, IdType.USER_FQDN, IdType.KEY_ID, IdType(99)])
@pytest.mark.parametrize("which", [0, 1])
def test_cve_2023_38711_a_name_where_an_address_belongs(
    victim: Victim, id_type: IdType, which: int
) -> None:
    ids = list(addresses())
    ids[which] = Identification(id_type, 17, 1701, b"name")
    quick_mode(victim.client, [esp_offer(esp_transform()), Nonce(bytes(16)), *ids])
    (refusal,) = victim.host.refusals()
    assert refusal.notify == NotifyType.INVALID_ID_INFORMATION
    victim.check_unharmed()


def test_cve_2023_38712_notifications_after_the_delete_of_their_sa(victim: Victim) -> None:
    cookies = victim.client.initiator.cookies
    goodbye = Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,))
    spi = victim.client.sas[0].inbound_spi
    values: list[Payload] = [
        goodbye,
        Delete(Doi.IPSEC, ProtocolId.ESP, (spi,)),
        goodbye,
        Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.INITIAL_CONTACT, cookies, b""),
        dpd(NotifyType.R_U_THERE, cookies),
    ]
    victim.client.give(victim.client.protect(values))
    assert victim.host.inbound == {}
    assert len(victim.host.engine.clients) == 0
    assert len(victim.host.gone()) == 1


@pytest.mark.parametrize(
    ("cipher", "bits", "auth"),
    [
        (EspTransform.NULL_AUTH_AES_GMAC, 128, None),
        (EspTransform.NULL_AUTH_AES_GMAC, 256, AuthAlgorithm.HMAC_SHA1),
        (EspTransform.NULL, None, AuthAlgorithm.HMAC_SHA1),
        (EspTransform.AES_GCM_16, 128, AuthAlgorithm.HMAC_SHA1),
        (EspTransform.AES_CBC, 256, None),
    ],
)
def test_cve_2024_3652_esp_without_keys_for_one_of_its_parts(
    cipher: EspTransform, bits: int | None, auth: AuthAlgorithm | None
) -> None:
    host = IkeHost()
    client = Dialin(host, replace(FAST, esp=(EspOffer(cipher, bits, auth),))).main_mode()
    client.run(client.initiator.quick_mode(0.0))
    (refusal,) = host.refusals()
    assert refusal.notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert host.inbound == {}
    assert client.failures[0].detail.startswith("NO_PROPOSAL_CHOSEN")


def test_cve_2019_10155_informational_without_a_true_hash(victim: Victim) -> None:
    sa = victim.client.ike_sa
    goodbye = Delete(Doi.IPSEC, ProtocolId.ISAKMP, (victim.client.initiator.cookies,))
    for message_id, values in ((5, [goodbye]), (6, [goodbye, goodbye])):
        message, _ = sa.seal(INFORMATIONAL, message_id, values, sa.phase2_iv(message_id))
        assert victim.client.give_bytes(message) == []
    assert victim.host.drops() == ["malformed-invalid_hash_information"] * 2
    victim.check_unharmed()


PRIME = modp_prime(1024, 129093)
BAD_PUBLIC_VALUES = {
    "0": bytes(128),
    "1": (1).to_bytes(128),
    "p-1": (PRIME - 1).to_bytes(128),
    "p": PRIME.to_bytes(128),
    "p+1": (PRIME + 1).to_bytes(128),
    "all ones": b"\xff" * 128,
    "short": b"\x02" * 127,
    "long": b"\x02" * 129,
    "one octet": b"\x02",
}


@pytest.mark.parametrize("public", BAD_PUBLIC_VALUES.values(), ids=BAD_PUBLIC_VALUES)
def test_cve_2015_3240_bad_public_values_in_main_mode(victim: Victim, public: bytes) -> None:
    (answer,) = victim.gets(build_message(FIRST, MAIN, 0, [ike_offer(ike_transform(group=2))]))
    cookies = answer[:16]
    values: list[Payload] = [KeyExchange(public), Nonce(bytes(16))]
    told = victim.gets(build_message(cookies, MAIN, 0, values))
    assert [parse_header(one).exchange_type for one in told] == [INFORMATIONAL]
    (refusal,) = victim.host.refusals()
    assert refusal.notify == NotifyType.INVALID_KEY_INFORMATION
    assert victim.host.engine.half_open == 0
    victim.asked += 1
    victim.check_unharmed()


@pytest.mark.parametrize("public", BAD_PUBLIC_VALUES.values(), ids=BAD_PUBLIC_VALUES)
def test_cve_2015_3240_bad_public_values_in_quick_mode(victim: Victim, public: bytes) -> None:
    offer = esp_offer(esp_transform(group=Group.MODP_1024))
    quick_mode(victim.client, [offer, Nonce(bytes(16)), KeyExchange(public), *addresses()])
    (refusal,) = victim.host.refusals()
    assert refusal.notify == NotifyType.INVALID_KEY_INFORMATION
    victim.asked += 1
    victim.check_unharmed()


def test_cve_2013_4564_shorter_than_a_header(victim: Victim) -> None:
    for size in range(HEADER_LENGTH):
        assert victim.gets(APPLE_MM1_DATAGRAM[:size], bytes(size), b"\xff" * size) == []
    victim.check_unharmed()


@pytest.mark.parametrize("length", [0, 1, 27, 28, 100, 0x7FFFFFFF, 0xFFFFFFFF])
def test_cve_2013_4564_a_length_that_is_not_the_datagrams(victim: Victim, length: int) -> None:
    wrong = APPLE_MM1_DATAGRAM[:24] + length.to_bytes(4) + APPLE_MM1_DATAGRAM[28:]
    assert victim.gets(wrong) == []
    assert victim.host.drops() == ["malformed-unequal_payload_lengths"]
    victim.check_unharmed()


@pytest.mark.parametrize("version", [0x00, 0x01, 0x11, 0x20, 0x30, 0xFF])
def test_cve_2013_4564_other_versions(victim: Victim, version: int) -> None:
    wrong = APPLE_MM1_DATAGRAM[:17] + bytes([version]) + APPLE_MM1_DATAGRAM[18:]
    assert victim.gets(wrong) == []
    victim.check_unharmed()


@pytest.mark.parametrize(
    ("encryption", "bits"),
    [
        (EncryptionAlgorithm.AES_CBC, 0),
        (EncryptionAlgorithm.AES_CBC, 127),
        (EncryptionAlgorithm.AES_CBC, 65535),
        (EncryptionAlgorithm.TRIPLE_DES_CBC, 0),
        (EncryptionAlgorithm.TRIPLE_DES_CBC, 192),
        (EncryptionAlgorithm.DES_CBC, 56),
    ],
)
def test_cve_2011_3380_key_lengths_that_are_none(
    victim: Victim, encryption: int, bits: int
) -> None:
    """Also the case of the PROTOS suite of 2005 that stopped Openswan."""
    transform = ike_transform((IkeAttribute.KEY_LENGTH, bits), encryption=encryption, bits=0)
    victim.gets(build_message(FIRST, MAIN, 0, [ike_offer(transform)]))
    assert victim.host.refusals()[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


def test_cve_2011_4073_the_state_is_gone_when_dh_is_done(victim: Victim) -> None:
    host = victim.host
    host.hold = (ComputeDh,)
    (first,) = victim.attacker.note(victim.attacker.initiator.start(0.0))
    (third,) = victim.attacker.take(victim.attacker.give(first)[0], floated=False)
    victim.attacker.give(third)
    host.advance(30.0)
    victim.attacker.give(third)
    host.answer_all()
    assert host.engine.half_open == 0
    victim.asked += 1
    victim.check_unharmed()


def test_cve_2016_5361_nothing_is_repeated_unprompted_before_the_peer_is_known() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)
    assert not any(host.advance(float(second)) for second in range(1, 120))


@pytest.mark.parametrize("number", [1, 2, 255])
@pytest.mark.parametrize("last", [0, 1])
def test_cve_2013_6076_cve_2016_10396_fragments(victim: Victim, number: int, last: int) -> None:
    """They neither crash nor pile up; test_fragmentation.py has the bounds."""
    for fragment_id in range(50):
        values: list[Payload] = [Fragment(fragment_id, number, last, bytes(40))]
        victim.gets(
            build_message(FIRST, MAIN, 0, values),
            build_message(victim.client.initiator.cookies, MAIN, 0, values),
            build_message(victim.client.initiator.cookies, QUICK, 7, values),
        )
    empty = build_message(FIRST, MAIN, 0, [])
    victim.gets(empty[:16] + bytes([PayloadType.FRAGMENT]) + empty[17:])
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


@pytest.mark.parametrize("kind", range(33, 55))
def test_cve_2015_3991_payloads_of_version_2(victim: Victim, kind: int) -> None:
    _, chain = build_payloads([VendorId(bytes(60))])
    header = build_message(FIRST, MAIN, 0, [VendorId(bytes(60))])[:HEADER_LENGTH]
    assert victim.gets(header[:16] + bytes([kind]) + header[17:] + chain) == []
    assert victim.host.drops() == ["malformed-invalid_payload_type"]
    victim.check_unharmed()


@pytest.mark.parametrize("exchange", [0, 1, 3, 6, 33, 34, 35, 36, 37, 240, 255])
def test_cve_2013_5018_exchanges_that_are_not_served(victim: Victim, exchange: int) -> None:
    """XAUTH's Transaction among them, and those of version 2."""
    cookies = victim.client.initiator.cookies
    for pair in (FIRST, cookies, UNKNOWN_COOKIES):
        wrong = bytearray(build_message(pair, MAIN, 5, [VendorId(b"0" * 60)]))
        wrong[18] = exchange
        assert victim.gets(bytes(wrong)) == []
    victim.check_unharmed()


@pytest.mark.parametrize("method", [0, 2, 3, 4, 5, 6, 8, 64221, 65001, 65005, 65535])
def test_cve_2015_4047_authentication_that_is_not_served(victim: Victim, method: int) -> None:
    """GSSAPI among them."""
    victim.gets(build_message(FIRST, MAIN, 0, [ike_offer(ike_transform(method=method))]))
    assert victim.host.refusals()[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
    victim.check_unharmed()


@pytest.mark.parametrize(
    "vendor_id",
    [
        b"\x1e",
        bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461"),
        bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100"),
        bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2"),
        b"OE-Libreswan-",
        bytes(256),
    ],
)
def test_racoon_0_9_1_vendor_ids_of_odd_sizes(vendor_id: bytes) -> None:
    host = IkeHost()
    client = Dialin(host, replace(FAST, vendor_ids=(vendor_id, *FAST.vendor_ids))).connect()
    assert agree(client.sas[-1], client.child())


def test_racoon_0_9_1_attributes_that_reach_beyond_their_transform(victim: Victim) -> None:
    good = build_message(FIRST, MAIN, 0, [ike_offer(ike_transform((20_000, bytes(8))))])
    for size in (9, 255, 0x7FFF, 0xFFFF):
        assert victim.gets(good[:-10] + size.to_bytes(2) + good[-8:]) == []
    victim.check_unharmed()


def test_cve_2004_0218_payloads_of_no_length(victim: Victim) -> None:
    """isakmpd looped for ever over a payload of length 0."""
    for length in range(4):
        for kind in (1, 4, 5, 8, 10, 11, 12, 13, 20, 130, 200):
            datagram = bytearray(build_message(FIRST, MAIN, 0, [VendorId(bytes(60))]))
            datagram[16] = kind
            datagram[HEADER_LENGTH : HEADER_LENGTH + 4] = bytes([kind, 0, 0, length])
            assert victim.gets(bytes(datagram)) == []
    victim.check_unharmed()


@pytest.mark.parametrize("count", [0, 2, 1000, 0xFFFF])
def test_cve_2004_0221_a_delete_of_more_spis_than_it_has(victim: Victim, count: int) -> None:
    for size in (0, 4, 255):
        body = (1).to_bytes(4) + bytes([ProtocolId.ESP, size]) + count.to_bytes(2) + bytes(4)
        chain = bytes(2) + (4 + len(body)).to_bytes(2) + body
        message = victim.client.protect_chain(PayloadType.D, chain, message_id=100 + size)
        assert victim.client.give(message) == []
    victim.check_unharmed()


@pytest.mark.parametrize("kind", [NotifyType.INITIAL_CONTACT, NotifyType.NO_PROPOSAL_CHOSEN])
def test_cve_2004_0164_unauthenticated_delete_and_initial_contact(
    victim: Victim, kind: NotifyType
) -> None:
    """Racoon believed them."""
    cookies = victim.client.initiator.cookies
    spi = victim.client.sas[0].inbound_spi
    forged: list[list[Payload]] = [
        [Notification(Doi.IPSEC, ProtocolId.ISAKMP, kind, cookies, b"")],
        [Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,))],
        [Delete(Doi.IPSEC, ProtocolId.ESP, (spi,))],
    ]
    for values in forged:
        assert victim.client.give_bytes(build_message(cookies, INFORMATIONAL, 9, values)) == []
        assert victim.gets(build_message(cookies, INFORMATIONAL, 0, values)) == []
    victim.check_unharmed()


def test_protos_2005_every_octet_of_message_1_wrong(victim: Victim) -> None:
    good = build_message(
        FIRST, MAIN, 0, [ike_offer(ike_transform(), ike_transform(number=2)), VendorId(bytes(16))]
    )
    for position in range(len(good)):
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            victim.gets(good[:position] + bytes([value]) + good[position + 1 :])
    victim.host.advance(40.0)
    assert victim.host.engine.half_open == 0
    victim.check_unharmed()


@pytest.mark.parametrize("number", [PayloadType.NAT_OA, PayloadType.NAT_OA_DRAFT])
def test_libreswan_3_nat_payloads_without_a_nat(victim: Victim, number: PayloadType) -> None:
    """A Quick Mode with NAT-OA and NAT-D where nobody is behind a NAT."""
    ci, cr = addresses()
    original = [NatOa(IdType.IPV4_ADDR, item.data, number) for item in (ci, cr)]
    values: list[Payload] = [
        esp_offer(esp_transform()),
        Nonce(bytes(16)),
        ci,
        cr,
        *original,
        NatD(bytes(20)),
    ]
    (answer,) = quick_mode(victim.client, values)
    sa = victim.client.ike_sa
    last_block = victim.client.talk[-1][0][-16:]
    payloads, _ = sa.open(parse_header(answer), answer[HEADER_LENGTH:], last_block)
    assert payloads.types() == (
        PayloadType.HASH,
        PayloadType.SA,
        PayloadType.NONCE,
        PayloadType.ID,
        PayloadType.ID,
    )
    victim.host.advance(31.0)
    victim.asked += 1
    victim.check_unharmed()


def test_ms_818043_a_name_behind_a_nat_when_windows_rekeys() -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST).connect()
    _, cr = addresses()
    name = Identification(IdType.FQDN, 17, 1701, b"laptop.example")
    mode = client.sas[0].mode
    values: list[Payload] = [esp_offer(esp_transform(mode=mode)), Nonce(bytes(16)), name, cr]
    assert len(quick_mode(client, values)) == 1
    assert len(host.inbound) == 2


def test_protected_messages_in_clear(victim: Victim) -> None:
    """Messages 5 and those of Quick Mode without the encryption bit."""
    for datagram, _ in victim.client.talk[2:]:
        clear = bytearray(datagram)
        clear[19] &= ~Flag.ENCRYPTION
        assert victim.client.give_bytes(bytes(clear)) == []
    victim.check_unharmed()


def test_message_5_in_clear_when_it_is_waited_for() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)
    values: list[Payload] = [addresses()[0], RawPayload(PayloadType.HASH, bytes(20))]
    assert client.give_bytes(build_message(client.initiator.cookies, MAIN, 0, values)) == []
    assert host.drops() == ["not-encrypted"]
    assert host.told_of(IkeSaUp) == []


def test_messages_1_and_3_encrypted() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    assert client.give_bytes(first.datagram[:19] + b"\1" + first.datagram[20:]) == []
    (third,) = client.take(client.give(first)[0], floated=False)
    assert client.give_bytes(third.datagram[:19] + b"\1" + third.datagram[20:]) == []
    assert host.drops() == ["encrypted-too-soon"] * 2
    client.run([third])
    assert len(host.told_of(IkeSaUp)) == 1


def test_zero_cookies(victim: Victim) -> None:
    offer = [ike_offer(ike_transform())]
    assert victim.gets(build_message(bytes(16), MAIN, 0, offer)) == []
    assert victim.gets(build_message(bytes(8) + b"12345678", MAIN, 0, offer)) == []
    assert victim.host.drops() == ["malformed-invalid_cookie"] * 2
    victim.check_unharmed()


@pytest.mark.parametrize("spi", [0, 1, 255])
def test_reserved_spis(victim: Victim, spi: int) -> None:
    offer = esp_offer(esp_transform())
    reserved = structs.replace(offer.proposals[0], spi=spi.to_bytes(4))
    wrong = structs.replace(offer, proposals=(reserved,))
    quick_mode(victim.client, [wrong, Nonce(bytes(16)), *addresses()])
    assert victim.host.refusals()[0].notify == NotifyType.INVALID_SPI
    victim.check_unharmed()


@pytest.mark.parametrize("duration", [b"\xff" * 4, b"\xff" * 8, (2**32).to_bytes(8)])
def test_huge_lifetimes_do_not_overflow(duration: bytes) -> None:
    """libreswan's ikev1-28-huge-lifetime: 2^32 seconds became 0."""
    host = IkeHost()
    transform = ike_transform(
        (IkeAttribute.LIFE_TYPE, LifeType.SECONDS), (IkeAttribute.LIFE_DURATION, duration)
    )
    question = build_message(FIRST, MAIN, 0, [ike_offer(transform)])
    (answer,) = Dialin(host).give_bytes(question)
    assert duration in answer
    assert host.engine.half_open == 1
