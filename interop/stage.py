"""A lab with a gateway in it and clients that can dial in: where every scenario begins."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from interop.certificates import Identity
from interop.clients.model import Client
from interop.errors import LabError
from interop.gateway import DAEMON, Ikev1d
from interop.lab import Lab
from interop.peers.emulated import EmulatedMachine
from interop.peers.ipsec import IpsecInitiator
from interop.peers.libreswan import Libreswan
from interop.peers.linux_client import LinuxClient
from interop.peers.reference_gateway import ReferenceGateway
from interop.peers.starter import Starter
from interop.peers.strongswan import Connection, StrongSwan
from interop.relay import Relay
from interop.settings import GatewaySettings
from interop.snapshot import KernelSnapshot, take_snapshot
from interop.topology import GATEWAY_ADDRESS, OFFICE_ADDRESS, Topology, with_relay
from interop.traffic import ping, transfer

OFFICE_NETWORK = "192.168.1.0/24"
TRANSFER_SIZE = 1 << 20
"""Bytes of the check transfer: some 800 packets each way."""


class TrafficError(LabError):
    """Something that should have got through did not."""


class Stage:
    """``topology`` with a started gateway; a context manager.

    ``fault`` names one of `interop.relay.FAULTS` for the cable to the gateway. ``reference`` puts
    Debian's programs in the place of our daemon. ``extra`` is for `interop.gateway.configuration`;
    ``files`` are written on the gateway's machine, readable for root only, before it starts.
    With ``trace`` our daemon writes one. ``program`` is what Python runs as it.
    """

    gateway: Ikev1d | ReferenceGateway
    relay: Relay | None
    before: KernelSnapshot
    """The gateway's kernel before the gateway started."""
    idle: KernelSnapshot
    """The same with the gateway running and no client."""

    def __init__(
        self,
        topology: Topology,
        directory: Path,
        *,
        fault: str | None = None,
        reference: bool = False,
        settings: GatewaySettings | None = None,
        extra: Mapping[str, str] | None = None,
        files: Mapping[str, str | bytes] | None = None,
        trace: bool = False,
        program: Sequence[str] = DAEMON,
    ) -> None:
        self.lab = Lab(with_relay(topology) if fault else topology, directory)
        self.settings = settings or GatewaySettings(address=topology.gateway_address)
        self._fault = fault
        self._reference = reference
        self._extra = extra
        self._files = files or {}
        self._trace = trace
        self._program = program

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.lab)
            machine = self.lab["gateway"]
            self.relay = Relay(self.lab["relay"], self._fault) if self._fault else None
            for path, content in self._files.items():
                machine.write(path, content, 0o600)
            self.before = take_snapshot(machine)
            if self._reference:
                self.gateway = ReferenceGateway(machine, self.settings)
            else:
                self.gateway = Ikev1d(
                    machine,
                    self.settings,
                    self._extra,
                    traced=self._trace,
                    program=self._program,
                )
            self.gateway.start()
            self.idle = take_snapshot(machine)
            self._open = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, traceback)

    @property
    def ikev1d(self) -> Ikev1d:
        """The gateway, where it is our daemon."""
        if not isinstance(self.gateway, Ikev1d):
            raise TypeError("the reference gateway is no ikev1d")
        return self.gateway

    def client(
        self,
        machine: str = "client",
        *,
        user: str = "alice",
        password: str | None = None,
        psk: str | None = None,
        ike: str = "aes256-sha256-modp2048",
        esp: str = "aes256-sha1",
        port: str = "1701",
        gateway_port: str = "1701",
        l2tp_port: int = 1701,
        retransmit_timeout: float = 2.0,
        retransmit_tries: int = 5,
        program: str = "strongswan",
        encap: bool = False,
        fragmentation: str = "yes",
        fragment_size: int = 1280,
        certificate: Identity | None = None,
        local_id: str | None = None,
        remote_id: str | None = None,
    ) -> LinuxClient:
        """Start a Linux client on ``machine``, ready to dial in with these settings.

        ``ike`` and ``esp`` are swanctl proposals, ``port`` and ``gateway_port`` the UDP ports of
        the traffic selectors: what it asks for. L2TP itself runs from ``l2tp_port``, 0 for one that
        the kernel picks, to 1701. A secret that is not given is the right one. ``program`` is
        "strongswan", "libreswan", which knows neither ``retransmit_tries`` nor ``fragment_size``,
        or "starter", strongSwan by ipsec.conf, which has its own timers; ``encap`` insists on ESP
        in UDP. A ``certificate`` goes in the place of the secret; the IDs
        are this side's and the gateway's, None for what the program makes of it.
        """
        connection = Connection(
            local_address="%any",
            remote_address=GATEWAY_ADDRESS,
            psk=self.settings.psk if psk is None else psk,
            ike_proposals=ike,
            esp_proposals=esp,
            local_ts=f"dynamic[udp/{port}]",
            remote_ts=f"dynamic[udp/{gateway_port}]",
            encap=encap,
            fragmentation=fragmentation,
            certificate=certificate,
            local_id=local_id,
            remote_id=remote_id,
        )
        host = self.lab[machine]
        ipsec: IpsecInitiator
        if program == "libreswan":
            ipsec = Libreswan(host, retransmit_timeout=retransmit_timeout)
        elif program == "starter":
            ipsec = Starter(host)
        else:
            ipsec = StrongSwan(
                host,
                retransmit_timeout=retransmit_timeout,
                retransmit_tries=retransmit_tries,
                fragment_size=fragment_size,
            )
        return LinuxClient(
            host,
            ipsec,
            connection,
            user,
            self.settings.users.get(user, "") if password is None else password,
            l2tp_port=l2tp_port,
        )

    def emulated(
        self,
        client: Client,
        machine: str = "client",
        *,
        user: str = "alice",
        password: str | None = None,
        psk: str | None = None,
        certificate: Identity | None = None,
        lets_server_rekey: bool = False,
    ) -> EmulatedMachine:
        """An emulated client on ``machine``. A secret that is not given is the right one.

        A ``certificate`` goes in the place of the preshared key. ``lets_server_rekey`` is for a
        gateway that is set to do so.
        """
        made = EmulatedMachine(
            self.lab[machine],
            client,
            GATEWAY_ADDRESS,
            psk=self.settings.psk if psk is None else psk,
            user=user,
            password=self.settings.users.get(user, "") if password is None else password,
            certificate=certificate,
            original=self.settings.address,
            lets_server_rekey=lets_server_rekey,
        )
        self.lab.stack.callback(made.stop)
        return made

    def check_traffic(self, client: LinuxClient | EmulatedMachine, inner_address: str) -> None:
        """Ping the office and move data both ways. Raises `TrafficError`, `TransferError`."""
        office = self.lab["office"]
        if not ping(client.host, OFFICE_ADDRESS):
            raise TrafficError(f"the office does not answer the pings of {client.host.name}")
        for name, sender, receiver, address in (
            ("to the office", client.host, office, OFFICE_ADDRESS),
            ("from the office", office, client.host, inner_address),
        ):
            moved = transfer(sender, receiver, address, TRANSFER_SIZE)
            rate = moved.size / moved.seconds / 1e6
            self.lab.note(f"{moved.size} bytes {name}, content as sent, {rate:.1f} MB/s")

    def leftovers(self) -> list[str]:
        """List what the gateway's kernel holds beyond what it holds with no client."""
        return take_snapshot(self.lab["gateway"]).added_since(self.idle)

    def remains(self) -> list[str]:
        """List what the gateway's kernel holds beyond what it held before the gateway started."""
        return take_snapshot(self.lab["gateway"]).added_since(self.before)
