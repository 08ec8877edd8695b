"""Our daemon as a program of the lab: configured, started, asked, stopped, killed."""

import contextlib
import json
import select
import shlex
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.control import StatusRequest, build_response
from cli.ikectl.client import ExchangeFailedError, NotRunningError, ask
from interop.errors import LabError
from interop.netns import Host
from interop.process import Process
from interop.settings import GatewaySettings
from interop.wait import until

DAEMON = ("-m", "cli.ikev1d")
"""What Python runs."""
CONFIGURATION = "/run/ikev1d.toml"
CONTROL = "/run/ikev1d/control"
FAREWELLS = "/run/ikev1d/farewells"
TRACE = "/run/ikev1d.trace"
START_LIMIT = 60.0
"""Seconds until READY=1: Python and its imports take 5 in the embedded kernel."""
NOTIFY_MESSAGE = 4096
NOTIFY_WAIT = 0.5
"""Seconds to wait for a message before looking whether the daemon still runs."""
VERIFY_LIMIT = 90.0
"""Seconds for `ikectl verify`, which starts Python twice; it gives up after 60 itself."""


class GatewayError(LabError):
    """The daemon does not answer."""


def configuration(settings: GatewaySettings, extra: Mapping[str, str]) -> str:
    """Return the daemon's TOML file, which holds the secrets of ``settings``.

    ``extra`` adds lines to sections, as in {"ike": 'policy = "strict"'}, or a section of which
    there can be several: {"[certificate]": 'pkcs12 = "gateway.p12"'}.
    """
    first, last = settings.pool
    sections = {
        "gateway": f'listen = ["{settings.address}"]\ncontrol_socket = "{CONTROL}"',
        "ppp": (
            f'pool = "{first}-{last}"\nlocal_address = "{settings.local}"\n'
            f"dns = {json.dumps(list(settings.dns))}"
        ),
    }
    for name, lines in extra.items():
        sections[name] = "\n".join(filter(None, (sections.get(name), lines)))
    text = [f"[{name}]\n{lines}\n" for name, lines in sections.items()]
    text.append(f"[[psk]]\nsecret = {json.dumps(settings.psk)}\n")
    text += [
        f"[[user]]\nname = {json.dumps(name)}\nsecret = {json.dumps(password)}\n"
        for name, password in settings.users.items()
    ]
    return "\n".join(text)


@contextlib.contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        yield receiver
    path.unlink(missing_ok=True)


class Ikev1d:
    """The daemon on ``host``; `start` returns when it has said READY=1 (sd_notify(3)).

    ``program`` is what Python runs, with arguments of its own; it can be changed before a start.
    """

    def __init__(
        self,
        host: Host,
        settings: GatewaySettings,
        extra: Mapping[str, str] | None = None,
        *,
        traced: bool = False,
        program: Sequence[str] = DAEMON,
    ) -> None:
        self.host = host
        self.settings = settings
        host.write(CONFIGURATION, configuration(settings, extra or {}), 0o600)
        self._traced = traced
        self.program = program
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        """The running, or last, daemon."""
        if self._process is None:
            raise RuntimeError("the daemon has not been started")
        return self._process

    def start(self) -> None:
        """Start it and wait until it serves. Raises `ProgramEndedError`, `StillWaitingError`."""
        with _notify_socket(self.host.path("/run/notify")) as receiver:
            self._process = self.host.start(
                "ikev1d",
                *(sys.executable, *self.program, "--config", CONFIGURATION),
                *(("--trace", TRACE) if self._traced else ()),
                environment={"NOTIFY_SOCKET": "/run/notify"},
            )

            def ready() -> bool:
                self.process.require_running()
                readable, _, _ = select.select([receiver], [], [], NOTIFY_WAIT)
                return bool(readable) and b"READY=1" in receiver.recv(NOTIFY_MESSAGE).split(b"\n")

            until(ready, "READY=1 from ikev1d", START_LIMIT)

    def stop(self) -> int:
        """End it with SIGTERM; its exit status."""
        return self.process.stop()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.process.stop(signal.SIGKILL)

    def wait_for_farewells(self) -> None:
        """Wait until it has kept the Deletes that its next run sends after a crash."""
        kept = self.host.path(FAREWELLS)
        until(lambda: kept.stat().st_size > 0, "the Deletes for a crash to be kept", START_LIMIT)

    def reload(self) -> None:
        """Send SIGHUP."""
        self.process.signal(signal.SIGHUP)

    def ikectl(self, *arguments: str) -> str:
        """Run the operator's tool; what it printed. Raises `CommandError`."""
        command = (sys.executable, "-m", "cli.ikectl", "--socket", CONTROL)
        return self.host.run(*command, *arguments)

    def status(self) -> dict[str, Any]:
        """Return what ``ikectl status --json`` prints, without a Python of its own.

        Raises `GatewayError`.
        """
        try:
            answer = ask(str(self.host.path(CONTROL)), StatusRequest())
        except (NotRunningError, ExchangeFailedError) as error:
            raise GatewayError(f"no status: {type(error).__name__} {error}") from None
        document: dict[str, Any] = json.loads(build_response(answer))
        return document

    def clients(self) -> list[dict[str, Any]]:
        """Return the clients of `status`."""
        found: list[dict[str, Any]] = self.status()["clients"]
        return found

    def verify(self) -> dict[str, dict[str, Any]]:
        """Return the findings of ``ikectl verify --json`` that are not well, by their check."""
        command = (sys.executable, "-m", "cli.ikectl", "--socket", CONTROL)
        arguments = shlex.join([*command, "verify", "--json", "--config", CONFIGURATION])
        # 1 and 2 stand for what is found; anything else is an error.
        text = self.host.run("sh", "-c", f"{arguments}; test $? -le 2", limit=VERIFY_LIMIT)
        found = json.loads(text)["findings"]
        return {finding["check"]: finding for finding in found if finding["level"] != "ok"}

    def log(self) -> str:
        """Return what it has logged since its last start."""
        return self.process.text()

    def trace(self) -> str:
        """Return what it has traced since its last start, if it is told to."""
        return self.host.path(TRACE).read_text()

    def wait_for_log(self, text: str, limit: float = 30.0) -> None:
        """Wait until the log holds ``text``. Raises `StillWaitingError`, `ProgramEndedError`."""
        self.process.wait_for_text(text, limit)
