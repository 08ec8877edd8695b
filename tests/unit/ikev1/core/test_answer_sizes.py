"""Nobody who has proved nothing gets more than he has sent."""

from dataclasses import replace

import pytest

from ikev1.wire.enums import ExchangeType, Group, NotifyType, PayloadType
from ikev1.wire.header import HEADER_LENGTH, parse_header
from ikev1.wire.message import build_message, parse_message
from ikev1.wire.payloads import KeyExchange, NatD, Nonce, Notification, Payload, VendorId
from ikev1.wire.sa import SaPayload
from interop.clients.ike import IPHONE
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost
from tests.support.ike_offers import ike_offer, ike_transform

COOKIES = b"initiate" + bytes(8)
REFUSED_OFFER = ike_offer(ike_transform(group=Group.MODP_768))


def answers(datagram: bytes) -> list[bytes]:
    return Dialin(IkeHost()).give_bytes(datagram)


@pytest.mark.parametrize("offer", [REFUSED_OFFER, ike_offer(ike_transform(method=3))])
def test_a_refusal_is_one_notification_in_clear(offer: SaPayload) -> None:
    question = build_message(COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, [offer])
    (answer,) = answers(question)
    assert len(answer) <= len(question)
    header, payloads = parse_message(answer)
    assert payloads.types() == (PayloadType.N,)
    notification = payloads.all(Notification)[0]
    assert notification.notify_type == NotifyType.NO_PROPOSAL_CHOSEN
    assert header.exchange_type == ExchangeType.INFORMATIONAL
    assert header.message_id != 0


def test_it_gives_away_no_cookie_to_go_on_with() -> None:
    """CVE-2023-30570."""
    question = build_message(COOKIES, ExchangeType.IDENTITY_PROTECTION, 0, [REFUSED_OFFER])
    (answer,) = answers(question)
    assert parse_header(answer).responder_cookie == bytes(8)


@pytest.mark.parametrize("kind", [ExchangeType.IDENTITY_PROTECTION, ExchangeType.AGGRESSIVE])
def test_a_question_smaller_than_the_refusal_gets_none(kind: ExchangeType) -> None:
    empty = build_message(COOKIES, kind, 0, [])
    tiny = build_message(COOKIES, kind, 0, [VendorId(b"tiny")])
    for question in (empty, tiny):
        assert len(question) < HEADER_LENGTH + 12
        assert answers(question) == []


def test_one_nat_d_alone_is_not_answered_with_two() -> None:
    client = Dialin(IkeHost(), replace(IPHONE, nonce_size=8))
    (first,) = client.note(client.initiator.start(0.0))
    (second,) = client.give(first)
    client.take(second, floated=False)
    cookies = client.initiator.cookies
    values: list[Payload] = [KeyExchange(b"\x02" + bytes(255)), Nonce(bytes(8)), NatD(bytes(32))]
    question = build_message(cookies, ExchangeType.IDENTITY_PROTECTION, 0, values)
    (answer,) = client.give_bytes(question)
    assert parse_message(answer)[1].types() == (PayloadType.KE, PayloadType.NONCE)
    assert len(answer) <= len(question)
