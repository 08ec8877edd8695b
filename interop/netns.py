"""Machines made of namespaces: each has its own network, host name, /run and /etc/ppp."""

import ctypes
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from interop.errors import LabError
from interop.process import Process

CLONE_NEWNET = 0x40000000
COMMAND_LIMIT = 60.0
"""Seconds a command may take: the embedded kernel is slow, and it may load modules."""
NETWORK_PROGRAMS = {"ip", "ping"}
"""What sees nothing of a machine but its network. They need no nsenter, which costs as much time in
the embedded kernel as they do."""

# Few programs: to start one is what takes time in the embedded kernel.
_SETUP = """
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /etc/ppp
echo "$0" > /proc/sys/kernel/hostname
echo ready
exec sleep infinity
"""

_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(LabError):
    """A command in a namespace failed; holds what it wrote to stderr."""


def _enter_network(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


class Host:
    """One machine. Its namespaces live as long as ``keeper``, a sleeping process, does.

    Closing ``machines`` ends the keeper; closing ``started`` ends every program started on the
    machine, latest first. ``directory`` is where their logs go.
    """

    def __init__(self, name: str, directory: Path, machines: ExitStack, started: ExitStack) -> None:
        self.name = name
        self.directory = directory
        self._started = started
        directory.mkdir(parents=True, exist_ok=True)
        self._keeper = Process(
            f"keeper of {name}",
            ["unshare", "--net", "--mount", "--uts", "sh", "-ec", _SETUP, name],
            directory / "keeper.log",
            os.environ,
        )
        machines.callback(self._keeper.stop)
        self.pid = self._keeper.pid
        self._keeper.wait_for_text("ready", COMMAND_LIMIT)
        self.path("/run/lock").mkdir()

    def path(self, path: str) -> Path:
        """Where we can reach the absolute ``path`` of this machine's own mounts."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file as this machine sees it; ``mode`` is in force before the first byte."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as output:
            output.write(content if isinstance(content, bytes) else content.encode())

    def _inside(self, *arguments: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", *arguments]

    def run(
        self,
        *arguments: str,
        stdin: str = "",
        limit: float = COMMAND_LIMIT,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command to its end; what it wrote to stdout. Raises `CommandError`.

        ``environment`` is added to our own.
        """
        alone = arguments[0] in NETWORK_PROGRAMS
        with self.entered() if alone else nullcontext():
            done = subprocess.run(
                arguments if alone else self._inside(*arguments),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
                env={**os.environ, **(environment or {})},
            )
        if done.returncode != 0:
            command = " ".join(arguments)
            output = (done.stdout + done.stderr).strip()
            raise CommandError(f"{self.name}: {command} (status {done.returncode}): {output}")
        return done.stdout

    def start(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program that runs until the lab ends; its log is ``name``.log."""
        process = Process(
            f"{name} on {self.name}",
            self._inside(*arguments),
            self.directory / f"{name}.log",
            {**os.environ, **(environment or {})},
        )
        self._started.callback(process.stop)
        return process

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread into this machine's network for the length of the block."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter_network(f"/proc/{self.pid}/ns/net")
            try:
                yield
            finally:
                _enter_network(f"/proc/self/fd/{home}")
        finally:
            os.close(home)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Open a socket in this machine's network; it stays there."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def set_sysctl(self, name: str, value: str) -> None:
        """Set a network sysctl, named as in ``net/ipv4/ip_forward``."""
        with self.entered():
            Path("/proc/sys", name).write_text(value)

    def ip(self, *arguments: str) -> list[dict[str, Any]]:
        """Ask ``ip -json`` a question."""
        answer: list[dict[str, Any]] = json.loads(self.run("ip", "-json", *arguments) or "[]")
        return answer

    def interfaces(self) -> dict[str, list[str]]:
        """Return each interface's IPv4 addresses."""
        return {
            link["ifname"]: [a["local"] for a in link["addr_info"] if a["family"] == "inet"]
            for link in self.ip("address", "show")
        }

    def processes(self) -> dict[int, str]:
        """Name the processes in this machine's network by their IDs, without the keeper."""
        ours = Path(f"/proc/{self.pid}/ns/net").stat()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.pid:
                continue
            try:
                theirs = (entry / "ns/net").stat()
                name = (entry / "comm").read_text().strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                found[int(entry.name)] = name
        return found
