"""Numbers of Linux's NETLINK_XFRM interface (uapi linux/xfrm.h, linux/netlink.h, linux/udp.h)."""

from enum import IntEnum
from typing import Self

NETLINK_XFRM = 6

IPPROTO_UDP = 17
IPPROTO_ESP = 50

XFRM_INF = 2**64 - 1
"""No limit, for the byte and packet limits of struct xfrm_lifetime_cfg."""

XFRM_SHARE_ANY = 0
XFRM_POLICY_TYPE_MAIN = 0
XFRM_STATE_ESN = 128

UDP_ENCAP = 100


class UdpEncap(IntEnum):
    """UDP_ENCAP_*: forms of ESP in UDP, as socket option values and as encap_type of an SA."""

    ESPINUDP_NON_IKE = 1
    """draft-ietf-ipsec-udp-encaps-00, behind eight zero octets. Until Linux 6.9."""
    ESPINUDP = 2
    """RFC 3948."""


class MessageType(IntEnum):
    """XFRM_MSG_*: the netlink message types of NETLINK_XFRM."""

    NEWSA = 0x10
    DELSA = 0x11
    GETSA = 0x12
    NEWPOLICY = 0x13
    DELPOLICY = 0x14
    GETPOLICY = 0x15
    ALLOCSPI = 0x16
    ACQUIRE = 0x17
    EXPIRE = 0x18
    UPDPOLICY = 0x19
    UPDSA = 0x1A
    POLEXPIRE = 0x1B
    FLUSHSA = 0x1C
    FLUSHPOLICY = 0x1D
    NEWAE = 0x1E
    GETAE = 0x1F
    MAPPING = 0x26


class Group(IntEnum):
    """XFRMNLGRP_*: the multicast groups of NETLINK_XFRM."""

    ACQUIRE = 1
    EXPIRE = 2
    SA = 3
    POLICY = 4
    AEVENTS = 5
    REPORT = 6
    MIGRATE = 7
    MAPPING = 8


class Direction(IntEnum):
    """XFRM_POLICY_IN, _OUT, _FWD, and the two that a dump gives policies of a socket."""

    IN = 0
    OUT = 1
    FORWARD = 2
    SOCKET_IN = 3
    SOCKET_OUT = 4


class Action(IntEnum):
    """XFRM_POLICY_ALLOW, XFRM_POLICY_BLOCK."""

    ALLOW = 0
    BLOCK = 1


class Mode(IntEnum):
    """XFRM_MODE_*. Numbers without a name here, of newer kernels, are members too."""

    TRANSPORT = 0
    TUNNEL = 1
    ROUTE_OPTIMIZATION = 2
    IN_TRIGGER = 3
    BEET = 4

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"MODE({value:d})"
        member._value_ = value
        return member
