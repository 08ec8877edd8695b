"""Run a command under a kernel that has ESP, PPP and L2TP.

``python -m interop.kernel [--timeout S] [--mem M] [--share DIR]... -- COMMAND [ARGUMENT]...``

If the host's kernel has what `interop.facilities` lists, the command runs there, in namespaces of
its own. Otherwise it runs in an embedded kernel (Debian's user-mode-linux), as root, on the host's
file system: it may write anywhere, but only what it writes below the repository's lab/ or a
``--share`` directory outlives it. Either way its output comes live on our stdout and stderr, its
exit status is ours, SIGINT and SIGTERM reach it, and every process it leaves behind ends with it.
"""

import argparse
import math
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from interop.errors import LabError
from interop.facilities import missing_on_host

REPOSITORY = Path(__file__).resolve().parent.parent
ARTEFACTS = REPOSITORY / "lab"
"""Where the lab keeps logs and captures; always shared with the embedded kernel."""
INIT = Path(__file__).with_name("uml_init.sh")
MODULES = Path("/usr/lib/uml/modules")

BOOT_LIMIT = 120.0
"""Seconds until the command must have started; a boot takes 2 to 15."""
GRACE = 15.0
"""Seconds a signalled command has to end, and the kernel to power off after its command."""
LONGEST_WAIT = 3600.0
"""Seconds select() may wait at once: it takes no infinity."""
LOG_LINES = 60
"""Lines of the kernel's log to show when it broke off: a panic with its stack."""
MARKER = "INTEROP_KERNEL"
"""Variable that tells a command that it runs where the lab can be built: "host" or "embedded"."""
UNAVAILABLE = 125
"""Exit status when there is no kernel to run the command."""
TIMED_OUT = 124
"""Exit status after --timeout, as timeout(1) has it."""

PROGRAMS = {
    "linux.uml": "user-mode-linux",
    "modprobe": "kmod",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables-legacy": "iptables",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""Program to the Debian package it comes in."""

KEPT_VARIABLES = {"PATH", "HOME", "LANG", "TERM", "TZ", "VIRTUAL_ENV", "NO_COLOR", "CI"}
KEPT_PREFIXES = ("LC_", "PYTHON", "PYTEST_", "HYPOTHESIS_", "INTEROP_")


class KernelUnavailableError(LabError):
    """Neither the host's kernel nor an embedded one can run the command; says what to install."""


def inside() -> bool:
    """Whether this process has been started by `run`."""
    return MARKER in os.environ


def run(
    command: Sequence[str],
    *,
    shares: Sequence[Path] = (),
    mem: int = 2048,
    timeout: float | None = None,
    embedded: bool | None = None,
) -> int:
    """Run ``command`` and return its exit status (128 + n when signal n ended it).

    ``mem`` is the embedded kernel's memory in MiB, ``timeout`` is in seconds from its start.
    ``embedded`` insists on the embedded kernel or on the host's; None asks the host's kernel.
    Raises `KernelUnavailableError`.
    """
    if os.geteuid() != 0:
        raise KernelUnavailableError("run it as root: it makes namespaces")
    if embedded is None:
        embedded = bool(missing_on_host())
    for share in (ARTEFACTS, *shares):
        share.mkdir(parents=True, exist_ok=True)
    if not embedded:
        return _run_on_host(command, timeout)
    _require_programs()
    _compile_sources()
    with tempfile.TemporaryDirectory(prefix="interop-kernel-") as name:
        directory = Path(name)
        (directory / "command").write_text(_script(command))
        (directory / "shares").write_text(
            "".join(f"{share.resolve()}\n" for share in (ARTEFACTS, *shares))
        )
        return _EmbeddedRun(directory, mem, timeout).wait()


def _require_programs() -> None:
    absent = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    if absent:
        raise KernelUnavailableError(f"apt-get install {' '.join(absent)}")
    if not any(MODULES.glob("*/modules.dep")):
        raise KernelUnavailableError(
            f"no modules in {MODULES}: apt-get install --reinstall user-mode-linux"
        )


def _compile_sources() -> None:
    """Refresh the .pyc files: what the embedded kernel compiles is gone when it ends."""
    packages = ["cli", "ikev1", "interop", "l2tp", "xfrm"]
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", *packages],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        check=False,
    )


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }


def _script(command: Sequence[str]) -> str:
    """Write the shell script that gives the command our directory and environment."""
    variables = _environment() | {MARKER: "embedded", "PYTHONUNBUFFERED": "1"}
    if not sys.stdout.isatty():
        # Its consoles look like terminals to the command.
        variables["NO_COLOR"] = "1"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f"cd {shlex.quote(str(Path.cwd()))}", f"exec {shlex.join(command)}"]
    return "\n".join(lines) + "\n"


def _memory_directory(mem: int) -> Path:
    """Find where the embedded kernel can map its memory from a file: big enough, not noexec."""
    candidates = [Path("/dev/shm"), Path(tempfile.gettempdir()), Path("/var/tmp")]  # noqa: S108
    for directory in candidates:
        if not os.access(directory, os.W_OK):
            continue
        status = os.statvfs(directory)
        if status.f_bavail * status.f_frsize > mem << 20 and not status.f_flag & os.ST_NOEXEC:
            return directory
    raise KernelUnavailableError(
        f"the embedded kernel needs {mem} MiB on a file system mounted without noexec, and none of"
        f" {', '.join(map(str, candidates))} has it: set TMPDIR, or lower --mem"
    )


def _contained(*arguments: str) -> list[str]:
    """Prefix a command so that it, and all it starts, ends at the latest when we end."""
    contained = "setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL"
    return [*contained.split(), *arguments]


@contextmanager
def _signals_to(forward: Callable[[int], None]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM to ``forward``; the second one is a KeyboardInterrupt."""
    count = 0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            raise KeyboardInterrupt
        forward(number)

    caught = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _run_on_host(command: Sequence[str], timeout: float | None) -> int:
    script = f"ip link set lo up && exec {shlex.join(command)}"
    process = subprocess.Popen(
        _contained("--net", "--mount", "--mount-proc", "sh", "-c", script),
        env=dict(os.environ) | {MARKER: "host"},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with _signals_to(lambda number: os.killpg(process.pid, number)):
            status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        print(f"interop.kernel: no end after {timeout:g} s", file=sys.stderr)
        return TIMED_OUT
    finally:
        process.kill()
        process.wait()
    return status if status >= 0 else 128 - status


class _EmbeddedRun:
    """A command in the embedded kernel, behind the three consoles that uml_init.sh describes."""

    def __init__(self, directory: Path, mem: int, timeout: float | None) -> None:
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        control, control_end = os.pipe()
        input_end, self._input = os.pipe()
        self._kernel_log = directory / "kernel.log"
        log = os.open(self._kernel_log, os.O_WRONLY | os.O_CREAT, 0o600)
        ends = (stdout_end, stderr_end, control_end, input_end, log)
        self._sources = {stdout: self._copy_stdout, stderr: self._copy_stderr, control: self._heed}
        self._lines = b""
        self._started = False
        self._signalled = False
        self._timed_out = False
        self._status: int | None = None
        self._timeout = math.inf if timeout is None else timeout
        self._deadline = time.monotonic() + BOOT_LIMIT
        self._process = subprocess.Popen(
            _contained(
                "linux.uml",
                f"mem={mem}M",
                f"uml_dir={directory}",
                "rootfstype=hostfs",
                "rootflags=/",
                "ro",
                f"init={INIT}",
                f"RUN_DIRECTORY={directory}",
                "con=null",
                f"con1=null,fd:{stdout_end}",
                f"con2=null,fd:{stderr_end}",
                f"con3=fd:{input_end},fd:{control_end}",
                "ssl=null",
                f"ssl0=null,fd:{log}",
                "console=ttyS0",
                "quiet",
            ),
            env={"PATH": os.defpath, "HOME": "/root", "TMPDIR": str(_memory_directory(mem))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=ends,
        )
        for descriptor in ends:
            os.close(descriptor)

    def wait(self) -> int:
        """Follow the command to its end; its exit status."""
        try:
            with _signals_to(self._forward):
                self._follow()
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._input)
        if self._timed_out:
            return TIMED_OUT
        if self._status is None:
            log = self._kernel_log.read_text(errors="replace").splitlines()
            print(*log[-LOG_LINES:], sep="\n", file=sys.stderr)
            raise KernelUnavailableError("the embedded kernel broke off, its log is above")
        return self._status

    def _follow(self) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor, consume in self._sources.items():
                selector.register(descriptor, selectors.EVENT_READ, consume)
            while selector.get_map():
                remaining = self._deadline - time.monotonic()
                if remaining <= 0 and not self._expire():
                    return
                for key, _ in selector.select(min(max(remaining, 0.0), LONGEST_WAIT)):
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def _expire(self) -> bool:
        """Act on the deadline; False if there is nothing left to wait for."""
        if not self._started or self._signalled or self._status is not None:
            return False
        print(f"interop.kernel: no end after {self._timeout:g} s", file=sys.stderr)
        self._forward(signal.SIGTERM)
        self._timed_out = True
        return True

    def _heed(self, data: bytes) -> None:
        *lines, self._lines = (self._lines + data).split(b"\n")
        for line in lines:
            match line.split():
                case [b"started"]:
                    self._started = True
                    self._deadline = time.monotonic() + self._timeout
                case [b"exit", status]:
                    self._status = int(status)
                    self._deadline = time.monotonic() + GRACE

    def _forward(self, number: int) -> None:
        if not self._started:
            raise KeyboardInterrupt
        self._signalled = True
        self._deadline = time.monotonic() + GRACE
        os.write(self._input, f"signal {signal.Signals(number).name[3:]}\n".encode())

    def _copy_stdout(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def _copy_stderr(self, data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line's command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m interop.kernel", description=__doc__)
    parser.add_argument("--timeout", type=float, help="seconds the command may take")
    parser.add_argument("--mem", type=int, default=2048, help="MiB of memory (2048)")
    parser.add_argument(
        "--share", type=Path, action="append", default=[], help="directory whose contents are kept"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--embedded", action="store_true", default=None, help="never the host's")
    where.add_argument("--host", action="store_false", dest="embedded", help="never the embedded")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        return run(
            options.command,
            shares=options.share,
            mem=options.mem,
            timeout=options.timeout,
            embedded=options.embedded,
        )
    except KernelUnavailableError as error:
        print(f"interop.kernel: {error}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
