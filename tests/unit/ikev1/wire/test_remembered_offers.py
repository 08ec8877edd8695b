"""Offers that are known are not parsed again: with the same outcome, and within bounds."""

import pytest

from ikev1.errors import ProtocolError
from ikev1.wire import sa
from ikev1.wire.enums import PayloadType, ProtocolId
from ikev1.wire.message import build_payloads, parse_payloads
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform


def offer(number: int, size: int = 4, spi: bytes = bytes(4)) -> bytes:
    transform = Transform(1, 12, (Attribute(number, bytes(size)),))
    return build_payloads([SaPayload(1, 1, (Proposal(1, ProtocolId.ESP, spi, (transform,)),))])[1]


def test_the_spi_is_that_of_each_offer() -> None:
    for spi in (b"\1\1\1\1", b"\2\2\2\2"):
        (item,) = parse_payloads(PayloadType.SA, offer(1, spi=spi)).items
        assert isinstance(item.value, SaPayload)
        assert item.value.proposals[0].spi == spi


def test_strangers_cannot_make_it_remember_more() -> None:
    for number in range(3 * sa.REMEMBERED):
        parse_payloads(PayloadType.SA, offer(number))
    assert sa._remembered.cache_info().currsize == sa.REMEMBERED
    before = sa._remembered.cache_info()
    parse_payloads(PayloadType.SA, offer(1, size=sa.MAX_REMEMBERED_SIZE))
    assert sa._remembered.cache_info() == before


def test_what_is_wrong_is_told_by_its_place_each_time() -> None:
    wrong = bytearray(offer(1))
    wrong[-5] ^= 0xFF  # the length of the only attribute
    for _ in range(2):
        with pytest.raises(ProtocolError) as caught:
            parse_payloads(PayloadType.SA, bytes(wrong))
        assert caught.value.offset > 28
        assert caught.value.payload == PayloadType.TRANSFORM
