"""What the gateway gets from the machine it runs on. The simulation puts its own in the place."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.control import Request
from cli.ikev1d.control import Answer, ControlServer
from cli.ikev1d.farewells import Farewells
from cli.ikev1d.tunnel_memory import TunnelMemory
from cli.ikev1d.udp import IkeSockets
from cli.ikev1d.workers import Workers
from l2tp.datapath.interface import Interfaces
from l2tp.datapath.kernel import KernelDataPaths
from l2tp.datapath.tun import TunDataPath
from l2tp.datapath.udp import Datagram, L2tpSocket
from xfrm.esp_tap import EspTap, StrayEsp
from xfrm.events import Event
from xfrm.sadb import Sadb

if TYPE_CHECKING:
    from cli.ikev1d.trace.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Machine:
    """How to make each of the gateway's ends towards the kernel and the network."""

    sadb: Callable[[Callable[[Event], None]], Sadb] = Sadb
    esp_tap: Callable[[Callable[[StrayEsp], None]], EspTap] = EspTap
    ike_sockets: Callable[[Sequence[str]], IkeSockets] = IkeSockets
    l2tp_socket: Callable[[Callable[[Datagram], None]], L2tpSocket] = L2tpSocket
    kernel_data_paths: Callable[[Callable[[Datagram], None]], KernelDataPaths] = KernelDataPaths
    user_data_path: Callable[[Interfaces, Callable[[bytes], None]], TunDataPath] = TunDataPath
    farewells: Callable[[Path], Farewells] = Farewells
    control_server: Callable[[Path, Answer, Sequence[type[Request]]], ControlServer] = ControlServer
    workers: Callable[[Callable[[int], bytes]], Workers] = Workers
    tunnel_memory: Callable[[Path], TunnelMemory] = TunnelMemory
    random: Callable[[int], bytes] = os.urandom
    trace: Recorder | None = None
    """Who is shown all that comes and goes, if anybody is."""


LINUX = Machine()
"""The machine that the daemon runs on."""
