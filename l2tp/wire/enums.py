"""Numbers of L2TP (RFC 2661) and PPP (RFC 1661 and the assigned numbers).

The enums are open: a value without a name is a member too, prints as NAME(nn) and survives a
rebuild.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class OpenEnum(IntEnum):
    """An IntEnum of 16 bits in which unknown values are members without a name of their own."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            return None
        member = int.__new__(cls, value)
        member._name_ = f"{cls.__name__}({value})"
        member._value_ = value
        return member

    @property
    def is_known(self) -> bool:
        """Whether the number has a name here."""
        return self._value_ in type(self)._value2member_map_

    def __str__(self) -> str:
        return self.name


class MessageType(OpenEnum):
    """L2TP control messages, RFC 2661 section 3.2."""

    ZLB = 0  # not a number on the wire: a control message without AVPs, section 5.8
    SCCRQ = 1
    SCCRP = 2
    SCCCN = 3
    STOPCCN = 4
    HELLO = 6
    OCRQ = 7
    OCRP = 8
    OCCN = 9
    ICRQ = 10
    ICRP = 11
    ICCN = 12
    CDN = 14
    WEN = 15
    SLI = 16


class AvpType(OpenEnum):
    """Attribute types of the IETF's own AVPs, RFC 2661 section 4.4."""

    MESSAGE_TYPE = 0
    RESULT_CODE = 1
    PROTOCOL_VERSION = 2
    FRAMING_CAPABILITIES = 3
    BEARER_CAPABILITIES = 4
    TIE_BREAKER = 5
    FIRMWARE_REVISION = 6
    HOST_NAME = 7
    VENDOR_NAME = 8
    ASSIGNED_TUNNEL_ID = 9
    RECEIVE_WINDOW_SIZE = 10
    CHALLENGE = 11
    CAUSE_CODE = 12
    CHALLENGE_RESPONSE = 13
    ASSIGNED_SESSION_ID = 14
    CALL_SERIAL_NUMBER = 15
    MINIMUM_BPS = 16
    MAXIMUM_BPS = 17
    BEARER_TYPE = 18
    FRAMING_TYPE = 19
    CALLED_NUMBER = 21
    CALLING_NUMBER = 22
    SUB_ADDRESS = 23
    TX_CONNECT_SPEED = 24
    PHYSICAL_CHANNEL_ID = 25
    INITIAL_RECEIVED_LCP_CONFREQ = 26
    LAST_SENT_LCP_CONFREQ = 27
    LAST_RECEIVED_LCP_CONFREQ = 28
    PROXY_AUTHEN_TYPE = 29
    PROXY_AUTHEN_NAME = 30
    PROXY_AUTHEN_CHALLENGE = 31
    PROXY_AUTHEN_ID = 32
    PROXY_AUTHEN_RESPONSE = 33
    CALL_ERRORS = 34
    ACCM = 35
    RANDOM_VECTOR = 36
    PRIVATE_GROUP_ID = 37
    RX_CONNECT_SPEED = 38
    SEQUENCING_REQUIRED = 39


class StopResult(OpenEnum):
    """Result codes of StopCCN, RFC 2661 section 4.4.2."""

    CLEAR = 1
    GENERAL_ERROR = 2
    ALREADY_EXISTS = 3
    NOT_AUTHORIZED = 4
    VERSION_NOT_SUPPORTED = 5
    SHUTTING_DOWN = 6
    FSM_ERROR = 7


class CdnResult(OpenEnum):
    """Result codes of CDN, RFC 2661 section 4.4.2."""

    LOST_CARRIER = 1
    GENERAL_ERROR = 2
    ADMINISTRATIVE = 3
    NO_FACILITIES_NOW = 4
    NO_FACILITIES = 5
    INVALID_DESTINATION = 6
    NO_CARRIER = 7
    BUSY = 8
    NO_DIAL_TONE = 9
    NOT_IN_TIME = 10
    NO_FRAMING = 11


class GeneralError(OpenEnum):
    """General error codes, RFC 2661 section 4.4.2."""

    NONE = 0
    NO_CONTROL_CONNECTION = 1
    WRONG_LENGTH = 2
    OUT_OF_RANGE = 3
    NO_RESOURCES = 4
    INVALID_SESSION = 5
    VENDOR_SPECIFIC = 6
    TRY_ANOTHER = 7
    UNKNOWN_MANDATORY_AVP = 8


class Protocol(OpenEnum):
    """PPP protocol numbers."""

    IP = 0x0021
    IPV6 = 0x0057
    COMPRESSED = 0x00FD
    IPCP = 0x8021
    IPV6CP = 0x8057
    CCP = 0x80FD
    ACSCP = 0x8235
    LCP = 0xC021
    PAP = 0xC023
    LQR = 0xC025
    CHAP = 0xC223
    EAP = 0xC227


class Code(OpenEnum):
    """Codes of LCP and, up to Code-Reject, of every NCP: RFC 1661 section 5, RFC 1570."""

    CONFIGURE_REQUEST = 1
    CONFIGURE_ACK = 2
    CONFIGURE_NAK = 3
    CONFIGURE_REJECT = 4
    TERMINATE_REQUEST = 5
    TERMINATE_ACK = 6
    CODE_REJECT = 7
    PROTOCOL_REJECT = 8
    ECHO_REQUEST = 9
    ECHO_REPLY = 10
    DISCARD_REQUEST = 11
    IDENTIFICATION = 12
    TIME_REMAINING = 13


class LcpOption(OpenEnum):
    """LCP configuration options, RFC 1661 section 6, RFC 1570, RFC 1662, RFC 1990."""

    MRU = 1
    ACCM = 2
    AUTHENTICATION = 3
    QUALITY = 4
    MAGIC = 5
    PFC = 7
    ACFC = 8
    CALLBACK = 13
    MRRU = 17
    SHORT_SEQUENCE = 18
    ENDPOINT = 19


class IpcpOption(OpenEnum):
    """IPCP configuration options, RFC 1332 and RFC 1877."""

    ADDRESSES = 1
    COMPRESSION = 2
    ADDRESS = 3
    PRIMARY_DNS = 129
    PRIMARY_WINS = 130
    SECONDARY_DNS = 131
    SECONDARY_WINS = 132


class ChapCode(OpenEnum):
    """CHAP codes, RFC 1994 section 4; 7 is Change-Password of RFC 2759."""

    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4
    CHANGE_PASSWORD = 7


class ChapAlgorithm(OpenEnum):
    """Algorithms of the CHAP authentication option, RFC 1994 section 3 and RFC 2759."""

    MD5 = 5
    MSCHAPV1 = 128
    MSCHAPV2 = 129


class PapCode(OpenEnum):
    """PAP codes, RFC 1334 section 2.2."""

    REQUEST = 1
    ACK = 2
    NAK = 3
