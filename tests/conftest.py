"""Hypothesis for every test: no verdict on the speed of the machine.

`make test` tries Hypothesis's usual number of examples; `make check`, which is to be done in a
minute, a third of it.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("brief", settings.get_profile("project"), max_examples=30)
settings.load_profile("project")
