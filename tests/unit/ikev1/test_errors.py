from ikev1.errors import ProtocolError
from ikev1.wire.enums import NotifyType, PayloadType


def test_says_what_and_where() -> None:
    error = ProtocolError(
        "3 octets too many", offset=40, payload=5, notify=NotifyType.INVALID_ID_INFORMATION
    )
    assert str(error) == "3 octets too many (payload ID, offset 40, INVALID_ID_INFORMATION)"
    assert (error.reason, error.offset, error.payload) == ("3 octets too many", 40, PayloadType.ID)


def test_defaults() -> None:
    error = ProtocolError("too short")
    assert str(error) == "too short (header, offset 0, PAYLOAD_MALFORMED)"
