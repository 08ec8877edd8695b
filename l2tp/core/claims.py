"""A client that names a tunnel made under another mark: somebody else, or its maker in new SAs.

Whose NAT has given it another port, and who renews its Phase 1 from there with a key of many, has a
new mark until it has shown that it is the one with the old mark. It does so by going on in its
tunnel: our numbers of tunnel and session are random, and have been sent to it alone, inside ESP. A
data message that names both has come under authenticated encryption from somebody who knows these
32 bits. Who has the key but not the numbers may guess: `MAX_WRONG` times in its SAs, and as often
against a tunnel, whoever does it; and it is not told whether it was near.

A control message names the tunnel alone, and its sequence numbers are small: the sessions are asked
then with an LCP echo, whose answer names both. The host has the last word (`TunnelClaimed`).
"""

from __future__ import annotations

from l2tp.core.effects import Dropped, DropReason, Peer, TunnelClaimed
from l2tp.core.shared import Shared
from l2tp.core.transport import RECEIVE_WINDOW
from l2tp.core.tunnel import Tunnel, TunnelState
from l2tp.wire.packet import ControlMessage, DataMessage

MAX_WRONG = 4
"""Wrong numbers that are borne from one client, and for one tunnel."""
_MODULUS = 0x10000


class Claims:
    """What clients without a tunnel of their own have said about those of others."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._wrong: dict[int, int] = {}
        """Messages for no tunnel, or for a call that is not in it, by mark."""

    def forget_client(self, mark: int) -> None:
        """The client is gone, and its mark will be another one's."""
        self._wrong.pop(mark, None)

    def made(
        self, message: ControlMessage | DataMessage, tunnel: Tunnel | None, peer: Peer
    ) -> bool:
        """Whether a message claims a tunnel, in a way that is to be looked into.

        `peer` has no tunnel of its own.
        """
        wrong = self._wrong.get(peer.mark, 0)
        if wrong >= MAX_WRONG:
            return False
        if tunnel is None:
            self._wrong[peer.mark] = wrong + 1
            return False
        same_flow = (peer.local, peer.port) == (tunnel.peer.local, tunnel.peer.port)
        if tunnel.wrong_claims >= MAX_WRONG or not same_flow or not _is_up(tunnel):
            return False
        if not _fits(message, tunnel):
            self._wrong[peer.mark] = wrong + 1
            tunnel.wrong_claims += 1
            return False
        if isinstance(message, DataMessage):
            self._shared.emit(TunnelClaimed(peer, tunnel.peer.mark, message))
        else:  # have it name a session too
            self._shared.emit(Dropped(peer, DropReason.WRONG_MARK, "asked who it is"))
            for session in tunnel.sessions.values():
                session.ask_at(peer)
        return True


def _is_up(tunnel: Tunnel) -> bool:
    return tunnel.state is TunnelState.ESTABLISHED and bool(tunnel.sessions)


def _fits(message: ControlMessage | DataMessage, tunnel: Tunnel) -> bool:
    """Whether its maker would go on so in the tunnel, or repeat what we may have heard already."""
    if isinstance(message, DataMessage):
        return message.session_id in tunnel.sessions
    ns, nr = tunnel.sequence
    return (message.ns - nr + 1) % _MODULUS <= RECEIVE_WINDOW and (
        message.nr - ns
    ) % _MODULUS <= RECEIVE_WINDOW
