"""Policies as NETLINK_XFRM messages, and back."""

from collections.abc import Mapping
from typing import Any

from xfrm import messages
from xfrm.constants import XFRM_INF, Action, Direction, Mode
from xfrm.model import Policy, Template
from xfrm.packing import attribute_head, only
from xfrm.selectors import (
    decode_mark,
    decode_selector,
    encode_mark,
    family_of,
    pack_address,
    pack_selector,
    unpack_address,
)

_ALL_ALGORITHMS = 0xFFFFFFFF
_UNLIMITED = only(
    messages.XFRM_LIFETIME_CFG,
    *("soft_byte_limit", "hard_byte_limit", "soft_packet_limit", "hard_packet_limit"),
).pack(XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF)
_POLICY = only(messages.userpolicy_info.fields, "sel", "lft", "priority", "index", "dir", "action")
_POLICY_ID = only(messages.userpolicy_id.fields, "sel", "index", "dir")
_TEMPLATE = only(
    messages.XFRM_USER_TMPL,
    *("id_daddr", "id_spi", "id_proto", "family", "saddr", "reqid", "mode"),
    *("aalgos", "ealgos", "calgos"),
)
_TEMPLATES = attribute_head("XFRMA_TMPL")


def encode_policy(policy: Policy) -> bytes:
    """The body of XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY."""
    structure = pack_policy(policy)
    if not policy.templates:
        return structure + encode_mark(policy.mark)
    templates = b"".join(map(pack_template, policy.templates))
    return structure + _TEMPLATES(len(templates)) + templates + encode_mark(policy.mark)


def pack_policy(policy: Policy) -> bytes:
    """A struct xfrm_userpolicy_info."""
    return _POLICY.pack(
        pack_selector(policy.selector),
        _UNLIMITED,
        policy.priority,
        policy.index,
        policy.direction,
        policy.action,
    )


def encode_policy_id(policy: Policy) -> bytes:
    """The body of XFRM_MSG_GETPOLICY and XFRM_MSG_DELPOLICY: by index, else by selector."""
    structure = _POLICY_ID.pack(pack_selector(policy.selector), policy.index, policy.direction)
    return structure + encode_mark(policy.mark)


def pack_template(template: Template) -> bytes:
    """A struct xfrm_user_tmpl, for SAs of any algorithms."""
    return _TEMPLATE.pack(
        pack_address(template.dst),
        template.spi.to_bytes(4, "big"),
        template.protocol,
        family_of(template.dst or template.src or ""),
        pack_address(template.src),
        template.reqid,
        template.mode,
        _ALL_ALGORITHMS,
        _ALL_ALGORITHMS,
        _ALL_ALGORITHMS,
    )


def decode_policy(message: Mapping[str, Any]) -> Policy:
    """A policy of the kernel: one entry of a dump."""
    attributes = dict(message["attrs"])
    return Policy(
        selector=decode_selector(message),
        direction=Direction(message["dir"]),
        action=Action(message["action"]),
        priority=message["priority"],
        templates=tuple(map(_decode_template, attributes.get("XFRMA_TMPL", ()))),
        mark=decode_mark(attributes),
        index=message["index"],
    )


def _decode_template(members: Mapping[str, Any]) -> Template:
    family = members["family"]
    src, dst = members["saddr"], members["id_daddr"]
    return Template(
        src=unpack_address(family, src) if any(src) else None,
        dst=unpack_address(family, dst) if any(dst) else None,
        reqid=members["reqid"],
        protocol=members["id_proto"],
        mode=Mode(members["mode"]),
        spi=members["id_spi"],
    )
