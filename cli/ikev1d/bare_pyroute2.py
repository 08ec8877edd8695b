"""Lets pyroute2's modules be imported one by one: import this before them.

The package's own `__init__` imports all of its 160 modules, to name them; that takes 0.1 s of CPU,
an eighth of the daemon's start. With the package there, but empty, `pyroute2.netlink` and its like
load what they need themselves.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

NAME = "pyroute2"

if NAME not in sys.modules:
    _spec = find_spec(NAME)
    if _spec is not None:
        sys.modules[NAME] = module_from_spec(_spec)
