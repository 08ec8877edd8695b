"""What the start of the gateway and that of its processes have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

from cli.ikev1d.addresses import AddressError
from cli.ikev1d.answers import VERSION
from cli.ikev1d.config import Config
from cli.ikev1d.expiry import ExpiryWatch
from cli.ikev1d.in_force import InForce
from cli.ikev1d.kernel_probe import missing
from cli.ikev1d.logs import ClientLog
from cli.ikev1d.metrics.listener import ListenError, MetricsListener
from cli.ikev1d.systemd import notify
from cli.ikev1d.udp import IKE_PORT, NAT_T_PORT
from l2tp.datapath.errors import DataPathError
from xfrm.errors import KernelError
from xfrm.sadb import Sadb


class StartError(Exception):
    """The gateway cannot start; the text says why and what to do."""


@contextmanager
def start_errors(config: Config) -> Iterator[None]:
    """Say what keeps the gateway from starting. Raises StartError."""
    try:
        yield
    except AddressError as error:
        where = config.where("gateway.interfaces")
        raise StartError(f"{error}; see {where}") from error
    except DataPathError as error:
        raise StartError(f"the kernel cannot serve L2TP: {error}") from error
    except KernelError as error:
        raise StartError(f"the kernel cannot serve IPsec: {error}") from error
    except ListenError as error:
        where = config.where("metrics.listen")
        raise StartError(f"cannot serve metrics: {error}; see {where}") from error
    except OSError as error:
        raise StartError(
            f"cannot open UDP ports {IKE_PORT} and {NAT_T_PORT}: {error.strerror}; "
            "stop the other IKE daemon (ss -lunp shows it), and run as root"
        ) from error


def usable_algorithms(config: Config, sadb: Sadb, log: ClientLog) -> frozenset[str]:
    """The ESP algorithms that the kernel lacks. Raises StartError if it has none."""
    esp = config.esp
    refused = missing(sadb, esp.encryption, esp.integrity)
    if refused.keys() >= set(esp.encryption):
        raise StartError(f"the kernel cannot serve ESP: {next(iter(refused.values()))}")
    for name, reason in refused.items():
        key = "esp.encryption" if name in esp.encryption else "esp.integrity"
        log.warning(
            "the kernel lacks an ESP algorithm; clients get another one",
            algorithm=name,
            cause=reason,
            remedy=f"remove it from {key}",
            see=config.where(key),
        )
    return frozenset(refused)


async def tell_the_operator(
    in_force: InForce, metrics: Callable[[], Awaitable[str]], undo: AsyncExitStack
) -> None:
    """Warn of certificates that expire, and serve the metrics, until `undo`. Raises ListenError."""
    expiry = ExpiryWatch(in_force)
    expiry.start()
    undo.callback(expiry.stop)
    where = in_force.config.metrics
    if where is not None:
        listener = MetricsListener(metrics)
        await listener.start(str(where.address), where.port)
        undo.push_async_callback(listener.close)


def announce(
    log: ClientLog, config: Config, addresses: Sequence[str], left: int, **more: int
) -> None:
    """Say that the gateway serves, in the log and to systemd, and what is worth knowing of it.

    `left` counts what an earlier run had left in the kernel.
    """
    if left:
        log.warning("removed what an earlier run had left in the kernel", count=left)
    for warning in config.warnings:
        log.warning("configuration", warning=warning)
    listen = ",".join(addresses) or "all"
    log.info("ready", version=VERSION, config=config.path, listen=listen, **more)
    notify("READY=1")
