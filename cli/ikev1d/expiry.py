"""Announces in the log, day by day, what certificates expire soon or have expired.

At the start, and after a reload, the configuration's own warnings have said it.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from cli.ikev1d.in_force import InForce
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.verify.certificates import check_certificates

DAY = 86_400.0
"""Seconds."""


class ExpiryWatch:
    """Looks at the certificates of the configuration in force once a day."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force
        self._log = ClientLog("ikev1d")
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from tomorrow on."""
        self._handle = self._loop.call_later(DAY, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        self.announce(datetime.now(UTC))
        self.start()

    def announce(self, now: datetime) -> None:
        """Log what expires soon."""
        for finding in check_certificates(self._in_force.config, now):
            if finding.remedy:
                self._log.warning("certificate", cause=finding.what, remedy=finding.remedy)
