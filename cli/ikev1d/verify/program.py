"""Looks at the whole machine, in a process of its own: `ikev1d --verify`.

The daemon starts it with `--ledger` and gives it, on its standard input, the names of all that it
has in the kernel (`ledger`). Where these and the kernel differ it asks for them once more, as
clients come and go meanwhile. What it finds goes to its standard output, a `VerifyResponse`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cli.control import Finding, VerifyResponse, build_response
from cli.ikev1d.config import Config, ConfigError
from cli.ikev1d.verify.certificates import check_certificates
from cli.ikev1d.verify.clock import check_clock, read_clock
from cli.ikev1d.verify.configuration import check_configuration, read_configuration
from cli.ikev1d.verify.findings import note
from cli.ikev1d.verify.firewall.check import check_firewall, read_firewall
from cli.ikev1d.verify.forwarding import check_forwarding
from cli.ikev1d.verify.kernel import check_kernel, read_kernel
from cli.ikev1d.verify.ledger import AGAIN, Ledger, read_ledger
from cli.ikev1d.verify.network import Network, read_network
from cli.ikev1d.verify.ownership import (
    Differences,
    check_ownership,
    compare,
    read_holdings,
)
from cli.ikev1d.verify.pool import check_pool
from cli.ikev1d.verify.ports import check_ports, read_ports
from xfrm.errors import KernelError

SECOND_LOOK = 1.0
"""Seconds after the first one: what was under way then is done."""


def verify(path: Path, source: BinaryIO | None, sink: BinaryIO) -> None:
    """Look at everything; `source` gives the daemon's ledger, None where there is no daemon."""
    findings = asyncio.run(_look(path, source, sink))
    response = VerifyResponse(running=source is not None, findings=tuple(findings))
    sink.write(build_response(response))
    sink.flush()


async def _look(path: Path, source: BinaryIO | None, sink: BinaryIO) -> list[Finding]:
    # First, as it is oldest when the kernel is looked at.
    ledger = read_ledger(source) if source is not None else None
    found = read_configuration(path)
    config = None if isinstance(found, ConfigError) else found
    network = await read_network()
    findings = [*check_configuration(found)]
    findings += check_kernel(await read_kernel(config), config)
    findings += check_ports(read_ports(ledger.pids if ledger else ()))
    findings += _around(network, config)
    try:
        findings += await _ownership(network, config, ledger, source, sink)
    except KernelError as error:
        findings.append(note("ownership.kernel", "what the kernel has is not known", str(error)))
    if config is not None:
        findings += check_certificates(config, datetime.now(UTC))
    findings += check_clock(read_clock(config))
    return findings


def _around(network: Network, config: Config | None) -> Iterator[Finding]:
    """The network, as far as it can be judged without a configuration."""
    yield from check_forwarding(network, config)
    if config is not None:
        yield from check_pool(network, config)
        yield from check_firewall(read_firewall(), network, config)


async def _ownership(
    network: Network,
    config: Config | None,
    ledger: Ledger | None,
    source: BinaryIO | None,
    sink: BinaryIO,
) -> list[Finding]:
    """What is different twice. Raises KernelError."""
    differences = await _differences(network, config, ledger)
    if differences and source is not None:
        await asyncio.sleep(SECOND_LOOK)
        sink.write(AGAIN)
        sink.flush()
        network = await read_network()
        differences &= await _differences(network, config, read_ledger(source))
    return list(check_ownership(differences, running=ledger is not None))


async def _differences(
    network: Network, config: Config | None, ledger: Ledger | None
) -> Differences:
    kernel = await read_holdings(network, config)
    return compare(kernel, ledger.holdings if ledger else {})
