"""Messages of NETLINK_XFRM as the other side reads them."""

import struct

from pyroute2.netlink import nlmsg

from xfrm.constants import MessageType
from xfrm.flat import HEADER, FlatMessage
from xfrm.marshal import MarshalXfrm

LENGTH = struct.Struct("=I")


def whole(kind: MessageType, body: bytes) -> bytes:
    """The message with its header."""
    return HEADER.pack(HEADER.size + len(body), kind, 0, 0, 0) + body


def read(kind: MessageType, body: bytes) -> FlatMessage:
    """The message, off the wire."""
    (message,) = MarshalXfrm().parse(whole(kind, body))
    assert isinstance(message, FlatMessage)
    return message


def encoded(message: FlatMessage) -> bytes:
    """The octets that pyroute2 makes of a message, header included."""
    message.reset()
    nlmsg.encode(message)
    if message["attrs"]:
        # It leaves the padding before them out of the length, which cuts the last one.
        LENGTH.pack_into(message.data, 0, len(message.data))
    return bytes(message.data)
