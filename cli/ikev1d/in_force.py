"""The configuration in force, and what of the file is not."""

from __future__ import annotations

from cli.ikev1d.config import Config, ConfigError, load
from cli.ikev1d.logs import ClientLog

FIXED = ("gateway", "marks", "l2tp", "ppp", "metrics")
"""Sections that cannot change while clients are connected."""


class InForce:
    """The configuration that the gateway serves by."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._at_start = config
        self._log = ClientLog("ikev1d")
        self._written = _written(config)

    def reread(self) -> Config | None:
        """Take over what the file has now, as far as that goes without a restart.

        None, with the cause in the log, where that is wrong.
        """
        try:
            self.config = load(self.config.path)
        except ConfigError as error:
            self._log.error("configuration not reloaded: the old one stays", cause=error)
            return None
        self._written = _written(self.config)
        return self.config

    @property
    def waiting(self) -> tuple[str, ...]:
        """Sections whose changes wait for a restart."""
        return tuple(
            name for name in FIXED if getattr(self.config, name) != getattr(self._at_start, name)
        )

    @property
    def changed(self) -> bool:
        """Whether the file has been written since it was read, or has gone."""
        return _written(self.config) != self._written


def _written(config: Config) -> int:
    """When the file was written, in nanoseconds; 0 where it is not there."""
    try:
        return config.path.stat().st_mtime_ns
    except OSError:
        return 0
