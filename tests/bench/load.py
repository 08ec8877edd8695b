"""Clients that dial in one after the other, each from an address of its own.

Runs on the lab's client machine: `python -m tests.bench.load '{"target": ...}'`, the fields of
`Load` as JSON. It prints the initiator's report as JSON. A client names an inner address that it
does not come from, so there is a NAT before it, as before most: Main Mode moves to port 4500, and
ESP goes in UDP.
"""

import asyncio
import functools
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from ipaddress import IPv4Network, ip_address

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop.clients.ike import STRONGSWAN
from interop.initiator.__main__ import phase1_offer
from interop.initiator.checks import WARNINGS
from interop.initiator.derivation import dh_key
from interop.initiator.profiles import EspOffer, only
from interop.initiator.report import Outcome, Report, summarize
from interop.initiator.udp import Client, Plan

CLIENTS = IPv4Network("10.64.0.0/16")
"""What clients come from, all of it routed to the client machine."""
INNER = IPv4Network("10.128.0.0/16")
"""What they say they are."""


@dataclass(frozen=True, slots=True)
class Load:
    """`count` clients from number `first` on; with `keep` they stay."""

    target: str
    psk: str
    suite: str
    first: int
    count: int
    quick_modes: int
    concurrency: int = 1
    keep: bool = False

    def as_json(self) -> str:
        """Return it as the command line takes it."""
        return json.dumps(asdict(self))


async def run(load: Load) -> Report:
    """Let the clients dial in."""
    offer = phase1_offer(load.suite)
    esp = {
        "aes256": EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA1),
        "3des": EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_SHA1),
    }[load.suite.split("-")[0]]
    plan = Plan(
        profile=only(STRONGSWAN, offer, esp),
        psk=load.psk.encode(),
        target=ip_address(load.target),
        port=500,
        floated_port=4500,
        # The clients' own cost is nobody's business here, and they share the machine.
        make_dh=functools.cache(dh_key),
        tolerated=WARNINGS,
        inner=INNER,
        quick_modes=load.quick_modes,
        keep=load.keep,
    )
    numbers = iter(range(load.first, load.first + load.count))
    outcomes: list[Outcome] = []

    async def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            own = replace(plan, source=CLIENTS[number + 1])
            outcomes.append(await Client(own, number).run())

    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(load.concurrency):
            tasks.create_task(work(numbers))
    return summarize(outcomes, loop.time() - begun, 0.0)


if __name__ == "__main__":
    print(asyncio.run(run(Load(**json.loads(sys.argv[1])))).as_json())
