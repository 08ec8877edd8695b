"""The one place where bounds of received octets are checked.

Every read of the codec goes through a Cursor, which never hands out octets beyond its window and
raises ProtocolError instead. A window narrowed for a payload, a proposal or a transform has to be
consumed to its last octet.
"""

from struct import Struct
from typing import Any, NoReturn, Protocol, TypeVar

from ikev1.errors import ProtocolError
from ikev1.wire.enums import NotifyType, PayloadType
from ikev1.wire.limits import DEFAULT_LIMITS, Limits

V_co = TypeVar("V_co", covariant=True)
V = TypeVar("V")

# What to tell the peer when a payload's own octets do not add up (RFC 2408 sections 5.4 to 5.6).
_NOTIFY: dict[int | None, NotifyType] = {
    PayloadType.SA: NotifyType.BAD_PROPOSAL_SYNTAX,
    PayloadType.PROPOSAL: NotifyType.BAD_PROPOSAL_SYNTAX,
    PayloadType.TRANSFORM: NotifyType.BAD_PROPOSAL_SYNTAX,
}


class Decoder(Protocol[V_co]):
    """Whatever reads a value from a cursor."""

    def decode(self, cursor: "Cursor") -> V_co:
        """Read one value, no further than the window goes."""


class Cursor:
    """A position in octets, and the end of the window in which it may move.

    `payload` is the type of the payload being read, for the error; whoever enters one sets it.
    `base` is added to the offset an error reports.
    """

    __slots__ = ("base", "data", "end", "limits", "payload", "position")

    def __init__(
        self, data: bytes, position: int = 0, base: int = 0, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.data = data
        self.position = position
        self.end = len(data)
        self.base = base
        self.payload: int | None = None
        self.limits = limits

    @property
    def remaining(self) -> int:
        """Octets left in the window."""
        return self.end - self.position

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """Read fixed fields."""
        start = self.position
        end = start + layout.size
        if end > self.end:
            self.fail(f"{self.end - start} octets where {layout.size} are needed")
        self.position = end
        return layout.unpack_from(self.data, start)

    def take(self, size: int) -> bytes:
        """Read `size` octets."""
        start = self.position
        end = start + size
        if end > self.end:
            self.fail(f"{self.end - start} octets where {size} are announced")
        self.position = end
        return self.data[start:end]

    def rest(self) -> bytes:
        """Read what is left in the window."""
        start = self.position
        self.position = self.end
        return self.data[start : self.end]

    def within(self, size: int, decoder: Decoder[V]) -> V:
        """Let `decoder` read the next `size` octets, all of them and no others."""
        outer = self.end
        end = self.position + size
        if end > outer:
            self.fail(f"length goes {end - outer} octets beyond the end")
        self.end = end
        value = decoder.decode(self)
        if self.position != end:
            self.fail(f"{end - self.position} octets too many")
        self.end = outer
        return value

    def finish(self) -> None:
        """Raise ProtocolError unless all has been read."""
        if self.position != self.end:
            self.fail(f"{self.end - self.position} octets too many")

    def fail(
        self, reason: str, notify: NotifyType | None = None, *, at: int | None = None
    ) -> NoReturn:
        """Raise ProtocolError for the octets `at` (default: the position)."""
        raise ProtocolError(
            reason,
            offset=self.base + (self.position if at is None else at),
            payload=self.payload,
            notify=notify or _NOTIFY.get(self.payload, NotifyType.PAYLOAD_MALFORMED),
        )
