"""Emulated clients in one process, as many as there are addresses.

Runs on the lab's client machine: `python -m interop.load.clients`, which reads the fields of `Load`
as JSON and prints the initiator's report as JSON. A client names an inner address that it
does not come from, so there is a NAT before it, as before most: Main Mode moves to port 4500, and
ESP goes in UDP.
"""

import asyncio
import functools
import json
import random
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Network, ip_address

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop.clients import CLIENTS as KINDS
from interop.initiator.__main__ import phase1_offer
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.profiles import EspOffer, Profile, only
from interop.initiator.report import Outcome, Report, summarize
from interop.initiator.signatures import Signer
from interop.initiator.udp import Client, Plan

CLIENTS = IPv4Network("10.64.0.0/14")
"""What clients come from, all of it routed to the client machine."""
INNER = IPv4Network("10.128.0.0/14")
"""What they say they are."""
SOCKETS = 2
"""Of each client: towards 500 and towards 4500."""
SPARE_FILES = 100

_ESP = {
    "aes256": EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA1),
    "3des": EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_SHA1),
}


@dataclass(frozen=True, slots=True)
class Load:
    """`count` clients from number `first` on; with `keep` they stay.

    `mix` gives each kind of client its share. With a `suite` all of them offer that alone, and ESP
    to match. `rate` is how many begin in a second, at random moments; with 0 each begins when one
    of `concurrency` has ended. `crowd` clients are behind the same address. `certificate` is the
    key and the chain, in PEM, that all of them have in place of the preshared key.
    """

    target: str
    psk: str = field(repr=False)
    first: int
    count: int
    mix: dict[str, float] = field(default_factory=lambda: {"strongswan": 1.0})
    suite: str = ""
    quick_modes: int = 1
    rate: float = 0.0
    concurrency: int = 1
    crowd: int = 1
    keep: bool = False
    certificate: str = field(default="", repr=False)

    def as_json(self) -> str:
        """Return it as the program reads it."""
        return json.dumps(asdict(self))

    def profile(self, kind: str) -> Profile:
        """What a client of this kind is told to play."""
        profile = KINDS[kind].ike.profile
        if not self.suite:
            return profile
        return only(profile, phase1_offer(self.suite), _ESP[self.suite.split("-")[0]])


async def run(load: Load) -> Report:
    """Let the clients dial in; the same kinds at the same moments for the same `load`."""
    _allow_files(SOCKETS * load.count + SPARE_FILES)
    # The clients' own cost is nobody's business here, and they share the machine.
    make_dh = functools.cache(dh_key)
    plans = {kind: _plan(load, load.profile(kind), make_dh) for kind in load.mix}
    rng = random.Random(load.first)  # noqa: S311 - to be the same each time
    kinds = rng.choices(list(load.mix), list(load.mix.values()), k=load.count)
    begins = sorted(rng.uniform(0, load.count / load.rate) for _ in kinds) if load.rate else []
    outcomes: list[Outcome] = []

    async def dial(index: int) -> None:
        number = load.first + index
        own = replace(plans[kinds[index]], source=CLIENTS[number // load.crowd + 1])
        outcomes.append(await Client(own, number).run())

    async def dial_at(index: int) -> None:
        await asyncio.sleep(begun + begins[index] - loop.time())
        await dial(index)

    async def dial_one_after_another(indices: Iterator[int]) -> None:
        for index in indices:
            await dial(index)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as tasks:
        if load.rate:
            for index in range(load.count):
                tasks.create_task(dial_at(index))
        else:
            indices = iter(range(load.count))
            for _ in range(min(load.concurrency, load.count)):
                tasks.create_task(dial_one_after_another(indices))
    return summarize(outcomes, loop.time() - begun, 0.0)


def _plan(
    load: Load, profile: Profile, make_dh: Callable[[int, Callable[[int], bytes]], DhKey]
) -> Plan:
    signer = None
    if load.certificate:
        key = load_pem_private_key(load.certificate.encode(), None)
        assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)
        signer = Signer.of(key, *load_pem_x509_certificates(load.certificate.encode()))
    return Plan(
        profile=profile,
        psk=load.psk.encode(),
        target=ip_address(load.target),
        port=500,
        floated_port=4500,
        make_dh=make_dh,
        # What answers look like is the matrix's business.
        tolerated=frozenset(Cause),
        inner=INNER,
        quick_modes=load.quick_modes,
        keep=load.keep,
        signer=signer,
    )


def _allow_files(number: int) -> None:
    """Let this process open so many files, if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(hard, number)))


if __name__ == "__main__":
    print(asyncio.run(run(Load(**json.load(sys.stdin)))).as_json())
