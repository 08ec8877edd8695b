"""Chains of payloads, and whole messages in clear (RFC 2408 section 3.2)."""

import struct
from collections.abc import Sequence
from typing import TypeVar, final

from msgspec import Struct

from ikev1.errors import ProtocolError
from ikev1.wire.cursor import Cursor
from ikev1.wire.enums import ExchangeType, Flag, NotifyType, PayloadType
from ikev1.wire.header import (
    COOKIE_LENGTH,
    HEADER_LENGTH,
    VERSION_1_0,
    Header,
    build_header,
    parse_header,
)
from ikev1.wire.limits import DEFAULT_LIMITS, Limits
from ikev1.wire.payloads import LAYOUTS, VENDOR_ID, Payload

GENERIC_HEADER_LENGTH = 4
_GENERIC = struct.Struct("!BBH")

P = TypeVar("P", bound=Payload)


@final
class Item(Struct, frozen=True):
    """A payload of a chain: its value, and its body as received.

    `body` has no generic header: it is the SAi_b, IDii_b, ... of RFC 2409. `reserved` is the octet
    of the generic header that means nothing.
    """

    value: Payload
    body: bytes
    reserved: int = 0


class Payloads(Struct, frozen=True):
    """The payloads of a message. `chain` is their octets, `padding` what followed the last one."""

    items: tuple[Item, ...]
    chain: bytes
    padding: bytes = b""

    @property
    def values(self) -> tuple[Payload, ...]:
        """The values alone."""
        return tuple([item.value for item in self.items])

    def first(self, kind: type[P]) -> P | None:
        """The first payload of a class, if there is one."""
        found = self.all(kind)
        return found[0] if found else None

    def all(self, kind: type[P]) -> tuple[P, ...]:
        """All payloads of a class, in order."""
        found: list[P] = []
        for item in self.items:
            value = item.value
            # No class of a payload has another one below it: a third of what isinstance takes.
            if type(value) is kind:
                found.append(value)
        return tuple(found)

    def types(self) -> tuple[PayloadType, ...]:
        """The payload numbers, in order."""
        return tuple([item.value.type for item in self.items])

    def body(self, payload: Payload | int) -> bytes:
        """The body, as received, of one of these payloads or of the one at an index.

        A payload is found by identity, not by equality: two may look alike and differ in octets
        that mean nothing. Raises LookupError if it is not one of these.
        """
        if isinstance(payload, int):
            return self.items[payload].body
        for item in self.items:
            if item.value is payload:
                return item.body
        raise LookupError(payload.type)

    def raw_after_first(self) -> bytes:
        """All payloads but the first with their generic headers: what HASH(1) and HASH(2) cover."""
        if not self.items:
            return b""
        return self.chain[GENERIC_HEADER_LENGTH + len(self.items[0].body) :]


def parse_payloads(
    first_type: int, data: bytes, *, encrypted: bool = False, limits: Limits = DEFAULT_LIMITS
) -> Payloads:
    """Read the payloads that follow a header; raises ProtocolError.

    With `encrypted` the data has been decrypted, and what follows the last payload is padding.
    """
    if len(data) + HEADER_LENGTH > limits.message:
        raise ProtocolError(f"payloads of {len(data)} octets")
    cursor = Cursor(data, base=HEADER_LENGTH, limits=limits)
    items = _parse_chain(cursor, first_type)
    end = cursor.position
    if not encrypted:
        cursor.finish()
    return Payloads(items, data[:end], data[end:])


def parse_message(datagram: bytes, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Header, Payloads]:
    """Read a message in clear; raises ProtocolError.

    A message with the encryption flag is refused, but for a fragment: some senders set in the
    header of each fragment the flag of the message it is a piece of.
    """
    header = parse_header(datagram, limits=limits)
    if header.flags & Flag.ENCRYPTION and header.next_payload != PayloadType.FRAGMENT:
        raise ProtocolError("encrypted", offset=19, notify=NotifyType.INVALID_FLAGS)
    payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:], limits=limits)
    return header, payloads


def build_payloads(
    payloads: Sequence[Payload | Item], built: tuple[int, bytes] = (PayloadType.NONE, b"")
) -> tuple[int, bytes]:
    """The first payload's number and the chain; raises ValueError if a value does not fit.

    Items are built from their values; they bring the reserved octets of the generic headers.
    `built` is what an earlier call gave, to stand behind these payloads.
    """
    following, chain = built
    parts = [chain]
    try:
        for payload in reversed(payloads):
            value, reserved = (
                (payload.value, payload.reserved) if type(payload) is Item else (payload, 0)
            )
            kind = value.type
            body = LAYOUTS[kind].encode(value)
            head = _GENERIC.pack(following, reserved, GENERIC_HEADER_LENGTH + len(body))
            parts += body, head
            following = kind
    except struct.error as error:
        msg = f"{value.type}: {error}"
        raise ValueError(msg) from error
    parts.reverse()
    return int(following), b"".join(parts)


def build_body(payload: Payload) -> bytes:
    """One payload without its generic header: the IDii_b, IDir_b of RFC 2409."""
    return LAYOUTS[payload.type].encode(payload)


def build_message(
    cookies: bytes,
    exchange_type: ExchangeType,
    message_id: int,
    payloads: Sequence[Payload | Item],
    *,
    flags: int = 0,
) -> bytes:
    """A message in clear; `cookies` are both, the initiator's first.

    Raises ValueError if a value does not fit.
    """
    first, chain = build_payloads(payloads)
    header = Header(
        cookies[:COOKIE_LENGTH],
        cookies[COOKIE_LENGTH:],
        first,
        VERSION_1_0,
        exchange_type,
        flags,
        message_id,
        HEADER_LENGTH + len(chain),
    )
    return build_header(header) + chain


def _parse_chain(cursor: Cursor, first_type: int) -> tuple[Item, ...]:
    """Read payloads until one says that it is the last."""
    items: list[Item] = []
    vendor_ids = 0
    kind = first_type
    data = cursor.data
    while kind:  # PayloadType.NONE ends it
        start = cursor.position
        cursor.payload = kind
        layout = LAYOUTS.get(kind)
        if layout is None:
            cursor.fail(f"{PayloadType(kind)} in a chain", NotifyType.INVALID_PAYLOAD_TYPE)
        following, reserved, length = cursor.unpack(_GENERIC)
        if length <= GENERIC_HEADER_LENGTH:
            cursor.fail(f"payload of {length} octets", at=start)
        if len(items) == cursor.limits.payloads:
            cursor.fail(f"more than {len(items)} payloads", at=start)
        if layout is VENDOR_ID:
            vendor_ids += 1
            if vendor_ids > cursor.limits.vendor_ids:
                cursor.fail(f"more than {cursor.limits.vendor_ids} vendor IDs", at=start)
        value = cursor.within(length - GENERIC_HEADER_LENGTH, layout)
        items.append(Item(value, data[start + GENERIC_HEADER_LENGTH : start + length], reserved))
        kind = following
    return tuple(items)
