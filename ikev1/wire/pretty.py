"""A message in words, for debug logs.

Keys, nonces, hashes, signatures and fragments appear as their lengths only. What a peer wrote is
escaped, and each payload takes one line, an SA one more for each proposal and transform.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from ikev1.wire.enums import (
    AhTransform,
    AuthAlgorithm,
    AuthMethod,
    Doi,
    EncapsulationMode,
    EncryptionAlgorithm,
    EspTransform,
    Flag,
    Group,
    HashAlgorithm,
    IdType,
    IkeAttribute,
    IpsecAttribute,
    IsakmpTransform,
    LifeType,
    NotifyType,
    OpenEnum,
    ProtocolId,
)
from ikev1.wire.header import Header
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import (
    ADDRESS_SIZES,
    Certificate,
    CertificateRequest,
    Delete,
    Fragment,
    Identification,
    NatOa,
    Notification,
    Payload,
    VendorId,
)
from ikev1.wire.sa import MAX_NUMBER_SIZE, Attribute, Proposal, SaPayload, Transform
from ikev1.wire.vendor_ids import name_of

# Octets of an attribute or characters of a name that are shown.
MAX_SHOWN = 64

_IKE_VALUES: dict[int, type[OpenEnum]] = {
    IkeAttribute.ENCRYPTION_ALGORITHM: EncryptionAlgorithm,
    IkeAttribute.HASH_ALGORITHM: HashAlgorithm,
    IkeAttribute.AUTH_METHOD: AuthMethod,
    IkeAttribute.GROUP_DESCRIPTION: Group,
    IkeAttribute.LIFE_TYPE: LifeType,
}
_IPSEC_VALUES: dict[int, type[OpenEnum]] = {
    IpsecAttribute.LIFE_TYPE: LifeType,
    IpsecAttribute.GROUP_DESCRIPTION: Group,
    IpsecAttribute.ENCAPSULATION_MODE: EncapsulationMode,
    IpsecAttribute.AUTH_ALGORITHM: AuthAlgorithm,
}
_TRANSFORMS: dict[int, type[OpenEnum]] = {
    ProtocolId.ISAKMP: IsakmpTransform,
    ProtocolId.AH: AhTransform,
    ProtocolId.ESP: EspTransform,
}
_TEXT_IDS = {IdType.FQDN, IdType.USER_FQDN}


def describe_header(header: Header) -> str:
    """The header on one line."""
    flags = "+".join(str(flag) for flag in Flag if header.flags & flag) or "clear"
    return (
        f"{header.exchange_type} {header.initiator_cookie.hex()}:{header.responder_cookie.hex()} "
        f"message ID {header.message_id:08x}, {flags}, {header.length} octets"
    )


def describe_payload(payload: Payload) -> str:
    """A payload on one line, an SA on more."""
    return "\n".join(_lines(payload))


def describe(header: Header, payloads: Payloads) -> str:
    """A whole message, one payload to a line."""
    lines = [describe_header(header)]
    for payload in payloads.values:
        lines += [f"  {line}" for line in _lines(payload)]
    if payloads.padding:
        lines.append(f"  padding of {len(payloads.padding)} octets")
    return "\n".join(lines)


def _lines(payload: Payload) -> Iterator[str]:
    if not isinstance(payload, SaPayload):
        detail = _DETAILS.get(type(payload), _length)
        yield f"{payload.type} {detail(payload)}"
        return
    yield f"SA {Doi(payload.doi)} situation {payload.situation:#x}" + (
        f", {len(payload.opaque)} octets not understood" if payload.opaque else ""
    )
    for proposal in payload.proposals:
        spi = f" SPI {proposal.spi.hex()}" if proposal.spi else ""
        yield f"  proposal {proposal.number} {proposal.protocol_id}{spi}"
        for transform in proposal.transforms:
            yield f"    {_transform(proposal, transform)}"


def _transform(proposal: Proposal, transform: Transform) -> str:
    names = _TRANSFORMS.get(proposal.protocol_id)
    name = names(transform.transform_id) if names else f"transform ID {transform.transform_id}"
    ike = proposal.protocol_id == ProtocolId.ISAKMP
    attributes = [_attribute(attribute, ike=ike) for attribute in transform.attributes]
    return " ".join([f"{transform.number}: {name}", *attributes])


def _attribute(attribute: Attribute, *, ike: bool) -> str:
    name: OpenEnum
    if ike:
        name, values = IkeAttribute(attribute.type), _IKE_VALUES.get(attribute.type)
    else:
        name, values = IpsecAttribute(attribute.type), _IPSEC_VALUES.get(attribute.type)
    value = attribute.value
    if isinstance(value, bytes) and not 0 < len(value) <= MAX_NUMBER_SIZE:
        return f"{name}=0x{_octets(value)}"
    return f"{name}={values(attribute.number) if values else attribute.number}"


def _length(payload: Any) -> str:
    return f"of {len(payload.data)} octets"


def _identification(payload: Identification) -> str:
    return f"{payload.id_type} {_identity(payload)} {payload.protocol}/{payload.port}"


def _identity(payload: Identification) -> str:
    data = payload.data
    if len(data) == ADDRESS_SIZES.get(payload.id_type):
        if payload.id_type in {IdType.IPV4_ADDR, IdType.IPV6_ADDR}:
            return str(ip_address(data))
        half = len(data) // 2
        between = "-" if payload.id_type in _RANGES else "/"
        return f"{ip_address(data[:half])}{between}{ip_address(data[half:])}"
    if payload.id_type in _TEXT_IDS:
        return _text(data)
    return f"0x{_octets(data)}"


_RANGES = {IdType.IPV4_ADDR_RANGE, IdType.IPV6_ADDR_RANGE}


def _notification(payload: Notification) -> str:
    spi = f" SPI {payload.spi.hex()}" if payload.spi else ""
    detail = f", {len(payload.data)} octets" if payload.data else ""
    if payload.notify_type in _COUNTED and len(payload.data) == 4:
        detail = f" {int.from_bytes(payload.data, 'big')}"
    return f"{payload.notify_type} {payload.protocol_id}{spi}{detail}"


# Notifications whose data is a number (RFC 3706 section 5.3, RFC 2407 section 4.6.3.2).
_COUNTED = {NotifyType.R_U_THERE, NotifyType.R_U_THERE_ACK, NotifyType.REPLAY_STATUS}


def _delete(payload: Delete) -> str:
    return f"{payload.protocol_id} SPI " + " ".join(spi.hex() for spi in payload.spis)


def _nat_oa(payload: NatOa) -> str:
    return f"{payload.id_type} {ip_address(payload.address)}"


def _certificate(payload: Certificate | CertificateRequest) -> str:
    return f"{payload.encoding} {_length(payload)}"


def _fragment(payload: Fragment) -> str:
    return (
        f"ID {payload.fragment_id} number {payload.number} flags {payload.flags:#x} "
        f"{_length(payload)}"
    )


def _vendor_id(payload: VendorId) -> str:
    return name_of(payload.data)


def _text(data: bytes) -> str:
    # The literal of the octets: what is not printable ASCII is escaped, quotes and \\ as well.
    return repr(data[:MAX_SHOWN])[1:] + ("..." if len(data) > MAX_SHOWN else "")


def _octets(data: bytes) -> str:
    return data[:MAX_SHOWN].hex() + ("..." if len(data) > MAX_SHOWN else "")


_DETAILS: dict[type[Payload], Callable[[Any], str]] = {
    Identification: _identification,
    Certificate: _certificate,
    CertificateRequest: _certificate,
    Notification: _notification,
    Delete: _delete,
    NatOa: _nat_oa,
    Fragment: _fragment,
    VendorId: _vendor_id,
}
