"""Emulated clients in one process, as many as there are addresses.

Runs on the lab's client machine: `python -m interop.load.clients FILE`, which reads the fields of
`Load` as JSON and prints the initiator's report as JSON, in a line. Where the clients stay, SIGUSR1
has each of them rekey once, for another such line, and SIGTERM has them vanish: the last line says
how many the gateway had given up before.

A client names an inner address that it does not come from, so there is a NAT before it, as before
most: Main Mode moves to port 4500, and ESP goes in UDP.
"""

import asyncio
import functools
import json
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop.certificates import Identity
from interop.clients import CLIENTS as KINDS
from interop.emulation.secrets import Secrets
from interop.errors import LabError
from interop.initiator.__main__ import phase1_offer
from interop.initiator.checks import Cause
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.profiles import EspOffer, Profile, only
from interop.initiator.report import Failure, Outcome, Report, summarize
from interop.initiator.signatures import Signer
from interop.initiator.udp import Client, Plan
from interop.load.whole import WholeClient
from interop.ppp.login import Account

CLIENTS = IPv4Network("10.64.0.0/14")
"""What clients come from, all of it routed to the client machine."""
INNER = IPv4Network("10.128.0.0/14")
"""What they say they are."""
SOCKETS = 2
"""Of each client: towards 500 and towards 4500. One that stays closes the first for the second."""
SPARE_FILES = 100
EXPONENT = b"\x10\x01"
"""Of Diffie-Hellman, for all clients: the gateway's work is the same with a short one that has two
bits set, and theirs, which shares the machine with it, a twentieth of what it was."""
REKEYS_AT_A_TIME = 8

_ESP = {
    "aes256": EspOffer(EspTransform.AES_CBC, 256, AuthAlgorithm.HMAC_SHA1),
    "3des": EspOffer(EspTransform.TRIPLE_DES, None, AuthAlgorithm.HMAC_SHA1),
}


@dataclass(frozen=True, slots=True)
class Load:
    """`count` clients from number `first` on; with `keep` they leave without a word.

    `mix` gives each kind of client its share. With a `suite` all of them offer that alone, and ESP
    to match. `rate` is how many begin in a second, at random moments; with 0 each begins when one
    of `concurrency` has ended. `crowd` clients are behind the same address. `certificate` is the
    key and the chain, in PEM, that all of them have in place of the preshared key.

    With `whole` they go on to L2TP and PPP, through ESP of their own, and each logs in as a user of
    its own (`user_name`) with `password`. With `stay` they then answer the gateway and run their
    timers. A client that does not get in dials again after `redial` seconds, until `patience` is
    over, counted from its first attempt; with 0 it tries once. One that is not in `limit` seconds
    after its first attempt has failed, whatever it still hopes for; with 0 it may take its time.
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
    stay: bool = False
    whole: bool = False
    redial: float = 0.0
    patience: float = 600.0
    limit: float = 0.0
    password: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    dialled: str = ""
    """The name of the gateway that users of certificates know it by."""

    def as_json(self) -> str:
        """Return it as the program reads it."""
        return json.dumps(asdict(self))

    def profile(self, kind: str) -> Profile:
        """What a client of this kind is told to play."""
        profile = KINDS[kind].ike.profile
        if not self.suite:
            return profile
        return only(profile, phase1_offer(self.suite), _ESP[self.suite.split("-")[0]])


class Caller(Protocol):
    """A client: one of IKE and ESP alone, or a whole one."""

    async def run(self) -> Outcome:
        """Dial in."""

    async def rekey(self) -> Outcome:
        """Replace the ESP SAs of one that stays."""

    @property
    def lost(self) -> Failure | None:
        """Why one that stays has nothing any more."""

    def leave(self) -> None:
        """Vanish."""


def user_name(number: int) -> str:
    """Whom client `number` logs in as."""
    return f"user{number}"


class Crowd:
    """The clients of one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        # The clients' own cost is nobody's business here, and they share the machine.
        self._make_dh = functools.cache(_dh_key)
        self._identity = _identity(load.certificate) if load.certificate else None
        self._plans = {kind: self._plan(load.profile(kind)) for kind in load.mix}
        self._there: list[Caller] = []

    async def arrive(self) -> Report:
        """Let them dial in; the same kinds at the same moments for the same load."""
        load, loop = self._load, asyncio.get_running_loop()
        of_each = 1 if load.stay and not load.whole else SOCKETS
        _allow_files(of_each * load.count + SPARE_FILES)
        rng = random.Random(load.first)  # noqa: S311 - to be the same each time
        kinds = rng.choices(list(load.mix), list(load.mix.values()), k=load.count)
        begins = sorted(rng.uniform(0, load.count / load.rate) for _ in kinds) if load.rate else []
        begun = loop.time()

        async def dial_at(index: int) -> Outcome:
            await asyncio.sleep(begun + begins[index] - loop.time())
            return await self._dial(kinds[index], load.first + index)

        numbers = range(load.count)
        if load.rate:
            return await _reported(dial_at, numbers, load.count)
        return await _reported(
            lambda index: self._dial(kinds[index], load.first + index), numbers, load.concurrency
        )

    async def rekey(self) -> Report:
        """Let each that is there make new ESP SAs in the place of the old ones."""
        there = [caller for caller in self._there if caller.lost is None]
        return await _reported(
            lambda index: there[index].rekey(), range(len(there)), REKEYS_AT_A_TIME
        )

    def vanish(self) -> dict[str, int]:
        """End without a word; those that were not there any more, by cause."""
        lost = Counter(str(caller.lost[0]) for caller in self._there if caller.lost)
        for caller in self._there:
            caller.leave()
        return dict(lost)

    async def _dial(self, kind: str, number: int) -> Outcome:
        """Dial, and again as long as the client has patience."""
        attempts: list[Failure] = []
        begun = time.monotonic()
        end = begun + self._load.limit if self._load.limit else None
        while True:
            started = time.monotonic()
            caller = self._caller(kind, number)
            try:
                async with asyncio.timeout_at(end):
                    outcome = await caller.run()
            except TimeoutError:
                caller.leave()
                failure = (Cause.TIMEOUT, f"not in after {self._load.limit:g} s")
                outcome = Outcome(None, (), failure, ())
                break
            again = time.monotonic() + self._load.redial
            if outcome.failure is None or not self._load.redial:
                break
            if again > begun + self._load.patience:
                break
            attempts.append(outcome.failure)
            await asyncio.sleep(self._load.redial)
        if outcome.failure is None and self._load.stay:
            self._there.append(caller)
        setup = None if outcome.setup is None else outcome.setup + started - begun
        return replace(outcome, setup=setup, attempts=tuple(attempts))

    def _caller(self, kind: str, number: int) -> Caller:
        load = self._load
        plan = replace(self._plans[kind], source=CLIENTS[number // load.crowd + 1])
        if not load.whole:
            return Client(plan, number)
        account = Account(user_name(number), load.password)
        secrets = Secrets(plan.psk, account, self._identity)
        return WholeClient(KINDS[kind], secrets, plan, number, dialled=load.dialled)

    def _plan(self, profile: Profile) -> Plan:
        load = self._load
        who = self._identity
        return Plan(
            profile=profile,
            psk=load.psk.encode(),
            target=ip_address(load.target),
            port=500,
            floated_port=4500,
            make_dh=self._make_dh,
            # What answers look like is the matrix's business.
            tolerated=frozenset(Cause),
            inner=INNER,
            quick_modes=load.quick_modes,
            keep=load.keep,
            stay=load.stay,
            signer=None if who is None else Signer.of(who.key, who.certificate),
        )


def _dh_key(group: int, random: Callable[[int], bytes]) -> DhKey:
    del random
    return dh_key(group, lambda _: EXPONENT, len(EXPONENT))


def _identity(text: str) -> Identity:
    key = load_pem_private_key(text.encode(), None)
    assert isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey)
    certificate, *issuers = load_pem_x509_certificates(text.encode())
    return Identity(certificate, key, tuple(issuers))


async def _reported(
    action: Callable[[int], Awaitable[Outcome]], indices: Sequence[int], at_a_time: int
) -> Report:
    """Do something with each, so many at a time; what came of it."""
    outcomes: list[Outcome] = []

    async def one_after_another(rest: Iterator[int]) -> None:
        for index in rest:
            outcomes.append(await action(index))  # noqa: PERF401

    begun, cpu, rest = time.monotonic(), time.process_time(), iter(indices)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(at_a_time, len(indices))):
            tasks.create_task(one_after_another(rest))
            # So that those that have begun are not kept from going on, as they share this process.
            await asyncio.sleep(0)
    return summarize(outcomes, time.monotonic() - begun, time.process_time() - cpu)


def _allow_files(number: int) -> None:
    """Let this process open so many files. Raises LabError if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= number:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(hard, number)))
    except ValueError as error:
        raise LabError(
            f"so many clients take {number} open files, and this machine allows {hard}:"
            " raise the hard limit (ulimit -Hn) or play fewer clients"
        ) from error


async def run(load: Load) -> None:
    """Do what the module's page says."""
    crowd = Crowd(load)
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGUSR1, signal.SIGTERM):
        loop.add_signal_handler(number, orders.put_nowait, number)
    print((await crowd.arrive()).as_json(), flush=True)
    while load.stay and await orders.get() is signal.SIGUSR1:
        print((await crowd.rekey()).as_json(), flush=True)
    print(json.dumps(crowd.vanish()), flush=True)


if __name__ == "__main__":
    asyncio.run(run(Load(**json.loads(Path(sys.argv[1]).read_text()))))
