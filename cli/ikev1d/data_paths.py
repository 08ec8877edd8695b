"""The data paths of sessions: in the kernel, and where that will not do in user space."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

from cli.ikev1d.logs import ClientLog
from cli.ikev1d.machine import Machine
from cli.ikev1d.processes.others import Others
from l2tp.core.effects import (
    ConfigureLink,
    DataPathFailed,
    DataPathOpened,
    DeliverPacket,
    Effect,
    OpenDataPath,
    SendFrame,
)
from l2tp.core.lns import Lns
from l2tp.datapath import LinkSettings
from l2tp.datapath.errors import DataPathError, SharedFlowError
from l2tp.datapath.flows import Flow, Flows
from l2tp.datapath.kernel import KernelDataPath, TunnelEnds
from l2tp.datapath.tun import TunDataPath
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram

WATCH_INTERVAL = 10.0
"""Seconds between looks at the counters of the data paths."""
WATCH_BATCH = 32
"""Data paths looked at before other work gets its turn: each costs one ioctl."""

SHARED = "another client at the same address may use the same UDP port"


@dataclass(slots=True)
class _Session:
    mark: int
    flow: Flow
    tunnel_id: int
    path: KernelDataPath | TunDataPath
    link: LinkSettings | None = None
    cause: str = ""
    """Why its path is in user space."""


@dataclass(frozen=True, slots=True)
class OpenPath:
    """What a session has in the kernel."""

    session_id: int
    tunnel_id: int
    mark: int
    in_kernel: bool
    """Whether its data path is the kernel's own L2TP and PPP."""
    cause: str
    """Why it is not."""
    interface: str
    """"" before it has one."""
    link: LinkSettings | None


class DataPaths:
    """Opens, configures, moves and closes data paths, and carries frames and packets to them.

    `on_datagram` gets what arrives on the kernel's tunnel sockets for this program, `carry_out` the
    engine's effects. `policy` gives, for a mark, the IPsec policy of such a socket (`TunnelEnds`).
    `others` are the gateway's other processes.
    """

    def __init__(
        self,
        engine: Lns,
        proxy_arp: str | None,
        machine: Machine,
        client_id: Callable[[int], str],
        policy: Callable[[int], bytes],
        on_datagram: Callable[[Datagram], None],
        carry_out: Callable[[list[Effect]], None],
        others: Others,
    ) -> None:
        self._others = others
        self._engine = engine
        self._proxy_arp = proxy_arp
        self._client_id = client_id
        self._policy = policy
        self._carry_out = carry_out
        self._log = ClientLog("ikev1d.l2tp")
        self._loop = asyncio.get_running_loop()
        self._kernel = machine.kernel_data_paths(on_datagram)
        self._user_data_path = machine.user_data_path
        self._trace = machine.trace
        self._flows = Flows()
        self._open: dict[int, _Session] = {}
        """By session ID."""
        self._of_client: dict[int, set[int]] = {}
        """Session IDs by mark."""
        self._jobs: dict[int, asyncio.Task[None]] = {}
        """The last job of each session: jobs of one session are done in order."""
        self._watch: asyncio.Task[None] | None = None
        self._unavailable = ""
        """Why the kernel can carry no session at all."""

    async def start(self) -> None:
        """Get ready, and remove what an earlier run that was killed has left."""
        await self._kernel.open()
        self._watch = asyncio.create_task(self._watch_traffic())

    async def stop(self) -> None:
        """Close every data path."""
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)
        for session in tuple(self._open.values()):
            await session.path.close()
        self._kernel.close()

    # --- for status and verify -------------------------------------------------------------------

    @property
    def unavailable(self) -> str:
        """Why the kernel can carry no session at all; "" if it can, for all that is known."""
        return self._unavailable

    def of_session(self, session_id: int) -> OpenPath | None:
        """The data path of a session; None before it has one."""
        session = self._open.get(session_id)
        if session is None:
            return None
        return OpenPath(
            session_id=session_id,
            tunnel_id=session.tunnel_id,
            mark=session.mark,
            in_kernel=not isinstance(session.path, TunDataPath),
            cause=session.cause,
            interface=session.path.interface or "",
            link=session.link,
        )

    def holdings(self) -> Iterator[OpenPath]:
        """Every data path. Sessions that come or go meanwhile may be in it or not."""
        for session_id in tuple(self._open):
            path = self.of_session(session_id)
            if path is not None:
                yield path

    # --- what the engine asks --------------------------------------------------------------------

    def open(self, effect: OpenDataPath) -> None:
        """Open a session's data path, and give the engine the answer."""
        self._after(effect.session_id, self._open_path(effect))

    def configure(self, effect: ConfigureLink) -> None:
        """Give a session's interface its addresses."""
        self._after(effect.session_id, self._configure(effect))

    def close(self, session_id: int) -> None:
        """Close a session's data path."""
        self._after(session_id, self._close(session_id))

    def send(self, effect: SendFrame) -> None:
        """Send a PPP frame through the kernel's data path."""
        session = self._open.get(effect.session_id)
        if session is not None and isinstance(session.path, KernelDataPath):
            session.path.send(effect.frame)

    def deliver(self, effect: DeliverPacket) -> None:
        """Take a packet of a peer to its session's interface."""
        session = self._open.get(effect.session_id)
        if session is not None and isinstance(session.path, TunDataPath):
            session.path.deliver(effect.packet)

    # --- who sends in which flow -----------------------------------------------------------------

    def announce(self, mark: int, flow: Flow) -> None:
        """The client may send in this flow from now on, and from no other address.

        Its own sessions follow it; those of others in this flow leave the kernel.
        """
        self._others.flow(mark, flow)
        crowded = self._flows.announce(mark, flow)
        for session_id in self._of_client.get(mark, ()):
            if self._open[session_id].flow.peer != flow.peer:
                # On the loop's next turn, when its SAs have moved, or the kernel lets nothing out.
                self._after(session_id, self._follow(session_id, flow.peer, mark))
        if crowded:
            self._clear(flow)

    def announced_elsewhere(self, mark: int, flow: Flow) -> None:
        """A client of another process of the gateway may send in this flow from now on."""
        if self._flows.announce(mark, flow):
            self._clear(flow)

    def _clear(self, flow: Flow) -> None:
        """Take the sessions in a flow out of the kernel: several clients may send there."""
        for mark in self._flows.marks(flow):
            for session_id in self._of_client.get(mark, ()):
                session = self._open[session_id]
                in_kernel = isinstance(session.path, KernelDataPath)
                if in_kernel and self._flows.is_shared(mark, session.flow):
                    self._after(session_id, self._move(session_id, SHARED))

    def continued(self, other: int, mark: int) -> None:
        """The client with mark `other` goes on under this mark, in whose flows it is."""
        self.forget(other)
        for session_id in self._of_client.get(other, ()):
            peer = self._engine.peer_of(session_id)
            if peer is not None:
                flow = Flow(peer.local, peer.address, peer.port)
                self._others.flow(mark, flow)
                self._flows.announce(mark, flow)
                self._after(session_id, self._follow(session_id, peer.address, mark))

    def forget(self, mark: int) -> None:
        """The client is gone."""
        self._others.flow_ended(mark)
        self._flows.forget(mark)

    def forget_elsewhere(self, mark: int) -> None:
        """A client of another process is gone."""
        self._flows.forget(mark)

    # --- jobs ------------------------------------------------------------------------------------

    def _after(self, session_id: int, job: Coroutine[None, None, None]) -> None:
        """Do a job when the session's jobs before it are done."""
        before = self._jobs.get(session_id)

        async def wait_and_do() -> None:
            if before is not None:
                await asyncio.wait((before,))
            await job

        task = asyncio.create_task(wait_and_do())
        self._jobs[session_id] = task
        task.add_done_callback(lambda done: self._job_done(session_id, done))

    def _job_done(self, session_id: int, task: asyncio.Task[None]) -> None:
        if self._jobs.get(session_id) is task:
            del self._jobs[session_id]
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler(
                {"message": "data path job failed", "exception": task.exception(), "task": task}
            )

    async def _open_path(self, effect: OpenDataPath) -> None:
        peer = effect.peer
        flow = Flow(peer.local, peer.address, peer.port)
        try:
            path, cause = await self._choose(effect, flow)
        except DataPathError as error:
            self._log.of(self._client_id(peer.mark)).error("no data path", cause=error)
            result: DataPathOpened | DataPathFailed = DataPathFailed(str(error))
        else:
            self._open[effect.session_id] = _Session(
                peer.mark, flow, effect.tunnel_id, path, cause=cause
            )
            self._of_client.setdefault(peer.mark, set()).add(effect.session_id)
            now = self._engine.peer_of(effect.session_id)
            if now is not None:  # it may have moved meanwhile
                await self._follow(effect.session_id, now.address, now.mark)
            path = self._open[effect.session_id].path
            result = DataPathOpened(in_user_space=isinstance(path, TunDataPath))
        self._carry_out(self._engine.complete(effect.ticket, result, self._loop.time()))

    async def _choose(
        self, effect: OpenDataPath, flow: Flow
    ) -> tuple[KernelDataPath | TunDataPath, str]:
        """Open the path in the kernel where it is there and safe, else in user space, and why."""
        mark = effect.peer.mark
        cause = self._unavailable or SHARED
        if not self._unavailable and not self._flows.is_shared(mark, flow):
            try:
                return await self._open_in_kernel(effect), ""
            except SharedFlowError as error:
                cause = str(error)
            except DataPathError as error:
                if not error.is_unavailable:
                    raise
                cause = self._unavailable = str(error)
                self._log.warning("every session is carried in user space", cause=error)
        path = self._open_in_user_space(effect.session_id)
        self._log.of(self._client_id(mark)).info("data path in user space", cause=cause)
        return path, cause

    async def _open_in_kernel(self, effect: OpenDataPath) -> KernelDataPath:
        peer, session_id = effect.peer, effect.session_id
        ends = TunnelEnds(
            local=Address(peer.local, L2TP_PORT),
            peer=Address(peer.address, peer.port),
            mark=peer.mark,
            tunnel_id=effect.tunnel_id,
            peer_tunnel_id=effect.peer_tunnel_id,
            policy=self._policy(peer.mark),
        )

        def frame_received(frame: bytes) -> None:
            if self._trace is not None:
                self._trace.frame_received(frame, session_id, peer)
            self._carry_out(self._engine.frame_received(session_id, frame, self._loop.time()))

        return await self._kernel.open_session(
            ends,
            session_id,
            effect.peer_session_id,
            effect.mru,
            frame_received,
            sequencing=effect.sequencing,
        )

    def _open_in_user_space(self, session_id: int) -> TunDataPath:
        def packet_sent(packet: bytes) -> None:
            self._carry_out(self._engine.packet_sent(session_id, packet))

        return self._user_data_path(self._kernel.interfaces, packet_sent)

    async def _configure(self, effect: ConfigureLink) -> None:
        session = self._open.get(effect.session_id)
        if session is None:
            return
        link = LinkSettings(str(effect.local), str(effect.address), effect.mtu, self._proxy_arp)
        session.link = link
        try:
            await session.path.configure(link)
        except DataPathError as error:
            self._log.error("the network interface failed", cause=error)
            self._carry_out(
                self._engine.close_session(effect.session_id, self._loop.time(), str(error))
            )

    async def _follow(self, session_id: int, address: str, mark: int) -> None:
        """Take a session along to its client's new address or mark."""
        session = self._open.get(session_id)
        if session is None or (session.flow.peer, session.mark) == (address, mark):
            return
        session.flow = session.flow._replace(peer=address)
        if session.mark != mark:
            self._leave(session_id, session.mark)
            session.mark = mark
            self._of_client.setdefault(mark, set()).add(session_id)
        if isinstance(session.path, TunDataPath):
            return
        cause = SHARED
        if not self._flows.is_shared(session.mark, session.flow):
            try:
                peer = Address(address, session.flow.port)
                self._kernel.follow(session.tunnel_id, peer, mark, self._policy(mark))
            except DataPathError as error:
                cause = str(error)
            else:
                return
        await self._move(session_id, cause)

    async def _move(self, session_id: int, cause: str) -> None:
        """Put a path in user space in the place of the kernel's; the session goes on.

        The new interface has the addresses before the old one goes: no packet meets a gap.
        """
        session = self._open.get(session_id)
        if session is None or isinstance(session.path, TunDataPath):
            return
        log = self._log.of(self._client_id(session.mark))
        try:
            path = self._open_in_user_space(session_id)
        except DataPathError as error:
            log.error("the data path stays in the kernel", cause=error)
            return
        link, old = session.link, session.path
        try:
            if link is not None:
                await path.configure(link)
        except DataPathError as error:
            log.error("the data path stays in the kernel", cause=error)
            await path.close()
            return
        session.path, session.cause = path, cause
        self._engine.moved_to_user_space(session_id)
        await old.close()
        if link is not None and link.proxy_arp is not None:
            # The old path took its entry along, which was for the same address.
            try:
                await path.start_proxy_arp(link.proxy_arp, link.peer_address)
            except DataPathError as error:
                log.error("ARP for the client is no longer answered", cause=error)
        log.info("data path moved to user space", interface=path.interface, cause=cause)

    async def _close(self, session_id: int) -> None:
        session = self._open.pop(session_id, None)
        if session is None:
            return
        self._leave(session_id, session.mark)
        await session.path.close()

    def _leave(self, session_id: int, mark: int) -> None:
        own = self._of_client[mark]
        own.discard(session_id)
        if not own:
            del self._of_client[mark]

    async def _watch_traffic(self) -> None:
        """Tell the engine whose packets still come: they need not be asked whether they live."""
        received: dict[int, int] = {}
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            before, received = received, {}
            for number, (session_id, session) in enumerate(tuple(self._open.items())):
                if number % WATCH_BATCH == 0:
                    await asyncio.sleep(0)
                try:
                    received[session_id] = session.path.counters().received_packets
                except DataPathError:
                    continue  # it has been closed meanwhile
                if received[session_id] > before.get(session_id, 0):
                    self._carry_out(self._engine.activity(session_id, self._loop.time()))
