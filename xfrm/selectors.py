"""Addresses, selectors and marks, the parts that SAs and policies share, on the wire."""

from collections.abc import Mapping
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any

from xfrm.messages import XFRM_SELECTOR
from xfrm.model import Mark, Selector
from xfrm.packing import attribute, only

KEPT = 1024
"""Addresses and selectors whose octets are kept: one rekeying asks for each several times."""

_SELECTOR = only(
    XFRM_SELECTOR,
    *("daddr", "saddr", "dport", "dport_mask", "sport", "sport_mask"),
    *("family", "prefixlen_d", "prefixlen_s", "proto"),
)
_MARK = attribute("XFRMA_MARK", "v", "m")
_ANY = bytes(16)
_PORT_MASK = 0xFFFF
_WHOLE_ADDRESS: dict[int, int] = {AF_INET: 32, AF_INET6: 128}


def family_of(address: str) -> int:
    """AF_INET or AF_INET6. Addresses with a colon are of the latter."""
    return AF_INET6 if ":" in address else AF_INET


@lru_cache(KEPT)
def pack_address(address: str | None) -> bytes:
    """An xfrm_address_t; None is any. Raises OSError for what is no address."""
    if address is None:
        return _ANY
    return inet_pton(family_of(address), address).ljust(16, b"\0")


def unpack_address(family: int, packed: bytes) -> str:
    """The address as text."""
    return inet_ntop(family, packed[:4] if family == AF_INET else packed)


@lru_cache(KEPT)
def pack_selector(selector: Selector) -> bytes:
    """A struct xfrm_selector."""
    family = family_of(selector.dst or selector.src or "")
    return _SELECTOR.pack(
        pack_address(selector.dst),
        pack_address(selector.src),
        *_pack_port(selector.dport),
        *_pack_port(selector.sport),
        family,
        _prefix_length(family, selector.dst, selector.dst_prefix),
        _prefix_length(family, selector.src, selector.src_prefix),
        selector.protocol,
    )


def _pack_port(port: int) -> tuple[bytes, bytes]:
    """A port and its mask."""
    return port.to_bytes(2, "big"), (_PORT_MASK if port else 0).to_bytes(2, "big")


def _prefix_length(family: int, address: str | None, prefix: int | None) -> int:
    if address is None:
        return 0
    return _WHOLE_ADDRESS[family] if prefix is None else prefix


def decode_selector(members: Mapping[str, Any]) -> Selector:
    """The reverse of `pack_selector`; a mask that is not all ones counts as any port."""
    family = members["sel_family"]
    src, src_prefix = _network(family, members["sel_saddr"], members["sel_prefixlen_s"])
    dst, dst_prefix = _network(family, members["sel_daddr"], members["sel_prefixlen_d"])
    if family == AF_INET6 and src is None and dst is None:
        dst, dst_prefix = "::", 0
    exact_sport = members["sel_sport_mask"] == _PORT_MASK
    exact_dport = members["sel_dport_mask"] == _PORT_MASK
    return Selector(
        src=src,
        dst=dst,
        src_prefix=src_prefix,
        dst_prefix=dst_prefix,
        protocol=members["sel_proto"],
        sport=members["sel_sport"] if exact_sport else 0,
        dport=members["sel_dport"] if exact_dport else 0,
    )


def _network(family: int, packed: bytes, prefix: int) -> tuple[str | None, int | None]:
    if prefix == 0:
        return None, None
    return unpack_address(family, packed), None if prefix == _WHOLE_ADDRESS[family] else prefix


def encode_mark(mark: Mark | None) -> bytes:
    """The attribute for a mark, if there is one."""
    return b"" if mark is None else _MARK(*mark)


def decode_mark(attributes: Mapping[str, Any]) -> Mark | None:
    """The mark among a message's attributes, if there is one."""
    mark = attributes.get("XFRMA_MARK")
    return None if mark is None else Mark(mark["v"], mark["m"])
