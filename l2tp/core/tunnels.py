"""All tunnels, by number and by client, and when each of them wants to run."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace

from l2tp.core.effects import Peer
from l2tp.core.strays import Strays
from l2tp.core.tunnel import Tunnel


class Tunnels:
    """The tables. `strays` is told of those that end while their client may not know it."""

    def __init__(self, strays: Strays) -> None:
        self.by_id: dict[int, Tunnel] = {}
        self._clients: dict[int, list[Tunnel]] = {}
        self._strays = strays
        self._due: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self.by_id)

    def has_client(self, mark: int) -> bool:
        """Whether a client has a tunnel."""
        return mark in self._clients

    def of_client(self, mark: int) -> list[Tunnel]:
        """Those of one client, the oldest first."""
        return list(self._clients.get(mark, ()))

    def find(self, peer: Peer, peer_tunnel_id: int) -> Tunnel | None:
        """The tunnel the peer knows by this number, over this UDP flow."""
        for tunnel in self._clients.get(peer.mark, ()):
            if tunnel.peer_tunnel_id == peer_tunnel_id and tunnel.peer == peer:
                return tunnel
        return None

    def add(self, tunnel: Tunnel) -> None:
        """A tunnel begins."""
        self.by_id[tunnel.tunnel_id] = tunnel
        self._clients.setdefault(tunnel.peer.mark, []).append(tunnel)

    def hand_over(self, tunnel: Tunnel, peer: Peer) -> None:
        """It is another client's from now on, and older than that one's own."""
        self._leave(tunnel)
        tunnel.peer = peer
        self._clients.setdefault(peer.mark, []).insert(0, tunnel)

    def follow(self, mark: int, address: str) -> None:
        """A client is at another address."""
        for tunnel in self.of_client(mark):
            tunnel.peer = replace(tunnel.peer, address=address)

    def settle(self, tunnel: Tunnel) -> None:
        """Forget a tunnel that is over, else see that its next timer is known.

        An entry that comes too early is harmless, so a timer that moved back is left alone.
        """
        if self.by_id.get(tunnel.tunnel_id) is not tunnel:
            return
        if tunnel.is_over:
            self.remove(tunnel)
            return
        deadline = tunnel.deadline()
        if deadline is None or (tunnel.scheduled is not None and tunnel.scheduled <= deadline):
            return
        tunnel.scheduled = deadline
        heapq.heappush(self._due, (deadline, tunnel.tunnel_id))

    def remove(self, tunnel: Tunnel) -> None:
        """Forget a tunnel."""
        del self.by_id[tunnel.tunnel_id]
        if tunnel.ended_unheard:
            self._strays.remember(tunnel)
        self._leave(tunnel)

    def due(self, now: float) -> Iterator[Tunnel]:
        """Those whose timers are due; each is to be settled afterwards."""
        ready = []
        while self._due and self._due[0][0] <= now:
            ready.append(heapq.heappop(self._due))
        for deadline, tunnel_id in ready:
            tunnel = self.by_id.get(tunnel_id)
            if tunnel is not None and tunnel.scheduled == deadline:
                tunnel.scheduled = None
                yield tunnel

    def next_deadline(self) -> float | None:
        """When the next one is due; None while none ever is."""
        while self._due:
            deadline, tunnel_id = self._due[0]
            tunnel = self.by_id.get(tunnel_id)
            if tunnel is not None and tunnel.scheduled == deadline:
                return deadline
            heapq.heappop(self._due)
        return None

    def _leave(self, tunnel: Tunnel) -> None:
        """Take a tunnel out of those of its mark."""
        own = self._clients[tunnel.peer.mark]
        own.remove(tunnel)
        if not own:
            del self._clients[tunnel.peer.mark]
