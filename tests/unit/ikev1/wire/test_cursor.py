from struct import Struct

import pytest

from ikev1.errors import ProtocolError
from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import NotifyType, PayloadType
from ikev1.wire.layout import Rest

SHORT = Struct("!H")


class OneOctet:
    def decode(self, cursor: Cursor) -> bytes:
        return cursor.take(1)


class TwoWindows:
    def decode(self, cursor: Cursor) -> tuple[bytes, bytes]:
        return cursor.within(2, Rest()), cursor.within(1, Rest())


def test_reads_in_order() -> None:
    cursor = Cursor(bytes(range(6)))
    assert cursor.unpack(SHORT) == (0x0001,)
    assert cursor.take(3) == b"\2\3\4"
    assert cursor.remaining == 1
    assert cursor.rest() == b"\5"
    cursor.finish()


def test_unpack_stops_at_the_end() -> None:
    cursor = Cursor(b"abc", position=2)
    with pytest.raises(ProtocolError) as caught:
        cursor.unpack(SHORT)
    assert caught.value.offset == 2
    assert caught.value.reason == "1 octets where 2 are needed"


def test_take_stops_at_the_end() -> None:
    cursor = Cursor(b"abc", base=28)
    cursor.payload = PayloadType.VID
    with pytest.raises(ProtocolError) as caught:
        cursor.take(4)
    assert (caught.value.offset, caught.value.payload) == (28, PayloadType.VID)


def test_a_window_ends_before_the_octets_do() -> None:
    class Greedy:
        def decode(self, cursor: Cursor) -> bytes:
            return cursor.take(3)

    with pytest.raises(ProtocolError, match="2 octets where 3 are announced"):
        Cursor(b"abcdef").within(2, Greedy())


def test_a_window_has_to_be_consumed() -> None:
    with pytest.raises(ProtocolError, match="1 octets too many") as caught:
        Cursor(b"abcdef").within(2, OneOctet())
    assert caught.value.offset == 1


def test_a_window_may_not_outgrow_its_own() -> None:
    with pytest.raises(ProtocolError, match="1 octets beyond the end"):
        Cursor(b"abcdef").within(2, TwoWindows())


def test_windows_nest_and_close() -> None:
    cursor = Cursor(b"abcdef")
    assert cursor.within(3, TwoWindows()) == (b"ab", b"c")
    assert cursor.rest() == b"def"


def test_finish_refuses_what_is_left() -> None:
    with pytest.raises(ProtocolError, match="3 octets too many"):
        Cursor(b"abc").finish()


@pytest.mark.parametrize(
    ("payload", "notify"),
    [
        (None, NotifyType.PAYLOAD_MALFORMED),
        (PayloadType.KE, NotifyType.PAYLOAD_MALFORMED),
        (PayloadType.SA, NotifyType.BAD_PROPOSAL_SYNTAX),
        (PayloadType.PROPOSAL, NotifyType.BAD_PROPOSAL_SYNTAX),
        (PayloadType.TRANSFORM, NotifyType.BAD_PROPOSAL_SYNTAX),
    ],
)
def test_the_notification_follows_the_payload(
    payload: PayloadType | None, notify: NotifyType
) -> None:
    cursor = Cursor(b"")
    cursor.payload = payload
    with pytest.raises(ProtocolError) as caught:
        cursor.take(1)
    assert caught.value.notify is notify
