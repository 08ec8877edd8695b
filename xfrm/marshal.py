"""Which class a message of the kernel is of, and what an acknowledgement says."""

import struct
from typing import Any, ClassVar

from pyroute2.netlink import NLMSG_ERROR, nlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.marshal import Marshal

from xfrm import messages
from xfrm.constants import MessageType

_ACKNOWLEDGEMENT = struct.Struct("=IHHIIi")


def acknowledged(data: bytes) -> int | None:
    """The sequence number of the request that a datagram acknowledges; None for all else.

    Acknowledgements are most of what is read, and each is a datagram of its own.
    """
    if len(data) < _ACKNOWLEDGEMENT.size:
        return None
    length, number, _, sequence_number, _, error = _ACKNOWLEDGEMENT.unpack_from(data)
    alone = number == NLMSG_ERROR and length == len(data)
    return sequence_number if alone and not error else None


class xfrmerr(nlmsg):  # noqa: N801
    """NLMSG_ERROR of NETLINK_XFRM: the negated errno, 0 for an acknowledgement.

    pyroute2's own class decodes the refused request too, which may hold keys; this one has no use
    for it. `message` is the kernel's explanation where the kernel gives one.
    """

    fields = (("error", "i"),)
    _NLM_F_CAPPED = 0x100
    _NLM_F_ACK_TLVS = 0x200
    _NLMSGERR_ATTR_MSG = 1

    def decode(self) -> None:
        """Read the error and the text of an extended acknowledgement."""
        length, number, flags, sequence_number, pid = struct.unpack_from(
            "=IHHII", self.data, self.offset
        )
        self["header"] = {
            "length": length,
            "type": number,
            "flags": flags,
            "sequence_number": sequence_number,
            "pid": pid,
        }
        error, request_length = struct.unpack_from("=iI", self.data, self.offset + 16)
        self["error"] = error
        self["message"] = None
        if flags & self._NLM_F_ACK_TLVS:
            # The request's header is always there, its payload only where it is not capped.
            echoed = 16 if flags & self._NLM_F_CAPPED else request_length + 3 & ~3
            self["message"] = self._text(self.offset + 20 + echoed, self.offset + length)

    def _text(self, offset: int, end: int) -> str | None:
        while offset + 4 <= end:
            length, number = struct.unpack_from("=HH", self.data, offset)
            if number == self._NLMSGERR_ATTR_MSG:
                text = bytes(self.data[offset + 4 : offset + length])
                return text.rstrip(b"\0").decode("ascii", "replace")
            offset += max(length + 3 & ~3, 4)
        return None


class MarshalXfrm(Marshal):
    """Finds the class of a received message; a refusal becomes a NetlinkError in its header."""

    msg_map: ClassVar[dict[int, Any]] = {
        MessageType.NEWSA: messages.usersa_info,
        MessageType.UPDSA: messages.usersa_info,
        MessageType.DELSA: messages.usersa_id,
        MessageType.GETSA: messages.usersa_id,
        MessageType.ALLOCSPI: messages.userspi_info,
        MessageType.NEWPOLICY: messages.userpolicy_info,
        MessageType.UPDPOLICY: messages.userpolicy_info,
        MessageType.DELPOLICY: messages.userpolicy_id,
        MessageType.GETPOLICY: messages.userpolicy_id,
        MessageType.ACQUIRE: messages.user_acquire,
        MessageType.EXPIRE: messages.user_expire,
        MessageType.POLEXPIRE: messages.user_polexpire,
        MessageType.FLUSHSA: messages.usersa_flush,
        MessageType.FLUSHPOLICY: messages.userpolicy_flush,
        MessageType.MAPPING: messages.user_mapping,
    }

    def parse_one_message(
        self, key: int, flags: int, sequence_number: int, data: bytes, offset: int, length: int
    ) -> Any:
        """Decode the message at `offset`."""
        if key != self.error_type:
            return super().parse_one_message(key, flags, sequence_number, data, offset, length)
        message = xfrmerr(data, offset=offset)
        message.decode()
        code = abs(message["error"])
        message["header"]["error"] = NetlinkError(code, message["message"]) if code else None
        return message
