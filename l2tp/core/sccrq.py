"""What an SCCRQ must hold to make a tunnel (RFC 2661 section 6.1), and why one is refused."""

from __future__ import annotations

from l2tp.core.messages import PROTOCOL_VERSION
from l2tp.errors import ProtocolError
from l2tp.wire.attributes import Attributes
from l2tp.wire.enums import AvpType, GeneralError, StopResult


class RefusalError(Exception):
    """An SCCRQ that gets a StopCCN and leaves nothing behind."""

    def __init__(
        self, cause: str, result: StopResult, error: GeneralError = GeneralError.NONE
    ) -> None:
        super().__init__(cause)
        self.result = result
        self.error = error


def check(attributes: Attributes, shared_secret: bytes | None) -> None:
    """Raise RefusalError unless the AVPs are as the RFC and we ask for."""
    fault = attributes.fault
    try:
        version = attributes.require(AvpType.PROTOCOL_VERSION)
        attributes.require(AvpType.HOST_NAME)
        attributes.require(AvpType.FRAMING_CAPABILITIES)
    except ProtocolError as failure:
        fault = fault or failure
    if fault is not None:
        raise RefusalError(fault.reason, StopResult.GENERAL_ERROR, GeneralError(fault.error))
    if version >> 8 != PROTOCOL_VERSION >> 8:
        raise RefusalError(f"protocol version {version:#06x}", StopResult.VERSION_NOT_SUPPORTED)
    if AvpType.CHALLENGE in attributes and shared_secret is None:
        cause = "peer asks for tunnel authentication but no shared secret is set here"
        raise RefusalError(cause, StopResult.NOT_AUTHORIZED)
