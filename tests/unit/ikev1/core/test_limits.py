"""What peers that have proved nothing can make the gateway do, and how much of it."""

from msgspec import structs

from ikev1.core.effects import ComputeDh, Path
from ikev1.core.half_open import ANSWER_TIME, UNDER_WAY, WAITING
from ikev1.core.limits import COMPLAINTS, TokenBucket
from ikev1.core.waiting_room import PATIENCE
from ikev1.wire.enums import EncryptionAlgorithm, ExchangeType, Group, HashAlgorithm
from ikev1.wire.message import build_message
from interop.clients.ike import IPHONE
from interop.initiator.effects import Phase1Up
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import GATEWAY, Dialin, agree
from tests.support.ike_host import IkeHost, settings
from tests.support.ike_offers import ike_offer, ike_transform

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


def first_message(number: int, group: int = Group.ECP_256) -> bytes:
    cookies = number.to_bytes(8) + bytes(8)
    return build_message(
        cookies, ExchangeType.IDENTITY_PROTECTION, 0, [ike_offer(ike_transform(group=group))]
    )


def source(number: int) -> Path:
    """Somebody at an address of his own."""
    return Path(GATEWAY, 500, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 500)


def flood(host: IkeHost, numbers: range) -> int:
    """First messages from as many forged addresses; returns how many were answered at once, or
    when it was their turn."""
    return sum(
        len(host.receive(first_message(n), source(n))) + wait_for_turns(host) for n in numbers
    )


def wait_for_turns(host: IkeHost) -> int:
    """Let those begin whose turn it is by now; how many were answered."""
    answered = 0
    while (due := host.engine.next_deadline()) is not None and due <= host.now:
        answered += len(host.advance(host.now))
    return answered


def until_message_3(client: Dialin) -> None:
    (first,) = client.note(client.initiator.start(client.host.now))
    (third,) = client.take(client.give(first)[0], floated=False)
    client.give(third)


def connect_in_turn(client: Dialin) -> Dialin:
    """Have a client dial in whose message 1 may have to wait for its turn, which comes at once."""
    client.main_mode()
    client.deliver(client.host.advance(client.host.now))
    client.quick_mode()
    return client


# --- half-open SAs -------------------------------------------------------------------------------


def test_in_a_full_table_the_oldest_give_way_when_they_have_had_their_time() -> None:
    host = IkeHost(settings(half_open_limit=10))
    assert flood(host, range(1, 16)) == 10
    assert host.engine.waiting == 5
    host.now = ANSWER_TIME - 0.001
    assert flood(host, range(16, 20)) == 0
    assert wait_for_turns(host) == 0
    assert host.drops() == []
    assert host.engine.next_deadline() == ANSWER_TIME
    host.now = ANSWER_TIME
    assert wait_for_turns(host) == 9
    assert host.engine.waiting == 0
    assert flood(host, range(20, 26)) == 1
    assert host.engine.half_open == 10
    assert host.drops() == ["half-open-limit"] * 10
    # The oldest are gone: their message 1 would begin anew. The youngest are known.
    host.receive(first_message(19), source(19))
    assert host.engine.half_open == 10
    assert len(host.drops()) == 10
    host.advance(ANSWER_TIME + 60.0)
    host.advance(ANSWER_TIME + 60.0)
    assert host.engine.half_open == host.engine.waiting == 0
    assert host.engine._context.ike_sas == {}


def test_when_hardly_anybody_answers_the_oldest_give_way_at_once() -> None:
    host = IkeHost(settings(half_open_limit=100))
    assert flood(host, range(1, 101)) == UNDER_WAY
    host.now = ANSWER_TIME
    # It has shown that it is a flood.
    assert flood(host, range(101, 501)) == 400 + 100 - UNDER_WAY
    # Whoever does exist is served, if it answers before a hundred others have come.
    client = connect_in_turn(Dialin(host, FAST))
    assert agree(client.sas[-1], client.child())


def test_clients_that_answer_end_a_flood() -> None:
    host = IkeHost(settings(half_open_limit=50))
    flood(host, range(1, 51))
    host.now = ANSWER_TIME
    assert flood(host, range(51, 151)) == 100
    for number in range(1, 101):
        connect_in_turn(Dialin(host, FAST, inner=f"198.51.100.{number}", seed=str(number)))
    host.now += ANSWER_TIME
    assert flood(host, range(151, 251)) < 100


def test_a_client_that_has_answered_stays_in_a_full_table() -> None:
    """It has received message 2 and so does exist, which forged addresses do not."""
    host = IkeHost(settings(half_open_limit=10))
    client = Dialin(host, FAST)
    (first,) = client.note(client.initiator.start(0.0))
    (third,) = client.take(client.give(first)[0], floated=False)
    answers = client.give(third)
    flood(host, range(1, 10))
    host.now = ANSWER_TIME
    assert flood(host, range(10, 100)) == 9
    (fifth,) = client.take(answers[0], floated=False)
    client.run([fifth])
    client.quick_mode()
    assert agree(client.sas[-1], client.child())


def test_a_client_whose_dh_is_under_way_stays_too() -> None:
    host = IkeHost(settings(half_open_limit=10), hold=(ComputeDh,))
    client = Dialin(host, FAST)
    until_message_3(client)
    flood(host, range(1, 10))
    host.now = ANSWER_TIME
    assert flood(host, range(10, 100)) == 9
    ((path, _),) = host.answer()
    assert path == client.path(floated=False)


def test_where_all_have_answered_the_oldest_goes() -> None:
    host = IkeHost(settings(half_open_limit=3))
    clients = [Dialin(host, FAST, inner=f"198.51.100.{n}", seed=str(n)) for n in range(1, 5)]
    for client in clients[:3]:
        until_message_3(client)
    host.now = ANSWER_TIME - 0.001
    assert flood(host, range(1, 2)) == 0
    host.engine._phase1.half_open.waiting.clear()
    host.now = ANSWER_TIME
    until_message_3(clients[3])
    assert host.engine.half_open == 3
    keys = [cookies[:8] for cookies in host.engine._context.ike_sas]
    assert keys == [client.initiator.cookies[:8] for client in clients[1:]]


# --- the first messages that wait ----------------------------------------------------------------


def test_in_a_rush_each_gets_in_in_its_turn_without_repeating_itself() -> None:
    """As after a restart: nobody loses the answer that it has had, and nothing is done in vain."""
    host = IkeHost(settings(half_open_limit=3))
    rush = [Dialin(host, FAST, inner=f"198.51.100.{n}", seed=str(n)) for n in range(1, 13)]
    firsts = [client.note(client.initiator.start(0.0))[0] for client in rush]
    answers = [client.give(first) for client, first in zip(rush, firsts, strict=True)]
    assert [len(sent) for sent in answers] == [1, 1, 1] + 9 * [0]
    assert host.engine.waiting == 9
    for client, sent in zip(rush, answers, strict=True):
        for answer in sent:
            client.run(client.take(answer, floated=False))
    order = []
    while host.engine.next_deadline() == 0.0:
        ((path, answer),) = host.advance(host.now)
        client = next(client for client in rush if client.inner == path.remote)
        order.append(rush.index(client))
        client.run(client.take(answer, floated=False))
    # The one heard last is the surest to be still there.
    assert order == [*range(11, 2, -1)]
    assert all(client.told_of(Phase1Up) for client in rush)
    assert host.drops() == []


def test_who_repeats_message_1_is_next() -> None:
    host = IkeHost(settings(half_open_limit=1))
    flood(host, range(1, 5))
    flood(host, range(2, 3))
    assert host.engine.waiting == 3
    host.now = ANSWER_TIME
    ((path, _),) = host.advance(host.now)
    assert path == source(2)


def test_who_has_not_been_heard_for_long_is_not_served() -> None:
    host = IkeHost(settings(half_open_limit=1))
    flood(host, range(1, 9))
    assert host.advance(PATIENCE) == []
    assert host.engine.waiting == 0


def test_those_who_wait_have_their_limits() -> None:
    host = IkeHost(settings(half_open_limit=2, half_open_per_address=2))
    flood(host, range(1, 3 + WAITING * 2))
    assert host.engine.waiting == WAITING * 2
    assert host.drops() == []
    flood(host, range(100, 103))
    assert host.engine.waiting == WAITING * 2
    assert host.drops() == ["half-open-limit"] * 3
    for number in range(200, 204):
        host.receive(first_message(number), source(300))
    assert host.drops()[3:] == ["half-open-limit"] * 2 + ["half-open-limit-of-address"] * 2
    # Not the one that is there already.
    host.receive(first_message(200), source(300))
    assert len(host.drops()) == 7


def test_one_that_waits_and_is_served_when_it_comes_again_waits_no_more() -> None:
    host = IkeHost(settings(half_open_limit=1))
    flood(host, range(1, 3))
    host.now = ANSWER_TIME
    assert flood(host, range(2, 3)) == 1
    assert host.engine.waiting == 0


def test_a_malformed_message_1_may_wait_and_is_dropped_in_its_turn() -> None:
    host = IkeHost(settings(half_open_limit=1))
    flood(host, range(1, 2))
    message = first_message(2)
    host.receive(message[:30] + b"\xff\xff" + message[32:], source(2))
    host.now = ANSWER_TIME
    assert wait_for_turns(host) == 0
    assert host.engine.waiting == 0
    assert host.drops()[-1].startswith("malformed-")


def test_a_stop_forgets_who_waits() -> None:
    host = IkeHost(settings(half_open_limit=1))
    flood(host, range(1, 5))
    host.close_all()
    assert host.engine.waiting == 0


def test_one_address_gets_its_share_and_no_more() -> None:
    host = IkeHost(settings(half_open_per_address=5))
    nat = structs.replace(source(1), remote_port=1024)
    for number in range(1, 9):
        host.receive(first_message(number), structs.replace(nat, remote_port=1024 + number))
    assert host.engine.half_open == 5
    assert host.drops() == ["half-open-limit-of-address"] * 3
    # Others are served, and it is served again when its own have come to an end.
    assert flood(host, range(20, 23)) == 3
    host.advance(30.0)
    assert len(host.receive(first_message(9), nat)) == 1


def test_an_established_sa_is_not_half_open_any_more() -> None:
    host = IkeHost(settings(half_open_per_address=2))
    for number in range(6):
        Dialin.behind_nat(
            host, FAST, inner=f"192.168.1.{number}", ports=(number, 100 + number), seed=str(number)
        ).connect()
    assert len(host.engine.clients) == 6
    assert host.drops() == []


def test_a_refused_first_message_takes_no_place() -> None:
    host = IkeHost(settings(half_open_limit=2, half_open_per_address=1))
    for number in range(1, 20):
        host.receive(first_message(number, group=Group.MODP_768), source(1))
    assert host.engine.half_open == 0
    assert host.engine.next_deadline() is None
    assert "half-open-limit" not in host.drops()


# --- complaints ----------------------------------------------------------------------------------


def test_refusals_are_answered_and_told_so_often_and_no_more() -> None:
    host = IkeHost(now=1000.0)
    rate, burst = COMPLAINTS
    sent = sum(
        len(host.receive(first_message(n, group=Group.MODP_768), source(n))) for n in range(1, 201)
    )
    assert sent == len(host.refusals()) == burst
    assert host.drops() == ["refused-without-a-word"] * (200 - int(burst))
    host.now += 1.0
    for n in range(201, 301):
        host.receive(first_message(n, group=Group.MODP_768), source(n))
    assert len(host.refusals()) == burst + rate


def test_those_that_fall_silent_do_not_fill_the_log_either() -> None:
    host = IkeHost(settings(half_open_limit=500))
    flood(host, range(1, UNDER_WAY + 1))
    host.advance(30.0)
    assert len(host.refusals()) == COMPLAINTS[1]
    assert host.engine.half_open == 0


def test_nor_do_wrong_keys() -> None:
    host = IkeHost()
    for number in range(80):
        inner = f"198.51.100.{number}"
        Dialin(host, FAST, psk=b"wrong", inner=inner, seed=str(number)).main_mode()
    assert len(host.refusals()) == COMPLAINTS[1]


def test_a_flood_of_refusals_does_not_keep_a_good_client_out() -> None:
    host = IkeHost()
    for n in range(1, 201):
        host.receive(first_message(n, group=Group.MODP_768), source(n))
    assert Dialin(host, FAST).connect().sas


def test_token_bucket() -> None:
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(10.4), bucket.take(10.5), bucket.take(10.5)] == [False, True, False]
    assert [bucket.take(1000.0) for _ in range(5)] == [True, True, True, False, False]
