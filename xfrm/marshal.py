"""Which class a message of the kernel is of, and what an acknowledgement says."""

import struct
from typing import Any, ClassVar

from pyroute2.netlink import nlmsg
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.marshal import Marshal

from xfrm import messages
from xfrm.constants import MessageType
from xfrm.flat import HEADER
from xfrm.packing import find_attribute

_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_ERROR = struct.Struct("=IHHIIiI")
"""struct nlmsghdr, and struct nlmsgerr as far as the length of the request."""
_ERROR_MEMBERS = HEADER.size + 4


def explanation(data: bytes, offset: int = 0) -> str | None:
    """The text of an extended acknowledgement, the NLMSG_ERROR at `offset`."""
    length, _, flags, _, _, _, request_length = _ERROR.unpack_from(data, offset)
    if not flags & _NLM_F_ACK_TLVS:
        return None
    # The request's header is always there, its payload only where it is not capped.
    echoed = HEADER.size if flags & _NLM_F_CAPPED else request_length + 3 & ~3
    start, end = offset + _ERROR_MEMBERS + echoed, offset + length
    found = find_attribute(data, start, end, _NLMSGERR_ATTR_MSG)
    if found is None:
        return None
    return bytes(data[found[1] : found[2]]).rstrip(b"\0").decode("ascii", "replace")


class xfrmerr(nlmsg):  # noqa: N801
    """NLMSG_ERROR of NETLINK_XFRM: the negated errno, 0 for an acknowledgement.

    pyroute2's own class decodes the refused request too, which may hold keys; this one has no use
    for it. `message` is the kernel's explanation where the kernel gives one.
    """

    fields = (("error", "i"),)

    def decode(self) -> None:
        """Read the error and the text of an extended acknowledgement."""
        length, number, flags, sequence_number, pid, error, _ = _ERROR.unpack_from(
            self.data, self.offset
        )
        self["header"] = {
            "length": length,
            "type": number,
            "flags": flags,
            "sequence_number": sequence_number,
            "pid": pid,
        }
        self["error"] = error
        self["message"] = explanation(self.data, self.offset)


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
