"""What is told a client that goes on in a tunnel which has ended: it slept, or we were restarted.

A StopCCN (RFC 2661 section 5.7), inside the client's own SA, so that it dials again at once instead
of asking until it gives up. Real clients find their tunnel by the number in the header alone, and
take a message only in sequence. So the number that the client gave its end is remembered when a
tunnel ends unheard, and by the host for our next run; a control message says itself which Ns it
waits for. Of a tunnel that nobody remembers the client can be told as the RFC has it: number 0 in
the header, ours in the AVP.

One answer in `HINT_INTERVAL` for each client, and none to an acknowledgement or to the end of
anything, so that no answer meets another one.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from l2tp.core.effects import Peer, Send, Strayed
from l2tp.core.messages import stopccn
from l2tp.core.settings import HINT_INTERVAL
from l2tp.core.shared import Shared
from l2tp.core.tunnel import Tunnel
from l2tp.errors import ProtocolError
from l2tp.wire.attributes import read_attributes
from l2tp.wire.enums import GeneralError, MessageType, StopResult
from l2tp.wire.packet import ControlMessage, DataMessage, build

MAX_REMEMBERED = 16_384
"""Tunnels that ended unheard; some 200 octets each, the oldest make room."""

_MODULUS = 0x10000
_ANSWERED = frozenset(
    {
        MessageType.SCCCN,
        MessageType.HELLO,
        MessageType.ICRQ,
        MessageType.ICCN,
        MessageType.OCRQ,
        MessageType.WEN,
        MessageType.SLI,
    }
)
"""What a client says in a tunnel that it takes to be up."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The client's number of a tunnel, and where its control messages stand."""

    peer_tunnel_id: int
    ns: int
    """The one that the client waits for."""
    nr: int
    """The one that we wait for."""

    @classmethod
    def of(cls, tunnel: Tunnel) -> Standing:
        """How a tunnel stands now."""
        return cls(tunnel.peer_tunnel_id, *tunnel.sequence)


class Strays:
    """Tunnels that have ended unheard, and the answers to those who still use them."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._ended: dict[int, Standing] = {}
        """By our tunnel ID, the oldest first."""
        self._quiet_until: dict[int, float] = {}
        """By mark: until when a client gets no further answer."""

    @property
    def tunnel_ids(self) -> Container[int]:
        """Our numbers of tunnels that ended unheard."""
        return self._ended.keys()

    def remember(self, tunnel: Tunnel) -> None:
        """A tunnel has ended, and its client may not know."""
        self.add(tunnel.tunnel_id, Standing.of(tunnel))

    def add(self, tunnel_id: int, standing: Standing) -> None:
        """Remember a tunnel; the oldest of too many makes room."""
        while len(self._ended) >= MAX_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._ended[tunnel_id] = standing

    def forget_client(self, mark: int) -> None:
        """The client is gone, and its mark will be another one's."""
        self._quiet_until.pop(mark, None)

    def answer(self, message: ControlMessage | DataMessage, peer: Peer, now: float) -> None:
        """Tell the sender of a message for no tunnel of its own that it should dial again."""
        if now < self._quiet_until.get(peer.mark, now) or not self._wants_answer(message):
            return
        self._quiet_until[peer.mark] = now + HINT_INTERVAL
        ended = self._ended.get(message.tunnel_id, Standing(0, ns=0, nr=0))
        ns, nr = ended.ns, ended.nr
        if isinstance(message, ControlMessage):
            ns, nr = message.nr, (message.ns + 1) % _MODULUS
        payload = stopccn(
            message.tunnel_id,
            StopResult.GENERAL_ERROR,
            GeneralError.NO_CONTROL_CONNECTION,
            "this tunnel has ended, dial again",
        )
        hint = ControlMessage(ended.peer_tunnel_id, session_id=0, ns=ns, nr=nr, payload=payload)
        self._shared.emit(Send(peer, build(hint)))
        self._shared.emit(Strayed(peer, message.tunnel_id))

    def _wants_answer(self, message: ControlMessage | DataMessage) -> bool:
        if isinstance(message, DataMessage):
            return True
        if not message.payload:
            return False
        try:
            attributes = read_attributes(message.payload, self._shared.settings.shared_secret)
        except ProtocolError:
            return False
        return attributes.message_type in _ANSWERED
