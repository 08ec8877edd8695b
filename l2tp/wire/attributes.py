"""The AVPs of one received message, recognised and decoded by the rules of RFC 2661 section 4.1.

An AVP is not recognised when its vendor, number or reserved bits are unknown, when its value is
malformed (section 7.1), or when it is hidden and cannot be revealed. Without the M bit such an AVP
is ignored; with it the session or tunnel must end, and ``Attributes.fault`` says why. A session
that only learned of the fault needs the AVPs that were fine, so a fault does not hide them.
"""

from __future__ import annotations

from typing import Any

from l2tp.errors import ProtocolError
from l2tp.wire.avp import VALUES, Avp, decode_value, parse_avps
from l2tp.wire.enums import AvpType, GeneralError, MessageType
from l2tp.wire.hidden import reveal


class Attributes:
    """Decoded AVPs of one message; the first of several with one number counts."""

    __slots__ = ("_values", "fault", "message_mandatory", "message_type", "vendors")

    def __init__(self, message_type: MessageType, *, message_mandatory: bool = True) -> None:
        self.message_type = message_type
        self.message_mandatory = message_mandatory
        self.fault: ProtocolError | None = None
        self.vendors: list[int] = []
        self._values: dict[AvpType, Any] = {}

    def __contains__(self, number: AvpType) -> bool:
        return number in self._values

    def get(self, number: AvpType, default: Any = None) -> Any:
        """Value of an AVP, or ``default`` when it is absent."""
        return self._values.get(number, default)

    def require(self, number: AvpType) -> Any:
        """Value of an AVP; raises ProtocolError when it is absent."""
        if number not in self._values:
            raise ProtocolError(
                f"{self.message_type} without {number} AVP",
                unit=str(self.message_type),
                error=GeneralError.OUT_OF_RANGE,
            )
        return self._values[number]

    def set(self, number: AvpType, value: Any) -> None:
        """Add a value unless the number is taken."""
        self._values.setdefault(number, value)


def read_attributes(payload: bytes, secret: bytes | None = None) -> Attributes:
    """Read the body of a control message that is not a ZLB.

    Raises ProtocolError when the list cannot be split into AVPs or does not start with a Message
    Type; every other trouble is left in ``fault``.
    """
    avps = parse_avps(payload)
    first = avps[0] if avps else None
    if first is None or first.vendor or first.type != AvpType.MESSAGE_TYPE or first.hidden:
        raise ProtocolError(
            "first AVP is not Message Type", unit="AVP list", error=GeneralError.OUT_OF_RANGE
        )
    attributes = Attributes(MessageType(decode_value(first)), message_mandatory=first.mandatory)
    random_vector: bytes | None = None
    for avp in avps[1:]:
        if avp.vendor:
            attributes.vendors.append(avp.vendor)
        try:
            clear = _reveal(avp, secret, random_vector)
            attributes.set(clear.type, _recognise(clear))
        except ProtocolError as failure:
            if avp.mandatory and attributes.fault is None:
                attributes.fault = failure
            continue
        if clear.type == AvpType.RANDOM_VECTOR:
            random_vector = clear.value
    return attributes


def _reveal(avp: Avp, secret: bytes | None, random_vector: bytes | None) -> Avp:
    if not avp.hidden:
        return avp
    if secret is None or random_vector is None:
        missing = "shared secret" if secret is None else "Random Vector AVP"
        raise ProtocolError(
            f"hidden {avp.type} AVP but no {missing}",
            unit="hidden AVP",
            error=GeneralError.UNKNOWN_MANDATORY_AVP,
        )
    return reveal(avp, secret, random_vector)


def _recognise(avp: Avp) -> Any:
    if avp.vendor or avp.reserved or avp.type not in VALUES:
        name = f"vendor {avp.vendor} attribute {int(avp.type)}" if avp.vendor else str(avp.type)
        raise ProtocolError(
            f"unknown mandatory AVP: {name}",
            unit="AVP list",
            error=GeneralError.UNKNOWN_MANDATORY_AVP,
        )
    try:
        return decode_value(avp)
    except ProtocolError as failure:
        raise ProtocolError(
            failure.reason, failure.offset, unit=failure.unit, error=GeneralError.WRONG_LENGTH
        ) from failure
