"""Runs the L2TP engine: its socket and clock on one side, the kernel's data paths on the other."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

from cli.ikev1d.config import Config, Place
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.timer import Timer
from cli.ikev1d.udp import ANY_ADDRESS
from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    CloseDataPath,
    ConfigureLink,
    DataPathFailed,
    DataPathOpened,
    Dropped,
    Effect,
    OpenDataPath,
    Peer,
    Send,
    SendFrame,
    SessionDown,
    SessionUp,
    TunnelDown,
    TunnelRefused,
    TunnelUp,
)
from l2tp.core.lns import Lns
from l2tp.core.settings import LnsSettings
from l2tp.datapath import LinkSettings
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.kernel import KernelDataPath, KernelDataPaths, TunnelEnds
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram, L2tpSocket
from l2tp.pool import AddressPool
from l2tp.ppp.auth import AuthAccepted, AuthRejected, text_of
from l2tp.ppp.settings import AuthProtocol, PppSettings
from l2tp.ppp.users import User, verify

CLOSE_TIME = 0.5
"""Seconds that clients get to acknowledge our StopCCN when the gateway stops."""
WATCH_INTERVAL = 10.0
"""Seconds between looks at the counters of the data paths."""
WATCH_BATCH = 64
"""Data paths looked at before other work gets its turn: each costs one ioctl."""


def make_settings(config: Config) -> LnsSettings:
    """The engine's settings from the operator's configuration."""
    ppp = config.ppp
    reserved = [ppp.local_address]
    reserved += [user.address for user in config.users.values() if user.address is not None]
    name = config.l2tp.host_name or config.gateway.name or socket.gethostname()
    return LnsSettings(
        ppp=PppSettings(
            local_address=ppp.local_address,
            dns=ppp.dns,
            wins=ppp.wins,
            mru=ppp.mtu,
            mtu=ppp.mtu,
            auth_protocols=tuple(AuthProtocol(method) for method in ppp.auth),
            auth_name=config.gateway.name or name,
            echo_interval=ppp.echo_interval,
            echo_failures=ppp.echo_failures,
        ),
        pool=AddressPool([str(range_) for range_ in ppp.pool], reserved),
        host_name=name,
        shared_secret=config.l2tp.secret.reveal() if config.l2tp.secret else None,
        hello_interval=config.l2tp.hello_interval,
        max_tunnels=config.marks.count,
    )


def _make_users(config: Config) -> dict[str, User]:
    return {
        user.name: User(user.name, text_of(user.secret.reveal()), user.address)
        for user in config.users.values()
    }


def _without_address(config: Config) -> dict[str, Place]:
    """Users that no address of the pool is permitted to, and where that is written."""
    first = config.ppp.pool[0].first
    return {
        user.name: user.place
        for user in config.users.values()
        if user.address is None and not user.permits(first)
    }


class LnsHost:
    """The engine and its surroundings.

    `addresses` are the local ones to serve, none for all. `client_id` gives the log's name of a
    client by its mark; `tunnels_changed` is called with a mark, its
    number of tunnels, and whether the last one to go went because the client does not answer.
    """

    def __init__(
        self,
        config: Config,
        addresses: Sequence[str],
        client_id: Callable[[int], str],
        tunnels_changed: Callable[[int, int, bool], None],
    ) -> None:
        self.engine = Lns(make_settings(config), os.urandom)
        self._proxy_arp = config.ppp.proxy_arp
        self._users = _make_users(config)
        self._without_address = _without_address(config)
        self._client_id = client_id
        self._tunnels_changed = tunnels_changed
        self._log = ClientLog("ikev1d.l2tp")
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._advance)
        self._progress = asyncio.Event()
        self._sockets = [
            (address, L2tpSocket(self._receive)) for address in addresses or (ANY_ADDRESS,)
        ]
        self._data_paths = KernelDataPaths(self._receive)
        self._watch: asyncio.Task[None] | None = None
        self._open: dict[int, KernelDataPath] = {}
        """Data paths by session ID."""
        self._jobs: dict[int, asyncio.Task[None]] = {}
        """The last job of each session: jobs of one session are done in order."""

    async def start(self) -> None:
        """Open the sockets. Raises DataPathError."""
        await self._data_paths.open()
        for address, l2tp_socket in self._sockets:
            l2tp_socket.open(Address(address, L2TP_PORT))
        self._watch = asyncio.create_task(self._watch_traffic())

    async def close(self) -> None:
        """Hang up every session, tell the clients, and take all of it out of the kernel."""
        self._carry_out(self.engine.close_all(self._loop.time()))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIME):
                await self._all_gone()
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        for _, l2tp_socket in self._sockets:
            l2tp_socket.close()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)
        for data_path in tuple(self._open.values()):
            await data_path.close()
        self._data_paths.close()

    async def _all_gone(self) -> None:
        """Wait until no tunnel is left: each goes when its client has acknowledged StopCCN."""
        while self.engine.tunnels():
            self._progress.clear()
            await self._progress.wait()

    def client_gone(self, mark: int, cause: str) -> None:
        """The client's SAs are gone."""
        self._carry_out(self.engine.client_gone(mark, self._loop.time(), cause))

    def hang_up(self, mark: int, cause: str) -> None:
        """End a client's tunnels, and tell it."""
        self._carry_out(self.engine.close_client(mark, self._loop.time(), cause))

    def reconfigure(self, config: Config) -> None:
        """Let the users of another configuration in from now on; who is in stays in."""
        self._users = _make_users(config)
        self._without_address = _without_address(config)

    def interface(self, session_id: int) -> str:
        """The network interface of a session, "" before it has one."""
        data_path = self._open.get(session_id)
        return (data_path.interface or "") if data_path else ""

    def _receive(self, datagram: Datagram) -> None:
        peer = Peer(
            datagram.mark, datagram.local_address, datagram.source.host, datagram.source.port
        )
        self._carry_out(self.engine.receive(datagram.payload, peer, self._loop.time()))

    def _advance(self) -> None:
        self._carry_out(self.engine.advance(self._loop.time()))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case SendFrame():
                    data_path = self._open.get(effect.session_id)
                    if data_path is not None:
                        data_path.send(effect.frame)
                case Authenticate():
                    # On the loop's next turn: an engine is not entered from its own effects.
                    self._loop.call_soon(self._authenticate, effect)
                case OpenDataPath():
                    self._after(effect.session_id, self._open_data_path(effect))
                case ConfigureLink():
                    self._after(effect.session_id, self._configure(effect))
                case CloseDataPath():
                    self._after(effect.session_id, self._close_data_path(effect.session_id))
                case _:
                    self._tell(effect)
        self._timer.set(self.engine.next_deadline())
        self._progress.set()

    def _send(self, effect: Send) -> None:
        peer = effect.peer
        sockets = dict(self._sockets)
        l2tp_socket = sockets.get(peer.local) or sockets[ANY_ADDRESS]
        destination = Address(peer.address, peer.port)
        if not l2tp_socket.send(effect.datagram, destination, peer.local, peer.mark):
            self._log.of(self._client_id(peer.mark)).debug("L2TP datagram lost on its way out")

    def _authenticate(self, effect: Authenticate) -> None:
        answer = verify(effect.request, self._users)
        if isinstance(answer, AuthAccepted) and answer.user in self._without_address:
            answer = AuthRejected(
                "the user may have no address of the pool",
                f"permit the pool in the address column of {self._without_address[answer.user]}",
            )
        self._carry_out(self.engine.complete(effect.ticket, answer, self._loop.time()))

    # --- data paths ------------------------------------------------------------------------------

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

    async def _open_data_path(self, effect: OpenDataPath) -> None:
        peer = effect.peer
        ends = TunnelEnds(
            local=Address(peer.local, L2TP_PORT),
            peer=Address(peer.address, peer.port),
            mark=peer.mark,
            tunnel_id=effect.tunnel_id,
            peer_tunnel_id=effect.peer_tunnel_id,
        )
        try:
            self._open[effect.session_id] = await self._data_paths.open_session(
                ends,
                effect.session_id,
                effect.peer_session_id,
                effect.mru,
                lambda frame: self._frame(effect.session_id, frame),
                sequencing=effect.sequencing,
            )
        except DataPathError as error:
            self._log.of(self._client_id(peer.mark)).error("no data path", cause=error)
            result: DataPathOpened | DataPathFailed = DataPathFailed(str(error))
        else:
            result = DataPathOpened()
        self._carry_out(self.engine.complete(effect.ticket, result, self._loop.time()))

    async def _configure(self, effect: ConfigureLink) -> None:
        data_path = self._open.get(effect.session_id)
        if data_path is None:
            return
        link = LinkSettings(str(effect.local), str(effect.address), effect.mtu, self._proxy_arp)
        try:
            await data_path.configure(link)
        except DataPathError as error:
            self._log.error("the network interface failed", cause=error)
            self._carry_out(
                self.engine.close_session(effect.session_id, self._loop.time(), str(error))
            )

    async def _close_data_path(self, session_id: int) -> None:
        data_path = self._open.pop(session_id, None)
        if data_path is not None:
            await data_path.close()

    async def _watch_traffic(self) -> None:
        """Tell the engine whose packets still come: they need not be asked whether they live."""
        received: dict[int, int] = {}
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            before, received = received, {}
            for number, (session_id, data_path) in enumerate(tuple(self._open.items())):
                if number % WATCH_BATCH == 0:
                    await asyncio.sleep(0)
                try:
                    received[session_id] = data_path.counters().received_packets
                except DataPathError:
                    continue  # it has been closed meanwhile
                if received[session_id] > before.get(session_id, 0):
                    self._carry_out(self.engine.activity(session_id, self._loop.time()))

    def _frame(self, session_id: int, frame: bytes) -> None:
        self._carry_out(self.engine.frame_received(session_id, frame, self._loop.time()))

    # --- the story -------------------------------------------------------------------------------

    def _tell(
        self,
        event: TunnelUp
        | TunnelDown
        | TunnelRefused
        | SessionUp
        | SessionDown
        | AuthFailed
        | Dropped,
    ) -> None:
        log = self._log.of(self._client_id(event.peer.mark))
        match event:
            case TunnelUp():
                log.info(
                    "L2TP tunnel up",
                    tunnel=f"{event.tunnel_id}/{event.peer_tunnel_id}",
                    host=event.host_name,
                    vendor=event.vendor_name or "unnamed",
                    port=event.peer.port,
                )
                self._tunnels_changed(event.peer.mark, 1, False)
            case TunnelDown():
                log.info("L2TP tunnel down", cause=event.cause)
                left = sum(
                    tunnel.is_live and tunnel.peer.mark == event.peer.mark
                    for tunnel in self.engine.tunnels()
                )
                self._tunnels_changed(event.peer.mark, left, event.silent)
            case TunnelRefused():
                log.warning("L2TP tunnel refused", host=event.host_name, cause=event.cause)
            case SessionUp():
                log.info(
                    "user connected",
                    user=event.user,
                    address=event.address,
                    auth=event.auth_protocol.value,
                    mtu=event.mtu,
                )
            case SessionDown():
                log.info(
                    "user disconnected" if event.user else "session ended",
                    user=event.user or "none",
                    address=event.address or "none",
                    cause=event.cause,
                )
            case AuthFailed():
                log.warning(
                    "login refused", user=event.user, cause=event.cause, remedy=event.remedy
                )
            case Dropped():
                log.debug("L2TP dropped", reason=event.reason.value, detail=event.detail)
