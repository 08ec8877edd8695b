"""What `ikectl status` costs a daemon with thousands of clients, and how long it holds up the loop.

    python -m interop.kernel --host -- .venv/bin/python -m tests.bench.status

The engine's clients are made in memory. Their SAs are the kernel's; where it has no ESP, larval
ones are in their place. The answer goes through a control socket to an ikectl of its own process.
"""

import argparse
import asyncio
import functools
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from cli.ikev1d.answers import Answers
from cli.ikev1d.control import ControlServer
from cli.ikev1d.ike import IkeHost
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_sas import KernelSas
from cli.ikev1d.l2tp import LnsHost
from cli.ikev1d.machine import LINUX
from cli.ikev1d.service import spare_the_loop
from cli.ikev1d.story import Story
from ikev1.core.clients import MarkSpace
from ikev1.core.effects import InstallFailed
from interop.clients.ike import STRONGSWAN
from interop.errors import LabError
from interop.facilities import missing_on_host
from interop.initiator.__main__ import phase1_offer
from interop.initiator.derivation import dh_key
from interop.initiator.profiles import only
from interop.load.responders import SUITES
from tests.bench.daemon import pretend_esp
from tests.bench.stopwatch import MILLISECOND, Part, Stopwatch
from tests.support import ike_host
from tests.support.ike_dialin import Dialin
from tests.support.verify_samples import configured
from xfrm.ownership import REQID_BASE
from xfrm.sadb import Sadb

CLIENTS = 5000
LARVAL_LIFETIME = Path("/proc/sys/net/core/xfrm_acq_expires")
ASK = """
import sys
from cli.ikectl.__main__ import main
for _ in range(int(sys.argv[2])):
    assert main(["--socket", sys.argv[1], "status", "--json"]) == 0
"""


def dialled_in(count: int) -> ike_host.IkeHost:
    """An engine with this many clients, each with a pair of child SAs."""
    profile = only(STRONGSWAN, phase1_offer(SUITES[0]))
    make_dh = functools.cache(dh_key)
    host = ike_host.IkeHost(settings=ike_host.settings())
    for number in range(count):
        nat = f"10.64.{number >> 8}.{number & 255}"
        Dialin(host, profile=profile, nat=nat, seed=str(number), make_dh=make_dh).connect()
        for kept in (host.sent, host.told, host.asked):
            kept.clear()
    return host


def install(host: ike_host.IkeHost, sas: KernelSas) -> None:
    """Put the clients' SAs into the kernel."""
    for spi, child in host.inbound.items():
        for result in (sas.install_inbound(child), sas.install_outbound(host.outbound[spi], ())):
            if isinstance(result, InstallFailed):
                raise LabError(result.reason)


def fill(sadb: Sadb, count: int) -> None:
    """Give the kernel larval SAs, which take no ESP, in the place of those it has refused."""
    LARVAL_LIFETIME.write_text("3600")
    for number in range(count):
        sadb.allocate_spi("198.51.100.1", f"10.64.{number >> 8}.{number & 255}", REQID_BASE)


async def measure(host: ike_host.IkeHost, directory: Path, answers: int) -> Part:
    """The event loop's callbacks while ikectl asks so often."""
    config = configured(directory)
    marks = MarkSpace()
    sadb = Sadb()
    await sadb.open()
    sas = KernelSas(sadb, marks.base, marks.mask)
    install(host, sas)
    if missing_on_host():
        fill(sadb, 2 * len(host.inbound))

    def nobody(*_: object) -> Any:
        """Stands for surroundings that are never asked."""

    asked = (nobody, nobody, nobody, nobody, nobody, nobody, nobody)
    lns = LnsHost(config, LINUX, (), str, *asked)
    ike = cast("IkeHost", host)
    answer = Answers(InForce(config), (), sas, ike, lns, Story(config)).answer
    server = ControlServer(directory / "control", answer)
    await server.start()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASK, str(directory / "control"), str(answers)),
        stdout=subprocess.DEVNULL,
    )
    spare_the_loop()
    stopwatch = Stopwatch()
    stopwatch.calibrate()
    stopwatch.watch("event loop", asyncio.Handle, "_run")
    if await process.wait():
        raise LabError("ikectl failed")
    await asyncio.sleep(0)
    found = replace(stopwatch.parts["event loop"])  # what comes now does not count
    await server.close()
    sadb.flush()
    sadb.close()
    return found


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.status", description=__doc__)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--answers", type=int, default=3)
    options = parser.parse_args()
    if missing_on_host():
        pretend_esp()
    host = dialled_in(options.clients)
    with tempfile.TemporaryDirectory() as name:
        loop = asyncio.run(measure(host, Path(name), options.answers))
    spent = loop.spent / options.answers / MILLISECOND
    numbers = (f"{spent:.0f}", f"{loop.calls // options.answers}")
    longest = (f"{loop.longest / MILLISECOND:.2f}", f"{loop.over}")
    lines = [
        "| clients | SAs | CPU an answer, ms | callbacks | longest callback, ms | over 1 ms |",
        "| --: | --: | --: | --: | --: | --: |",
        f"| {options.clients} | {2 * options.clients} | {' | '.join(numbers + longest)} |",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
