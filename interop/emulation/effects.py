"""What an emulated client tells the program that runs it."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from interop.emulation.complaints import Complaint
from interop.initiator.effects import EspSas, Send


@dataclass(frozen=True, slots=True)
class InstallSas:
    """Put a pair of ESP SAs into use; those before it stay until they are removed.

    `encapsulated`: in UDP between the ports 4500 if `floated`, else between the ports 500 behind a
    non-IKE marker, as NAT-T draft -00 has it. `server_port` 0 is any.
    """

    sas: EspSas
    encapsulated: bool
    floated: bool
    client_port: int
    server_port: int


@dataclass(frozen=True, slots=True)
class RemoveSas:
    """Take a pair of ESP SAs out of use."""

    sas: EspSas


@dataclass(frozen=True, slots=True)
class SendL2tp:
    """Send a datagram to the server's UDP `port` from the client's L2TP port, inside ESP."""

    datagram: bytes = field(repr=False)
    port: int


@dataclass(frozen=True, slots=True)
class Up:
    """The client is connected, with an inner address."""

    address: IPv4Address
    server: IPv4Address | None
    dns: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """An IPv4 packet for the client, from inside."""

    packet: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """A new SA has taken the place of another."""

    phase: int


@dataclass(frozen=True, slots=True)
class Remark:
    """The gateway broke a rule that this client is not known to mind."""

    complaint: Complaint


@dataclass(frozen=True, slots=True)
class Stopped:
    """The client has given up."""

    complaint: Complaint


@dataclass(frozen=True, slots=True)
class Down:
    """The client has hung up, and everything of it is taken down."""


Effect = Send | InstallSas | RemoveSas | SendL2tp | Up | Packet | Rekeyed | Remark | Stopped | Down
