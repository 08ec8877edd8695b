"""The kernel data path: PPPoL2TP tunnels and sessions with PPP units on top.

Everything here belongs to this process: when it ends, in whatever way, the kernel removes tunnels,
sessions and interfaces with their addresses and routes. Proxy ARP entries alone stay behind, see
`KernelDataPaths.open`.
"""

import asyncio
import errno
import platform
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial

from l2tp.datapath import Counters, LinkSettings
from l2tp.datapath.errors import DataPathError, SharedFlowError
from l2tp.datapath.interface import Interfaces, ProxyArp
from l2tp.datapath.ppp_unit import FIRST_LINK_PROTOCOL, Channel, Unit
from l2tp.datapath.pppol2tp import PppoL2tpSocket
from l2tp.datapath.udp import Address, Datagram, L2tpSocket

TUNNELS_BY_ID = (6, 10)
"""Linux release from which on a data message finds its tunnel by ID. Before, it finds it by UDP
socket, so of two tunnels with the same addresses and ports only one gets anything."""


def finds_tunnels_by_id(release: str) -> bool:
    """Tell whether a kernel with this release (uname -r) keeps such tunnels apart."""
    major, minor = release.split(".")[:2]
    return (int(major), int(minor.split("-")[0])) >= TUNNELS_BY_ID


@dataclass(frozen=True, slots=True)
class TunnelEnds:
    """The ends of an L2TP tunnel. `tunnel_id` must be unique in the network namespace."""

    local: Address
    peer: Address
    mark: int
    """Carried by what the kernel sends, so that it leaves through the client's own SA."""
    tunnel_id: int
    peer_tunnel_id: int
    policy: bytes = field(default=b"", repr=False)
    """Value of IP_XFRM_POLICY that lets in what came through the client's SAs alone.

    The kernel's L2TP looks at neither SA nor mark, and whoever has the client's address may use its
    port, too: every other client behind its NAT. Without a policy that is not held against it.
    """


class KernelTunnel:
    """A tunnel of the kernel, with the UDP socket it needs."""

    def __init__(self, ends: TunnelEnds, on_datagram: Callable[[Datagram], None]) -> None:
        """Make it. Raises DataPathError.

        From here on the client's datagrams come to `on_datagram`, save data messages of sessions
        the kernel knows.
        """
        self.ends = ends
        self._udp = L2tpSocket(on_datagram)
        try:
            self._udp.open(ends.local, ends.peer, ends.mark)
            if ends.policy:
                # Not before the socket is connected: until then others' datagrams come here, too.
                self._udp.set_policy(ends.policy)
            self._tunnel = PppoL2tpSocket(
                self._udp.fileno(), ends.tunnel_id, 0, ends.peer_tunnel_id, 0
            )
        except DataPathError:
            self._udp.close()
            raise
        self.sessions = 0

    def session(self, session_id: int, peer_session_id: int) -> PppoL2tpSocket:
        """Make a session in the tunnel. Raises DataPathError."""
        ends = self.ends
        return PppoL2tpSocket(
            self._udp.fileno(), ends.tunnel_id, session_id, ends.peer_tunnel_id, peer_session_id
        )

    def follow(self, peer: Address, mark: int, policy: bytes) -> None:
        """Go on with the client at another address, or under another mark. Raises DataPathError."""
        if mark != self.ends.mark:
            self._udp.set_mark(mark)
            self._udp.set_policy(policy)
        self._udp.connect(peer)
        self.ends = replace(self.ends, peer=peer, mark=mark, policy=policy)

    def stop(self) -> None:
        """Give no more datagrams to the callback."""
        self._udp.stop()

    def close(self) -> None:
        """Remove the tunnel. After `stop` this may be done in another thread."""
        self._tunnel.close()
        self._udp.close()


class KernelDataPath:
    """The data path of one session; made by `KernelDataPaths.open_session`."""

    def __init__(
        self,
        session: PppoL2tpSocket,
        channel: Channel,
        mru: int,
        interfaces: Interfaces,
        on_frame: Callable[[bytes], None],
        leave_tunnel: Callable[[], KernelTunnel | None],
    ) -> None:
        self._session = session
        self._mru = mru
        self._interfaces = interfaces
        self._on_frame = on_frame
        self._leave_tunnel = leave_tunnel
        self._closed = False
        self._channel = channel
        self._unit: Unit | None = None
        self._proxy_arp: ProxyArp | None = None

    @property
    def interface(self) -> str | None:
        """Name of the network interface; None before `configure`."""
        return self._unit.interface if self._unit else None

    def send(self, frame: bytes) -> bool:
        """Send a frame: protocol and information. False if the kernel did not take it."""
        if self._closed:
            return False
        protocol = int.from_bytes(frame[:2])
        if self._unit is None or protocol >= FIRST_LINK_PROTOCOL:
            return self._channel.send(frame)
        return self._unit.send(frame)

    async def configure(self, settings: LinkSettings) -> None:
        """Make the network interface and let IP packets through. Raises DataPathError."""
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "configure", "closed session")
        unit = Unit(self._mru, self._on_frame)
        self._unit = unit
        self._channel.connect(unit)
        await self._interfaces.configure(unit.interface, settings)
        if settings.proxy_arp is not None:
            self._proxy_arp = await self._interfaces.start_proxy_arp(
                settings.proxy_arp, settings.peer_address
            )

    def counters(self) -> Counters:
        """Count the PPP frames so far. Raises DataPathError."""
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "count", "closed session")
        return self._session.counters()

    async def close(self) -> None:
        """Remove the interface, the session and, with its last session, the tunnel.

        May be called twice.
        """
        if self._closed:
            return
        self._closed = True
        files: list[Unit | Channel | PppoL2tpSocket | KernelTunnel] = []
        if self._unit is not None:
            self._unit.stop()
            files.append(self._unit)
        self._channel.stop()
        files += [self._channel, self._session]
        tunnel = self._leave_tunnel()
        if tunnel is not None:
            tunnel.stop()
            files.append(tunnel)
        # The kernel waits for every user of an interface to let go before it removes it: this is
        # milliseconds, and not for the event loop.
        await asyncio.to_thread(_close_all, files)
        if self._proxy_arp is not None:
            await self._interfaces.stop_proxy_arp(self._proxy_arp)


def _close_all(files: Sequence[Unit | Channel | PppoL2tpSocket | KernelTunnel]) -> None:
    for file in files:
        file.close()


class KernelDataPaths:
    """Opens data paths; keeps the tunnel that sessions share as long as one of them lives."""

    def __init__(self, on_datagram: Callable[[Datagram], None]) -> None:
        """`on_datagram` gets what arrives for a tunnel and is not of a session of the kernel."""
        self._on_datagram = on_datagram
        self.interfaces = Interfaces()
        self._tunnels: dict[int, KernelTunnel] = {}
        self._flows_are_shared = finds_tunnels_by_id(platform.release())

    async def open(self) -> None:
        """Get ready, and remove the proxy ARP entries of an earlier run that was killed."""
        await self.interfaces.open()
        await self.interfaces.purge_proxy_arp()

    def close(self) -> None:
        """Close what `open` opened; data paths are closed by themselves, before."""
        self.interfaces.close()

    async def open_session(
        self,
        ends: TunnelEnds,
        session_id: int,
        peer_session_id: int,
        mru: int,
        on_frame: Callable[[bytes], None],
        *,
        sequencing: bool = False,
    ) -> KernelDataPath:
        """Make the kernel take over a session, and the tunnel if this is its first.

        `mru` is the largest PPP packet the peer may send. The frames of the session come to
        `on_frame` until IP packets pass by themselves. Raises DataPathError; nothing is left then.
        Raises SharedFlowError where the kernel would mix this tunnel up with another.
        """
        tunnel = self._tunnels.get(ends.tunnel_id)
        if tunnel is None:
            self._refuse_shared_flow(ends)
            tunnel = self._tunnels[ends.tunnel_id] = KernelTunnel(ends, self._on_datagram)
        with ExitStack() as undo:
            tunnel.sessions += 1
            undo.callback(self._give_up, tunnel)
            session = tunnel.session(session_id, peer_session_id)
            undo.callback(session.close)
            if sequencing:
                session.number_packets()
            channel = Channel(session.channel(), on_frame)
            undo.pop_all()
        leave = partial(self._leave, tunnel)
        return KernelDataPath(session, channel, mru, self.interfaces, on_frame, leave)

    def follow(self, tunnel_id: int, peer: Address, mark: int, policy: bytes) -> None:
        """Take an open tunnel along to its client's new address and mark. Raises DataPathError."""
        self._tunnels[tunnel_id].follow(peer, mark, policy)

    def _refuse_shared_flow(self, ends: TunnelEnds) -> None:
        if self._flows_are_shared:
            return
        for other in self._tunnels.values():
            if (other.ends.local, other.ends.peer) == (ends.local, ends.peer):
                raise SharedFlowError(str(ends.tunnel_id), other.ends.tunnel_id)

    def _leave(self, tunnel: KernelTunnel) -> KernelTunnel | None:
        """Count one session less; the tunnel comes back to be closed if that was its last."""
        tunnel.sessions -= 1
        if tunnel.sessions:
            return None
        return self._tunnels.pop(tunnel.ends.tunnel_id)

    def _give_up(self, tunnel: KernelTunnel) -> None:
        if self._leave(tunnel) is not None:
            tunnel.close()
