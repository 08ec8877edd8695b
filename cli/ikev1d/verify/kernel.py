"""What the kernel can do, tried out."""

from __future__ import annotations

import errno
import os
import platform
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.kernel_probe import missing
from cli.ikev1d.verify.distribution import Distribution, module_remedy, read_distribution
from cli.ikev1d.verify.findings import failure, note, ok, warning
from l2tp.datapath.kernel import TUNNELS_BY_ID, finds_tunnels_by_id
from l2tp.datapath.pppol2tp import AF_PPPOX, PX_PROTO_OL2TP
from xfrm.errors import KernelError
from xfrm.sadb import Sadb
from xfrm.sockets import accept_esp_in_udp, report_packet_info

PPP_DEVICE = "/dev/ppp"
TUN_DEVICE = "/dev/net/tun"


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What was tried, and what became of it: 0 or an errno."""

    release: str
    distribution: Distribution
    features: Mapping[str, int]
    """"xfrm_user", "espinudp", "SO_RCVMARK", "ppp_generic", "l2tp_ppp" and "tun"."""
    algorithms: Mapping[str, str]
    """ESP algorithms of the configuration that the kernel refused, with its reason."""
    as_root: bool = True


async def read_kernel(config: Config | None) -> KernelFacts:
    """Try everything out; the kernel loads what modules it needs."""
    release = platform.release()
    features = {
        "espinudp": _on_udp(accept_esp_in_udp),
        "SO_RCVMARK": _on_udp(report_packet_info),
        "ppp_generic": _open(PPP_DEVICE),
        "l2tp_ppp": _errno(
            lambda: socket.socket(AF_PPPOX, socket.SOCK_DGRAM, PX_PROTO_OL2TP).close()
        ),
        "tun": _open(TUN_DEVICE),
    }
    algorithms: dict[str, str] = {}
    sadb = Sadb()
    try:
        await sadb.open()
    except KernelError as error:
        features["xfrm_user"] = error.errno
    else:
        features["xfrm_user"] = 0
        with closing(sadb):
            if config is not None:
                algorithms = missing(sadb, config.esp.encryption, config.esp.integrity)
    as_root = os.geteuid() == 0
    return KernelFacts(release, read_distribution(release), features, algorithms, as_root)


def check_kernel(facts: KernelFacts, config: Config | None) -> Iterator[Finding]:
    """Judge what was found."""
    if not facts.as_root:
        yield failure(
            "kernel.permission",
            "not run as root, so the kernel could not be asked",
            "SAs, /dev/ppp and interfaces need it",
            "run it as root",
        )
        return
    yield from _check_modules(facts)
    yield from _check_sockets(facts)
    yield _check_tunnels(facts)
    if config is not None:
        yield from _check_algorithms(facts, config)


def _check_modules(facts: KernelFacts) -> Iterator[Finding]:
    def lacks(module: str) -> bool:
        return facts.features[module] != 0

    def remedy(module: str) -> str:
        return module_remedy(module, facts.distribution)

    def what(module: str) -> str:
        return f"{module} is missing: {os.strerror(facts.features[module])}"

    if lacks("xfrm_user"):
        why = "without it no SA and no policy can be installed"
        yield failure("kernel.xfrm_user", what("xfrm_user"), why, remedy("xfrm_user"))
    else:
        yield ok("kernel.xfrm_user", "SAs and policies can be installed")
    for module in ("ppp_generic", "l2tp_ppp"):
        if lacks(module) and lacks("tun"):
            why = "and so is tun, which could take its place: no session gets a data path"
            yield failure(f"kernel.{module}", what(module), why, remedy(module))
        elif lacks(module):
            why = "every session is carried in user space, at a fraction of the kernel's speed"
            yield warning(f"kernel.{module}", what(module), why, remedy(module))
        else:
            yield ok(f"kernel.{module}", f"{module} is there")
    if lacks("tun"):
        why = "clients behind one NAT that use the same UDP port get no data path"
        yield warning("kernel.tun", what("tun"), why, remedy("tun"))
    else:
        yield ok("kernel.tun", "tun is there")


def _check_sockets(facts: KernelFacts) -> Iterator[Finding]:
    if facts.features["espinudp"]:
        yield failure(
            "kernel.espinudp",
            "the kernel takes no ESP out of UDP",
            "clients behind a NAT send nothing else",
            "a kernel with CONFIG_XFRM is needed",
        )
    else:
        yield ok("kernel.espinudp", "ESP in UDP is taken")
    if facts.features["SO_RCVMARK"]:
        yield failure(
            "kernel.so_rcvmark",
            f"Linux {facts.release} has no SO_RCVMARK, which came with 5.19",
            "the gateway tells its clients apart by the marks of their packets, and does not start",
            "boot Linux 5.19 or newer",
        )
    else:
        yield ok("kernel.so_rcvmark", f"Linux {facts.release} tells the marks of packets")


def _check_tunnels(facts: KernelFacts) -> Finding:
    if finds_tunnels_by_id(facts.release):
        return ok("kernel.l2tp_tunnels", "the kernel finds L2TP tunnels by their ID")
    major, minor = TUNNELS_BY_ID
    return note(
        "kernel.l2tp_tunnels",
        f"Linux {facts.release} finds an L2TP tunnel by its UDP socket, before {major}.{minor}",
        "clients behind one NAT with the same UDP port are carried in user space; "
        "`ikectl status` shows which",
    )


def _check_algorithms(facts: KernelFacts, config: Config) -> Iterator[Finding]:
    if facts.features["xfrm_user"]:
        return
    esp = config.esp
    if facts.algorithms.keys() >= set(esp.encryption):
        reason = next(iter(facts.algorithms.values()))
        why = "no ESP SA can be installed, and the gateway does not start"
        yield failure("kernel.esp4", reason, why, module_remedy("esp4", facts.distribution))
        return
    for name, reason in facts.algorithms.items():
        key = "esp.encryption" if name in esp.encryption else "esp.integrity"
        yield warning(
            "kernel.algorithms",
            f"the kernel lacks {name}: {reason}",
            "it is not offered to clients; one that asks for nothing else is refused",
            f"remove it from {key}, see {config.where(key)}",
        )
    if not facts.algorithms:
        yield ok("kernel.algorithms", "every ESP algorithm of the configuration is there")


def _errno(attempt: Callable[[], None]) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EIO
    except KernelError as error:
        return error.errno
    return 0


def _open(device: str) -> int:
    return _errno(lambda: os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC)))


def _on_udp(option: Callable[[socket.socket], None]) -> int:
    def attempt() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            option(sock)

    return _errno(attempt)
