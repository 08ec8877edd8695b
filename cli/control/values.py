"""What answers tell: the gateway, its clients, and what `verify` finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatus:
    """One client as the gateway sees it. None and "" mean: not known, or not there yet."""

    client: str
    """Identifier in the logs, made from the initiator cookie of its first Phase 1."""
    state: str
    """How far it has come: "ike", "esp", "l2tp", "ppp", then "up"; "closing" on the way out."""
    peer_address: str
    """Where its packets come from, after any NAT."""
    peer_port: int
    local_address: str
    """The gateway's address that the client dialled."""
    identity: str
    """Phase 1 identity: an address, "@fqdn", "user@fqdn" or "keyid:text"."""
    connection: str
    """Name of the [[psk]] entry that let it in."""
    implementation: str = ""
    """What its vendor IDs say it is."""
    nat: str = "none"
    """Who is behind a NAT: "none", "client", "server" or "both"."""
    ike_algorithms: str = ""
    """As "aes256-sha256-modp2048"."""
    esp_algorithms: str = ""
    """As "aes256-sha1"."""
    user: str = ""
    auth: str = ""
    """PPP authentication protocol: "mschapv2", "chap-md5" or "pap"."""
    inner_address: str = ""
    interface: str = ""
    data_path: str = ""
    """Who moves its packets: "kernel", or "user" where that will not do."""
    data_path_cause: str = ""
    """Why it is not the kernel."""
    age: int = 0
    """Seconds since its first Phase 1 was established."""
    bytes_in: int = 0
    """ESP bytes from the client, over all its SAs."""
    bytes_out: int = 0
    ike_rekey: int | None = None
    """Seconds until the IKE SA expires; None where there is none."""
    esp_rekey: int | None = None
    spi_in: str = ""
    """SPI of the inbound SA, eight hex digits."""
    spi_out: str = ""
    mark: int = 0
    tunnel_id: int | None = None
    """Our L2TP tunnel ID; `peer_tunnel_id` is the client's."""
    peer_tunnel_id: int | None = None
    session_id: int | None = None
    peer_session_id: int | None = None
    host_name: str = ""
    """Host Name AVP of its SCCRQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """The daemon itself."""

    version: str
    pid: int
    uptime: int
    """Seconds."""
    listen: tuple[str, ...]
    """The local addresses, as "192.0.2.1:500"."""
    half_open: int
    """Phase 1 exchanges under way."""
    established: int
    """Clients with an IKE SA."""
    config: str = ""
    """Path of the configuration in force."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Refused exchanges and dropped datagrams by cause, since the start."""


class Level(StrEnum):
    """How bad a finding is: what works, what is worth knowing, what may fail, what does fail."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that `verify` has looked at."""

    check: str
    """Its lasting name, "subject.detail"."""
    level: str
    """One of `Level`, or of a newer daemon."""
    what: str
    """What is so."""
    why: str = ""
    """Why it matters."""
    remedy: str = ""
    """The command, package or line of configuration that changes it."""
