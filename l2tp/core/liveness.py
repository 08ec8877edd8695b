"""When a tunnel's peer is asked if it lives (Hello, RFC 2661 section 6.5), and when it is dead.

What comes through the tunnel shows that the peer's L2TP lives. A sign of life of a layer below
shows that its machine does, which puts the question off, but not for ever.
"""

from __future__ import annotations

from l2tp.core.settings import ClientSettings
from l2tp.core.transport import FIRST_RETRANSMIT
from l2tp.ppp.settings import PUT_OFF


class Liveness:
    """What is known of the life of one tunnel's peer."""

    def __init__(self, settings: ClientSettings, now: float) -> None:
        self._settings = settings
        self._heard = now
        self._reached = now

    def heard(self, now: float) -> None:
        """Something has come through the tunnel."""
        self._heard = now

    def reached(self, now: float) -> None:
        """The peer's machine has shown in a layer below that it is there."""
        self._reached = now

    def hello_deadline(self) -> float | None:
        """When to send a Hello if nothing is heard before; None for never."""
        interval = self._settings.hello_interval
        if not interval:
            return None
        return min(max(self._heard, self._reached) + interval, self._heard + PUT_OFF * interval)

    def pause(self, asked: float, now: float) -> float | None:
        """How long to wait before another round of repeating what has been asked since ``asked``.

        None if the peer is dead. One that has been heard since has only lost the answer; one that
        sleeps is asked again after a while, as long as its operator is patient.
        """
        if self._heard > asked:
            return FIRST_RETRANSMIT
        left = self._heard + self._settings.patience - now
        return min(self._settings.hello_interval, left) if left > 0 else None
