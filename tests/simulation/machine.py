"""The machine that the gateway runs on: its sockets, its kernel's L2TP, its threads, its office.

Each class stands where the daemon has one that talks to Linux, and does what Linux does with it.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import pathlib
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path as FilePath

from cli.ikev1d.control import ControlServer
from cli.ikev1d.farewells import Farewells
from cli.ikev1d.machine import Machine
from cli.ikev1d.tunnel_memory import TunnelMemory
from cli.ikev1d.udp import NAT_T_PORT, IkeSockets
from cli.ikev1d.workers import Workers, work
from ikev1.core.effects import ComputeDh, Path, Send
from ikev1.core.exchange import PublicKeyWork
from l2tp.core.strays import Standing
from l2tp.datapath import Counters, LinkSettings
from l2tp.datapath.errors import DataPathError, SharedFlowError
from l2tp.datapath.interface import Interfaces
from l2tp.datapath.kernel import KernelDataPath, KernelDataPaths, TunnelEnds
from l2tp.datapath.tun import TunDataPath
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram, L2tpSocket
from l2tp.errors import ProtocolError
from l2tp.wire.packet import DataMessage, build, parse
from l2tp.wire.ppp import ADDRESS_CONTROL, IP_FRAME, ip_packet
from tests.simulation.clock import VirtualLoop
from tests.simulation.kernel import ImpossibleError, Kernel
from tests.simulation.packets import Esp, Packet, size_of
from xfrm.esp_tap import EspTap, StrayEsp
from xfrm.sockets import through_sa

DH_TIME = 0.02
"""Seconds that Diffie-Hellman takes at most in a thread."""
INTERFACE_TIME = 0.01
"""Seconds that making or removing an interface takes at most."""
KEEPALIVE = b"\xff"


class SimulatedMachine:
    """What the daemon finds on its machine. `send` puts a packet on the internet."""

    def __init__(
        self, loop: VirtualLoop, kernel: Kernel, dice: random.Random, *, finds_tunnels_by_id: bool
    ) -> None:
        self.loop = loop
        self.kernel = kernel
        self.dice = dice
        self.finds_tunnels_by_id = finds_tunnels_by_id
        """As Linux does from 6.10 on; before it finds them by their sockets."""
        self.send: Callable[[Packet], None] = lambda packet: None
        self.ike: SimulatedIkeSockets | None = None
        self.listener: SimulatedL2tpSocket | None = None
        self.tap: SimulatedTap | None = None
        self.farewells: dict[int, Sequence[Send]] = {}
        """Last words, by mark."""
        self.standings: dict[int, Standing] = {}
        """What the file of tunnels says, by our tunnel ID."""
        self.workers: SimulatedWorkers | None = None
        self.tunnels: dict[int, SimulatedTunnel] = {}
        """The kernel's L2TP tunnels, by ID."""
        self.sockets: dict[tuple[str, Address], list[SimulatedTunnel]] = {}
        """The same by the addresses that their sockets are connected to."""
        self.interfaces = 0
        """PPP and TUN interfaces that are there."""
        kernel.to_socket = self._from_sa
        kernel.to_network = self._to_network

    def as_machine(self) -> Machine:
        """For the gateway."""
        return Machine(
            sadb=self.kernel.sadb,
            ike_sockets=lambda addresses: SimulatedIkeSockets(self),
            l2tp_socket=lambda on_datagram: SimulatedL2tpSocket(self, on_datagram),
            kernel_data_paths=lambda on_datagram: SimulatedKernelPaths(self, on_datagram),
            user_data_path=lambda interfaces, on_packet: SimulatedTun(self, on_packet),
            control_server=SimulatedControlServer,
            workers=lambda random_octets: SimulatedWorkers(self, random_octets),
            esp_tap=lambda report: SimulatedTap(self, report),
            farewells=lambda path: SimulatedFarewells(self, path),
            tunnel_memory=lambda path: SimulatedTunnelMemory(self),
            random=random.Random(self.dice.random()).randbytes,
        )

    def crash(self) -> SimulatedMachine:
        """The daemon is killed: the machine as the next one finds it.

        Its files and the kernel's IPsec are what stays. Sockets, tunnels and interfaces end with
        the process.
        """
        self.kernel.lose_daemon()
        if self.workers is not None:
            self.workers.close()
        dice = random.Random(self.dice.random())
        new = SimulatedMachine(
            self.loop, self.kernel, dice, finds_tunnels_by_id=self.finds_tunnels_by_id
        )
        new.farewells, new.standings, new.send = self.farewells, self.standings, self.send
        return new

    def receive(self, packet: Packet) -> None:
        """A packet from the internet."""
        if isinstance(packet.payload, Esp):
            if self.tap is not None:
                self.tap.see(packet, packet.payload)
            self.kernel.receive(packet)
        elif packet.dport == NAT_T_PORT and packet.payload == KEEPALIVE:
            pass  # Linux takes it
        elif self.ike is not None and packet.dport in (500, NAT_T_PORT):
            self.ike.receive(packet)

    def _to_network(self, packet: Packet) -> None:
        self.send(packet)

    def _from_sa(self, packet: Packet, mark: int, reqid: int) -> None:
        """UDP out of an SA. Linux gives it to the socket that fits it best."""
        assert isinstance(packet.payload, bytes)
        source = Address(packet.src, packet.sport)
        datagram = Datagram(packet.payload, source, packet.dst, mark)
        connected = self.sockets.get((packet.dst, source))
        if connected:
            tunnel = connected[-1]
            if tunnel.ends.policy != through_sa(reqid):
                self.kernel.drops["policy of a tunnel's socket"] += 1
            elif not self._from_tunnel_socket(tunnel, packet.payload):
                tunnel.on_datagram(datagram)
        elif self.listener is not None:
            self.listener.take(datagram)

    def _from_tunnel_socket(self, tunnel: SimulatedTunnel, payload: bytes) -> bool:
        """l2tp_udp_encap_recv: whether the datagram was one of the kernel's own sessions."""
        try:
            message = parse(payload)
        except ProtocolError:
            return False
        if not isinstance(message, DataMessage):
            return False
        found = self.tunnels.get(message.tunnel_id) if self.finds_tunnels_by_id else tunnel
        session = found.sessions.get(message.session_id) if found else None
        if session is None:
            return False
        session.receive(message.payload)
        return True


class SimulatedIkeSockets(IkeSockets):
    """UDP 500 and 4500."""

    def __init__(self, machine: SimulatedMachine) -> None:
        self._machine = machine
        self.esp_on_ike_port = False
        self._take: Callable[[bytes, Path], bool] | None = None
        self.before: Callable[[bytes], None] = lambda datagram: None
        """Called with each datagram before the gateway gets it."""
        machine.ike = self

    def start(self, receive: Callable[[bytes, Path], bool]) -> None:
        self._take = receive

    def receive(self, packet: Packet) -> None:
        """A datagram from the internet."""
        assert isinstance(packet.payload, bytes)
        floated = packet.dport == NAT_T_PORT
        path = Path(packet.dst, packet.dport, packet.src, packet.sport, floated)
        self.before(packet.payload)
        if self._take is not None:
            self._take(packet.payload, path)

    def send(self, path: Path, datagram: bytes) -> None:
        packet = Packet(path.local, path.local_port, path.remote, path.remote_port, datagram)
        self._machine.send(packet)

    def close(self) -> None:
        self._take = None


class SimulatedL2tpSocket(L2tpSocket):
    """The listener on UDP 1701."""

    def __init__(self, machine: SimulatedMachine, on_datagram: Callable[[Datagram], None]) -> None:
        self._machine = machine
        self.take = on_datagram
        machine.listener = self

    def open(self, local: Address, peer: Address | None = None, mark: int = 0) -> None:
        assert local.port == L2TP_PORT

    def send(
        self, payload: bytes, destination: Address, local_address: str | None = None, mark: int = 0
    ) -> bool:
        assert local_address is not None
        datagram = Packet(local_address, L2TP_PORT, *destination, payload)
        return self._machine.kernel.send(datagram, mark)

    def close(self) -> None:
        self._machine.listener = None


class SimulatedFarewells(Farewells):
    """The file of last words, which a crash of the gateway leaves behind."""

    def __init__(self, machine: SimulatedMachine, path: FilePath) -> None:
        super().__init__(path)
        self._machine = machine

    def open(self) -> list[Send]:
        earlier = [send for words in self._machine.farewells.values() for send in words]
        self._machine.farewells.clear()
        return earlier

    def keep(self, mark: int, words: Sequence[Send]) -> None:
        self._machine.farewells[mark] = words

    def forget(self, mark: int) -> None:
        self._machine.farewells.pop(mark, None)


class SimulatedTunnelMemory(TunnelMemory):
    """The file of tunnels, which a crash of the gateway leaves behind."""

    def __init__(self, machine: SimulatedMachine) -> None:
        super().__init__(pathlib.Path())
        self._machine = machine

    def open(self) -> dict[int, Standing]:
        earlier = dict(self._machine.standings)
        self._machine.standings.clear()
        return earlier

    def keep(self, tunnel_id: int, standing: Standing) -> None:
        self._machine.standings[tunnel_id] = standing

    def drop(self, tunnel_id: int) -> None:
        self._machine.standings.pop(tunnel_id, None)

    def close(self) -> None:
        self._machine.standings.clear()


class SimulatedTap(EspTap):
    """The packet socket with its filter."""

    def __init__(self, machine: SimulatedMachine, report: Callable[[StrayEsp], None]) -> None:
        self._machine = machine
        self._report = report
        self._numbers = (0, 0, 0)

    def open(self, multiplier: int, shift: int, stamp: int) -> None:
        self._numbers = (multiplier, shift, stamp)
        self._machine.tap = self

    def see(self, packet: Packet, esp: Esp) -> None:
        """ESP that has arrived, whether an SA takes it or not."""
        multiplier, shift, stamp = self._numbers
        if esp.spi * multiplier % 2**32 >> shift != stamp:
            ends = (packet.src, packet.dst, packet.sport, packet.dport)
            self._machine.loop.call_soon(self._report, StrayEsp(esp.spi, *ends, size_of(esp)))

    def close(self) -> None:
        self._machine.tap = None


class SimulatedTunnel:
    """A tunnel of the kernel, with its connected socket."""

    def __init__(
        self, machine: SimulatedMachine, ends: TunnelEnds, on_datagram: Callable[[Datagram], None]
    ) -> None:
        self.ends = ends
        self.on_datagram = on_datagram
        self.sessions: dict[int, SimulatedSession] = {}
        self._machine = machine
        machine.tunnels[ends.tunnel_id] = self
        self._connect()

    def follow(self, peer: Address, mark: int, policy: bytes) -> None:
        """Connect the socket to another address, under another mark."""
        self._disconnect()
        self.ends = replace(self.ends, peer=peer, mark=mark, policy=policy)
        self._connect()

    def close(self) -> None:
        """Remove it."""
        self._disconnect()
        del self._machine.tunnels[self.ends.tunnel_id]

    def _connect(self) -> None:
        self._machine.sockets.setdefault(self._key, []).append(self)

    def _disconnect(self) -> None:
        same = self._machine.sockets[self._key]
        same.remove(self)
        if not same:
            del self._machine.sockets[self._key]

    @property
    def _key(self) -> tuple[str, Address]:
        return (self.ends.local.host, self.ends.peer)


class SimulatedKernelPaths(KernelDataPaths):
    """The kernel's L2TP."""

    def __init__(self, machine: SimulatedMachine, on_datagram: Callable[[Datagram], None]) -> None:
        self._machine = machine
        self._take = on_datagram
        self.interfaces = _NoInterfaces()

    async def open(self) -> None:
        assert not self._machine.tunnels

    def close(self) -> None:
        if self._machine.tunnels:
            raise ImpossibleError("tunnels are left in the kernel")

    async def open_session(
        self,
        ends: TunnelEnds,
        session_id: int,
        peer_session_id: int,
        mru: int,
        on_frame: Callable[[bytes], None],
        *,
        sequencing: bool = False,
    ) -> KernelDataPath:
        tunnels = self._machine.tunnels
        tunnel = tunnels.get(ends.tunnel_id)
        if tunnel is None:
            same = self._machine.sockets.get((ends.local.host, ends.peer))
            if same and not self._machine.finds_tunnels_by_id:
                raise SharedFlowError(str(ends.tunnel_id), same[0].ends.tunnel_id)
            tunnel = SimulatedTunnel(self._machine, ends, self._take)
        elif tunnel.ends.mark != ends.mark:
            raise ImpossibleError(f"EEXIST: L2TP tunnel {ends.tunnel_id} is another client's")
        if session_id in tunnel.sessions:
            raise ImpossibleError(f"EEXIST: L2TP session {session_id}")
        session = SimulatedSession(
            self._machine, tunnel, session_id, peer_session_id, on_frame, sequencing
        )
        tunnel.sessions[session_id] = session
        return session

    def follow(self, tunnel_id: int, peer: Address, mark: int, policy: bytes) -> None:
        self._machine.tunnels[tunnel_id].follow(peer, mark, policy)


class SimulatedSession(KernelDataPath):
    """A session of the kernel's L2TP, with its PPP channel and unit."""

    def __init__(
        self,
        machine: SimulatedMachine,
        tunnel: SimulatedTunnel,
        session_id: int,
        peer_session_id: int,
        on_frame: Callable[[bytes], None],
        sequencing: bool,
    ) -> None:
        self._machine = machine
        self._tunnel = tunnel
        self._session_id = session_id
        self._peer_session_id = peer_session_id
        self._take = on_frame
        self._sequencing = sequencing
        self._closed = False
        self._up = False
        self._received = self._sent = 0

    @property
    def interface(self) -> str | None:
        return f"ppp{self._session_id}" if self._up else None

    def receive(self, payload: bytes) -> None:
        """A data message."""
        self._received += 1
        packet = ip_packet(payload) if self._up else None
        if packet is not None:
            self.send(IP_FRAME + answer_of_the_office(packet))
        else:
            self._take(payload.removeprefix(ADDRESS_CONTROL))

    def send(self, frame: bytes) -> bool:
        if self._closed:
            return False
        ends, self._sent = self._tunnel.ends, self._sent + 1
        number = self._sent % 0x10000 if self._sequencing else None
        message = DataMessage(
            ends.peer_tunnel_id, self._peer_session_id, ADDRESS_CONTROL + frame, number, number
        )
        datagram = Packet(*ends.local, *ends.peer, build(message))
        return self._machine.kernel.send(datagram, ends.mark)

    async def configure(self, settings: LinkSettings) -> None:
        await asyncio.sleep(self._machine.dice.random() * INTERFACE_TIME)
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "configure", "closed session")
        self._up = True
        self._machine.interfaces += 1

    def counters(self) -> Counters:
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "count", "closed session")
        return Counters(self._received, 0, 0, self._sent, 0, 0)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._machine.interfaces -= self._up
        del self._tunnel.sessions[self._session_id]
        if not self._tunnel.sessions:
            self._tunnel.close()
        await asyncio.sleep(self._machine.dice.random() * INTERFACE_TIME)


class SimulatedTun(TunDataPath):
    """A TUN interface."""

    def __init__(self, machine: SimulatedMachine, on_packet: Callable[[bytes], None]) -> None:
        self._machine = machine
        self._take = on_packet
        self._closed = False
        self._up = False
        self._received = self._sent = 0

    @property
    def interface(self) -> str | None:
        return "l2tp" if self._up else None

    async def configure(self, settings: LinkSettings) -> None:
        await asyncio.sleep(self._machine.dice.random() * INTERFACE_TIME)
        if self._closed:
            raise DataPathError(errno.ENOTCONN, "configure", "closed session")
        self._up = True
        self._machine.interfaces += 1

    def deliver(self, packet: bytes) -> bool:
        if not self._up or self._closed:
            return False
        self._received += 1
        self._machine.loop.call_soon(self._answer, answer_of_the_office(packet))
        return True

    def _answer(self, packet: bytes) -> None:
        if not self._closed:
            self._sent += 1
            self._take(packet)

    def counters(self) -> Counters:
        return Counters(self._received, 0, 0, self._sent, 0, 0)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._machine.interfaces -= self._up
        await asyncio.sleep(self._machine.dice.random() * INTERFACE_TIME)


class SimulatedWorkers(Workers):
    """Public-key work in no time of ours, and some of the clock's.

    All clients of a group show one public value, and get one answer: nonces make the keys differ.
    """

    def __init__(self, machine: SimulatedMachine, random_octets: Callable[[int], bytes]) -> None:
        self._machine = machine
        self._random = random_octets
        self._open = True
        machine.workers = self

    def do(self, question: PublicKeyWork, answer: Callable[[object], None]) -> None:
        if isinstance(question, ComputeDh):
            result = _agree(question.group, question.peer_public)
        else:
            result = work(question, self._random)

        def done() -> None:
            if self._open:
                answer(result)

        self._machine.loop.call_later(self._machine.dice.random() * DH_TIME, done)

    def close(self) -> None:
        self._open = False


class SimulatedControlServer(ControlServer):
    """Nobody asks."""

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass


class _NoInterfaces(Interfaces):
    def __init__(self) -> None:
        pass


@functools.cache
def _agree(group: int, peer_public: bytes) -> object:
    return work(ComputeDh(0, group, peer_public), random.Random(group).randbytes)


def answer_of_the_office(packet: bytes) -> bytes:
    """What the host that a client has sent a packet to sends back: the same, with ends swapped."""
    return packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
