"""The world of the simulation: gateway, internet, NATs, clients, and all that befalls them."""

from __future__ import annotations

import errno
import functools
import gc
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import ip_address

from cli.ikev1d.config import Config
from cli.ikev1d.service import Gateway
from tests.simulation import settings
from tests.simulation.behaviour import Roadwarrior
from tests.simulation.clock import virtual_loop
from tests.simulation.invariants import (
    OUR_PACKAGES,
    Doom,
    Invariants,
    hold,
    table_sizes,
)
from tests.simulation.kernel import Kernel
from tests.simulation.machine import SimulatedMachine
from tests.simulation.network import FAIR, Internet, Link, Nat, Weather
from tests.simulation.trace import Trace, daemon_log
from xfrm.model import Policy, Sa

FULL_CHECK = 5000
"""Steps between two looks at everything in a small crowd."""
FULL_CHECK_EACH = 25
"""Steps for each client between two of them in a large one."""
MARGIN = 120.0
"""Seconds beyond a client's lifetimes after which none of its SAs is left."""
BACK_WITHIN = 180.0
"""Seconds after a new start of the gateway in which everybody has found out that its SAs are gone,
at the worst by PINGS tries."""
TALK_WITHIN = 60.0
"""Seconds after it in which everybody has something to say."""
FLUSHED = 0.3
"""Chance that somebody has emptied the kernel before the gateway starts again."""
CRASH = 0.3
"""Chance that the gateway crashes where that is the trouble that is due: it ends long lives."""
TROUBLE_INTERVAL = 90.0
"""Seconds between two troubles for some of the clients, on average."""
SHORTEST_MAPPING = 30.0
"""Seconds of silence after which a NAT forgets a client, where it forgets soon."""
LONGEST_LIFE = 86_400.0
"""Seconds after which no timer of anybody who has gone is left."""
GARBAGE = 1_000_000
"""Objects between two collections: a crowd's are many, and few of them are garbage."""
REFUSALS = (errno.ENOMEM, errno.ENOBUFS)
PEACE = 900.0
"""Seconds in which whoever is up, dials in or is excused has the time to show that it is well."""


class FailedRunError(AssertionError):
    """A run went wrong: the last lines of its trace, what, at which step, and how to replay it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    clients: int
    hours: float
    peace: float = PEACE
    """Seconds without trouble at the end, in which everybody who is up gets data through."""
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was."""

    steps: int
    packets: int
    checks: int
    dial_ins: int
    peak: int
    """Clients that the gateway had at once."""
    counts: dict[str, int]
    digest: str


class World:
    """One run of the simulation."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = virtual_loop()
        self.trace = Trace(self.loop, loud=plan.loud)
        self._dice = random.Random(plan.seed)
        self._undo = ExitStack()
        self._undo.enter_context(daemon_log(self.trace))
        config = self._undo.enter_context(settings.configuration(plan.clients))
        self.trace.hide(str(config.path.parent))
        self.kernel = Kernel(self.loop, self._new_dice())
        self.machine = SimulatedMachine(
            self.loop,
            self.kernel,
            self._new_dice(),
            finds_tunnels_by_id=self._dice.random() < 0.5,
        )
        self.internet = Internet(self.loop, self._new_dice(), self.trace)
        self.internet.to_gateway = self.machine.receive
        self.machine.send = self.internet.down
        self._config = config
        self.gateway: Gateway = self.loop.run_until_complete(self._start(config))
        self.invariants = Invariants(self.gateway, self.kernel, self.machine, self.loop)
        assert self.machine.ike is not None
        self.machine.ike.before = self.invariants.asked
        self.loop.after_step = self._after_step
        self._empty = table_sizes(self.gateway)
        self._peak = 0
        self._full_check = max(FULL_CHECK, FULL_CHECK_EACH * plan.clients)
        self._addresses = map(str, map(ip_address, range(int(ip_address("198.18.0.1")), 2**32)))
        self.nats: list[Nat] = []
        self.clients = [self._new_client(number) for number in range(plan.clients)]
        self.invariants.holds = lambda number, name: self.clients[number].holds(name)

    async def _start(self, config: Config) -> Gateway:
        gateway = Gateway(config, self.machine.as_machine())
        await gateway.start()
        assert gateway._answers is not None
        gateway._answers.metrics.stop()  # a clock that jumps has no lag, and it looks each second
        return gateway

    def _new_dice(self) -> random.Random:
        return random.Random(self._dice.random())

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Let them live, then come to rest, then leave; and look for what is left."""
        try:
            seconds = self.plan.hours * 3600
            for client in self.clients:
                self.loop.call_later(self._dice.random() * min(600.0, seconds / 2), client.dial)
            self.loop.call_later(self._dice.expovariate(1 / TROUBLE_INTERVAL), self._trouble)
            self.loop.run_until(seconds)
            self._end_troubles()
            self.loop.run_until(seconds + self.plan.peace)
            self._leave_all()
            self._check_empty()
            return Outcome(
                steps=self.loop.steps,
                packets=self.internet.packets,
                checks=self.invariants.checks,
                dial_ins=sum(client.ups for client in self.clients),
                peak=self._peak,
                counts=dict(self.trace.counts) | dict(self.kernel.drops),
                digest=self.trace.digest,
            )
        finally:
            self.close()

    def close(self) -> None:
        """Give back what the world has of the machine it runs on."""
        self._undo.close()

    def _after_step(self) -> None:
        self.invariants.after_step()
        if self.loop.steps % self._full_check == 0 and not self._down:
            self._peak = max(self._peak, len(self.invariants.engine.clients))
            self.invariants.check_all()

    def _end_troubles(self) -> None:
        self.trace.note("world", "peace")
        self.internet.weather = FAIR
        self._quiet = True
        for nat in self.nats:
            nat.cut = False
        self.kernel.refuse = lambda thing: 0
        self.kernel.loses_events = lambda: False

    def _leave_all(self) -> None:
        for client in self.clients:
            client.retired = True
            if client.state == "up" and client.awake and self._dice.random() < 0.5:
                client.hang_up()
            else:
                client.crash()
        self.trace.note("world", "everybody has left")
        end = self.loop.time() + LONGEST_LIFE
        while self.loop.time() < end and self.invariants.engine.next_deadline() is not None:
            self.loop.run_until(self.loop.time() + 600.0)

    def _check_empty(self) -> None:
        """Nothing of anybody is left anywhere, and after a clean stop nothing of the gateway."""
        self.invariants.check_all()
        hold(len(self.invariants.engine.clients) == 0, "clients are left")
        hold(not list(self.kernel.all_states()), "SAs are left in the kernel")
        hold(not self.machine.tunnels, "L2TP tunnels are left in the kernel")
        hold(self.machine.interfaces == 0, f"{self.machine.interfaces} interfaces are left")
        left = {
            name: size
            for name, size in table_sizes(self.gateway).items()
            if size > self._empty.get(name, 0) and not name.startswith(_MAY_STAY)
        }
        hold(not left, f"tables that are not empty: {left}")
        self.loop.run_until_complete(self.gateway.close())
        hold(not self.kernel.policies, f"policies are left: {self.kernel.policies}")

    # --- people and places -----------------------------------------------------------------------

    def _new_client(self, number: int) -> Roadwarrior:
        dice = self._new_dice()
        kind = settings.make_kind(number, dice)
        client = Roadwarrior(
            number,
            kind,
            settings.make_temper(kind, dice),
            self.loop,
            dice,
            self.trace,
        )
        client.roam = self._settle
        client.leave = self._left
        client.met = self.invariants.met
        self._settle(client)
        return client

    def _settle(self, client: Roadwarrior) -> None:
        """Give a client a place: a public address, a home, a hotel, a home behind another NAT."""
        roll = self._dice.random()
        if roll < 0.15:
            client.connect(self.internet, next(self._addresses))
            return
        nat = self._vacancy()
        if nat is None or roll < 0.35:
            self._build()
            nat = self.nats[-1]
        address = self._free_address(nat)
        assert address is not None
        client.connect(nat, address)

    def _vacancy(self) -> Nat | None:
        """A NAT with room; none where the first few that one asks have none."""
        for _ in range(min(8, len(self.nats))):
            nat = self._dice.choice(self.nats)
            if self._free_address(nat) is not None:
                return nat
        return None

    def _free_address(self, nat: Nat) -> str | None:
        """The lowest one, so that homes are alike; none where nobody gets through."""
        if nat.cut:
            return None
        room = 60 if nat.name.endswith("hotel") else 3
        free = (f"192.168.1.{number}" for number in range(2, 2 + room))
        return next((address for address in free if nat.is_free(address)), None)

    def _build(self) -> None:
        """One more home, hotel, or provider with homes behind its NAT."""
        kind = self._dice.choice(("home", "home", "hotel", "provider"))
        if kind != "provider":
            self._new_nat(self.internet, next(self._addresses), kind)
            return
        provider = self._new_nat(self.internet, next(self._addresses), kind)
        for number in range(self._dice.randint(2, 6)):
            self._new_nat(provider, f"100.64.0.{number + 2}", "home")

    def _new_nat(self, outside: Link, address: str, kind: str) -> Nat:
        nat = Nat(
            self.loop,
            self._new_dice(),
            outside,
            address,
            timeout=self._dice.choice((SHORTEST_MAPPING, 60.0, 300.0)),
            symmetric=self._dice.random() < 0.5,
            keeps_ports=self._dice.random() < 0.7,
        )
        nat.name = f"{nat.name} of a {kind}"
        if kind != "provider":
            self.nats.append(nat)
        return nat

    def _behind(self, nat: Nat) -> Iterator[Roadwarrior]:
        for client in self.clients:
            link = client.link
            while isinstance(link, Nat):
                if link is nat:
                    yield client
                link = link.outside

    # --- what clients leave behind ---------------------------------------------------------------

    def _left(self, client: Roadwarrior) -> None:
        doom = Doom(
            client.number,
            f"{client.state} at {self.loop.time():.0f}",
            self.loop.time(),
            client.kind.gone_within,
            frozenset(phase.initiator.cookies for phase in client.phases),
            frozenset(pair.gateway_spi for pair in client.pairs),
        )
        self.invariants.left(doom)
        if client.kind.is_kept:
            client.excuse(client.kind.gone_within, "what it has left is kept")
        ike = client.kind.ike
        lifetime = max(ike.phase1_lifetime, ike.esp_lifetime)
        self.loop.call_later(doom.gone_within, self._check_left, doom, False)
        self.loop.call_later(lifetime + MARGIN, self._check_left, doom, True)

    def _check_left(self, doom: Doom, final: bool) -> None:
        self.invariants.check_left(doom, final=final)

    # --- troubles --------------------------------------------------------------------------------

    _quiet = False
    _down = False
    """Whether there is no gateway for a moment."""

    def _trouble(self) -> None:
        """One thing that is nobody's fault."""
        if self._quiet:
            return
        if self.nats:
            troubles: tuple[Callable[[], None], ...] = (
                self._nat_reboots,
                self._nat_moves,
                self._line_is_cut,
                self._storm,
                self._operator,
                self._reload,
                self._kernel_refuses,
                self._events_are_lost,
                self._gateway_crashes,
            )
            self._dice.choice(troubles)()
        self.loop.call_later(self._dice.expovariate(1 / TROUBLE_INTERVAL), self._trouble)

    def _excuse(self, clients: Iterator[Roadwarrior], seconds: float, why: str) -> None:
        for client in clients:
            client.excuse(seconds, why)

    def _nat_reboots(self) -> None:
        nat = self._dice.choice(self.nats)
        self.trace.note("world", f"{nat.name} reboots")
        nat.reboot()
        self._excuse(self._behind(nat), 0.0, f"reboot of {nat.name}")

    def _nat_moves(self) -> None:
        nat = self._dice.choice(self.nats)
        if nat.outside is not self.internet:
            return
        address = next(self._addresses)
        self.trace.note("world", f"{nat.name} moves to {address}")
        nat.move(address)
        self._excuse(self._behind(nat), 0.0, f"new address of {nat.name}")

    def _line_is_cut(self) -> None:
        nat, seconds = self._dice.choice(self.nats), self._dice.uniform(5.0, 400.0)
        if nat.cut:
            return
        self.trace.note("world", f"the line of {nat.name} is cut for {seconds:.0f} s")
        nat.cut = True
        self._excuse(self._behind(nat), seconds, f"cut of {nat.name}")

        def mend() -> None:
            nat.cut = False

        self.loop.call_later(seconds, mend)

    def _storm(self) -> None:
        seconds, loss = self._dice.uniform(5.0, 60.0), self._dice.uniform(0.2, 1.0)
        self.trace.note("world", f"{loss:.0%} of all packets are lost for {seconds:.0f} s")
        self.internet.weather = replace(Weather(), loss=loss)
        self._excuse(iter(self.clients), seconds, "storm")

        def calm() -> None:
            if not self._quiet:
                self.internet.weather = Weather()

        self.loop.call_later(seconds, calm)

    def _operator(self) -> None:
        """Somebody types `ikectl down`."""
        if self._down:
            return
        owners = list(self.invariants.engine.clients)
        if not owners:
            return
        owner = self._dice.choice(owners)
        for victim in sorted(self.invariants.all_of(owner)):
            self.clients[victim].excuse(10.0, "hung up by the operator")
        assert self.gateway._ike is not None
        self.trace.note("world", f"the operator takes down {owner.id}")
        self.gateway._ike.close_client(owner.id, "taken down by the operator")

    def _kernel_refuses(self) -> None:
        """No memory for a while, or no room for answers; whom it hits is excused."""
        seconds, number = self._dice.uniform(1.0, 30.0), self._dice.choice(REFUSALS)
        name = errno.errorcode[number]
        self.trace.note("world", f"the kernel answers some with {name} for {seconds:.0f} s")

        def refuse(thing: Sa | Policy) -> int:
            if self._dice.random() < 0.7:
                return 0
            mark = thing.mark or (thing.set_mark if isinstance(thing, Sa) else None)
            owner = self.invariants.engine.clients.by_mark(mark.value) if mark else None
            for victim in self.invariants.people_of(owner) if owner else ():
                self.clients[victim].excuse(seconds, f"kernel with {name}")
            return number

        self.kernel.refuse = refuse
        # Who dials has no SA yet by which the simulation would know it.
        dialling = (client for client in self.clients if client.state == "dialling")
        self._excuse(dialling, seconds, f"kernel with {name}")
        self.loop.call_later(seconds, self._kernel_is_well)

    def _kernel_is_well(self) -> None:
        self.kernel.refuse = lambda thing: 0

    def _events_are_lost(self) -> None:
        """The daemon reads them too slowly: it hears no more than that.

        Where a client's NAT has put it while it slept is in an event alone.
        """
        seconds = self._dice.uniform(1.0, 300.0)
        self.trace.note("world", "events of the kernel are lost")
        sleepers = (client for client in self.clients if client.kind.nap > SHORTEST_MAPPING)
        self._excuse(sleepers, seconds, "lost events")
        self.kernel.loses_events = lambda: True

        def found() -> None:
            self.kernel.loses_events = lambda: False

        self.loop.call_later(seconds, found)

    def _gateway_crashes(self) -> None:
        """It is killed, without a word, and starts again."""
        if self._down or self._dice.random() >= CRASH:
            return
        self._down = True
        seconds = self._dice.uniform(0.5, 10.0)
        self.trace.note("world", f"the gateway crashes, to start again in {seconds:.0f} s")
        self.trace.count("crashes of the gateway")
        self._excuse(iter(self.clients), seconds + BACK_WITHIN, _CRASH)
        self.invariants.pause()
        self.loop.kill(_is_the_daemons)
        self.machine = self.machine.crash()
        self.internet.to_gateway = self.machine.receive
        self._kernel_is_well()
        self.kernel.loses_events = lambda: False
        if self._dice.random() < FLUSHED:
            self.trace.note("world", "somebody empties the kernel")
            self.kernel.flush()
        self.loop.call_later(seconds, self._start_again, self.loop.time())

    def _start_again(self, crashed: float) -> None:
        async def start() -> None:
            self.gateway = await self._start(self._config)
            self.invariants.resume(self.gateway, self.machine)
            assert self.machine.ike is not None
            self.machine.ike.before = self.invariants.asked
            self._down = False

        self._starting = self.loop.create_task(start())
        for client in self.clients:
            if client.state == "up":
                client.talk_within(TALK_WITHIN)
        self.loop.call_later(BACK_WITHIN, self._check_back, crashed)

    def _check_back(self, crashed: float) -> None:
        """Nobody who has been there goes on in SAs of the earlier run."""
        for client in self.clients:
            there = client.awake and client.awake_since <= crashed and client.trouble == _CRASH
            news = client.has_only_since(crashed)
            hold(news or not there, f"{client} has SAs of the earlier run")

    def _reload(self) -> None:
        """Somebody sends SIGHUP."""
        if self._down:
            return
        self.trace.note("world", "reload")
        self.gateway.reload()


_CRASH = "crash of the gateway"


def _is_the_daemons(callback: object) -> bool:
    """Whether the daemon's code is to be called."""
    while isinstance(callback, functools.partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    module = callback.__module__ if owner is None else type(owner).__module__
    return str(module).partition(".")[0] in OUR_PACKAGES


_MAY_STAY = (
    "Story.failures",
    "IkeCounters.",
    "L2tpCounters.",
    "Context.ended",
    "Strays._ended",
    "AddressPool.",
    "Config.",
    "Source.",
)
"""Tables that something else bounds than who is there: names of failures, a number of ended SAs
and tunnels, which user had which address, and the configuration, of which there may be two."""


def simulate(plan: Plan) -> Outcome:
    """Run one world. Raises FailedRunError with all that one needs to look into it."""
    world = World(plan)
    thresholds = gc.get_threshold()
    gc.set_threshold(GARBAGE)
    try:
        return world.run()
    except Exception as error:
        where = f"step {world.loop.steps}, {world.loop.time():.3f} s"
        what = f"{where}: {type(error).__name__}: {error}"
        again = (
            f"--seed {plan.seed} --clients {plan.clients} --hours {plan.hours:g} "
            f"--peace {plan.peace:g}"
        )
        replay = f"again: python -m tests.simulation {again}"
        raise FailedRunError("\n".join((*world.trace.lines, what, replay))) from error
    finally:
        gc.set_threshold(*thresholds)
