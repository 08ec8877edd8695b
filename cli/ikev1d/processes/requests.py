"""What the supervisor asks each worker, beyond what the operator asks, on its control socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cli.control import REQUESTS, Request


@dataclass(frozen=True, slots=True)
class LedgerRequest(Request):
    """List all that the worker has in the kernel, in lines (`cli.ikev1d.verify.ledger`)."""

    KIND: ClassVar[str] = "ledger"


@dataclass(frozen=True, slots=True)
class FactsRequest(Request):
    """What `verify` is to know of the worker: `RunningFacts`, one line."""

    KIND: ClassVar[str] = "facts"


WORKER_REQUESTS = (*REQUESTS, LedgerRequest, FactsRequest)
