"""Policies as NETLINK_XFRM messages, and back."""

from collections.abc import Mapping
from typing import Any

from xfrm import messages
from xfrm.constants import XFRM_INF, Action, Direction, Mode
from xfrm.model import Policy, Template
from xfrm.selectors import (
    decode_mark,
    decode_selector,
    encode_mark,
    encode_selector,
    family_of,
    pack_address,
    unpack_address,
)

_ALL_ALGORITHMS = 0xFFFFFFFF
_UNLIMITED = dict.fromkeys(
    (
        "lft_soft_byte_limit",
        "lft_hard_byte_limit",
        "lft_soft_packet_limit",
        "lft_hard_packet_limit",
    ),
    XFRM_INF,
)


def encode_policy(policy: Policy) -> messages.userpolicy_info:
    """The body of XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY."""
    message = messages.userpolicy_info()
    message.update(_UNLIMITED)
    message.update(encode_selector(policy.selector))
    message.update(
        priority=policy.priority, index=policy.index, dir=policy.direction, action=policy.action
    )
    attributes: list[tuple[str, Any]] = []
    if policy.templates:
        templates = [_encode_template(template) for template in policy.templates]
        attributes.append(("XFRMA_TMPL", templates))
    message["attrs"] = attributes + encode_mark(policy.mark)
    return message


def encode_policy_id(policy: Policy) -> messages.userpolicy_id:
    """The body of XFRM_MSG_GETPOLICY and XFRM_MSG_DELPOLICY: by index, else by selector."""
    message = messages.userpolicy_id()
    message.update(encode_selector(policy.selector))
    message.update(index=policy.index, dir=policy.direction)
    message["attrs"] = encode_mark(policy.mark)
    return message


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


def _encode_template(template: Template) -> dict[str, Any]:
    return {
        "id_daddr": pack_address(template.dst),
        "id_spi": template.spi,
        "id_proto": template.protocol,
        "family": family_of(template.dst or template.src or ""),
        "saddr": pack_address(template.src),
        "reqid": template.reqid,
        "mode": template.mode,
        "aalgos": _ALL_ALGORITHMS,
        "ealgos": _ALL_ALGORITHMS,
        "calgos": _ALL_ALGORITHMS,
    }


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
