"""Run a command under a kernel that has ESP, PPP and L2TP.

``python -m interop.kernel [--timeout S] [--mem M] [--share DIR]... -- COMMAND [ARGUMENT]...``

If the host's kernel has what `interop.facilities` lists, the command runs there, in namespaces of
its own. Otherwise it runs in an embedded kernel (Debian's user-mode-linux), as root, on the host's
file system: it may write anywhere, but only what it writes to its directory below lab/ or to a
``--share`` directory outlives it. Either way its output comes live on our stdout and stderr, its
exit status is ours, SIGINT and SIGTERM reach it, and every process it leaves behind ends with it.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from interop.containment import GRACE, TIMED_OUT, contained, signals_to
from interop.errors import KernelUnavailableError
from interop.facilities import missing_on_host
from interop.uml import INSTALLED, EmbeddedRun, fastest, require_programs

REPOSITORY = Path(__file__).resolve().parent.parent
LAB = REPOSITORY / "lab"
"""Below it every run has a directory for what it leaves behind; "latest" points to the last one."""

MARKER = "INTEROP_KERNEL"
"""Variable that tells a command that it runs where the lab can be built: "host" or "embedded"."""
ARTEFACTS = "INTEROP_ARTEFACTS"
"""Variable that tells a command its run's directory."""
UNAVAILABLE = 125
"""Exit status when there is no kernel to run the command."""

KEPT_VARIABLES = {"PATH", "HOME", "LANG", "TERM", "TZ", "VIRTUAL_ENV", "NO_COLOR", "CI"}
KEPT_PREFIXES = ("LC_", "PYTHON", "PYTEST_", "HYPOTHESIS_", "INTEROP_")


def inside() -> bool:
    """Whether this process has been started by `run`."""
    return MARKER in os.environ


def artefacts() -> Path:
    """Return the run's directory, for logs and captures. Only inside; KeyError elsewhere."""
    return Path(os.environ[ARTEFACTS])


def run(
    command: Sequence[str],
    *,
    shares: Sequence[Path] = (),
    mem: int = 2048,
    timeout: float | None = None,
    embedded: bool | None = None,
    installed: bool = False,
) -> int:
    """Run ``command`` and return its exit status (128 + n when signal n ended it).

    ``mem`` is the embedded kernel's memory in MiB, ``timeout`` is in seconds from its start.
    ``embedded`` insists on the embedded kernel or on the host's; None asks the host's kernel.
    ``installed`` wants it as this Debian has it, where a newer one has been unpacked. Raises
    `KernelUnavailableError`.
    """
    if os.geteuid() != 0:
        raise KernelUnavailableError("run it as root: it makes namespaces")
    if embedded is None:
        embedded = bool(missing_on_host())
    directory = _make_artefact_directory()
    try:
        if embedded:
            return _run_embedded(command, [directory, *shares], mem, timeout, installed=installed)
        return _run_on_host(command, directory, timeout)
    finally:
        with suppress(OSError):
            directory.rmdir()


def _make_artefact_directory() -> Path:
    name = f"{time.strftime('%m%d-%H%M%S')}-{os.getpid()}"
    directory = LAB / name
    directory.mkdir(parents=True)
    link = LAB / f".latest-{os.getpid()}"
    link.symlink_to(name)
    link.rename(LAB / "latest")
    return directory


def _run_embedded(
    command: Sequence[str],
    shares: Sequence[Path],
    mem: int,
    timeout: float | None,
    *,
    installed: bool,
) -> int:
    require_programs()
    _compile_sources()
    for share in shares:
        share.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="interop-kernel-") as name:
        directory = Path(name)
        (directory / "command").write_text(_script(command, shares[0]))
        (directory / "shares").write_text("".join(f"{share.resolve()}\n" for share in shares))
        kernel = INSTALLED if installed else fastest()
        return EmbeddedRun(directory, mem, timeout, kernel).wait()


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


def _script(command: Sequence[str], artefacts: Path) -> str:
    """Write the shell script that gives the command our directory and environment."""
    variables = _environment() | {MARKER: "embedded", ARTEFACTS: str(artefacts)}
    variables["PYTHONUNBUFFERED"] = "1"
    if not sys.stdout.isatty():
        # Its consoles look like terminals to the command.
        variables["NO_COLOR"] = "1"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f"cd {shlex.quote(str(Path.cwd()))}", f"exec {shlex.join(command)}"]
    return "\n".join(lines) + "\n"


def _run_on_host(command: Sequence[str], artefacts: Path, timeout: float | None) -> int:
    # The shell stays, as process 1 of its namespace: such a one heeds no signal it does not handle.
    script = f"mount -t tmpfs tmpfs /run && ip link set lo up && {shlex.join(command)}; exit $?"
    process = subprocess.Popen(
        contained(["sh", "-c", script], ["--net", "--mount", "--mount-proc"]),
        env=dict(os.environ) | {MARKER: "host", ARTEFACTS: str(artefacts)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )

    def forward(number: int) -> None:
        os.killpg(process.pid, number)

    try:
        with signals_to(forward):
            status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        print(f"interop.kernel: no end after {timeout:g} s", file=sys.stderr)
        forward(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return TIMED_OUT
    finally:
        process.kill()
        process.wait()
    return status if status >= 0 else 128 - status


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
    parser.add_argument(
        "--installed", action="store_true", help="the embedded kernel of this Debian, no newer one"
    )
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    try:
        return run(
            options.command,
            shares=options.share,
            mem=options.mem,
            timeout=options.timeout,
            embedded=options.embedded,
            installed=options.installed,
        )
    except KernelUnavailableError as error:
        print(f"interop.kernel: {error}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
