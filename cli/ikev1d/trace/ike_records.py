"""IKE messages as records: each payload with its octets where those are no secret."""

from __future__ import annotations

from msgspec.structs import replace

from cli.ikev1d.trace.placeholders import Placeholders
from ikev1.wire.enums import Flag, IdType
from ikev1.wire.header import Header
from ikev1.wire.message import build_body
from ikev1.wire.payloads import (
    Delete,
    Identification,
    NatOa,
    Notification,
    Payload,
    VendorId,
)
from ikev1.wire.pretty import describe_payload
from ikev1.wire.sa import SaPayload

Record = dict[str, object]

_AS_IT_IS = (SaPayload, VendorId, Notification, Delete)
_IPV4 = 4
_NAMES = {IdType.FQDN, IdType.USER_FQDN}


def header_record(header: Header) -> Record:
    """What tells one message of an exchange from another."""
    return {
        "cookies": f"{header.initiator_cookie.hex()}:{header.responder_cookie.hex()}",
        "exchange": header.exchange_type.name,
        "message_id": f"{header.message_id:08x}",
        "encrypted": bool(header.flags & Flag.ENCRYPTION),
        "size": header.length,
    }


def payload_record(payload: Payload, placeholders: Placeholders) -> Record:
    """A payload: its type, its octets (`body`) if they may be shown, and itself in words.

    Of what may not be shown there is the size alone.
    """
    shown = _shown(payload, placeholders)
    if shown is None:
        return {"type": payload.type.name, "size": len(build_body(payload))}
    return {
        "type": shown.type.name,
        "body": build_body(shown).hex(),
        "text": describe_payload(shown),
    }


def _shown(payload: Payload, placeholders: Placeholders) -> Payload | None:
    match payload:
        case Identification(id_type=IdType.IPV4_ADDR, data=data) if len(data) == _IPV4:
            return replace(payload, data=placeholders.packed(data))
        case Identification(id_type=id_type, data=data) if id_type in _NAMES:
            name = placeholders.name("name", data.decode(errors="replace"))
            return replace(payload, data=name.encode())
        case NatOa(id_type=IdType.IPV4_ADDR, address=address) if len(address) == _IPV4:
            return replace(payload, address=placeholders.packed(address))
        case _ if isinstance(payload, _AS_IT_IS):
            return payload
    return None
