"""The configuration in force, and what of the file is not."""

from __future__ import annotations

from cli.ikev1d.config import Config

FIXED = ("gateway", "marks", "l2tp", "ppp", "metrics")
"""Sections that cannot change while clients are connected."""


class InForce:
    """The configuration that the gateway serves by."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._at_start = config
        self._written = _written(config)

    def replace(self, config: Config) -> None:
        """Take over another configuration, as far as that goes without a restart."""
        self.config = config
        self._written = _written(config)

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
