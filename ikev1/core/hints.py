"""What is answered to a peer that has SAs with us which we do not have, as after our restart.

INVALID-COOKIE and INVALID-SPI (RFC 2408 section 3.14.1) in clear: nobody has to believe them, and
a peer that does is back sooner than its own dead peer detection would have it. The answer is never
larger than the packet, there are `HINTS` a second at the most, and a notification is not answered
with another one. A client that we know by its Phase 1 SA gets a protected Delete for the SPI.
"""

from __future__ import annotations

from ikev1.core import informational
from ikev1.core.context import Context
from ikev1.core.effects import Path
from ikev1.core.limits import HINTS, TokenBucket
from ikev1.core.natt import NON_ESP_MARKER
from ikev1.wire.enums import ExchangeType, Flag, NotifyType, ProtocolId
from ikev1.wire.header import Header
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Notification

COOKIE = 8
"""Octets."""


class Hints:
    """Answers to messages and packets of SAs that are not there."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._bucket = TokenBucket(*HINTS)

    def unknown_cookies(self, header: Header, datagram: bytes, path: Path) -> None:
        """A message with cookies of ours, as it says, that are those of no SA."""
        self._context.drop(path, "unknown-cookie")
        cookies = header.initiator_cookie + header.responder_cookie
        in_clear = not header.flags & Flag.ENCRYPTION
        if cookies in self._context.ended or (
            in_clear and header.exchange_type == ExchangeType.INFORMATIONAL
        ):
            return
        notify = informational.notification(NotifyType.INVALID_COOKIE, ProtocolId.ISAKMP)
        self._send(cookies, notify, path, len(datagram))

    def unknown_spi(self, spi: int, path: Path, size: int) -> None:
        """ESP with an SPI of no SA has come, `size` octets of it, any UDP header not counted."""
        context = self._context
        if context.clients.by_inbound_spi(spi) is not None:
            return
        context.drop(path, "unknown-spi")
        client = context.clients.at(path)
        sa = context.newest_ike_sa(client) if client is not None else None
        if sa is None:
            notify = informational.unknown_spi(spi)
            room = size - len(NON_ESP_MARKER) if path.encapsulated else size
            self._send(context.random(COOKIE) + bytes(COOKIE), notify, path, room)
        elif self._bucket.take(context.now):
            context.inform(sa, informational.delete_spi(spi))

    def _send(self, cookies: bytes, notify: Notification, path: Path, size: int) -> None:
        message_id = self._context.message_id()
        hint = build_message(cookies, ExchangeType.INFORMATIONAL, message_id, (notify,))
        if len(hint) <= size and self._bucket.take(self._context.now):
            self._context.send(path, hint)
