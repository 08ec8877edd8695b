"""Informational exchanges: Delete, notifications, dead peer detection.

RFC 2409 section 5.7, RFC 2408 sections 3.14 and 3.15, RFC 3706.
"""

from __future__ import annotations

from ikev1.core.effects import ChildSa
from ikev1.core.ike_sa import IkeSa
from ikev1.core.proposals import DOI_IPSEC
from ikev1.wire.enums import (
    ExchangeType,
    IpsecAttribute,
    LifeType,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Delete, Notification, Payload
from ikev1.wire.sa import ATTRIBUTES, Attribute


def make(sa: IkeSa, message_id: int, values: tuple[Payload, ...]) -> bytes:
    """A protected Informational message."""
    datagram, _ = sa.seal_hashed(
        ExchangeType.INFORMATIONAL, message_id, values, sa.phase2_iv(message_id)
    )
    return datagram


def notification(notify: NotifyType, protocol: ProtocolId) -> Notification:
    """A notification about no SA in particular."""
    return Notification(doi=DOI_IPSEC, protocol_id=protocol, notify_type=notify, spi=b"", data=b"")


def delete_ike_sa(sa: IkeSa) -> Delete:
    """The Delete for this Phase 1 SA, whose SPI is its cookie pair."""
    return Delete(doi=DOI_IPSEC, protocol_id=ProtocolId.ISAKMP, spis=(sa.cookies,))


def delete_child(child: ChildSa) -> Delete:
    """The Delete for a child SA: the SPI is that of our inbound SA, which the client sends to."""
    return delete_spi(child.inbound_spi)


def delete_spi(*spis: int) -> Delete:
    """The Delete for SPIs of ours."""
    octets = tuple(spi.to_bytes(4, "big") for spi in spis)
    return Delete(doi=DOI_IPSEC, protocol_id=ProtocolId.ESP, spis=octets)


def unknown_spi(spi: int) -> Notification:
    """INVALID-SPI about an SPI that is none of ours."""
    return Notification(
        doi=DOI_IPSEC,
        protocol_id=ProtocolId.ESP,
        notify_type=NotifyType.INVALID_SPI,
        spi=spi.to_bytes(4, "big"),
        data=b"",
    )


def responder_lifetime(inbound_spi: bytes, seconds: int) -> Notification:
    """RESPONDER-LIFETIME for a child SA that we end before the client would (RFC 2407 4.6.3.1)."""
    lifetime = (
        Attribute(IpsecAttribute.LIFE_TYPE, LifeType.SECONDS),
        Attribute(IpsecAttribute.LIFE_DURATION, seconds.to_bytes(4, "big")),
    )
    return Notification(
        doi=DOI_IPSEC,
        protocol_id=ProtocolId.ESP,
        notify_type=NotifyType.RESPONDER_LIFETIME,
        spi=inbound_spi,
        data=ATTRIBUTES.encode(lifetime),
    )


def is_first_contact(payloads: Payloads) -> bool:
    """Whether the client says that it knows of no SA but this one (RFC 2407 section 4.6.3.3)."""
    return any(
        notification.notify_type == NotifyType.INITIAL_CONTACT
        for notification in payloads.all(Notification)
    )


def probe(sa: IkeSa, sequence: int) -> Notification:
    """R-U-THERE for this SA (RFC 3706 section 5.3)."""
    return Notification(
        doi=DOI_IPSEC,
        protocol_id=ProtocolId.ISAKMP,
        notify_type=NotifyType.R_U_THERE,
        spi=sa.cookies,
        data=sequence.to_bytes(4, "big"),
    )


def acknowledged(sa: IkeSa, payloads: Payloads) -> int | None:
    """The sequence number of an R-U-THERE-ACK about this SA (RFC 3706 section 5.3), else None."""
    return next(
        (
            int.from_bytes(notification.data, "big")
            for notification in payloads.all(Notification)
            if notification.notify_type == NotifyType.R_U_THERE_ACK
            and notification.spi == sa.cookies
        ),
        None,
    )


def answer_to_probe(sa: IkeSa, probe: Notification) -> Notification | None:
    """R-U-THERE-ACK for an R-U-THERE about this SA (RFC 3706 section 5.3), else None."""
    if probe.notify_type != NotifyType.R_U_THERE or probe.spi != sa.cookies:
        return None
    return Notification(
        doi=DOI_IPSEC,
        protocol_id=ProtocolId.ISAKMP,
        notify_type=NotifyType.R_U_THERE_ACK,
        spi=sa.cookies,
        data=probe.data,
    )
