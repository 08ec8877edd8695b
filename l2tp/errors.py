"""The one exception the L2TP and PPP codecs raise on what a peer sent."""

from __future__ import annotations


class ProtocolError(Exception):
    """A peer's bytes break the protocol.

    ``offset`` counts octets from the start of the unit named by ``unit`` (datagram, AVP, frame,
    option ...). ``error`` is the general error code of RFC 2661 section 4.4.2 that tells the peer,
    where L2TP has one. The text never holds what the peer sent, as that may be a password.
    """

    def __init__(self, reason: str, offset: int = 0, *, unit: str = "", error: int = 0) -> None:
        self.reason = reason
        self.offset = offset
        self.unit = unit
        self.error = error
        where = f"{unit} octet {offset}" if unit else f"octet {offset}"
        super().__init__(f"{reason} ({where})")
