"""Acknowledgements, as the kernel writes them."""

import errno
import struct

from xfrm.errors import KernelError
from xfrm.marshal import MarshalXfrm, xfrmerr

NLMSG_ERROR = 2
CAPPED, ACK_TLVS = 0x100, 0x200
REQUEST = struct.pack("=IHHII", 36, 0x10, 5, 77, 0)


def acknowledgement(error: int, flags: int, *parts: bytes) -> bytes:
    body = struct.pack("=i", -error) + b"".join(parts)
    return struct.pack("=IHHII", 16 + len(body), NLMSG_ERROR, flags, 77, 1234) + body


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def parse(data: bytes) -> xfrmerr:
    (message,) = MarshalXfrm().parse(data)
    assert isinstance(message, xfrmerr)
    return message


def test_success() -> None:
    message = parse(acknowledgement(0, CAPPED, REQUEST))
    assert message["error"] == 0
    assert message["header"]["error"] is None
    assert message["header"]["sequence_number"] == 77


def test_refusal_with_the_kernels_words() -> None:
    text = attribute(2, b"\0\0\0\0") + attribute(1, b"Requested type not found\0")
    message = parse(acknowledgement(errno.EPROTONOSUPPORT, CAPPED | ACK_TLVS, REQUEST, text))
    assert message["header"]["error"].code == errno.EPROTONOSUPPORT
    assert message["message"] == "Requested type not found"


def test_words_behind_a_request_that_came_back_whole() -> None:
    whole = REQUEST + b"\xff" * 20
    message = parse(acknowledgement(errno.EINVAL, ACK_TLVS, whole, attribute(1, b"why\0")))
    assert message["message"] == "why"


def test_refusal_without_words() -> None:
    assert parse(acknowledgement(errno.ESRCH, CAPPED, REQUEST))["message"] is None


def test_broken_attribute_ends_the_search() -> None:
    broken = struct.pack("=HH", 0, 9) + attribute(1, b"late\0")
    message = parse(acknowledgement(errno.EINVAL, CAPPED | ACK_TLVS, REQUEST, broken))
    assert message["message"] == "late"


def test_error_names_reason_and_remedy() -> None:
    error = KernelError(errno.EPROTONOSUPPORT, "add_sa", "SA 0x1 to 192.0.2.1", "no such type")
    assert error.remedy is not None
    assert "esp4" in error.remedy
    assert str(error) == (
        "add_sa SA 0x1 to 192.0.2.1: EPROTONOSUPPORT, Protocol not supported (no such type); "
        + error.remedy
    )


def test_error_without_a_remedy() -> None:
    error = KernelError(errno.EINVAL, "add_sa", "SA 0x1 to 192.0.2.1")
    assert error.remedy is None
    assert str(error) == "add_sa SA 0x1 to 192.0.2.1: EINVAL, Invalid argument"


def test_general_remedy() -> None:
    error = KernelError(errno.EPERM, "flush", "SAs")
    assert error.remedy is not None
    assert "CAP_NET_ADMIN" in error.remedy
