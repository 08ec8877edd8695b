"""An emulated client on a lab machine: its sockets, its SAs in the machine's kernel, its TUN.

IKE runs over UDP 500 and 4500 of the machine, L2TP over a socket of its own inside the kernel's
ESP, PPP in this process; the inner address is that of a TUN interface, so that any program of the
machine can use the link.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar

from interop.certificates import Identity
from interop.client_sas import ClientSas
from interop.clients.model import Client
from interop.emulation.complaints import Complaint
from interop.emulation.effects import (
    Down,
    Effect,
    InstallSas,
    Packet,
    Rekeyed,
    Remark,
    RemoveSas,
    SendL2tp,
    Stopped,
    Up,
)
from interop.emulation.engine import EmulatedClient
from interop.emulation.secrets import Life, Secrets
from interop.errors import LabError
from interop.initiator.effects import Send
from interop.initiator.session import ClientPath
from interop.netns import Host
from interop.peers.xl2tpd import Link
from interop.ppp.login import Account
from interop.tun import Tun
from interop.wait import until

IKE_PORT, FLOATED_PORT = 500, 4500
INTERFACE = "vpn0"
MTU = 1280
"""What Apple's pppd sets; it fits everywhere."""
CONNECT_LIMIT = 60.0
"""Seconds, as for the real clients."""

# uapi linux/udp.h
_UDP_ENCAP, _UDP_ENCAP_ESPINUDP, _UDP_ENCAP_ESPINUDP_NON_IKE = 100, 2, 1
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
"""uapi asm-generic/socket.h"""
_BUFFER = 1 << 22
"""Bytes, each way. A client in the kernel loses nothing where this process is busy, nor where what
it has sent waits for the kernel's thread that carries it on: a packet is counted as the sender's
until the next machine takes it up. The default holds some 90 packets."""
_MAX_DATAGRAM = 65535
_LONGEST_SLEEP = 1.0
_IPV4 = 4

T = TypeVar("T")

Action = Callable[[EmulatedClient, float], list[Effect]]


class ClientStoppedError(LabError):
    """The client has given up; the text is its complaint."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint


class EmulatedMachine:
    """``client`` on ``host``, which dials ``server``; the user's side of it.

    ``original`` is the address that the server has on its own machine, behind a NAT or not.
    ``lets_server_rekey`` is for a server that is set to do so.
    """

    def __init__(
        self,
        host: Host,
        client: Client,
        server: str,
        *,
        psk: str,
        user: str,
        password: str,
        certificate: Identity | None = None,
        original: str | None = None,
        lets_server_rekey: bool = False,
    ) -> None:
        self.host = host
        self.client = client
        self._server = server
        self._original = original or server
        self._secrets = Secrets(psk.encode(), Account(user, password), certificate)
        self._lets_server_rekey = lets_server_rekey
        self._before: Life | None = None
        self._line: _Line | None = None
        self._asked = 0

    @property
    def remarks(self) -> list[Complaint]:
        """The broken rules that this client does not mind, on the connection it has or had last."""
        return self._connected.remarks

    def dial_in(self) -> Link:
        """Connect, and wait for the link. Raises `ClientStoppedError`, `StillWaitingError`."""
        self.stop()
        line = _Line(
            self.host,
            self.client,
            self._server,
            self._original,
            self._secrets,
            self._before,
            lets_server_rekey=self._lets_server_rekey,
        )
        self._line = line
        line.do(lambda engine, now: engine.dial(now))
        (up,) = until(lambda: line.told_of(Up), f"{self.client.name} to connect", CONNECT_LIMIT)
        dns = tuple(str(address) for address in up.dns)
        return Link(INTERFACE, str(up.address), str(up.server or ""), dns)

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        self.host.run("ip", "route", "replace", network, "dev", link.interface)

    def rekey_esp(self) -> None:
        """Replace the ESP SAs by a new Quick Mode, and wait until that is done."""
        self._rekey(2, lambda engine, now: engine.rekey_phase2(now))

    def rekey_ike(self) -> None:
        """Replace the ISAKMP SA by a new Main Mode, and wait until that is done."""
        self._rekey(1, lambda engine, now: engine.rekey_phase1(now))

    def are_you_there(self) -> None:
        """Ask the gateway for a sign of life (RFC 3706)."""
        self._asked += 1
        sequence = self._asked
        self._connected.do(lambda engine, now: engine.are_you_there(sequence, now))

    def hang_up(self) -> None:
        """End PPP, L2TP and IPsec as this client does."""
        line = self._connected
        line.do(lambda engine, now: engine.hang_up(now))
        until(lambda: line.told_of(Down), f"{self.client.name} to hang up", CONNECT_LIMIT)
        self.stop()

    def vanish(self) -> None:
        """Lose power: nobody is told, and nothing is left but the memory of the next start."""
        self._before = self._connected.engine.life
        self.stop()

    def stop(self) -> None:
        """Close everything at once; the machine is free for another client."""
        if self._line is not None:
            self._line.close()

    @property
    def _connected(self) -> "_Line":
        if self._line is None:
            raise RuntimeError("the client has not dialled")
        return self._line

    def _rekey(self, phase: int, action: Action) -> None:
        line = self._connected

        def done() -> int:
            return sum(event.phase == phase for event in line.told_of(Rekeyed))

        before = done()
        line.do(action)
        until(lambda: done() > before, f"phase {phase} to be new", CONNECT_LIMIT)


class _Line:
    """One connection: the engine, all that it uses, and the thread that carries its packets."""

    def __init__(
        self,
        host: Host,
        client: Client,
        server: str,
        original: str,
        secrets: Secrets,
        before: Life | None,
        *,
        lets_server_rekey: bool,
    ) -> None:
        inner = host.interfaces()["wan0"][0]
        self._server = server
        self._sas = ClientSas(host, inner, server)
        self._ike = {
            False: _bound(host, inner, IKE_PORT),
            True: _bound(host, inner, FLOATED_PORT),
        }
        self._ike[True].setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _UDP_ENCAP_ESPINUDP)
        with suppress(OSError):  # from Linux 6.10 on: not for clients of NAT-T draft -00 there
            self._ike[False].setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _UDP_ENCAP_ESPINUDP_NON_IKE)
        self._l2tp = _bound(host, inner, client.l2tp.profile.port)
        self._tun = Tun(host, INTERFACE)
        l2tp_port = self._l2tp.getsockname()[1]
        path = ClientPath(
            ip_address(inner),
            ip_address(server),
            l2tp_port=l2tp_port,
            server_original=ip_address(original),
        )
        self.engine = EmulatedClient(
            client,
            secrets,
            path,
            os.urandom,
            before=before,
            lets_server_rekey=lets_server_rekey,
        )
        self._told: list[Effect] = []
        self._lock = threading.RLock()
        self._alarm, self._bell = os.pipe()
        self._closed = False
        self._pool = ThreadPoolExecutor(1)
        self._running = self._pool.submit(self._run)

    def do(self, action: Action) -> None:
        """Let the engine do something."""
        with self._lock:
            self._carry_out(action(self.engine, time.monotonic()))
        os.write(self._bell, b"\0")

    def told_of(self, kind: type[T]) -> list[T]:
        """What the engine has told of a kind.

        Raises `ClientStoppedError`, and what may have ended the thread.
        """
        if self._running.done():
            self._running.result()
        with self._lock:
            for effect in self._told:
                if isinstance(effect, Stopped):
                    raise ClientStoppedError(effect.complaint)
            return [effect for effect in self._told if isinstance(effect, kind)]

    @property
    def remarks(self) -> list[Complaint]:
        """What its client does not mind, whether it has given up or not."""
        with self._lock:
            return [told.complaint for told in self._told if isinstance(told, Remark)]

    def close(self) -> None:
        """End the thread, and everything with it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        os.write(self._bell, b"\0")
        wait([self._running])
        self._pool.shutdown()
        for sock in (*self._ike.values(), self._l2tp):
            sock.close()
        self._tun.close()
        os.close(self._alarm)
        os.close(self._bell)
        self._sas.clear()

    def _run(self) -> None:
        """Carry packets and run the timers until `close`."""
        readers: dict[int, Callable[[], None]] = {
            self._ike[False].fileno(): lambda: self._ike_readable(floated=False),
            self._ike[True].fileno(): lambda: self._ike_readable(floated=True),
            self._l2tp.fileno(): self._l2tp_readable,
            self._tun.file: self._tun_readable,
            self._alarm: self._alarmed,
        }
        poll = select.poll()
        for descriptor in readers:
            poll.register(descriptor, select.POLLIN)
        while not self._closed:
            with self._lock:
                deadline = self.engine.next_deadline()
            sleep = _LONGEST_SLEEP if deadline is None else deadline - time.monotonic()
            ready = poll.poll(1000 * min(max(0.0, sleep), _LONGEST_SLEEP))
            with self._lock:
                for descriptor, _ in ready:
                    readers[descriptor]()
                self._carry_out(self.engine.advance(time.monotonic()))

    def _alarmed(self) -> None:
        os.read(self._alarm, _MAX_DATAGRAM)

    def _ike_readable(self, *, floated: bool) -> None:
        for datagram, _ in _received(self._ike[floated]):
            self._carry_out(self.engine.receive_ike(datagram, floated, time.monotonic()))

    def _l2tp_readable(self) -> None:
        for datagram, port in _received(self._l2tp):
            self._carry_out(self.engine.receive_l2tp(datagram, port, time.monotonic()))

    def _tun_readable(self) -> None:
        while (packet := self._tun.read()) is not None:
            if packet[0] >> 4 == _IPV4:  # the kernel looks for IPv6 routers on any interface
                self._carry_out(self.engine.send_packet(packet))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(datagram, floated):
                    port = FLOATED_PORT if floated else IKE_PORT
                    _send(self._ike[floated], datagram, (self._server, port))
                case SendL2tp(datagram, port):
                    _send(self._l2tp, datagram, (self._server, port))
                case Packet(packet):
                    self._tun.write(packet)
                case InstallSas():
                    self._sas.install(effect)
                case RemoveSas(sas):
                    self._sas.remove(sas)
                case Up(address):
                    self._tun.configure(str(address), MTU)
                    self._told.append(effect)
                case _:
                    self._told.append(effect)


def _bound(host: Host, address: str, port: int) -> socket.socket:
    sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for side in (_SO_SNDBUFFORCE, _SO_RCVBUFFORCE):
        sock.setsockopt(socket.SOL_SOCKET, side, _BUFFER)
    sock.bind((address, port))
    return sock


def _received(sock: socket.socket) -> list[tuple[bytes, int]]:
    """What has come, with the ports it came from."""
    received: list[tuple[bytes, int]] = []
    while True:
        try:
            datagram, source = sock.recvfrom(_MAX_DATAGRAM)
        except BlockingIOError:
            return received
        except ConnectionRefusedError:  # the ICMP error of an earlier datagram
            continue
        received.append((datagram, source[1]))


def _send(sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
    """What cannot be sent is lost like any other datagram: a full buffer, no SA, an ICMP error."""
    try:
        sock.sendto(datagram, to)
    except OSError:
        return
