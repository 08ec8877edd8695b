"""Stories that the lab can play: each is a function that takes a `Play` and tells what happens."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from interop.scenarios import faults, restart, roadwarrior
from interop.scenarios.play import Play

Scenario = Callable[[Play], None]

SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "roadwarrior": roadwarrior.run,
        "lossy": faults.run_lossy,
        "doubled": faults.run_doubled,
        "restart": restart.run,
    }
)
