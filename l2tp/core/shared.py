"""What all tunnels and sessions of one LNS have in common."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING

from l2tp.core.effects import Effect
from l2tp.core.settings import LnsSettings
from l2tp.ppp.auth import AuthRequest

if TYPE_CHECKING:
    from l2tp.core.session import Session
    from l2tp.core.tunnel import Tunnel


class Shared:
    """Settings, randomness, effects in the making, sessions by ID, open tickets."""

    def __init__(self, settings: LnsSettings, random: Callable[[int], bytes]) -> None:
        self.settings = settings
        self.random = random
        self.sessions: dict[int, Session] = {}
        self.logins: dict[int, tuple[Session, AuthRequest]] = {}
        self.paths: dict[int, Session] = {}
        self.touched: set[Tunnel] = set()
        self._effects: list[Effect] = []
        self._tickets = 0

    def emit(self, effect: Effect) -> None:
        """Add an effect to those of the current call."""
        self._effects.append(effect)

    def take_touched(self) -> set[Tunnel]:
        """Tunnels that sent something or lost a session during the current call."""
        touched, self.touched = self.touched, set()
        return touched

    def drain(self) -> list[Effect]:
        """The effects of the call that ends."""
        effects, self._effects = self._effects, []
        return effects

    def ticket(self) -> int:
        """A number that was not used before."""
        self._tickets += 1
        return self._tickets

    def unused_id(self, *used: Container[int]) -> int:
        """A random 16 bit identifier, not 0 and in none of ``used``."""
        while True:
            number = int.from_bytes(self.random(2))
            if number and not any(number in taken for taken in used):
                return number
