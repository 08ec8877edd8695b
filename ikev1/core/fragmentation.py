"""Fragmentation of IKE messages, as Cisco and Microsoft do it ([MS-IKEE] sections 2.2.3 and 3.3).

A fragment is an ISAKMP message whose only payload is a piece of another, whole message. Nothing
protects it, so what is kept of it is bounded here, and what it says is believed no more than a
datagram is: the message that the pieces make is served as if it had come in one.

No two senders agree on the fields. charon, libreswan and racoon give every message the fragment ID
1, Windows counts; charon puts message ID 0 and Main Mode into the header whatever the message is,
libreswan clears the encryption flag, others leave it. So of the header only the cookies matter
here, and a fragment that contradicts an older one is taken to begin another message.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache, partial

from ikev1.core.effects import Path
from ikev1.core.quirks import FRAGMENTATION, KEPT, MS_ISAKMPOAKLEY
from ikev1.errors import ProtocolError
from ikev1.wire.enums import NotifyType, PayloadType
from ikev1.wire.header import HEADER_LENGTH, Header, parse_header
from ikev1.wire.limits import DEFAULT_LIMITS
from ikev1.wire.message import GENERIC_HEADER_LENGTH, build_message, parse_payloads
from ikev1.wire.payloads import Fragment

_MAIN_MODE = 0x80000000
"""The bit of the capability word that says that fragments may be used in Main Mode."""
ANNOUNCEMENT = FRAGMENTATION + _MAIN_MODE.to_bytes(4, "big")
"""Our vendor ID. Apple's racoon reads the word whether it is there or not."""
LAST_FRAGMENT = 1
"""The flag of a message's last fragment; the others mean nothing."""

LARGEST_MESSAGE = 1280 - 40 - 8 - 4
"""Octets of a message that is sent whole to somebody who takes fragments, and of a fragment.

In an IP packet of 1280 octets, which every path carries (RFC 8200 section 5) and which charon and
Apple's racoon fragment above: without the headers of IPv6 and UDP and the non-ESP marker.
"""
_FRAGMENT_HEADERS = HEADER_LENGTH + GENERIC_HEADER_LENGTH + 4
_PIECE = LARGEST_MESSAGE - _FRAGMENT_HEADERS

MAX_FRAGMENTS = 64
"""Fragments of one message. Windows cuts the largest message we read into 33, for 576-octet packets
([MS-IKEE] section 3.3.6.1); Android's racoon alike."""
MAX_OCTETS = DEFAULT_LIMITS.message
"""Octets of one message, whether it comes whole or not."""
REASSEMBLY_LIFETIME = 30.0
"""Seconds from a message's first fragment to its last: no exchange that it may belong to lasts
longer, and [MS-IKEE] section 3.3.2 allows 90."""


class Standing(Enum):
    """What the sender of a fragment has shown."""

    STRANGER = auto()
    """Nothing: message 1, before there is an SA. Its source may be forged."""
    HALF_OPEN = auto()
    """That it receives what we send it: it knows our cookie."""
    ESTABLISHED = auto()
    """That somebody has the key, though this fragment need not be his."""


MAX_INCOMPLETE = {Standing.STRANGER: 32, Standing.HALF_OPEN: 128, Standing.ESTABLISHED: 128}
"""Messages that may be incomplete at a time; one more pushes out the oldest of the same standing.

The fragments of a message are sent back to back, so that even a busy gateway has few. Each standing
has its own, so that nobody pushes out those who have shown more. All of them filled take 8 MB.
"""


@lru_cache(maxsize=KEPT)
def is_announced(vendor_ids: tuple[bytes, ...]) -> bool:
    """Whether a client says that it reassembles fragments.

    Windows and libreswan name the vendor ID alone, others with a word of capabilities.
    """
    return any(
        vendor_id.startswith(FRAGMENTATION)
        and (
            len(vendor_id) == len(FRAGMENTATION)
            or int.from_bytes(vendor_id[len(FRAGMENTATION) :][:4], "big") & _MAIN_MODE
        )
        for vendor_id in vendor_ids
    )


@lru_cache(maxsize=KEPT)
def is_welcome(vendor_ids: tuple[bytes, ...], *, certificates: bool = False) -> bool:
    """Whether to send a client fragments.

    Not to Windows, without `certificates`: versions 7 and 8 take them only where they expect
    certificates (found out by charon's authors), and no answer to a preshared key is that large in
    the groups they offer.
    """
    windows = any(vendor_id.startswith(MS_ISAKMPOAKLEY) for vendor_id in vendor_ids)
    return is_announced(vendor_ids) and (certificates or not windows)


def split(message: bytes) -> list[bytes]:
    """A message as fragments to send; in one piece if it is small enough.

    The fragment ID is made from the message: a repetition has the same, so that what is lost of
    one is made up for by the other. The header is the message's own ([MS-IKEE] section 3.3.6.1).
    """
    if len(message) <= LARGEST_MESSAGE:
        return [message]
    header = parse_header(message)
    digest = hashlib.blake2b(message, digest_size=2).digest()
    fragment_id = int.from_bytes(digest, "big") or 1
    starts = range(0, len(message), _PIECE)
    return [
        build_message(
            header.initiator_cookie + header.responder_cookie,
            header.exchange_type,
            header.message_id,
            (
                Fragment(
                    fragment_id,
                    number,
                    LAST_FRAGMENT if number == len(starts) else 0,
                    message[start : start + _PIECE],
                ),
            ),
        )
        for number, start in enumerate(starts, 1)
    ]


@dataclass(slots=True)
class _Incomplete:
    """A message some of whose fragments have come: by number, in the order in which they came."""

    path: Path
    since: float
    fragments: dict[int, Fragment] = field(default_factory=dict)
    octets: int = 0
    last: int | None = None
    """The number of the last fragment, once that has come."""

    def add(self, fragment: Fragment) -> bytes | None:
        """Take a fragment; returns the message if it is complete."""
        if self.fragments.get(fragment.number) == fragment:
            return None
        self._forget_contradicted(fragment)
        self.fragments[fragment.number] = fragment
        self.octets += len(fragment.data)
        if fragment.flags & LAST_FRAGMENT:
            self.last = fragment.number
        while self.octets > MAX_OCTETS:
            self._forget_oldest()
        if len(self.fragments) != self.last or _length(self.fragments[1]) != self.octets:
            # Some are missing, or are of another message: theirs will be contradicted.
            return None
        return b"".join(self.fragments[number].data for number in range(1, self.last + 1))

    def _forget_contradicted(self, fragment: Fragment) -> None:
        """Forget what cannot be of one message with a new fragment, and all that came before it."""
        for position, old in reversed(tuple(enumerate(self.fragments.values(), 1))):
            if (
                old.fragment_id != fragment.fragment_id
                or old.number == fragment.number
                or (old.flags & LAST_FRAGMENT and fragment.number > old.number)
                or (fragment.flags & LAST_FRAGMENT and old.number > fragment.number)
            ):
                for _ in range(position):
                    self._forget_oldest()
                return

    def _forget_oldest(self) -> None:
        oldest = self.fragments.pop(next(iter(self.fragments)))
        self.octets -= len(oldest.data)
        if oldest.number == self.last:
            self.last = None


class Fragments:
    """The messages of which not all fragments have come.

    One for each IKE SA, and before there is one, for each cookie and source. `at` sets a timer,
    `drop` tells of what has been given up.
    """

    def __init__(
        self,
        at: Callable[[float, Callable[[], None]], None],
        drop: Callable[[Path, str], None],
    ) -> None:
        self._at = at
        self._drop = drop
        self._pools: dict[Standing, dict[object, _Incomplete]] = {kind: {} for kind in Standing}
        """By standing and sender, the oldest first."""
        self._timer = False

    def __len__(self) -> int:
        """How many messages are incomplete."""
        return sum(map(len, self._pools.values()))

    def take(
        self, header: Header, datagram: bytes, path: Path, standing: Standing, now: float
    ) -> bytes | None:
        """Take a fragment; returns the whole message if that was the missing one.

        Raises ProtocolError if the datagram is no proper fragment, or the message they make is no
        message of this sender's.
        """
        fragment = _fragment_of(header, datagram)
        cookies = header.initiator_cookie + header.responder_cookie
        pool = self._pools[standing]
        key = (cookies, path.remote, path.remote_port) if standing is Standing.STRANGER else cookies
        incomplete = pool.get(key)
        if incomplete is None:
            if len(pool) == MAX_INCOMPLETE[standing]:
                self._give_up(pool, "fragments-limit")
            incomplete = pool[key] = _Incomplete(path, now)
            if not self._timer:
                self._expire_at(now + REASSEMBLY_LIFETIME)
        message = incomplete.add(fragment)
        if message is None:
            return None
        del pool[key]
        inner = parse_header(message)
        if inner.next_payload == PayloadType.FRAGMENT or message[:16] != cookies:
            raise ProtocolError("fragments of another sender's message, or of a fragment")
        return message

    def _expire_at(self, deadline: float) -> None:
        self._timer = True
        self._at(deadline, partial(self._expire, deadline))

    def _expire(self, now: float) -> None:
        """Give up what is too old, and look again when the next one is."""
        self._timer = False
        for pool in self._pools.values():
            while pool and _deadline(next(iter(pool.values()))) <= now:
                self._give_up(pool, "fragments-incomplete")
        oldest = [next(iter(pool.values())) for pool in self._pools.values() if pool]
        if oldest:
            self._expire_at(min(map(_deadline, oldest)))

    def _give_up(self, pool: dict[object, _Incomplete], reason: str) -> None:
        oldest = pool.pop(next(iter(pool)))
        self._drop(oldest.path, reason)


def _deadline(incomplete: _Incomplete) -> float:
    return incomplete.since + REASSEMBLY_LIFETIME


def _fragment_of(header: Header, datagram: bytes) -> Fragment:
    """The one payload of a fragment; raises ProtocolError."""
    payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
    fragment = payloads.items[0].value
    if len(payloads.items) > 1 or not isinstance(fragment, Fragment):
        raise ProtocolError(
            "a fragment and other payloads",
            offset=HEADER_LENGTH,
            notify=NotifyType.INVALID_PAYLOAD_TYPE,
        )
    if fragment.number > MAX_FRAGMENTS:
        raise ProtocolError(f"fragment {fragment.number}", payload=fragment.type)
    if fragment.number == 1 and len(fragment.data) < HEADER_LENGTH:
        raise ProtocolError("a first fragment without a header", payload=fragment.type)
    return fragment


def _length(first: Fragment) -> int:
    """What the header of the whole message says."""
    length: int = struct.unpack_from("!I", first.data, HEADER_LENGTH - 4)[0]
    return length
