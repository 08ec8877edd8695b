"""Responders that wait, each on a machine of its own, and the machine that their clients are on."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM, SIGUSR1
from types import MappingProxyType
from typing import Any

from interop.errors import LabError
from interop.lab import Lab
from interop.load.clients import CLIENTS, Load
from interop.load.responders import (
    IKEV1D,
    KINDS,
    Charon,
    OurDaemon,
    Pluto,
    Responder,
    Terms,
)
from interop.netns import Host
from interop.settings import GatewaySettings
from interop.topology import Interface, Link, Machine, Topology
from interop.wait import until

CLIENT_PROGRAM = (sys.executable, "-m", "interop.load.clients")
LOAD_LIMIT = 1800.0
"""Seconds for all clients of a load to be there, or to have given up."""
LEAVE_LIMIT = 60.0
WARM_UP = 20
"""Clients before anything is measured: caches, modules, lazy imports."""


class Clients:
    """The clients of a load, in a process on their machine."""

    def __init__(self, host: Host, load: Load) -> None:
        file = f"/run/load-{load.first}.json"
        host.write(file, load.as_json(), 0o600)
        # A log of its own: what it tells is read from there.
        self._process = host.start(f"clients-{load.first}", *CLIENT_PROGRAM, file)
        self._told = 0
        self.report: dict[str, Any] = self._next(LOAD_LIMIT)
        """What came of their arrival: `interop.initiator.report.Report` as JSON."""

    def rekey(self) -> dict[str, Any]:
        """Let each that stays make new ESP SAs in the place of the old ones; the report."""
        self._process.signal(SIGUSR1)
        report: dict[str, Any] = self._next(LOAD_LIMIT)
        return report

    def vanish(self) -> dict[str, int]:
        """Let all that stay vanish; how many were not there any more, by cause."""
        if self._process.running:
            self._process.signal(SIGTERM)
        lost: dict[str, int] = self._next(LEAVE_LIMIT)
        self._process.stop()
        return lost

    def _next(self, limit: float) -> Any:
        """The next line that the process prints."""

        def told() -> str:
            lines = self._process.text().split("\n")[:-1]
            if len(lines) > self._told:
                return lines[self._told]
            self._process.require_running()
            return ""

        line = until(told, f"{self._process.name} to be done", limit)
        self._told += 1
        try:
            return json.loads(line)
        except ValueError:
            raise LabError(f"{self._process.name}: {self._process.text()}") from None


class Bench:
    """Responders that wait for clients."""

    def __init__(self, lab: Lab, responders: Mapping[str, Responder], terms: Terms) -> None:
        self.responders = MappingProxyType(dict(responders))
        self._terms = terms
        self._certificate = ""
        if terms.certificates is not None:
            who = terms.certificates.client
            self._certificate = who.key_pem() + who.certificate_pem()
        self._clients = lab["clients"]
        self._number = 0

    def __getitem__(self, kind: str) -> Responder:
        return self.responders[kind]

    def dial_in(
        self,
        responder: Responder,
        count: int,
        *,
        suite: str,
        quick_modes: int,
        concurrency: int,
        keep: bool = False,
    ) -> dict[str, Any]:
        """Have new clients dial in; the initiator's report.

        Raises LabError if one of them did not get in.
        """
        load = self.load(
            responder,
            count,
            suite=suite,
            quick_modes=quick_modes,
            concurrency=concurrency,
            keep=keep,
        )
        report = self.run(load)
        if report["failures"]:
            raise LabError(f"{responder.name}: {report['failures']} {report['examples']}")
        return report

    def load(self, responder: Responder, count: int, **choices: Any) -> Load:
        """`count` clients that have not dialled before; `choices` are fields of `Load`."""
        first, self._number = self._number, self._number + count
        return Load(
            target=responder.address,
            psk=GatewaySettings().psk,
            first=first,
            count=count,
            password=self._terms.password,
            certificate=self._certificate,
            **choices,
        )

    def arrive(self, load: Load) -> Clients:
        """Let the clients of a load dial in, or dial again."""
        return Clients(self._clients, load)

    def run(self, load: Load) -> dict[str, Any]:
        """Let them, and let them leave; the initiator's report."""
        clients = self.arrive(load)
        clients.vanish()
        return clients.report


def _topology(kinds: Sequence[str]) -> Topology:
    machines = [
        Machine(kind, (Interface("wan0", f"198.51.{index}.1/24"),), f"198.51.{index}.2")
        for index, kind in enumerate(kinds)
    ]
    near = [Interface(kind, f"198.51.{index}.2/24") for index, kind in enumerate(kinds)]
    links = [Link(("clients", kind), (kind, "wan0")) for kind in kinds]
    return Topology("bench", (*machines, Machine("clients", tuple(near))), tuple(links))


@contextmanager
def bench(
    directory: Path,
    *,
    kinds: Sequence[str] = KINDS,
    ikev1d: Sequence[str] = IKEV1D,
    terms: Terms | None = None,
) -> Iterator[Bench]:
    """Start responders of these kinds, ours by the command `ikev1d`."""
    terms = terms or Terms()
    with Lab(_topology(kinds), directory) as lab:
        lab["clients"].run("ip", "route", "add", "local", str(CLIENTS), "dev", "lo")
        responders: dict[str, Responder] = {}
        for index, kind in enumerate(kinds):
            address = f"198.51.{index}.1"
            if kind == "ours":
                responders[kind] = OurDaemon(lab[kind], address, ikev1d, terms)
            elif kind == "pluto":
                responders[kind] = Pluto(lab[kind], address, terms)
            else:
                responders[kind] = Charon(lab[kind], address, terms, tuned=kind == "tuned")
        yield Bench(lab, responders, terms)
