"""Runs the L2TP engine: its sockets and clock on one side, the data paths on the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from cli.ikev1d.config import Config
from cli.ikev1d.data_paths import DataPaths
from cli.ikev1d.l2tp_settings import client_settings, make_settings, make_users, without_address
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.machine import Machine
from cli.ikev1d.metrics.counters import L2tpCounters
from cli.ikev1d.processes.others import ALONE, Others
from cli.ikev1d.timer import Timer
from cli.ikev1d.udp import ANY_ADDRESS
from l2tp.core.effects import (
    Authenticate,
    AuthFailed,
    CloseDataPath,
    ConfigureLink,
    DeliverPacket,
    DialledAnew,
    Dropped,
    Effect,
    OpenDataPath,
    Peer,
    Send,
    SendFrame,
    SessionDown,
    SessionUp,
    Strayed,
    TunnelClaimed,
    TunnelDown,
    TunnelRefused,
    TunnelUp,
)
from l2tp.core.lns import Lns
from l2tp.core.settings import ClientSettings
from l2tp.datapath.flows import Flow
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram
from l2tp.ppp.auth import AuthAccepted, AuthRejected
from l2tp.ppp.users import verify

K = TypeVar("K", int, str)

CLOSE_TIME = 0.5
"""Seconds that clients get to acknowledge our StopCCN when the gateway stops."""


def _flow(peer: Peer) -> Flow:
    return Flow(peer.local, peer.address, peer.port)


class LnsHost:
    """The engine and its surroundings.

    `addresses` are the local ones to serve, none for all. By a client's mark `client_id` gives its
    name in the log, `connection` the name of its connection, and `policy` the IPsec policy for the
    socket of its tunnel. `tunnels_changed` is called with a mark, its number of tunnels, and the
    cause of the last one's end where that is the client's silence, else "", `strayed` with the mark
    of one that goes on in a tunnel which has ended, `claimed` with the marks of a tunnel's owner
    and of one that goes on in it, `dialled_anew` with that of one that has a tunnel and begins
    another one, `logged_in` with a user and its mark, and with mark and session of each of its
    other sessions. `others` are the gateway's other processes.
    """

    def __init__(
        self,
        config: Config,
        machine: Machine,
        addresses: Sequence[str],
        client_id: Callable[[int], str],
        connection: Callable[[int], str],
        policy: Callable[[int], bytes],
        tunnels_changed: Callable[[int, int, str], None],
        strayed: Callable[[int], None],
        claimed: Callable[[int, int], None],
        dialled_anew: Callable[[int], None],
        logged_in: Callable[[str, int, int, int], None],
        others: Others = ALONE,
    ) -> None:
        self._config = config
        self._others = others
        self._trace = machine.trace
        self._connection = connection
        self.engine = Lns(make_settings(config, self._of_client, others), machine.random)
        self._mark_mask = config.marks.mask
        self._users = make_users(config)
        self._without_address = without_address(config)
        self._same_user = config.ppp.same_user
        self._sessions_of: dict[str, set[int]] = {}
        """Sessions that are up, by user."""
        self._tunnels_of: dict[int, set[int]] = {}
        """Tunnels that are up, by mark."""
        self._client_id = client_id
        self._tunnels_changed = tunnels_changed
        self._strayed = strayed
        self._claimed = claimed
        self._dialled_anew = dialled_anew
        self._logged_in = logged_in
        self.counters = L2tpCounters()
        self._log = ClientLog("ikev1d.l2tp")
        self._memory = machine.tunnel_memory(
            others.own(config.gateway.control_socket.with_name("tunnels"))
        )
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._advance)
        self._progress = asyncio.Event()
        self._sockets = {
            address: machine.l2tp_socket(self._receive) for address in addresses or (ANY_ADDRESS,)
        }
        self.data_paths = DataPaths(
            self.engine,
            config.ppp.proxy_arp,
            machine,
            client_id,
            policy,
            self._receive,
            self._carry_out,
            others,
        )

    async def start(self) -> None:
        """Open the sockets. Raises DataPathError."""
        try:
            self.engine.remember(self._memory.open())
        except OSError as error:
            self._log.warning("tunnels are not remembered for the next run", cause=error)
        await self.data_paths.start()
        for address, l2tp_socket in self._sockets.items():
            l2tp_socket.open(Address(address, L2TP_PORT))

    async def close(self) -> None:
        """Hang up every session, tell the clients, and take all of it out of the kernel."""
        self._carry_out(self.engine.close_all(self._loop.time()))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIME):
                await self._all_gone()
        self._timer.cancel()
        for l2tp_socket in self._sockets.values():
            l2tp_socket.close()
        await self.data_paths.stop()
        self._memory.close()

    async def _all_gone(self) -> None:
        """Wait until no tunnel is left: each goes when its client has acknowledged StopCCN."""
        while self.engine.tunnels():
            self._progress.clear()
            await self._progress.wait()

    def client_at(self, mark: int, flow: Flow) -> None:
        """The client's SAs let it send in this flow, before or beside others; it may have moved."""
        self.engine.client_moved(mark, flow.peer)
        self.data_paths.announce(mark, flow)

    def client_alive(self, mark: int) -> None:
        """The client has sent an IKE message."""
        self.engine.reachable(mark, self._loop.time())

    def has_tunnel(self, mark: int) -> bool:
        """Whether the client has an L2TP tunnel that is up."""
        return mark in self._tunnels_of

    def end_older(self, mark: int, cause: str) -> None:
        """End all tunnels of a client but the newest, which it does not know any more."""
        self._carry_out(self.engine.end_older(mark, self._loop.time(), cause))

    def continued(self, other: int, mark: int, address: str) -> None:
        """The client with mark `other` goes on under this mark, from this address."""
        self._carry_out(self.engine.continued(other, mark, address, self._loop.time()))
        tunnels = self._tunnels_of.pop(other, set())
        if tunnels:
            self._tunnels_of.setdefault(mark, set()).update(tunnels)
        self.data_paths.continued(other, mark)

    def client_gone(self, mark: int, cause: str) -> None:
        """The client's SAs are gone."""
        self._carry_out(self.engine.client_gone(mark, self._loop.time(), cause))
        self.data_paths.forget(mark)

    def ask(self, session_id: int) -> None:
        """Ask the client of a session whether it is there."""
        self._carry_out(self.engine.ask(session_id))

    def ask_at(self, mark: int, other: int, address: str) -> None:
        """Ask whether the client with mark `other`, at this address, has the sessions of `mark`."""
        self._carry_out(self.engine.ask_at(mark, other, address))

    def hang_up(self, mark: int, cause: str) -> None:
        """End a client's tunnels, and tell it."""
        self._carry_out(self.engine.close_client(mark, self._loop.time(), cause))

    def reconfigure(self, config: Config) -> None:
        """Let the users of another configuration in from now on; who is in stays in."""
        self._config = config
        self._users = make_users(config)
        self._without_address = without_address(config)
        self._same_user = config.ppp.same_user

    def end_user(self, user: str, cause: str) -> None:
        """End the sessions of a user."""
        for session_id in tuple(self._sessions_of.get(user, ())):
            self._carry_out(self.engine.close_session(session_id, self._loop.time(), cause))

    def received_elsewhere(self, datagram: Datagram) -> None:
        """A datagram of a client of ours has come to another process of the gateway."""
        self._receive(datagram)

    def _of_client(self, mark: int) -> ClientSettings:
        return client_settings(self._config.connection(self._connection(mark)))

    def _receive(self, datagram: Datagram) -> None:
        # The other bits are the administrator's; in clear they may be all there is.
        mark = datagram.mark & self._mark_mask
        if mark and not self._others.receives(mark, datagram.source.host):
            self._others.pass_on(datagram)
            return
        peer = Peer(mark, datagram.local_address, datagram.source.host, datagram.source.port)
        if self._trace is not None:
            self._trace.l2tp_received(datagram.payload, peer)
        self._carry_out(self.engine.receive(datagram.payload, peer, self._loop.time()))

    def _advance(self) -> None:
        self._carry_out(self.engine.advance(self._loop.time()))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._send(effect)
                case DeliverPacket():
                    self.data_paths.deliver(effect)
                case SendFrame():
                    if self._trace is not None:
                        peer = self.engine.peer_of(effect.session_id)
                        self._trace.frame_sent(effect.frame, effect.session_id, peer)
                    self.data_paths.send(effect)
                case Authenticate():
                    # On the loop's next turn: an engine is not entered from its own effects.
                    self._loop.call_soon(self._authenticate, effect)
                case OpenDataPath():
                    self.data_paths.open(effect)
                case ConfigureLink():
                    self.data_paths.configure(effect)
                case CloseDataPath():
                    self.data_paths.close(effect.session_id)
                case TunnelClaimed():
                    # On the loop's next turn, as with logins.
                    self._loop.call_soon(self._decide, effect)
                case DialledAnew():
                    self._loop.call_soon(self._dialled_anew, effect.peer.mark)
                case _:
                    self._tell(effect)
        self._timer.set(self.engine.next_deadline())
        self._progress.set()

    def _send(self, effect: Send) -> None:
        peer = effect.peer
        if self._trace is not None:
            self._trace.l2tp_sent(effect.datagram, peer)
        l2tp_socket = self._sockets.get(peer.local) or self._sockets[ANY_ADDRESS]
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
        if not isinstance(answer, AuthAccepted):
            self._complete(effect.ticket, answer)
            return
        here = bool(self._sessions_of.get(answer.user))
        elsewhere = self._others.has_user(answer.user)
        cause = "replaced: the user has connected again"
        if (here or elsewhere) and self._same_user == "keep":
            remedy = 'set ppp.same_user to "several" or "replace"'
            self._complete(effect.ticket, AuthRejected("the user is connected already", remedy))
            return
        if self._same_user == "replace":
            self.end_user(answer.user, cause)
        # Its own address goes to the newer session in any case (`l2tp.core.session`).
        if elsewhere and (self._same_user == "replace" or answer.address is not None):
            then = partial(self._complete, effect.ticket, answer)
            self._others.end_user(answer.user, cause, then)
        else:
            self._complete(effect.ticket, answer)

    def _complete(self, ticket: int, answer: AuthAccepted | AuthRejected) -> None:
        self._carry_out(self.engine.complete(ticket, answer, self._loop.time()))

    def _decide(self, claim: TunnelClaimed) -> None:
        self._claimed(claim.owner_mark, claim.peer.mark)
        self._carry_out(self.engine.claim_decided(claim, self._loop.time()))

    # --- the story -------------------------------------------------------------------------------

    def _tell(
        self,
        event: TunnelUp
        | TunnelDown
        | TunnelRefused
        | Strayed
        | SessionUp
        | SessionDown
        | AuthFailed
        | Dropped,
    ) -> None:
        self.counters.count(event)
        if self._trace is not None:
            self._trace.told(event)
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
                self.data_paths.announce(event.peer.mark, _flow(event.peer))
                tunnels = self._tunnels_of.setdefault(event.peer.mark, set())
                tunnels.add(event.tunnel_id)
                self._remember(event.tunnel_id)
                self._tunnels_changed(event.peer.mark, len(tunnels), "")
            case TunnelDown():
                log.info("L2TP tunnel down", cause=event.cause)
                self._memory.drop(event.tunnel_id)
                left = _forget(self._tunnels_of, event.peer.mark, event.tunnel_id)
                silence = event.cause if event.silent else ""
                self._tunnels_changed(event.peer.mark, left, silence)
            case TunnelRefused():
                log.warning("L2TP tunnel refused", host=event.host_name, cause=event.cause)
            case Strayed():
                log.info("the client goes on in an L2TP tunnel that has ended: told to dial again")
                self._strayed(event.peer.mark)
            case SessionUp():
                self._remember(event.tunnel_id)
                log.info(
                    "user connected",
                    user=event.user,
                    address=event.address,
                    auth=event.auth_protocol.value,
                    mtu=event.mtu,
                )
                self._user_connected(event)
            case SessionDown():
                known = event.user in self._sessions_of
                if not _forget(self._sessions_of, event.user, event.session_id) and known:
                    self._others.user_out(event.user)
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

    def _user_connected(self, event: SessionUp) -> None:
        if event.user not in self._sessions_of:
            self._others.user_in(event.user)
        sessions = self._sessions_of.setdefault(event.user, set())
        for older in sessions:
            peer = self.engine.peer_of(older)
            if peer is not None and peer.mark != event.peer.mark:
                # On the loop's next turn: we are within the engine's effects.
                self._loop.call_soon(self._logged_in, event.user, event.peer.mark, peer.mark, older)
        sessions.add(event.session_id)

    def _remember(self, tunnel_id: int) -> None:
        """Keep what the next run needs, should this one crash."""
        standing = self.engine.standing(tunnel_id)
        if standing is not None:
            self._memory.keep(tunnel_id, standing)


def _forget(table: dict[K, set[int]], key: K, number: int) -> int:
    """Take a number out of the set of a key, and an empty set away; says how many are left."""
    numbers = table.get(key, set())
    numbers.discard(number)
    if not numbers:
        table.pop(key, None)
    return len(numbers)
