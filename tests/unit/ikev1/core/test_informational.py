"""Delete, dead peer detection, and all that must not be believed."""

import itertools

import pytest

from ikev1.core.effects import ChildDown, ClientDown, IkeSaDown
from ikev1.wire.enums import (
    Doi,
    EncryptionAlgorithm,
    ExchangeType,
    Group,
    HashAlgorithm,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.header import HEADER_LENGTH
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Delete, Hash, Notification, Payload
from interop.clients.ike import IPHONE
from interop.initiator.effects import Closed, EspDeleted, Notified, Send
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_host import IkeHost

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


def delete_esp(*spis: bytes) -> Delete:
    return Delete(Doi.IPSEC, ProtocolId.ESP, spis)


def delete_ike(client: Dialin) -> Delete:
    return Delete(Doi.IPSEC, ProtocolId.ISAKMP, (client.initiator.cookies,))


def probe(cookies: bytes, data: bytes = bytes(4)) -> Notification:
    return Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.R_U_THERE, cookies, data)


def check_up(client: Dialin) -> None:
    child = client.child()
    assert client.host.inbound == client.host.outbound == {child.inbound_spi: child}
    client.run(client.initiator.are_you_there(1))
    assert client.told_of(Notified)[-1].name == "R_U_THERE_ACK"


def check_gone(host: IkeHost) -> None:
    assert host.inbound == host.outbound == {}
    assert len(host.engine.clients) == 0
    assert len(host.told_of(ClientDown)) == 1


# --- Delete by the client ------------------------------------------------------------------------


def test_a_client_that_says_goodbye() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    child = client.child()
    client.run(client.initiator.close(0.0))
    assert [type(event) for event in host.told[-3:]] == [ChildDown, IkeSaDown, ClientDown]
    assert host.told_of(ChildDown) == [ChildDown(child, "deleted by the client")]
    (gone,) = host.gone()
    assert (gone.mark, gone.cause) == (child.mark, "deleted by the client")
    check_gone(host)


ORDERS = list(itertools.permutations(("old", "new", "both", "ike")))
"""The four kinds of Delete of a client with two children, in every order."""


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_deletes_in_any_order_and_doubled(order: tuple[str, ...]) -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    client.quick_mode()
    old, new = (sas.inbound_spi for sas in client.sas)
    deletes = {
        "old": delete_esp(old),
        "new": delete_esp(new),
        "both": delete_esp(new, old),
        "ike": delete_ike(client),
    }
    # All are made while the keys are there, as a client does.
    made = [
        client.protect([deletes[kind]], message_id=100 + number)
        for number, kind in enumerate(order)
    ]
    for message in made:
        assert client.give(message) == client.give(message) == []
    left = order.index("ike")
    said = set(order[:left])
    survivors = {spi for spi, kind in ((old, "old"), (new, "new")) if not said & {kind, "both"}}
    assert {child.outbound_spi.to_bytes(4) for child in host.inbound.values()} == survivors
    assert len(host.told_of(IkeSaDown)) == 1
    # What is left ends with its lifetime.
    host.advance(4000.0)
    check_gone(host)
    assert len(host.told_of(ChildDown)) == 2


@pytest.mark.parametrize(
    "spis",
    [
        (bytes(4),),
        (b"\xff" * 4,),
        tuple(number.to_bytes(4) for number in range(1000, 1064)),
    ],
)
def test_unknown_spis_are_passed_over(spis: tuple[bytes, ...]) -> None:
    client = Dialin(IkeHost(), FAST).connect()
    assert client.give(client.protect([delete_esp(*spis)])) == []
    check_up(client)


def test_our_own_spi_is_none_of_the_clients() -> None:
    """RFC 2408 section 3.15: a Delete names what its sender receives on."""
    client = Dialin(IkeHost(), FAST).connect()
    client.give(client.protect([delete_esp(client.sas[0].outbound_spi)]))
    check_up(client)


def test_another_clients_spi_is_none_of_this_one() -> None:
    host = IkeHost()
    victim = Dialin(host, FAST, inner="198.51.100.8", seed="victim").connect()
    client = Dialin(host, FAST).connect()
    client.give(client.protect([delete_esp(victim.sas[0].inbound_spi)]))
    assert len(host.inbound) == 2
    assert agree(victim.sas[-1], victim.child())


def test_another_clients_ike_sa_is_none_of_this_one() -> None:
    host = IkeHost()
    victim = Dialin(host, FAST, inner="198.51.100.8", seed="victim").connect()
    client = Dialin(host, FAST).connect()
    client.give(client.protect([delete_ike(victim)]))
    assert host.told_of(IkeSaDown) == []


def test_thousands_of_spis_are_more_than_is_believed() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    spis = [number.to_bytes(4) for number in range(256, 3256)]
    message = client.protect([delete_esp(*spis, client.sas[0].inbound_spi)])
    assert len(message.datagram) > 12_000
    assert client.give(message) == []
    assert client.host.drops() == ["malformed-payload_malformed"]
    check_up(client)


def test_many_deletes_in_one_message() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    deletes = [delete_esp(number.to_bytes(4)) for number in range(256, 356)]
    client.give(client.protect([*deletes, delete_esp(client.sas[0].inbound_spi)]))
    assert client.host.inbound == {}


def test_an_ah_delete_is_for_nobody() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    wrong = Delete(Doi.IPSEC, ProtocolId.AH, (client.sas[0].inbound_spi,))
    client.give(client.protect([wrong]))
    check_up(client)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_delete_of_the_ike_sa_among_others(after: int) -> None:
    """CVE-2023-38712: what followed it in the same message used what was gone."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    others: list[Payload] = [
        delete_esp(client.sas[0].inbound_spi),
        probe(client.initiator.cookies),
    ]
    values = [*others[:after], delete_ike(client), delete_ike(client), *others[after:]]
    answers = client.give(client.protect(values))
    assert len(answers) == 1
    check_gone(host)
    assert len(host.told_of(IkeSaDown)) == len(host.told_of(ChildDown)) == 1


def test_child_sas_outlive_their_ike_sa() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    client.give(client.protect([delete_ike(client)]))
    assert len(host.inbound) == len(host.outbound) == 1
    (engine_client,) = host.engine.clients
    assert engine_client.phase1 == []
    host.advance(4000.0)
    check_gone(host)


# --- Delete by us --------------------------------------------------------------------------------


def test_a_client_that_the_operator_ends() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    client.quick_mode()
    client.deliver(host.close_client(client.ike_sa.client))
    assert {event.spi for event in client.told_of(EspDeleted)} == {
        sas.outbound_spi for sas in client.sas
    }
    assert client.told_of(Closed) == [Closed(by_server=True)]
    check_gone(host)


def test_an_unknown_client_to_end() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    assert host.close_client("nobody") == []
    check_up(client)


def test_a_stop_tells_everybody() -> None:
    host = IkeHost()
    clients = [
        Dialin(host, FAST, inner=f"198.51.100.{number}", seed=str(number)).connect()
        for number in range(1, 4)
    ]
    sent = host.close_all()
    for client in clients:
        client.deliver(sent)
        assert client.told_of(Closed) == [Closed(by_server=True)]
    assert host.inbound == host.outbound == {}
    assert len(host.engine.clients) == 0
    assert len(host.gone()) == 3


def test_the_kernel_ends_a_child() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    child = client.child()
    client.deliver(host.child_expired(child.inbound_spi))
    assert client.told_of(EspDeleted) == [EspDeleted(client.sas[0].outbound_spi)]
    assert host.told_of(ChildDown) == [ChildDown(child, "expired in the kernel")]
    assert host.inbound == {}
    assert host.child_expired(child.inbound_spi) == []


def test_the_lifetime_of_a_child_ends() -> None:
    """A minute after the client's own, which is the one to renew it."""
    host = IkeHost(now=10.0)
    client = Dialin(host, FAST).connect()
    child = client.child()
    host.advance(10.0 + 3600.0 + 59.0)
    assert child.inbound_spi in host.inbound
    host.advance(10.0 + 3600.0 + 60.0)
    assert host.inbound == host.outbound == {}
    assert host.told_of(ChildDown)[0].cause == "lifetime over"


def test_the_lifetime_of_an_ike_sa_ends() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).main_mode()
    assert host.advance(3659.0) == []
    client.deliver(host.advance(3660.0))
    assert client.told_of(Closed) == [Closed(by_server=True)]
    check_gone(host)


# --- dead peer detection -------------------------------------------------------------------------


def test_a_probe_is_answered_with_its_number() -> None:
    client = Dialin.behind_nat(IkeHost(), FAST).main_mode()
    client.run(client.initiator.are_you_there(0x01020304))
    assert client.told_of(Notified) == [Notified("R_U_THERE_ACK", bytes.fromhex("01020304"))]


def test_a_probe_for_other_cookies_is_not() -> None:
    client = Dialin(IkeHost(), FAST).main_mode()
    cookies = client.initiator.cookies
    for number, wrong in enumerate((cookies[8:] + cookies[:8], bytes(16), cookies[:8], b"")):
        message = client.protect([probe(wrong)], message_id=100 + number)
        assert client.give(message) == []


def test_one_answer_for_one_message() -> None:
    client = Dialin(IkeHost(), FAST).main_mode()
    cookies = client.initiator.cookies
    message = client.protect([probe(cookies, number.to_bytes(4)) for number in range(100)])
    (answer,) = client.give(message)
    client.take(answer, floated=False)
    assert client.told_of(Notified) == [Notified("R_U_THERE_ACK", bytes(4))]


def test_an_answer_that_nobody_asked_for() -> None:
    client = Dialin(IkeHost(), FAST).main_mode()
    cookies = client.initiator.cookies
    ack = Notification(Doi.IPSEC, ProtocolId.ISAKMP, NotifyType.R_U_THERE_ACK, cookies, bytes(4))
    assert client.give(client.protect([ack])) == []


@pytest.mark.parametrize("kind", [1, 14, 24, 16384, 24576, 24578, 40501, 65535])
def test_other_notifications_change_nothing(kind: int) -> None:
    client = Dialin(IkeHost(), FAST).connect()
    cookies = client.initiator.cookies
    for spi in (cookies, b"", client.sas[0].inbound_spi):
        message = client.protect(
            [Notification(Doi.IPSEC, ProtocolId.ESP, NotifyType(kind), spi, b"x")],
            message_id=100 + len(spi),
        )
        assert client.give(message) == []
    check_up(client)


# --- what is not to be believed ------------------------------------------------------------------


def test_in_clear() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    cookies = client.initiator.cookies
    for values in ([delete_ike(client)], [delete_esp(client.sas[0].inbound_spi)], [probe(cookies)]):
        datagram = build_message(cookies, ExchangeType.INFORMATIONAL, 77, values)
        assert client.give_bytes(datagram) == []
    assert client.host.drops() == ["not-encrypted"] * 3
    check_up(client)


def test_in_clear_with_a_hash_in_front() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    values: list[Payload] = [Hash(bytes(20)), delete_ike(client)]
    datagram = build_message(client.initiator.cookies, ExchangeType.INFORMATIONAL, 77, values)
    client.give_bytes(datagram)
    check_up(client)


def sealed(client: Dialin, values: list[Payload], message_id: int = 77) -> Send:
    """Encrypted, but without our adding HASH(1)."""
    sa = client.ike_sa
    datagram, _ = sa.seal(ExchangeType.INFORMATIONAL, message_id, values, sa.phase2_iv(message_id))
    return Send(datagram, floated=False)


def test_without_a_hash() -> None:
    """CVE-2019-10155."""
    client = Dialin(IkeHost(), FAST).connect()
    client.give(sealed(client, [delete_ike(client)]))
    assert client.host.drops() == ["malformed-invalid_hash_information"]
    check_up(client)


@pytest.mark.parametrize("digest", [bytes(20), bytes(1), bytes(64)])
def test_with_a_wrong_hash(digest: bytes) -> None:
    """CVE-2019-10155."""
    client = Dialin(IkeHost(), FAST).connect()
    client.give(sealed(client, [Hash(digest), delete_ike(client)]))
    assert client.host.drops() == ["malformed-invalid_hash_information"]
    check_up(client)


def test_with_the_hash_in_another_place() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    client.give(sealed(client, [delete_ike(client), Hash(bytes(20))]))
    check_up(client)


def test_with_the_hash_of_another_message_id() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    good = client.protect([delete_ike(client)], message_id=5)
    moved = good.datagram[:20] + (6).to_bytes(4) + good.datagram[24:]
    assert client.give_bytes(moved) == []
    check_up(client)


def test_with_what_does_not_decrypt() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    good = client.protect([delete_ike(client)]).datagram
    for body in (b"", bytes(1), bytes(15), bytes(16), b"\xff" * 64):
        size = (HEADER_LENGTH + len(body)).to_bytes(4)
        assert client.give_bytes(good[:24] + size + body) == []
    assert len(client.host.drops()) == 5
    check_up(client)


def test_without_any_payload() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    client.give(sealed(client, []))
    good = client.protect([delete_ike(client)]).datagram
    client.give_bytes(good[:16] + b"\0" + good[17:])
    assert client.host.drops()[-1] == "malformed-invalid_hash_information"
    check_up(client)


def test_with_message_id_zero() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    client.give(client.protect([delete_ike(client)], message_id=0))
    assert client.host.drops() == ["no-message-id"]
    check_up(client)


def test_a_bad_message_does_not_use_up_its_message_id() -> None:
    client = Dialin(IkeHost(), FAST).connect()
    good = client.protect([delete_esp(client.sas[0].inbound_spi)], message_id=5)
    client.give_bytes(good.datagram[:-1] + bytes([good.datagram[-1] ^ 1]))
    client.give_bytes(good.datagram[:HEADER_LENGTH] + bytes(len(good.datagram) - HEADER_LENGTH))
    client.give(good)
    assert client.host.inbound == {}


def test_before_phase_1_is_complete() -> None:
    """Nobody has proved anything yet."""
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    cookies = client.initiator.cookies
    values = [Delete(Doi.IPSEC, ProtocolId.ISAKMP, (cookies,))]
    client.give_bytes(build_message(cookies, ExchangeType.INFORMATIONAL, 5, values))
    client.give_bytes(build_message(cookies, ExchangeType.INFORMATIONAL, 5, values, flags=1))
    assert host.drops() == ["half-open-cookie"] * 2
    client.run([third])
    client.quick_mode()
    assert agree(client.sas[-1], client.child())
