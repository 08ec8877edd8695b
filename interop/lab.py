"""A lab: the machines of one topology, wired and addressed, and what happens on them."""

import os
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from interop.errors import LabError
from interop.nat import masquerade, publish
from interop.netns import Host
from interop.topology import Machine, Topology
from interop.wait import StillWaitingError, until

STRAY_LIMIT = 5.0
"""Seconds the children of an ended daemon have to end too."""


class StrayProcessError(LabError):
    """Something still ran on a machine after all that was started there had been ended."""


class Lab:
    """The machines of ``topology``, by name, as a context manager.

    All that is written (logs, captures, configurations) goes below ``directory``, one folder for
    each machine. Leaving ends every program, latest first, then the machines.
    """

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.topology = topology
        self.directory = directory
        self.hosts: dict[str, Host] = {}
        self.stack = ExitStack()
        self._begun = time.monotonic()
        self._machines = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.push(self._machines)
            for machine in self.topology.machines:
                directory = self.directory / machine.name
                self.hosts[machine.name] = Host(machine.name, directory, self._machines, self.stack)
            self._wire()
            for machine in self.topology.machines:
                self._configure(machine)
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._machines:
            self.stack.close()
            strays = self._end_strays()
        if strays and error is None:
            raise StrayProcessError("; ".join(strays))

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def note(self, text: str) -> None:
        """Tell the story: a line with the seconds since the lab's beginning."""
        line = f"{time.monotonic() - self._begun:7.2f}  {text}"
        print(line, flush=True)
        with (self.directory / "story.log").open("a") as story:
            story.write(line + "\n")

    def _wire(self) -> None:
        # From an empty namespace: the kernel refuses a name that the asking one has already.
        lines = [
            f"link add {link.a[1]} netns {self.hosts[link.a[0]].pid} type veth"
            f" peer name {link.b[1]} netns {self.hosts[link.b[0]].pid}\n"
            for link in self.topology.links
        ]
        subprocess.run(
            ["unshare", "--net", "ip", "-batch", "-"], input="".join(lines), text=True, check=True
        )

    def _configure(self, machine: Machine) -> None:
        host = self.hosts[machine.name]
        lines = ["link set lo up\n"]
        for interface in machine.interfaces:
            if interface.address:
                lines.append(f"address add {interface.address} dev {interface.name}\n")
            lines.append(f"link set {interface.name} up\n")
        if machine.default_gateway:
            lines.append(f"route add default via {machine.default_gateway}\n")
        host.run("ip", "-batch", "-", stdin="".join(lines))
        host.set_sysctl("net/ipv4/ip_forward", str(int(machine.forwards)))
        if machine.masquerades:
            masquerade(host, machine.masquerades)
        if machine.publishes:
            publish(host, *machine.publishes)

    def _end_strays(self) -> list[str]:
        def processes() -> list[tuple[int, str]]:
            return [
                (pid, f"{name} ({pid}) still ran on {host.name}")
                for host in self.hosts.values()
                for pid, name in host.processes().items()
            ]

        with suppress(StillWaitingError):
            until(lambda: not processes(), "the last processes to end", STRAY_LIMIT)
        strays = processes()
        for pid, _ in strays:
            os.kill(pid, signal.SIGKILL)
        return [text for _, text in strays]
