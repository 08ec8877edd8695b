"""Our daemon with one thing broken: ``broken_gateway.py FAULT ARGUMENTS``.

The arguments are those of ikev1d. What the lab is there to find out is found out: these turn the
cells of the matrix red that are about it, as in

    python -m interop.matrix --output build/broken --gateway tests/support/broken_gateway.py FAULT
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from msgspec import structs

from cli.ikev1d.__main__ import main as ikev1d
from ikev1.core import context, informational, proposals, quick_mode
from ikev1.core.exchange import Await
from ikev1.wire.enums import EncapsulationMode, IpsecAttribute, ProtocolId
from ikev1.wire.sa import Attribute
from l2tp.core import lns
from l2tp.ppp import users

Broken = Callable[..., Any]


def _put(owner: Any, name: str, broken: Broken) -> None:
    """Put a function, which gets the sound one first, in the place of a sound one."""
    setattr(owner, name, partial(broken, getattr(owner, name)))


def _original_addresses(sound: Broken, *arguments: Any) -> Any:
    return tuple(structs.replace(item, address=bytes(4)) for item in sound(*arguments))


def _swapped(sound: Broken, *arguments: Any) -> Any:
    child = sound(*arguments)
    good = child.sa
    child.sa = structs.replace(
        good,
        inbound_encryption_key=good.outbound_encryption_key,
        inbound_integrity_key=good.outbound_integrity_key,
        outbound_encryption_key=good.inbound_encryption_key,
        outbound_integrity_key=good.inbound_integrity_key,
    )
    return child


def _tunnel_mode(sound: Broken, *arguments: Any) -> Any:
    answer = sound(*arguments)
    (proposal,) = answer.proposals
    if proposal.protocol_id != ProtocolId.ESP:
        return answer
    (transform,) = proposal.transforms
    attributes = tuple(
        Attribute(part.type, EncapsulationMode.UDP_TUNNEL)
        if part.type == IpsecAttribute.ENCAPSULATION_MODE
        else part
        for part in transform.attributes
    )
    changed = structs.replace(transform, attributes=attributes)
    return structs.replace(answer, proposals=(structs.replace(proposal, transforms=(changed,)),))


def _wrong_nat_oa() -> None:
    _put(quick_mode, "_original_addresses", _original_addresses)


def _swapped_keys() -> None:
    _put(quick_mode, "make_child", _swapped)


def _wrong_encapsulation() -> None:
    _put(proposals, "answer", _tunnel_mode)


def _lost_initial_contact() -> None:
    _put(informational, "is_first_contact", lambda *_: False)
    _put(context.Context, "forgot", lambda *_: False)
    _put(lns.Lns, "_replace", lambda *_: None)


def _no_proof_of_password() -> None:
    _put(users, "authenticator_response", lambda *_: "S=" + "0" * 40)


def _first_alone(sound: Broken, *arguments: Any) -> Any:
    client = arguments[4]
    return _never() if client.children else sound(*arguments)


def _never() -> Iterator[Await]:
    while True:
        yield Await(b"")


def _rekeying_unanswered() -> None:
    _put(quick_mode, "respond", _first_alone)


def _probes_unanswered() -> None:
    _put(informational, "answer_to_probe", lambda *_: None)


FAULTS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "wrong-nat-oa": _wrong_nat_oa,
        "swapped-keys": _swapped_keys,
        "wrong-encapsulation": _wrong_encapsulation,
        "lost-initial-contact": _lost_initial_contact,
        "no-proof-of-password": _no_proof_of_password,
        "rekeying-unanswered": _rekeying_unanswered,
        "probes-unanswered": _probes_unanswered,
    }
)


def main() -> int:
    """Break it, and be the daemon; its exit status."""
    fault = sys.argv.pop(1)
    FAULTS[fault]()
    return ikev1d()


if __name__ == "__main__":
    sys.exit(main())
