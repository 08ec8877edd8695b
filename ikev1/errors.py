"""The error of a peer's message that does not hold together."""

from ikev1.wire.enums import NotifyType, PayloadType


class ProtocolError(Exception):
    """A message broke the protocol; nothing of it is to be believed.

    `reason` is for our log, never for the wire. `offset` counts octets from the start of the ISAKMP
    message (of its decrypted form when it is protected); it is 0 when the fault is in a value and
    not at one place. `payload` is the type of the payload at fault, None for the header. `notify`
    is the RFC 2408 section 3.14.1 type to send, if anything is sent at all.
    """

    def __init__(
        self,
        reason: str,
        *,
        offset: int = 0,
        payload: int | None = None,
        notify: NotifyType = NotifyType.PAYLOAD_MALFORMED,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.payload = payload
        self.notify = notify

    def __str__(self) -> str:
        where = "header" if self.payload is None else f"payload {PayloadType(self.payload)}"
        return f"{self.reason} ({where}, offset {self.offset}, {self.notify})"
