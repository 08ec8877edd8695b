"""What we offer as initiator: one transform, which the client itself has offered and got before."""

from __future__ import annotations

from msgspec.structs import replace

from ikev1.core.proposals import DOI_IPSEC
from ikev1.wire.enums import IpsecAttribute, LifeType, ProtocolId, Situation
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform


def offer_esp(transform: Transform, spi: bytes, lifetime: int) -> SaPayload:
    """The SA payload of a Quick Mode; as the transform says, but at most `lifetime` seconds."""
    attributes: list[Attribute] = []
    unit = 0
    for attribute in transform.attributes:
        if attribute.type == IpsecAttribute.LIFE_TYPE:
            unit = attribute.number
        is_seconds = attribute.type == IpsecAttribute.LIFE_DURATION and unit == LifeType.SECONDS
        too_long = is_seconds and attribute.number > lifetime
        attributes.append(_duration(attribute.type, lifetime) if too_long else attribute)
    offered = replace(transform, number=1, attributes=tuple(attributes))
    return SaPayload(
        doi=DOI_IPSEC,
        situation=Situation.IDENTITY_ONLY,
        proposals=(Proposal(1, ProtocolId.ESP, spi, (offered,)),),
    )


def offer_ike(transform: Transform) -> SaPayload:
    """The SA payload of a Main Mode."""
    return SaPayload(
        doi=DOI_IPSEC,
        situation=Situation.IDENTITY_ONLY,
        proposals=(Proposal(1, ProtocolId.ISAKMP, b"", (replace(transform, number=1),)),),
    )


def _duration(kind: int, value: int) -> Attribute:
    """A duration in as few octets as clients write: the short form, or four octets."""
    return Attribute(kind, value if value < 2**16 else value.to_bytes(4, "big"))
