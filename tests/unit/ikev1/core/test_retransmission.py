"""A repeated request gets the identical reply, and costs neither the host nor us anything."""

from dataclasses import replace

import pytest

from ikev1.core.effects import ChildUp, ComputeDh, IkeSaUp, InstallInbound, InstallOutbound
from ikev1.wire.enums import EncryptionAlgorithm, ExchangeType, Group, HashAlgorithm
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.payloads import Nonce
from interop.clients.ike import IPHONE, PROFILES
from interop.initiator.effects import EspDeleted, Send
from interop.initiator.profiles import Phase1Offer, Profile, only
from tests.support.ike_dialin import Dialin, agree
from tests.support.ike_host import IkeHost

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


class Doubled(Dialin):
    """Every datagram to the gateway arrives twice."""

    def give(self, send: Send) -> list[bytes]:
        first = super().give(send)
        self.second = super().give(send)
        self.pairs = [*getattr(self, "pairs", []), (first, self.second)]
        return first


def messages(client: Dialin) -> tuple[Send, Send, Send]:
    """Messages 1, 3 and 5, after Main Mode has run its course."""
    (first,) = client.note(client.initiator.start(client.host.now))
    (third,) = client.take(client.give(first)[0], floated=False)
    (fifth,) = client.take(client.give(third)[0], floated=False)
    client.run([fifth])
    return first, third, fifth


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("nat", [False, True])
def test_every_request_doubled(profile: Profile, nat: bool) -> None:
    host = IkeHost()
    client = (Doubled.behind_nat if nat else Doubled)(host, profile).connect()
    assert agree(client.sas[-1], client.child())
    # Messages 1, 3, 5 and that of Quick Mode have the same answer twice; HASH(3) has none.
    answered = [(first, second) for first, second in client.pairs if first]
    assert len(answered) == 4
    for first, second in answered:
        assert first == second
    assert [type(question) for question in host.asked] == [
        ComputeDh,
        InstallInbound,
        InstallOutbound,
    ]
    assert len(host.told_of(IkeSaUp)) == len(host.told_of(ChildUp)) == 1
    # HASH(3), and the notification of a client that sends INITIAL-CONTACT by itself.
    assert host.drops() == ["repeated-message-id"] * (1 + profile.initial_contact_apart)


def test_with_pfs_the_second_run_of_dh_is_not_repeated_either() -> None:
    host = IkeHost()
    Doubled(host, replace(FAST, pfs_group=Group.ECP_256)).connect()
    assert host.count(ComputeDh) == 2


def test_a_request_that_is_being_worked_on_gets_nothing_yet() -> None:
    host = IkeHost(hold=(ComputeDh,))
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    assert client.give(third) == client.give(third) == []
    assert host.count(ComputeDh) == 1
    assert host.drops() == ["repeated-request"]
    ((_, fourth),) = host.answer()
    assert client.give(third) == [fourth]
    assert host.count(ComputeDh) == 1


def test_another_message_3_meanwhile_is_ignored() -> None:
    host = IkeHost(hold=(ComputeDh,))
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)
    client.give_bytes(third.datagram[:-1] + bytes([third.datagram[-1] ^ 1]))
    assert host.drops() == ["unexpected-main-mode"]
    assert host.count(ComputeDh) == 1


def test_message_1_after_message_3() -> None:
    """It was late on the way: an answer to it would be a step back."""
    host = IkeHost()
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    answers = client.give(third)
    assert client.give(first) == []
    assert host.drops() == ["late-first-message"]
    assert host.engine.half_open == 1
    (fifth,) = client.take(answers[0], floated=False)
    client.run([fifth])
    client.quick_mode()
    assert agree(client.sas[-1], client.child())


def test_message_1_after_message_5() -> None:
    """A late copy must not begin a second Main Mode, whose end would be told as a failure."""
    host = IkeHost()
    client = Dialin(host, FAST)
    first, _, _ = messages(client)
    client.quick_mode()
    assert client.give(first) == []
    assert host.drops() == ["late-first-message"]
    assert host.engine.half_open == 0
    host.advance(30.0)
    assert host.refusals() == []
    # After that it counts as a new beginning: nothing of a client is remembered for ever.
    assert len(client.give(first)) == 1
    assert host.engine.half_open == 1


def test_message_3_after_message_5() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    _, third, _ = messages(client)
    assert client.give(third) == []
    assert host.count(ComputeDh) == 1
    client.quick_mode()


def test_message_5_again_after_it_was_accepted() -> None:
    """Message 6 was lost."""
    host = IkeHost()
    client = Dialin.behind_nat(host, FAST)
    _, _, fifth = messages(client)
    (_, (sixth,)) = client.talk[-1]
    assert client.give(fifth) == [sixth]
    assert client.give(fifth) == [sixth]
    assert len(host.told_of(IkeSaUp)) == 1


def test_message_5_again_after_the_client_has_shown_that_it_has_message_6() -> None:
    host = IkeHost()
    client = Dialin(host, FAST)
    _, _, fifth = messages(client)
    client.quick_mode()
    assert client.give(fifth) == []
    assert host.drops() == ["late-main-mode"]
    assert len(host.told_of(IkeSaUp)) == 1


def test_a_quick_mode_is_not_to_be_replayed() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    question = Send(client.talk[-2][0], floated=False)
    third = Send(client.talk[-1][0], floated=False)
    asked = len(host.asked)
    assert client.give(question) == client.give(third) == []
    host.advance(100.0)
    assert client.give(question) == []
    assert host.drops() == ["repeated-message-id"] * 3
    assert len(host.asked) == asked
    assert len(host.inbound) == 1


def test_nor_one_that_has_failed() -> None:
    host = IkeHost(refuse_inbound="no")
    client = Dialin(host, FAST).main_mode()
    client.run(client.initiator.quick_mode(0.0))
    question = Send(client.talk[-1][0], floated=False)
    host.refuse_inbound = ""
    assert client.give(question) == []
    assert host.inbound == {}


def test_a_message_id_of_an_informational_is_used_too() -> None:
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    probe = client.note(client.initiator.are_you_there(1))[0]
    assert len(client.give(probe)) == 1
    assert client.give(probe) == []
    assert host.drops() == ["repeated-message-id"]


def test_a_message_id_of_ours_is_not_taken_for_the_clients() -> None:
    """Our own Informational, sent back to us."""
    host = IkeHost()
    client = Dialin(host, FAST).connect()
    ((_, delete), *_) = host.close_client(client.ike_sa.client)
    assert client.give_bytes(delete) == []


# --- Quick Mode's message 2, to which HASH(3) is the only answer ----------------------------------


def until_message_2(host: IkeHost, kind: type[Dialin] = Dialin) -> tuple[Dialin, bytes]:
    """Connect as far as that the client has been sent message 2 of Quick Mode."""
    client = kind(host, FAST).main_mode()
    (question,) = client.note(client.initiator.quick_mode(host.now))
    (answer,) = client.give(question)
    return client, answer


def test_message_2_is_insisted_on_until_hash_3_comes() -> None:
    host = IkeHost(now=100.0)
    client, answer = until_message_2(host)
    for moment in (101.0, 103.0, 107.0, 115.0):
        assert host.advance(moment - 0.25) == []
        assert host.advance(moment) == [(client.path(floated=False), answer)]
    assert host.advance(129.75) == []
    (third,) = client.take(answer, floated=False)
    client.give(third)
    assert host.told_of(ChildUp)[0].child == client.child()


def test_it_stops_with_hash_3() -> None:
    host = IkeHost()
    client, answer = until_message_2(host)
    host.advance(1.0)
    client.run(client.take(answer, floated=False))
    assert host.advance(60.0) == []
    assert host.refusals() == []
    assert agree(client.sas[-1], client.child())


def test_it_stops_while_the_outbound_sa_is_being_installed() -> None:
    host = IkeHost(hold=(InstallOutbound,))
    client, answer = until_message_2(host)
    client.run(client.take(answer, floated=False))
    assert host.advance(20.0) == []
    host.answer_all()
    assert len(host.told_of(ChildUp)) == 1


def test_each_copy_of_message_2_brings_hash_3_again() -> None:
    """HASH(3) was lost three times."""
    host = IkeHost()
    client, answer = until_message_2(host)
    client.take(answer, floated=False)
    for moment in (1.0, 3.0):
        ((_, again),) = host.advance(moment)
        client.take(again, floated=False)
    client.deliver(host.advance(7.0))
    assert len(host.told_of(ChildUp)) == 1
    assert len(client.sas) == 1
    assert host.count(InstallOutbound) == 1


def test_without_hash_3_nothing_stays() -> None:
    host = IkeHost()
    client, answer = until_message_2(host)
    client.take(answer, floated=False)
    sas = client.sas[-1]
    assert len(host.inbound) == 1
    for moment in (1.0, 3.0, 7.0, 15.0):
        host.advance(moment)
    client.deliver(host.advance(30.0))
    assert host.inbound == host.outbound == {}
    (refusal,) = host.refusals()
    assert refusal.exchange == "Quick Mode"
    assert refusal.cause == "the client did not confirm the SA with HASH(3)"
    assert "loses packets" in refusal.remedy
    # The client has its SAs: it is told that they are gone.
    assert client.told_of(EspDeleted) == [EspDeleted(sas.outbound_spi)]
    (engine_client,) = host.engine.clients
    assert engine_client.children == []


def test_a_late_hash_3_does_nothing_any_more() -> None:
    host = IkeHost()
    client, answer = until_message_2(host)
    (third,) = client.take(answer, floated=False)
    host.advance(30.0)
    assert client.give(third) == []
    assert host.outbound == {}
    assert host.drops() == ["repeated-message-id"]


def test_a_forged_hash_3_does_not_spoil_the_true_one() -> None:
    host = IkeHost()
    client, answer = until_message_2(host)
    (third,) = client.take(answer, floated=False)
    for position in (HEADER_LENGTH, HEADER_LENGTH + 5, len(third.datagram) - 20):
        forged = bytearray(third.datagram)
        forged[position] ^= 0x80
        assert client.give_bytes(bytes(forged)) == []
    assert host.outbound == {}
    client.give(third)
    assert host.told_of(ChildUp)[0].child == client.child()


def test_a_message_3_in_clear_is_none() -> None:
    host = IkeHost()
    client, answer = until_message_2(host)
    (third,) = client.take(answer, floated=False)
    clear = bytearray(third.datagram)
    clear[19] &= ~1
    client.give_bytes(bytes(clear))
    assert host.drops() == ["not-encrypted"]
    assert host.outbound == {}


def test_a_repeated_request_is_told_from_another_with_its_message_id() -> None:
    """HASH(1) of other payloads under the same message ID is no HASH(3)."""
    host = IkeHost()
    client, answer = until_message_2(host)
    message_id = parse_header(answer).message_id
    other = client.protect([Nonce(bytes(16))], ExchangeType.QUICK_MODE, message_id)
    assert client.give(other) == []
    assert host.count(InstallOutbound) == 0
    client.run(client.take(answer, floated=False))
    assert len(host.told_of(ChildUp)) == 1
