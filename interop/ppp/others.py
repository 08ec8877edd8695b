"""The protocols beside IPCP that a client begins, and does without where the server has none."""

from collections.abc import Iterable
from dataclasses import dataclass

from interop.findings import Finding, Rule
from interop.lac.profiles import Backoff
from interop.ppp.profiles import Asks
from l2tp.wire.enums import Code, Protocol
from l2tp.wire.ppp import ControlPacket, build_options

Sent = tuple[Protocol, ControlPacket]

_IDENTIFIER = 1
_REFUSALS = (Code.CONFIGURE_NAK, Code.CONFIGURE_REJECT)


@dataclass(slots=True)
class _Open:
    """A request without an answer."""

    asks: Asks
    due: float
    tries: int = 1


class Others:
    """Those of one link: each is asked for until the server has said something to it."""

    def __init__(self, asks: tuple[Asks, ...], restart: Backoff) -> None:
        self._asks = asks
        self._restart = restart
        self._open: dict[Protocol, _Open] = {}

    def __contains__(self, protocol: Protocol) -> bool:
        return any(asks.protocol == protocol for asks in self._asks)

    @property
    def resend_at(self) -> float | None:
        """When `advance` has something to do."""
        return min((request.due for request in self._open.values()), default=None)

    def begin(self, now: float) -> list[Sent]:
        """Ask for all of them."""
        due = now + self._restart.base
        self._open = {asks.protocol: _Open(asks, due) for asks in self._asks}
        return [self._request(asks) for asks in self._asks]

    def advance(self, now: float) -> Iterable[Sent | Finding]:
        """Ask again where that is due; after the last try the server is at fault."""
        for protocol, request in list(self._open.items()):
            if now < request.due:
                continue
            if request.tries >= self._restart.tries:
                del self._open[protocol]
                detail = f"no answer to {protocol.name} Configure-Request"
                yield Finding(Rule.SILENCE, detail, fatal=False)
                continue
            request.tries += 1
            request.due = now + self._restart.base
            yield self._request(request.asks)

    def rejected(self, protocol: int) -> None:
        """Hear that the server has no such protocol (RFC 1661 section 5.7)."""
        self._open.pop(Protocol(protocol), None)

    def receive(self, protocol: Protocol, packet: ControlPacket) -> list[Sent]:
        """Take a packet of one of them: without what was asked for there is no use for it."""
        if packet.code == Code.CONFIGURE_REQUEST:
            code, data = Code.CONFIGURE_REJECT, packet.data
            return [(protocol, ControlPacket(code, packet.identifier, data))]
        self._open.pop(protocol, None)
        if packet.code in _REFUSALS:
            return [(protocol, ControlPacket(Code.TERMINATE_REQUEST, _IDENTIFIER + 1))]
        return []

    def stop(self) -> None:
        """Ask no more."""
        self._open.clear()

    @staticmethod
    def _request(asks: Asks) -> Sent:
        body = build_options(asks.options)
        return asks.protocol, ControlPacket(Code.CONFIGURE_REQUEST, _IDENTIFIER, body)
