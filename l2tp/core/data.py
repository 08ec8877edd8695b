"""The data messages of one session: their headers and sequence numbers, RFC 2661 section 5.4."""

from __future__ import annotations

from l2tp.wire.packet import DataMessage, build
from l2tp.wire.ppp import ADDRESS_CONTROL

_MODULUS = 0x10000
_HALF = 0x8000


class DataMessages:
    """Numbers what we send if the peer requires it, and heeds the numbers of what it sends."""

    def __init__(self) -> None:
        self.sequencing = False
        """Whether data messages to the peer must bear sequence numbers."""
        self._ns = 0
        self._nr = 0

    def in_sequence(self, message: DataMessage) -> bool:
        """Whether a message of the peer is newer than every one before; without a number it is."""
        if message.ns is None:
            return True
        if (message.ns - self._nr) % _MODULUS >= _HALF:
            return False
        self._nr = (message.ns + 1) % _MODULUS
        return True

    def make(self, peer_tunnel_id: int, peer_session_id: int, frame: bytes) -> bytes:
        """Octets of the next message, with a PPP frame (protocol field and information)."""
        payload = ADDRESS_CONTROL + frame
        if not self.sequencing:
            return build(DataMessage(peer_tunnel_id, peer_session_id, payload))
        message = DataMessage(peer_tunnel_id, peer_session_id, payload, ns=self._ns, nr=self._nr)
        self._ns = (self._ns + 1) % _MODULUS
        return build(message)
