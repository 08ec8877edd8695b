"""What clients do with their days: dial, talk, rekey, sleep, roam, vanish, come back.

A roadwarrior keeps to the protocol. So the gateway must not drop it while it is alive and can be
reached, and must let its data through again once whatever troubled it is over; if not, the run
ends with a `MistakeError`. Trouble of the network's or of its own making excuses the gateway for a
while (`excuse`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from interop.initiator.profiles import L2tpPort
from tests.simulation.client import Client, Kind, MistakeError, Pair, Phase1
from tests.simulation.clock import VirtualLoop
from tests.simulation.trace import Trace
from tests.support.l2tp_client import L2tpClient

DIAL_TIME = 120.0
"""Seconds within which a client is up, in fair weather."""
PING_INTERVAL = 3.0
PORTS = 8
"""UDP ports for L2TP that a client takes in turn."""
PINGS = 15
"""Tries of one packet before the client takes the gateway for dead."""
GRACE = 90.0
"""Seconds after a trouble is over in which its consequences may still come to light."""


@dataclass(frozen=True, slots=True)
class Temper:
    """What one client does, and how. Times are seconds, the first ones means."""

    talk: float
    """Between two packets for the office."""
    episode: float
    """Between two things out of the ordinary."""
    away: float
    """Between the end of a connection and the next one."""
    rekey_at: float
    """Part of the lifetime of ESP SAs after which they are rekeyed; 0 for never."""
    renew_at: float
    """The same of Phase 1."""
    quick_modes: int
    """How many it begins at once where one would do."""
    deletes: int
    """How often it sends the Delete of an SA that it has replaced."""
    dpd: float
    """Seconds between its own R-U-THERE, 0 for none."""
    believes_hints: bool
    """Whether it dials again when somebody says in clear that he does not know an SA."""


class Roadwarrior(Client):
    """A client with a temper. `leave` is called with what it leaves behind without a word."""

    def __init__(
        self,
        number: int,
        kind: Kind,
        temper: Temper,
        loop: VirtualLoop,
        dice: random.Random,
        trace: Trace,
    ) -> None:
        super().__init__(number, kind, loop, dice, trace)
        self.temper = temper
        self.state = "off"
        """Then "dialling", "up", "leaving"."""
        self.excused_until = 0.0
        self.trouble = ""
        self.retired = False
        """Whether it does not dial any more."""
        self.ups = 0
        self.roam: Callable[[Roadwarrior], None] = lambda client: None
        """Takes it to another place."""
        self.leave: Callable[[Roadwarrior], None] = lambda client: None
        self.met: Callable[[int, int | bytes], None] = lambda number, name: None
        """Told its number, and the name of each of its SAs: cookie pair or SPI."""
        self._life = 0
        self._dials = 0
        self._ping = 0
        self._wants = 0
        self._unheard = False

    def later(self, delay: float, action: Callable[..., None], *args: Any) -> None:
        """Do something unless the connection has ended meanwhile."""
        life = self._life

        def act() -> None:
            if life == self._life:
                action(*args)

        self.loop.call_later(delay, act)

    def around(self, mean: float) -> float:
        """A time of this order."""
        return self.dice.expovariate(1 / mean)

    # --- trouble ---------------------------------------------------------------------------------

    def excuse(self, seconds: float, why: str) -> None:
        """What goes wrong until then, and shortly after, is not the gateway's fault.

        Nor is what goes wrong before data has gone through again: until the client sends, the
        gateway does not know where its NAT has put it.
        """
        if self.state == "dialling":
            seconds += DIAL_TIME
        self.excused_until = max(self.excused_until, self.loop.time() + seconds + GRACE)
        self.trouble = why
        self._unheard = self.state == "up"

    def fault(self, what: str) -> None:
        """The gateway has failed this client, or is excused."""
        now = self.loop.time()
        self.note(f"fails: {what}")
        if now > self.excused_until and not self._unheard:
            raise MistakeError(
                f"{self} ({self.kind.ike.name}, {self.inner}) was failed by the gateway: {what}; "
                f"its last trouble was {self.trouble or 'none'}, until {self.excused_until:.0f}"
            )
        self.trace.count("excused failures")

    # --- dialling --------------------------------------------------------------------------------

    def dial(self) -> None:
        """Begin a connection; nothing is known of an earlier one."""
        if self.retired:
            return
        self._life += 1
        self.forget()
        if self.loop.time() < self.excused_until - GRACE:
            self.excused_until += DIAL_TIME
        self.state, self._unheard, self._wants = "dialling", False, 1
        if self.kind.ike.l2tp_port is not L2tpPort.L2TP:
            # Not one of another client at this address, nor of its own that the gateway has not
            # given up yet: see `l2tp.datapath.flows`.
            self.l2tp_port = 32768 + (PORTS * self.number + self._dials % PORTS) % 32768
            self._dials += 1
        self.note("dials")
        self.main_mode()
        self.later(DIAL_TIME, self._dialled_in_vain)

    def _dialled_in_vain(self) -> None:
        if self.state == "dialling":
            step = self.l2tp.state if self.l2tp else "IKE"
            self.fault(f"dial-in is not done after {DIAL_TIME:.0f} s ({step})")
            self.crash()

    def on_phase1(self, phase: Phase1) -> None:
        """Go on with what it is for."""
        self.met(self.number, phase.initiator.cookies)
        wants, self._wants = self._wants, 0
        for _ in range(wants):
            self.quick_mode()
        lifetime = self.kind.ike.phase1_lifetime
        if self.temper.renew_at:
            self.later(lifetime * self.temper.renew_at, self._renew, phase)
        self.later(lifetime, self._phase1_over, phase)
        if self.temper.dpd:
            self.later(self.temper.dpd, self._ask, phase, 1)

    def on_pair(self, pair: Pair) -> None:
        """Use it, and see to its end."""
        self.met(self.number, pair.gateway_spi)
        lifetime = self.kind.ike.esp_lifetime
        if self.temper.rekey_at:
            self.later(lifetime * self.temper.rekey_at, self._rekey, pair)
        self.later(lifetime, self._pair_over, pair)
        if self.state == "dialling" and self.l2tp is None:
            self.dial_l2tp()
        for old in self.pairs[:-1]:
            if self.temper.deletes:
                pause = 1.0 + self.around(5.0)
                self.later(pause, self.delete_replaced, old, self.temper.deletes)

    def delete_replaced(self, pair: Pair, tell: int) -> None:
        """A pair that is not the newest goes.

        Not asleep: the gateway may have taken two Quick Modes in the other order and use this one.
        """
        if not self.awake:
            self.later(5.0, self.delete_replaced, pair, tell)
        elif pair in self.pairs[:-1]:
            self.delete_pair(pair, tell=tell)

    def on_l2tp(self, l2tp: L2tpClient) -> None:
        """Up at last, or thrown out."""
        if l2tp.state == "up" and self.state == "dialling":
            self.state = "up"
            self.ups += 1
            self.note(f"is up with {'.'.join(map(str, l2tp.address))}")
            self.later(self.around(self.temper.talk), self._talk)
            self.later(self.around(self.temper.episode), self._episode)
        elif l2tp.state == "failed" and self.state in ("dialling", "up"):
            self.fault(f"L2TP ended: {l2tp.failure}")
            self.later(0.0, self.crash)

    # --- what the gateway does -------------------------------------------------------------------

    def on_failed(self, phase: Phase1, cause: str, detail: str) -> None:
        """An exchange was refused, or not answered."""
        self.fault(f"IKE failed: {cause}, {detail}")
        self._give_up_if_bare()

    def on_pair_deleted(self, pair: Pair) -> None:
        """The gateway ends a pair before its time only where it has been replaced."""
        if pair.since + self.kind.ike.esp_lifetime > self.loop.time() and not self.pairs:
            self.fault(f"the gateway deleted the last ESP SA {pair.gateway_spi:08x}")
        self._give_up_if_bare()

    def on_closed(self, phase: Phase1) -> None:
        """The same of a Phase 1."""
        if self.state == "dialling":
            self.fault("the gateway deleted the ISAKMP SA in the middle of a dial-in")
        self._give_up_if_bare()

    def on_hint(self) -> None:
        """Anybody could have sent it: some believe it, when they are up."""
        if self.temper.believes_hints and self.state == "up":
            self.fault("the gateway does not know one of its SAs")
            self.trace.count("hints that are believed")
            self.later(0.0, self.crash)

    def _give_up_if_bare(self) -> None:
        if self.state in ("dialling", "up") and not self.pairs and not self.phases:
            self.later(0.0, self.crash)

    def talk_within(self, seconds: float) -> None:
        """Have something to say by then at the latest."""
        self.later(self.dice.random() * seconds, self._talk)

    # --- the user's data -------------------------------------------------------------------------

    def _talk(self) -> None:
        if self.state == "up":
            self._ping += 1
            self._send_ping(self._ping, 0)

    def _send_ping(self, number: int, tries: int) -> None:
        if self.state != "up" or number in self.answered or number != self._ping:
            return
        if not self.awake:
            self.later(PING_INTERVAL, self._send_ping, number, tries)
        elif tries == PINGS:
            self.fault(f"no answer to {PINGS} packets")
            self.crash()
        elif not self.pairs:
            self.later(PING_INTERVAL, self._send_ping, number, tries + 1)
        else:
            self.ping(number)
            self.later(PING_INTERVAL, self._send_ping, number, tries + 1)

    def on_answer(self) -> None:
        """Data goes through."""
        if self._ping in self.answered:
            self.answered.clear()
            self._ping += 1
            if self._unheard and self.loop.time() > self.excused_until - GRACE:
                self._unheard = False
                self.excused_until = self.loop.time() + GRACE
            self.later(self.around(self.temper.talk), self._talk)

    # --- rekeying --------------------------------------------------------------------------------

    def _rekey(self, pair: Pair) -> None:
        if pair in self.pairs[-1:] and self.state == "up":
            if not self.awake:
                self.later(5.0, self._rekey, pair)
            else:
                self.rekey(self.temper.quick_modes)

    def rekey(self, quick_modes: int) -> None:
        """Make new ESP SAs, in a new Phase 1 where the last one has gone."""
        self.note(f"rekeys with {quick_modes} Quick Modes")
        if self.usable is not None:
            for _ in range(quick_modes):
                self.quick_mode()
        elif self._unheard:
            self.later(30.0, self.rekey, quick_modes)
        else:
            self._wants = quick_modes
            if not self.phases:
                self.main_mode()

    def _pair_over(self, pair: Pair) -> None:
        """Its lifetime is over."""
        if pair not in self.pairs:
            return
        self.delete_pair(pair, tell=self.temper.deletes)
        if not self.pairs and self.state in ("dialling", "up"):
            if self.kind.lets_server_rekey:
                self.fault("the gateway has not renewed its ESP SAs")
            self.note("has no ESP SA any more")
            self.crash()

    def _renew(self, phase: Phase1) -> None:
        """A new Phase 1 in the place of the newest one."""
        if not self.awake:
            self.later(5.0, self._renew, phase)
        elif self.state == "up" and (phase in self.phases[-1:] or not self.phases):
            self.note("renews its Phase 1")
            self.main_mode()
            self.later(20.0, self._phase1_replaced, phase)

    def _phase1_replaced(self, phase: Phase1) -> None:
        if phase in self.phases and self.usable is not phase:
            self.delete_phase(phase, tell=bool(self.temper.deletes))

    def _phase1_over(self, phase: Phase1) -> None:
        if phase in self.phases:
            self.delete_phase(phase, tell=bool(self.temper.deletes))
            if self.kind.lets_server_rekey and self.usable is None and self.state == "up":
                self.fault("the gateway has not renewed its Phase 1")

    def _ask(self, phase: Phase1, sequence: int) -> None:
        if phase in self.phases and self.awake:
            self.told(phase, phase.initiator.are_you_there(sequence))
            self.later(self.temper.dpd, self._ask, phase, sequence + 1)

    # --- out of the ordinary ---------------------------------------------------------------------

    def _episode(self) -> None:
        """One of the things that happen to a device."""
        if self.state != "up":
            return
        if not self.awake:
            self.later(self.around(self.temper.episode), self._episode)
            return
        episodes: tuple[tuple[int, Callable[[], None]], ...] = (
            (3, self._nap),
            (2, self._sleep),
            (2, self._vanish),
            (2, self.hang_up),
            (2, self._redial),
            (2, self._move_house),
            (2, self._rekey_much),
            (1, self._renew_now),
        )
        total = sum(weight for weight, _ in episodes)
        roll = self.dice.randrange(total)
        for weight, action in episodes:
            roll -= weight
            if roll < 0:
                action()
                break
        self.later(self.around(self.temper.episode), self._episode)

    def _nap(self) -> None:
        busy = [phase for phase in self.phases if phase.initiator.next_deadline() is not None]
        if not busy:
            self._fall_asleep(self.dice.random() * self.kind.nap)

    def _sleep(self) -> None:
        seconds = self.around(900.0)
        self.excuse(seconds, f"sleep of {seconds:.0f} s")
        self._fall_asleep(seconds)

    def _fall_asleep(self, seconds: float) -> None:
        if self.awake:
            self.note(f"sleeps for {seconds:.0f} s")
            self.fall_asleep()
            self.loop.call_later(seconds, self._wake, self._life)

    def _wake(self, life: int) -> None:
        if life != self._life or self.awake:
            return
        self.wake()
        self.note("wakes")

    def _vanish(self) -> None:
        self.note("vanishes")
        self._gone()

    def _redial(self) -> None:
        """From the same place, at once, as after a crash."""
        self.note("crashes and dials again")
        self.leave(self)
        self.dial()

    def _move_house(self) -> None:
        self.note("moves elsewhere")
        self.leave(self)
        self.forget()
        self.roam(self)
        self.dial()

    def _rekey_much(self) -> None:
        self.rekey(self.dice.choice((1, 2, 2, 3)))

    def _renew_now(self) -> None:
        if self.phases:
            self._renew(self.phases[-1])

    def crash(self) -> None:
        """Give the connection up, without a word."""
        if self.state != "off":
            self.note("gives up")
            self._gone()

    def _gone(self) -> None:
        self.leave(self)
        self.forget()
        self._off()

    def hang_up(self) -> None:
        """Say goodbye as it should be: L2TP first, then the SAs."""
        if self.state != "up":
            return
        self.note("hangs up")
        self.state = "leaving"
        self.hang_up_l2tp()
        self.later(0.3, self._delete_all)

    def _delete_all(self) -> None:
        self.leave(self)
        for pair in tuple(self.pairs):
            self.delete_pair(pair, tell=self.dice.choice((1, 1, 2)))
        for phase in tuple(self.phases):
            self.delete_phase(phase)
        self.forget()
        self._off()

    def _off(self) -> None:
        self._life += 1
        self.state, self.awake = "off", True
        if not self.retired:
            self.later(1.0 + self.around(self.temper.away), self.dial)
