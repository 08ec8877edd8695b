"""What the kernel tells about SAs without being asked, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xfrm.constants import MessageType
from xfrm.model import Mark, Selector
from xfrm.selectors import decode_mark, decode_selector, unpack_address


@dataclass(frozen=True, slots=True)
class Expire:
    """A lifetime of an SA ran out; when `hard`, the kernel has removed the SA.

    An SPI from `Sadb.allocate_spi` that got no keys in time expires hard, too.
    """

    spi: int
    dst: str
    protocol: int
    reqid: int
    mark: Mark | None
    hard: bool


@dataclass(frozen=True, slots=True)
class NatMapping:
    """An inbound UDP-encapsulated SA got an authentic packet from a new address or port.

    The kernel goes on using the old ones until the SAs are replaced, and repeats the event as
    `Sa.mapping_interval` says.
    """

    spi: int
    dst: str
    reqid: int
    old_address: str
    old_port: int
    new_address: str
    new_port: int


@dataclass(frozen=True, slots=True)
class Acquire:
    """A packet met the policy number `policy_index`, which has no SA to send it through."""

    src: str
    dst: str
    selector: Selector
    policy_index: int
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Resync:
    """Events were lost, as they came faster than they were read: compare with a dump."""


Event = Expire | NatMapping | Acquire | Resync


def decode_event(message: Mapping[str, Any]) -> Event | None:
    """Make a value of a notification; None for one of another kind."""
    match message["header"]["type"]:
        case MessageType.EXPIRE:
            return _decode_expire(message)
        case MessageType.MAPPING:
            return _decode_mapping(message)
        case MessageType.ACQUIRE:
            return _decode_acquire(message)
    return None


def _decode_expire(message: Mapping[str, Any]) -> Expire:
    return Expire(
        spi=message["state_id_spi"],
        dst=unpack_address(message["state_family"], message["state_id_daddr"]),
        protocol=message["state_id_proto"],
        reqid=message["state_reqid"],
        mark=decode_mark(dict(message["attrs"])),
        hard=bool(message["hard"]),
    )


def _decode_mapping(message: Mapping[str, Any]) -> NatMapping:
    family = message["id_family"]
    return NatMapping(
        spi=message["id_spi"],
        dst=unpack_address(family, message["id_daddr"]),
        reqid=message["reqid"],
        old_address=unpack_address(family, message["old_saddr"]),
        old_port=message["old_sport"],
        new_address=unpack_address(family, message["new_saddr"]),
        new_port=message["new_sport"],
    )


def _decode_acquire(message: Mapping[str, Any]) -> Acquire:
    family = message["policy_sel_family"]
    return Acquire(
        src=unpack_address(family, message["saddr"]),
        dst=unpack_address(family, message["id_daddr"]),
        selector=decode_selector(message),
        policy_index=message["policy_index"],
        mark=decode_mark(dict(message["attrs"])),
    )
