"""The daemon: starts the layers, connects them, stops them, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

from cli.control import ErrorCode, ErrorResponse, Request, Response
from cli.ikev1d.addresses import local_addresses
from cli.ikev1d.answers import Answers
from cli.ikev1d.config import Config
from cli.ikev1d.farewells import Farewells
from cli.ikev1d.idle_clients import IdleClients
from cli.ikev1d.ike import IkeHost
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.l2tp import LnsHost
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.look_alikes import LookAlikes
from cli.ikev1d.machine import LINUX, Machine
from cli.ikev1d.processes.others import ALONE, Others, Wishes
from cli.ikev1d.start import announce, start_errors, tell_the_operator, usable_algorithms
from cli.ikev1d.story import Story
from cli.ikev1d.systemd import notify
from cli.ikev1d.udp import IkeSockets
from ikev1.core.clients import Client
from ikev1.core.effects import ChildSa, ChildUp
from ikev1.core.spi import MULTIPLIER, SHIFT
from l2tp.datapath.flows import Flow
from xfrm.errors import KernelError
from xfrm.esp_tap import StrayEsp
from xfrm.events import Event, Expire, NatMapping, Resync
from xfrm.sockets import through_sa

FULL_COLLECTION = 1000
"""Collections of younger objects before one of all, which takes 20 microseconds for each session.
What ends is freed at once, by its reference count; what is in cycles nearly always dies young."""

DIAL_TIME = 5.0
"""Seconds within which a client that has SAs begins to dial L2TP."""


async def serve(config: Config, machine: Machine = LINUX) -> None:
    """Run the gateway until SIGTERM or SIGINT. Raises StartError, ControlSocketError."""
    await serve_among(config, machine, asyncio.Event(), ALONE)


async def serve_among(
    config: Config, machine: Machine, stop: asyncio.Event, others: Others
) -> None:
    """Run one process of the gateway, until a signal or `stop`.

    Raises StartError, ControlSocketError.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(config, machine, others)
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    try:
        await gateway.start()
        spare_the_loop()
        await stop.wait()
    finally:
        notify("STOPPING=1")
        await gateway.close()


def spare_the_loop() -> None:
    """Have the garbage collector look through everything rarely: no event is served meanwhile."""
    gc.freeze()  # what start has made stays
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_COLLECTION)


class Gateway:
    """All layers of one running gateway, or of one process of it that has `others`."""

    def __init__(self, config: Config, machine: Machine = LINUX, others: Others = ALONE) -> None:
        self._others = others
        self._in_force = InForce(config)
        self._machine = machine
        self._log = ClientLog("ikev1d")
        self._loop = asyncio.get_running_loop()
        self._undo = AsyncExitStack()
        self._sadb = machine.sadb(self._kernel_event)
        self._sas = KernelSas(self._sadb, config.marks.base, config.marks.mask)
        self._story = Story(config)
        self._unusable: frozenset[str] = frozenset()
        """ESP algorithms of the configuration that the kernel lacks."""
        socket = others.own(config.gateway.control_socket)
        self._control = machine.control_server(socket, self._answer, others.requests)
        self._resync: asyncio.Task[None] | None = None
        self._addresses: list[str] = []
        self._leaving: dict[int, str] = {}
        """Names of clients whose tunnels are being ended because their SAs are gone."""
        self._idle = IdleClients(self._close_client)
        self._ike: IkeHost | None = None
        self._lns: LnsHost | None = None
        self._answers: Answers | None = None
        self._look_alikes: LookAlikes | None = None

    @property
    def _config(self) -> Config:
        return self._in_force.config

    async def start(self) -> None:
        """Take the control socket, clean up after an earlier run, and begin to serve.

        What has been started is undone by `close`, in reverse order. Raises StartError,
        ControlSocketError.
        """
        # First, for it proves that no other gateway runs whose SAs we would take for leftovers.
        await self._control.start()
        self._undo.push_async_callback(self._control.close)
        with start_errors(self._config):
            left = await self._open()
        if not self._others.alone:
            return
        announce(self._log, self._config, self._addresses, left)

    async def _open(self) -> int:
        """Open sockets and connect the layers; says how much an earlier run had left behind."""
        config = self._config
        await self._sadb.open()
        self._undo.callback(self._sadb.close)
        left = 0
        if self._others.unusable is None:
            left = await self._sas.open()
            self._undo.push_async_callback(self._sas.close)
            self._unusable = usable_algorithms(config, self._sadb, self._log)
        else:
            self._unusable = self._others.unusable
        self._addresses = await local_addresses(config.gateway)
        sockets = self._machine.ike_sockets(self._addresses)
        self._undo.callback(sockets.close)
        socket = config.gateway.control_socket
        farewells = self._machine.farewells(self._others.own(socket.with_name("farewells")))
        self._undo.callback(farewells.close)
        self._ike = IkeHost(
            config,
            self._machine,
            sockets,
            self._sas,
            self._unusable,
            self._story,
            farewells,
            self._client_up,
            self._client_alive,
            self._client_gone,
            self._child_coming,
            self._child_up,
            self._continued,
            self._others,
        )
        self._undo.callback(self._ike.close, "the gateway stops")
        self._lns = LnsHost(
            config,
            self._machine,
            self._addresses,
            self._client_id,
            self._connection,
            self._socket_policy,
            self._tunnels_changed,
            self._idle.strayed,
            self._ike.unite,
            self._dialled_anew,
            self._logged_in,
            self._others,
        )
        self._undo.push_async_callback(self._lns.close)
        self._look_alikes = LookAlikes(
            self._ike.engine.clients, self._sas.received, self._lns.ask, self._close_client
        )
        self._undo.callback(self._look_alikes.close)
        await self._lns.start()
        self._answers = Answers(
            self._in_force, self._addresses, self._sas, self._ike, self._lns, self._story
        )
        self._answers.metrics.start()
        self._undo.callback(self._answers.metrics.stop)
        if self._others.alone:
            await tell_the_operator(self._in_force, self._answers.metrics.text, self._undo)
        await self._others.join(
            Wishes(
                flow=self._lns.data_paths.announced_elsewhere,
                flow_ended=self._lns.data_paths.forget_elsewhere,
                end_user=self._lns.end_user,
                end_client=self._close_client,
                l2tp=self._lns.received_elsewhere,
            )
        )
        sockets.start(self._ike.receive)
        self._say_farewell(farewells, sockets)
        self._listen_for_stray_esp(self._ike)
        return left

    def _say_farewell(self, farewells: Farewells, sockets: IkeSockets) -> None:
        """Tell the clients of a run that was killed what it could not tell them any more."""
        try:
            words = farewells.open()
        except OSError as error:
            self._log.warning("should it be killed, clients will not be told", cause=error)
            return
        for send in words:
            sockets.send(send.path, send.datagram)
        if words:
            self._log.info("told clients of an earlier run that it is over", messages=len(words))

    def _listen_for_stray_esp(self, ike: IkeHost) -> None:
        """Hear of clients of an earlier run; without it they find out by themselves, but later."""

        def stray(esp: StrayEsp) -> None:
            here = not self._addresses or esp.destination in self._addresses
            if here and self._others.receives(0, esp.source):
                ike.stray_esp(esp)

        tap = self._machine.esp_tap(stray)
        try:
            tap.open(MULTIPLIER, SHIFT, ike.engine.spi_stamp)
        except KernelError as error:
            self._log.warning("clients get no hint about SAs that are gone", cause=error)
        else:
            self._undo.callback(tap.close)

    def reload(self) -> None:
        """Read the configuration again: preshared keys, users and policies are taken over.

        Addresses, marks and what else cannot change while clients are connected wait for a restart.
        """
        config = self._in_force.reread()
        if config is None:
            return
        if self._ike is not None and self._lns is not None:
            self._ike.reconfigure(config, self._unusable)
            self._lns.reconfigure(config)
        self._story.reconfigure(config)
        self._log.info("configuration reloaded", config=config.path)
        if self._in_force.waiting:
            sections = ", ".join(self._in_force.waiting)
            self._log.warning("some changes wait for a restart", sections=sections)

    async def close(self) -> None:
        """Hang up every client and take everything of ours out of the kernel."""
        self._idle.forget_all()
        await self._undo.aclose()
        self._log.info("stopped")

    # --- between the layers ----------------------------------------------------------------------

    def _kernel_event(self, event: Event) -> None:
        if self._ike is None:
            return
        match event:
            case Expire():
                mark = event.mark.value if event.mark else 0
                spi = self._sas.inbound_spi_of(event.spi, event.dst, mark)
                if spi is not None and event.hard:
                    self._ike.child_expired(spi)
                elif spi is not None:
                    self._ike.child_expiring(spi)
            case NatMapping():
                self._ike.moved(event.spi, event.new_address, event.new_port)
            case Resync():
                self._story.events_lost()
                self._resync = asyncio.create_task(self._compare())
            case _:
                pass

    async def _compare(self) -> None:
        """Find out what the kernel has said without our hearing of it."""
        missed = await self._sas.missed()
        if self._ike is None:
            return
        for spi in missed.expired:
            self._ike.child_expired(spi)
        for spi in missed.expiring:
            self._ike.child_expiring(spi)

    def _client_id(self, mark: int) -> str:
        """The client's name in the log, by its mark."""
        if mark in self._leaving:
            return self._leaving[mark]
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        return client.id if client else f"mark-{mark:x}"

    def _connection(self, mark: int) -> str:
        """The name of the client's connection, by its mark."""
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        return client.connection if client else ""

    def _socket_policy(self, mark: int) -> bytes:
        """The IPsec policy that keeps everybody but the client off a socket."""
        return through_sa(self._sas.reqid(mark))

    def _child_coming(self, child: ChildSa) -> None:
        if self._lns is not None:
            path = child.path
            flow = Flow(path.local, path.remote, child.client_port)
            self._lns.client_at(child.mark, flow)

    def _client_up(self, mark: int) -> None:
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        if client is not None:
            self._others.client_in(mark, client.proof)
            self._replace_elsewhere(client)
        # Who dies before its first Quick Mode, and cannot be asked, would keep its mark for hours.
        self._idle.watch(mark)

    def _replace_elsewhere(self, client: Client) -> None:
        """End a client that has come again while it is connected to another process."""
        proof = client.proof
        policy = self._config.connection(client.connection).same_identity
        if proof is not None and policy == "replace" and self._others.has_client(proof):
            cause = f"replaced: the client has connected again from {client.path}"
            self._others.end_client(proof, cause)

    def _child_up(self, event: ChildUp) -> None:
        # The Delete of an older child may have been faster than HASH(3): its tunnel is in this one.
        mark = event.child.mark
        if not event.rekeyed and self._lns is not None and not self._lns.has_tunnel(mark):
            self._idle.watch(mark)
            self._loop.call_later(DIAL_TIME, self._ask_who_it_is, mark)

    def _ask_who_it_is(self, mark: int) -> None:
        """One that does not dial may be one whose NAT has moved it, in its session, and idle."""
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        if self._ike is None or self._lns is None or client is None or self._lns.has_tunnel(mark):
            return
        for older in self._ike.engine.older_than(mark):
            self._lns.ask_at(older, mark, client.path.remote)

    def _client_alive(self, mark: int) -> None:
        if self._lns is not None:
            self._lns.client_alive(mark)

    def _client_gone(self, mark: int, client_id: str, cause: str) -> None:
        self._idle.forget(mark)
        if self._ike is not None and self._ike.engine.clients.by_mark(mark) is None:
            self._others.client_out(mark)
        if self._lns is not None:
            self._leaving[mark] = client_id
            self._lns.client_gone(mark, cause)
            del self._leaving[mark]

    def _continued(self, mark: int, other: int) -> None:
        """Two clients have turned out to be one, and what the other had is under this mark now."""
        self._others.client_out(other)
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        if self._lns is None or client is None:
            return
        self._lns.continued(other, mark, client.path.remote)
        self._idle.forget(other)
        if self._lns.has_tunnel(mark):
            self._idle.forget(mark)

    def _dialled_anew(self, mark: int) -> None:
        if self._ike is not None and self._lns is not None and self._ike.dialled_anew(mark):
            self._lns.end_older(mark, "the client dialled anew")

    def _tunnels_changed(self, mark: int, tunnels: int, silence: str) -> None:
        """A client's number of L2TP tunnels has changed.

        One that has fallen silent in L2TP or PPP has no use for its SAs, any other one may dial
        again in them.
        """
        self._idle.forget(mark)
        if tunnels:
            return
        if silence:
            # On the loop's next turn: we are within the L2TP engine's effects.
            self._loop.call_soon(self._close_client, mark, silence)
        else:
            self._idle.watch(mark)

    def _logged_in(self, user: str, mark: int, older_mark: int, older_session: int) -> None:
        if self._look_alikes is not None:
            self._look_alikes.logged_in(user, mark, older_mark, older_session)

    def _close_client(self, mark: int, cause: str) -> None:
        client = self._ike.engine.clients.by_mark(mark) if self._ike else None
        if self._ike is not None and client is not None:
            self._ike.close_client(client.id, cause)

    # --- control socket --------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Response | AsyncGenerator[bytes]:
        if self._answers is None:
            return ErrorResponse(ErrorCode.BUSY, "the gateway is starting")
        return await self._answers.answer(request)
