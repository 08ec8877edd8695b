"""The embedded kernel: Debian's user-mode-linux, booted for one command on the host's files."""

import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from interop.containment import GRACE, TIMED_OUT, contained, signals_to
from interop.errors import KernelUnavailableError

INIT = Path(__file__).with_name("uml_init.sh")

BOOT_LIMIT = 120.0
"""Seconds until the command must have started; a boot takes 2 to 15."""
LONGEST_WAIT = 3600.0
"""Seconds select() may wait at once: it takes no infinity."""
LOG_LINES = 60
"""Lines of the kernel's log to show when it broke off: a panic with its stack."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A user-mode-linux: its program, and where its release has a folder of modules."""

    program: str
    modules: Path


_UNPACKED = Path(__file__).resolve().parent.parent / "build/uml"
INSTALLED = Kernel("linux.uml", Path("/usr/lib/uml/modules"))
NEWER = Kernel(str(_UNPACKED / "linux"), _UNPACKED / "usr/lib/uml/modules")
"""Put there by unpack-kernel.sh where the installed one is slow."""

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


def require_programs() -> None:
    """Raise `KernelUnavailableError`, naming what to install, unless all programs are there."""
    absent = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name)})
    if absent:
        raise KernelUnavailableError(f"apt-get install {' '.join(absent)}")
    if not any(INSTALLED.modules.glob("*/modules.dep")):
        raise KernelUnavailableError(
            f"no modules in {INSTALLED.modules}: apt-get install --reinstall user-mode-linux"
        )


def fastest() -> Kernel:
    """The kernel for whoever asks for none in particular."""
    return NEWER if Path(NEWER.program).exists() else INSTALLED


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


class EmbeddedRun:
    """A command in the embedded kernel, behind the three consoles that uml_init.sh describes."""

    def __init__(self, directory: Path, mem: int, timeout: float | None, kernel: Kernel) -> None:
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
            contained(
                [
                    kernel.program,
                    f"mem={mem}M",
                    f"uml_dir={directory}",
                    "rootfstype=hostfs",
                    "rootflags=/",
                    "ro",
                    f"init={INIT}",
                    f"RUN_DIRECTORY={directory}",
                    f"MODULES={kernel.modules}",
                    "con=null",
                    f"con1=null,fd:{stdout_end}",
                    f"con2=null,fd:{stderr_end}",
                    f"con3=fd:{input_end},fd:{control_end}",
                    "ssl=null",
                    f"ssl0=null,fd:{log}",
                    "console=ttyS0",
                    "quiet",
                ]
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
            with signals_to(self._forward):
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
