"""What the operator asks, answered by all workers together."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec

from cli.control import (
    MAX_RESPONSE,
    ControlError,
    DownRequest,
    DownResponse,
    ErrorCode,
    ErrorResponse,
    MetricsRequest,
    MetricsResponse,
    PingRequest,
    PingResponse,
    Request,
    Response,
    StatusRequest,
    StatusResponse,
    VerifyRequest,
    VerifyResponse,
    build_request,
    parse_response,
)
from cli.ikev1d.answers import VERSION
from cli.ikev1d.in_force import InForce
from cli.ikev1d.metrics.joined import join_metrics
from cli.ikev1d.processes.errors import WorkerError
from cli.ikev1d.processes.requests import FactsRequest, LedgerRequest
from cli.ikev1d.verify.ledger import our_pid
from cli.ikev1d.verify.process import VerifyError, look_at_machine
from cli.ikev1d.verify.running import RunningFacts, check_running

LIMIT = 30.0
"""Seconds for one worker's answer."""

T = TypeVar("T", bound=Response)


class JoinedAnswers:
    """Asks the workers on their own control sockets, which are at `paths`."""

    def __init__(self, in_force: InForce, paths: Sequence[Path]) -> None:
        self._in_force = in_force
        self._paths = paths
        self._started = time.monotonic()
        self._verifying = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """Carry out one request."""
        try:
            return await self._answer(request)
        except (WorkerError, VerifyError) as error:
            return ErrorResponse(ErrorCode.FAILED, str(error))

    async def metrics(self) -> str:
        """All metrics, in Prometheus' text format. Raises WorkerError."""
        answers = await self._ask(MetricsRequest(), MetricsResponse)
        return join_metrics([answer.text for answer in answers])

    async def _answer(self, request: Request) -> Response:
        match request:
            case PingRequest():
                return PingResponse(version=VERSION, pid=os.getpid(), uptime=self._uptime())
            case StatusRequest():
                return self._status(await self._ask(request, StatusResponse))
            case DownRequest():
                answers = await self._ask(request, DownResponse)
                return DownResponse(clients=tuple(chain(*(each.clients for each in answers))))
            case VerifyRequest():
                return await self._verify()
            case _:
                return MetricsResponse(text=await self.metrics())

    def _uptime(self) -> int:
        return int(time.monotonic() - self._started)

    def _status(self, answers: Sequence[StatusResponse]) -> StatusResponse:
        gateways = [answer.gateway for answer in answers]
        failures: Counter[str] = Counter()
        for gateway in gateways:
            failures.update(gateway.failures)
        joined = replace(
            gateways[0],
            pid=os.getpid(),
            uptime=self._uptime(),
            half_open=sum(gateway.half_open for gateway in gateways),
            established=sum(gateway.established for gateway in gateways),
            config=str(self._in_force.config.path),
            failures=dict(failures),
        )
        clients = chain(*(answer.clients for answer in answers))
        return StatusResponse(
            gateway=joined, clients=tuple(sorted(clients, key=lambda client: -client.age))
        )

    async def _verify(self) -> Response:
        if self._verifying.locked():
            return ErrorResponse(ErrorCode.BUSY, "somebody else is verifying already")
        config = self._in_force.config
        async with self._verifying:
            found = await look_at_machine(config.path, self._ledger)
        lines = await asyncio.gather(*(_lines(path, FactsRequest()) for path in self._paths))
        facts = [msgspec.json.decode(line, type=RunningFacts) for line in lines]
        running = check_running(join_facts(facts, changed=self._in_force.changed), config)
        return VerifyResponse(running=True, findings=(*found, *running))

    async def _ledger(self) -> AsyncIterator[bytes]:
        yield our_pid()
        for path in self._paths:
            yield (await _lines(path, LedgerRequest())).removesuffix(b"\n")
        yield b"\n"

    async def _ask(self, request: Request, kind: type[T]) -> list[T]:
        lines = await asyncio.gather(*(_lines(path, request) for path in self._paths))
        return await asyncio.to_thread(_parsed, lines, kind)


def join_facts(facts: Sequence[RunningFacts], *, changed: bool) -> RunningFacts:
    """What is true of all workers together."""

    def total(of: Callable[[RunningFacts], int]) -> int:
        return sum(map(of, facts))

    return RunningFacts(
        half_open=total(lambda one: one.half_open),
        addresses=facts[0].addresses,  # they share the pool
        leased=total(lambda one: one.leased),
        file_limit=facts[0].file_limit,
        stray_leases=total(lambda one: one.stray_leases),
        lost_events=total(lambda one: one.lost_events),
        waiting=facts[0].waiting,
        changed=changed,
        no_kernel_path=next((one.no_kernel_path for one in facts if one.no_kernel_path), ""),
        in_user_space={
            client: cause for one in facts for client, cause in one.in_user_space.items()
        },
    )


def _parsed(lines: Iterable[bytes], kind: type[T]) -> list[T]:
    """Answers of one kind. Raises WorkerError."""
    answers: list[T] = []
    for line in lines:
        try:
            answer = parse_response(line)
        except ControlError as error:
            raise WorkerError(f"a worker's answer: {error}") from error
        if isinstance(answer, ErrorResponse):
            raise WorkerError(answer.text)
        if not isinstance(answer, kind):
            raise WorkerError("a worker answers something else")
        answers.append(answer)
    return answers


async def _lines(path: Path, request: Request) -> bytes:
    """All that a worker answers. Raises WorkerError."""
    try:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_unix_connection(path, limit=MAX_RESPONSE)
            try:
                writer.write(build_request(request))
                return await reader.read()
            finally:
                writer.close()
    except OSError as error:  # TimeoutError is one
        raise WorkerError(f"the worker at {path} does not answer: {error or 'no end'}") from error
