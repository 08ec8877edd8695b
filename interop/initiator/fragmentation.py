"""Messages in fragments, the client's side ([MS-IKEE] sections 2.2.3 and 3.3)."""

from ikev1.wire.enums import ExchangeType
from ikev1.wire.header import COOKIE_LENGTH, HEADER_LENGTH, Header, parse_header
from ikev1.wire.message import build_message, parse_payloads
from ikev1.wire.payloads import Fragment
from interop.initiator import checks
from interop.initiator.effects import Effect, Send
from interop.initiator.session import NON_ESP_MARKER, Session

_FRAGMENT_OVERHEAD = HEADER_LENGTH + 8
_LAST = 1
_BOTH_COOKIES = 2 * COOKIE_LENGTH


class Fragments:
    """Cuts what a client sends, as its profile says, and puts together what it receives."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._style = session.profile.fragmentation
        self._last_id = 0
        self._receiving = 0
        """The fragment ID of what `_pieces` are of."""
        self._pieces: dict[int, Fragment] = {}

    def cut(self, effects: list[Effect], *, repeated: bool) -> list[Effect]:
        """Put fragments in the place of large messages; `repeated` for those sent before."""
        style = self._style
        if style is None or not (style.forced or self._session.server_takes_fragments):
            return effects
        if style.repeats_only and not repeated:
            return effects
        cut: list[Effect] = []
        for effect in effects:
            cut += self._cut(effect) if isinstance(effect, Send) else (effect,)
        return cut

    def _cut(self, send: Send) -> list[Effect]:
        style = self._style
        assert style is not None
        marker = NON_ESP_MARKER if send.floated else b""
        message = send.datagram[len(marker) :]
        if len(message) <= style.largest:
            return [send]
        header = parse_header(message)
        exchange, message_id = header.exchange_type, header.message_id
        if style.no_message_id:
            message_id = 0
        if style.as_main_mode:
            exchange = ExchangeType.IDENTITY_PROTECTION
        self._last_id = self._last_id + 1 if style.counts else 1
        size = style.largest - _FRAGMENT_OVERHEAD
        pieces = [message[at : at + size] for at in range(0, len(message), size)]
        return [
            Send(
                marker
                + build_message(
                    message[:_BOTH_COOKIES],
                    exchange,
                    message_id,
                    [Fragment(self._last_id, number, _LAST * (number == len(pieces)), piece)],
                    flags=header.flags if style.keeps_flags else 0,
                ),
                send.floated,
            )
            for number, piece in enumerate(pieces, start=1)
        ]

    def take(self, header: Header, datagram: bytes) -> bytes | None:
        """Take a fragment; returns the message if it is complete.

        Raises ProtocolError, or BrokenRuleError if some client would not take it.
        """
        payloads = parse_payloads(header.next_payload, datagram[HEADER_LENGTH:])
        self._session.judge(checks.fragment(header, payloads, self._session.profile))
        fragment = payloads.first(Fragment)
        assert fragment is not None  # the header says that it is the first
        if fragment.fragment_id != self._receiving:
            self._receiving = fragment.fragment_id
            self._pieces.clear()
        self._pieces[fragment.number] = fragment
        ordered = [self._pieces[number] for number in sorted(self._pieces)]
        complete = [piece.number for piece in ordered] == list(range(1, len(ordered) + 1))
        if not complete or not ordered[-1].flags & _LAST:
            return None
        self._pieces.clear()
        message = b"".join(piece.data for piece in ordered)
        self._session.judge(checks.fragmented(header, parse_header(message)))
        return message
