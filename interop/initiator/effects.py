"""What an initiator tells the program that runs it."""

from dataclasses import dataclass, field

from cryptography import x509

from ikev1.wire.enums import AuthAlgorithm, EncapsulationMode, EspTransform
from ikev1.wire.payloads import Identification
from ikev1.wire.sa import Transform
from interop.initiator.checks import Cause


@dataclass(frozen=True, slots=True)
class Send:
    """Send a datagram; `floated` to port 4500 of the server, else to 500."""

    datagram: bytes = field(repr=False)
    floated: bool


@dataclass(frozen=True, slots=True)
class Phase1Up:
    """The ISAKMP SA is there."""

    transform: Transform
    server_id: Identification
    client_behind_nat: bool
    server_behind_nat: bool
    certificate: x509.Certificate | None = None
    """The server's, where certificates are used."""


@dataclass(frozen=True, slots=True)
class EspSas:
    """A pair of ESP SAs is there. SPIs and keys are named from the client's side."""

    inbound_spi: bytes
    outbound_spi: bytes
    transform: EspTransform
    key_length: int | None
    auth: AuthAlgorithm | None
    mode: EncapsulationMode
    inbound_keys: bytes = field(repr=False)
    outbound_keys: bytes = field(repr=False)
    ids: tuple[Identification, Identification]


@dataclass(frozen=True, slots=True)
class EspDeleted:
    """The server deleted its inbound SA with this SPI."""

    spi: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The ISAKMP SA is gone; by the server's Delete, or after ours was sent."""

    by_server: bool


@dataclass(frozen=True, slots=True)
class Notified:
    """A status notification, such as an answer to DPD, that changes nothing here."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The client gives up."""

    cause: Cause
    detail: str


Effect = Send | Phase1Up | EspSas | EspDeleted | Closed | Notified | Failed
