"""Answers the requests of the control socket.

With ten thousand clients an answer takes a second: it is put together in batches, between which
the event loop serves others.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from importlib.metadata import version

import msgspec

from cli.control import (
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    GatewayStatus,
    MetricsRequest,
    MetricsResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    VerifyRequest,
    VerifyResponse,
    build_status,
)
from cli.ikev1d.ike import IkeHost
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.l2tp import LnsHost
from cli.ikev1d.metrics.collect import Metrics
from cli.ikev1d.open_files import file_limit
from cli.ikev1d.processes.requests import FactsRequest, LedgerRequest
from cli.ikev1d.status import BATCH, client_statuses
from cli.ikev1d.story import Story
from cli.ikev1d.udp import ANY_ADDRESS, IKE_PORT, NAT_T_PORT
from cli.ikev1d.verify.ledger import write_ledger
from cli.ikev1d.verify.process import VerifyError, look_at_machine
from cli.ikev1d.verify.running import RunningFacts, check_running
from xfrm.errors import KernelError

VERSION = version("ikev1d")


class Answers:
    """What the operator asks, answered by the layers of one running gateway."""

    def __init__(
        self,
        in_force: InForce,
        addresses: Sequence[str],
        sas: KernelSas,
        ike: IkeHost,
        lns: LnsHost,
        story: Story,
    ) -> None:
        self._in_force = in_force
        self._addresses = addresses
        self._sas = sas
        self._ike = ike
        self._lns = lns
        self._story = story
        self.metrics = Metrics(VERSION, in_force, sas, ike, lns, story.counters, lns.counters)
        self._loop = asyncio.get_running_loop()
        self._started = time.monotonic()
        self._verifying = asyncio.Lock()

    async def answer(self, request: Request) -> Response | AsyncGenerator[bytes]:
        """Carry out one request; the answer to the one for status is its line in parts."""
        try:
            return await self._answer(request)
        except (KernelError, VerifyError) as error:
            return ErrorResponse(ErrorCode.FAILED, str(error))

    async def _answer(self, request: Request) -> Response | AsyncGenerator[bytes]:
        match request:
            case PingRequest():
                return PingResponse(version=VERSION, pid=os.getpid(), uptime=self._uptime())
            case DownRequest():
                return DownResponse(clients=self._down(request))
            case VerifyRequest():
                return await self._verify()
            case MetricsRequest():
                return MetricsResponse(text=await self.metrics.text())
            case LedgerRequest():
                return self._ledger()
            case FactsRequest():
                return self._facts()
            case _:
                return await self._status()

    def _uptime(self) -> int:
        return int(time.monotonic() - self._started)

    # --- status ----------------------------------------------------------------------------------

    async def _status(self) -> AsyncGenerator[bytes]:
        carried = await self._sas.carried()
        clients = client_statuses(self._ike.engine, self._lns, self._sas, carried)
        return build_status(self._gateway_status(), clients)

    def _gateway_status(self) -> GatewayStatus:
        return GatewayStatus(
            version=VERSION,
            pid=os.getpid(),
            uptime=self._uptime(),
            listen=tuple(
                f"{a}:{p}"
                for a in self._addresses or (ANY_ADDRESS,)
                for p in (IKE_PORT, NAT_T_PORT)
            ),
            half_open=self._ike.engine.half_open,
            established=len(self._ike.engine.clients),
            config=str(self._in_force.config.path),
            failures=dict(self._story.failures),
        )

    # --- down ------------------------------------------------------------------------------------

    def _down(self, request: DownRequest) -> tuple[str, ...]:
        """Hang up the clients that the request names."""
        users = {session.peer.mark: session.user for session in self._lns.engine.sessions()}
        chosen = [
            client
            for client in self._ike.engine.clients
            if request.everyone
            or client.id == request.client
            or (request.user and users.get(client.mark) == request.user)
            or (request.peer and request.peer in (client.path.remote, str(client.path)))
        ]
        for client in chosen:
            self._lns.hang_up(client.mark, "taken down by the operator")
            self._ike.close_client(client.id, "taken down by the operator")
        return tuple(client.id for client in chosen)

    # --- verify ----------------------------------------------------------------------------------

    async def _verify(self) -> Response:
        if self._verifying.locked():
            return ErrorResponse(ErrorCode.BUSY, "somebody else is verifying already")
        async with self._verifying:
            found = await look_at_machine(self._in_force.config.path, self._ledger)
        running = check_running(await self._running_facts(), self._in_force.config)
        return VerifyResponse(running=True, findings=(*found, *running))

    def _ledger(self) -> AsyncGenerator[bytes]:
        return write_ledger(self._sas, self._lns.data_paths)

    async def _facts(self) -> AsyncGenerator[bytes]:
        yield msgspec.json.encode(await self._running_facts()) + b"\n"

    async def _running_facts(self) -> RunningFacts:
        clients, data_paths = self._ike.engine.clients, self._lns.data_paths
        in_user_space: dict[str, str] = {}
        for number, path in enumerate(data_paths.holdings()):
            if number % BATCH == 0:
                await asyncio.sleep(0)
            client = clients.by_mark(path.mark)
            if client is not None and not path.in_kernel:
                in_user_space[client.id] = path.cause
        pool = self._lns.engine.pool
        return RunningFacts(
            half_open=self._ike.engine.half_open,
            addresses=pool.size,
            leased=pool.leased,
            file_limit=file_limit(),
            stray_leases=len(pool.leases().keys() - self._lns.engine.session_ids()),
            lost_events=self._story.counters.lost_events,
            waiting=self._in_force.waiting,
            changed=self._in_force.changed,
            no_kernel_path=data_paths.unavailable,
            in_user_space=in_user_space,
        )
