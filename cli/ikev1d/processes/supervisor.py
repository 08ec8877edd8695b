"""Starts the workers, keeps what is theirs together, and speaks for them to the operator.

It has the control socket and the metrics, the two policies that block L2TP in clear, and what an
earlier run has left. Clients never meet it. A worker that ends by itself ends the gateway, as the
one process of a gateway without workers does: the service manager starts all of it again, and what
the clients of the dead one are to be told is in its file (`cli.ikev1d.farewells`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from shutil import rmtree
from socket import socket, socketpair

from cli.control import REQUESTS, ErrorCode, ErrorResponse, Request, Response
from cli.ikev1d.addresses import local_addresses
from cli.ikev1d.config import Config
from cli.ikev1d.control import ControlServer, ControlSocketError
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.machine import Machine
from cli.ikev1d.processes.claims import DIRECTORY
from cli.ikev1d.processes.errors import WorkerError
from cli.ikev1d.processes.joined import JoinedAnswers
from cli.ikev1d.processes.messages import ALL, SUPERVISOR, Begin, Channel
from cli.ikev1d.processes.others import Others
from cli.ikev1d.processes.ports import BoundL2tpSocket, Ports
from cli.ikev1d.processes.worker import Worker
from cli.ikev1d.run_files import of_process
from cli.ikev1d.service import serve_among
from cli.ikev1d.start import (
    StartError,
    announce,
    start_errors,
    tell_the_operator,
    usable_algorithms,
)
from cli.ikev1d.systemd import notify
from cli.ikev1d.tunnel_memory import KnownTunnels
from cli.ikev1d.workers import Workers
from ikev1.core.effects import Send
from ikev1.core.share import Share
from ikev1.core.spi import draw_stamp
from l2tp.core.strays import Standing
from xfrm.errors import KernelError


@dataclass(frozen=True, slots=True)
class _Process:
    """A worker: its process, and the line to it."""

    process: ForkProcess
    line: socket


@dataclass(frozen=True, slots=True)
class _Found:
    """What is found out once, for all workers."""

    addresses: list[str]
    unusable: frozenset[str]
    left: int
    """Of an earlier run, in the kernel."""


def supervise(config: Config, machine: Machine) -> None:
    """Run the gateway in as many processes as are configured, until SIGTERM or SIGINT.

    Raises StartError, ControlSocketError, WorkerError.
    """
    supervisor = Supervisor(config, machine)
    supervisor.prepare()
    workers = supervisor.fork()
    asyncio.run(supervisor.serve(workers))


class Supervisor:
    """The process that the others are forked from."""

    def __init__(self, config: Config, machine: Machine) -> None:
        self._in_force = InForce(config)
        self._machine = machine
        self._log = ClientLog("ikev1d")
        self._count = config.gateway.workers
        path = config.gateway.control_socket
        self._control: ControlServer = machine.control_server(path, self._answer, REQUESTS)
        # Never 0: that is the responder's cookie of a first message.
        self._cookie_stamp = int.from_bytes(machine.random(2), "big") or 1
        self._spi_stamp = draw_stamp(machine.random)
        self._farewells = machine.farewells(path.with_name("farewells"))
        self._words: list[Send] = []
        self._tunnels: dict[int, Standing] = {}
        self._stop = asyncio.Event()
        self._answers: JoinedAnswers | None = None
        self._undo = AsyncExitStack()

    @property
    def _config(self) -> Config:
        return self._in_force.config

    def _share(self, index: int) -> Share:
        return Share(index, self._count, self._cookie_stamp, self._spi_stamp)

    # --- before there are workers ----------------------------------------------------------------

    def prepare(self) -> None:
        """Clean up after an earlier run, and open the ports.

        Raises StartError, ControlSocketError.
        """
        config = self._config
        self._control.lock()  # no other gateway runs, nor a worker of one: they have it too
        with start_errors(config):
            self._found = asyncio.run(self._find())
            self._ports = Ports(config, self._found.addresses, self._count, self._cookie_stamp)
        memory = self._machine.tunnel_memory(config.gateway.control_socket.with_name("tunnels"))
        try:
            self._tunnels = memory.open()
            self._words = self._farewells.open()
        except OSError as error:
            self._log.warning("what an earlier run has kept is lost", cause=error)
        memory.close()

    async def _find(self) -> _Found:
        sadb = self._machine.sadb(lambda event: None)
        await sadb.open()
        try:
            sas = KernelSas(sadb, self._config.marks.base, self._config.marks.mask)
            left = await sas.open()
            unusable = usable_algorithms(self._config, sadb, self._log)
        finally:
            sadb.close()
        return _Found(await local_addresses(self._config.gateway), unusable, left)

    def fork(self) -> list[_Process]:
        """Start the workers."""
        workers: list[_Process] = []
        for index in range(self._count):
            ours, theirs = socketpair()
            lines = [ours, *(worker.line for worker in workers)]
            process = get_context("fork").Process(target=self._work, args=(index, theirs, lines))
            process.start()
            theirs.close()
            workers.append(_Process(process, ours))
        return workers

    # --- in a worker -----------------------------------------------------------------------------

    def _work(self, index: int, line: socket, lines: Sequence[socket]) -> None:
        """Be a worker. `lines` are the supervisor's, whose end is to be seen."""
        for supervisors in lines:
            supervisors.close()
        os.environ.pop("NOTIFY_SOCKET", None)  # the supervisor speaks for all
        machine = replace(
            self._machine,
            ike_sockets=lambda addresses: self._ports.ike[index],
            l2tp_socket=partial(BoundL2tpSocket, self._ports.l2tp[index]),
            tunnel_memory=lambda path: KnownTunnels(path, self._tunnels),
            workers=partial(Workers, threads=1),
        )
        try:
            asyncio.run(self._serve_share(index, line, machine))
        except (StartError, ControlSocketError) as error:
            print(error, file=sys.stderr)
            sys.exit(1)

    async def _serve_share(self, index: int, line: socket, machine: Machine) -> None:
        stop = asyncio.Event()
        share, unusable = self._share(index), self._found.unusable
        others: Others = Worker(self._config, share, unusable, line, stop.set)
        await serve_among(self._config, machine, stop, others)

    # --- while they run --------------------------------------------------------------------------

    async def serve(self, workers: Sequence[_Process]) -> None:
        """Let them serve until a signal comes, or one of them ends.

        Raises StartError, ControlSocketError, WorkerError.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload, workers)
        channels = [await Channel.open(worker.line) for worker in workers]
        ready = asyncio.Semaphore(0)
        readers = [
            asyncio.create_task(self._relay(index, channels, ready)) for index in range(self._count)
        ]
        try:
            begun = await self._begin(channels, ready)
            if begun:
                await self._stop.wait()
        finally:
            notify("STOPPING=1")
            await self._close(workers, channels, readers)
        for index, worker in enumerate(workers):
            if worker.process.exitcode:
                raise WorkerError(
                    f"worker {index} has ended with status {worker.process.exitcode}, and all of "
                    "the gateway with it"
                )
        self._log.info("stopped")

    async def _begin(self, channels: Sequence[Channel], ready: asyncio.Semaphore) -> bool:
        """Begin to serve when all workers are ready; False if we have to stop before."""
        config = self._config
        with start_errors(config):
            await self._control.start()
            self._undo.push_async_callback(self._control.close)
            path = config.gateway.control_socket
            paths = [of_process(path, index) for index in range(self._count)]
            answers = JoinedAnswers(self._in_force, paths)
            await tell_the_operator(self._in_force, answers.metrics, self._undo)
        stopped = asyncio.create_task(self._stop.wait())
        for _ in channels:
            waiting = asyncio.create_task(ready.acquire())
            await asyncio.wait((waiting, stopped), return_when=asyncio.FIRST_COMPLETED)
            if stopped.done():
                waiting.cancel()
                return False
        stopped.cancel()
        for send in self._words:
            self._ports.ike[0].send(send.path, send.datagram)
        for channel in channels:
            channel.send(ALL, Begin())
        self._answers = answers
        if self._words:
            count = len(self._words)
            self._log.info("told clients of an earlier run that it is over", messages=count)
        found = self._found
        announce(self._log, self._config, found.addresses, found.left, workers=self._count)
        return True

    async def _relay(
        self, index: int, channels: Sequence[Channel], ready: asyncio.Semaphore
    ) -> None:
        """Carry a worker's messages to the others, until it ends."""
        async for to, octets in channels[index].frames():
            if to == SUPERVISOR:
                ready.release()
                continue
            for number, channel in enumerate(channels):
                if number == to or (to == ALL and number != index):
                    channel.forward(number, octets)
        self._stop.set()

    def _reload(self, workers: Sequence[_Process]) -> None:
        """Have each worker read the configuration again, if it is good."""
        if self._in_force.reread() is not None:
            _signal(workers, signal.SIGHUP)

    async def _answer(self, request: Request) -> Response:
        if self._answers is None:
            return ErrorResponse(ErrorCode.BUSY, "the gateway is starting")
        return await self._answers.answer(request)

    async def _close(
        self,
        workers: Sequence[_Process],
        channels: Sequence[Channel],
        readers: Sequence[asyncio.Task[None]],
    ) -> None:
        """Have every worker hang up its clients, and take everything of ours out of the kernel."""
        self._stop.set()
        _signal(workers, signal.SIGTERM)
        await asyncio.gather(*readers)
        for worker, channel in zip(workers, channels, strict=True):
            await asyncio.to_thread(worker.process.join)
            channel.close()
        await self._undo.aclose()
        self._farewells.close()
        rmtree(self._config.gateway.control_socket.with_name(DIRECTORY), ignore_errors=True)
        sadb = self._machine.sadb(lambda event: None)
        await sadb.open()
        with suppress(KernelError):
            await KernelSas(sadb, self._config.marks.base, self._config.marks.mask).close()
        sadb.close()


def _signal(workers: Sequence[_Process], number: signal.Signals) -> None:
    for worker in workers:
        if worker.process.pid is not None and worker.process.is_alive():
            os.kill(worker.process.pid, number)
