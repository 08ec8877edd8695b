"""The configuration as the daemon uses it: checked, typed, unchangeable.

All times are seconds. `place` says where an entry is written, for messages at run time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from cli.ikev1d.config.errors import Place
from cli.ikev1d.config.secret import Secret
from cli.ikev1d.config.source import Source, parse_key
from cli.ikev1d.logs import LogFormat, LogLevel
from ikev1.core.credentials import SigningKey
from ikev1.wire.payloads import Identification
from ikev1.x509.certificate import Certificate
from ikev1.x509.trust import Trust

ANY = IPv4Network("0.0.0.0/0")
HOST_PREFIX = 32


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The addresses from `first` to `last`, both included."""

    first: IPv4Address
    last: IPv4Address

    @classmethod
    def parse(cls, text: str) -> AddressRange:
        """Return the range of "192.168.1.128-192.168.1.254", "192.168.1.128/25" or an address.

        A network stands for its hosts: without its first and last address where it has more than
        two. Raises ValueError.
        """
        if "-" in text:
            first, _, last = text.partition("-")
            made = cls(IPv4Address(first.strip()), IPv4Address(last.strip()))
            if made.first > made.last:
                raise ValueError("the first address is above the last")
            return made
        network = IPv4Network(text)
        spare = 1 if network.num_addresses > 2 else 0
        return cls(network.network_address + spare, network.broadcast_address - spare)

    def __contains__(self, address: IPv4Address) -> bool:
        return self.first <= address <= self.last

    def __iter__(self) -> Iterator[IPv4Address]:
        return map(IPv4Address, range(int(self.first), int(self.last) + 1))

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The daemon itself."""

    listen: tuple[IPv4Address, ...]
    """Local addresses to serve; empty for all."""
    interfaces: tuple[str, ...]
    """Network interfaces whose addresses to serve; empty for all."""
    public_address: IPv4Address | None
    """What clients dial where a NAT stands before the gateway."""
    name: str | None
    """What the gateway calls itself to clients; None for the machine's host name."""
    control_socket: Path
    workers: int
    """Processes that share the clients."""
    log_format: LogFormat
    log_level: LogLevel


@dataclass(frozen=True, slots=True)
class Ike:
    """Phase 1."""

    encryption: tuple[str, ...]
    hashes: tuple[str, ...]
    groups: tuple[str, ...]
    max_lifetime: int
    half_open_limit: int
    half_open_per_address: int
    half_open_timeout: int
    dpd_delay: int
    """Silence after which a client is asked whether it lives; 0 for never."""
    dpd_timeout: int
    """Silence after which a client that was asked is gone."""


@dataclass(frozen=True, slots=True)
class Esp:
    """Phase 2."""

    encryption: tuple[str, ...]
    integrity: tuple[str, ...]
    max_lifetime: int


@dataclass(frozen=True, slots=True)
class Psk:
    """A preshared key and whom it is for; None is anybody. Several may fit one client."""

    connection: str
    secret: Secret
    local: IPv4Network | None
    remote: IPv4Network | None
    identity: str | None
    """Phase 1 identity: an address, "@fqdn", "user@fqdn" or "keyid:text"."""
    one_client: bool
    """Whether whoever has it is one and the same client."""
    place: Place


SameIdentity = Literal["replace", "keep", "several"]


@dataclass(frozen=True, slots=True)
class GatewayCertificate:
    """A certificate of the gateway's, and whom it lets in; None is anybody."""

    connection: str
    key: SigningKey = field(repr=False)
    chain: tuple[Certificate, ...]
    """The gateway's own, and those that lead to its authority."""
    identity: Identification | None
    """What the gateway shows itself as; None for what fits the client."""
    trust: Trust
    local: IPv4Network | None
    remote: IPv4Network | None
    place: Place


@dataclass(frozen=True, slots=True)
class Connection:
    """What holds for the clients of one connection: its own table over those for all clients."""

    name: str
    dpd_delay: int
    dpd_timeout: int
    hello_interval: int
    echo_interval: int
    echo_failures: int
    rekey: bool
    """Whether the gateway renews SAs that the client has not renewed shortly before their end."""
    same_identity: SameIdentity
    """What becomes of a client that comes again, from elsewhere, while it is connected."""


@dataclass(frozen=True, slots=True)
class L2tp:
    """Tunnels and sessions."""

    host_name: str | None
    """Host Name AVP; None for the gateway's name."""
    hello_interval: int
    secret: Secret | None
    """Of tunnel authentication (RFC 2661 section 5.1.1)."""


SameUser = Literal["several", "replace", "keep"]


@dataclass(frozen=True, slots=True)
class Ppp:
    """PPP in the sessions."""

    auth: tuple[str, ...]
    """Authentication protocols in the order in which they are asked for."""
    pool: tuple[AddressRange, ...]
    local_address: IPv4Address
    """The gateway's end of every session. Never handed out, though the pool may contain it."""
    dns: tuple[IPv4Address, ...]
    wins: tuple[IPv4Address, ...]
    mtu: int
    """Bytes of an inner IP packet: our MRU, and the MTU of the client's interface."""
    echo_interval: int
    """Between LCP echo requests on a quiet session; 0 for none."""
    echo_failures: int
    """Unanswered echo requests in a row after which the session is dead."""
    same_user: SameUser
    """What becomes of a user who connects while connected."""
    proxy_arp: str | None
    """The interface of the office network on which to answer ARP for clients."""


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Whether a user may have the addresses of a network."""

    network: IPv4Network
    permit: bool


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses a user may have: the first rule that covers one decides; none is a no."""

    rules: tuple[AddressRule, ...]

    def permits(self, address: IPv4Address) -> bool:
        """Whether the user may have `address`."""
        for rule in self.rules:
            if address in rule.network:
                return rule.permit
        return False

    @property
    def host(self) -> IPv4Address | None:
        """The first single address that is permitted: the one that pppd gives the user."""
        for rule in self.rules:
            if rule.permit and rule.network.prefixlen == HOST_PREFIX:
                return rule.network.network_address
        return None

    def permits_all(self, pool: Iterable[AddressRange]) -> bool:
        """Whether the user may have every address of `pool`."""
        return all(self.permits(address) for part in pool for address in self._edges(part))

    def _edges(self, part: AddressRange) -> set[IPv4Address]:
        """The first address of each stretch of `part` in which all addresses fare the same."""
        edges = {int(part.first)}
        for rule in self.rules:
            edges |= {
                int(rule.network.network_address),
                int(rule.network.broadcast_address) + 1,
            }
        return {IPv4Address(edge) for edge in edges if int(part.first) <= edge <= int(part.last)}


@dataclass(frozen=True, slots=True)
class User:
    """Who may log in."""

    name: str
    secret: Secret
    """In UTF-8."""
    address: IPv4Address | None
    """The address that is always this user's; None for one of the pool."""
    rules: AddressRules
    """Which addresses it may have: its own, or all of the pool, or none."""
    place: Place

    def permits(self, address: IPv4Address) -> bool:
        """Whether this user may be given `address`."""
        return self.rules.permits(address)


@dataclass(frozen=True, slots=True)
class Marks:
    """The packet marks that the gateway gives to clients.

    They lie within `mask`, above `base`, one lowest bit of the mask apart. The other bits of a
    packet's mark are the administrator's.
    """

    base: int
    mask: int

    @property
    def count(self) -> int:
        """How many clients have a mark."""
        return (self.mask - self.base) // (self.mask & -self.mask)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus fetches what the gateway counts."""

    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration."""

    source: Source
    gateway: Gateway
    ike: Ike
    esp: Esp
    psks: tuple[Psk, ...]
    """In the order of the file."""
    certificates: tuple[GatewayCertificate, ...]
    """In the order of the file."""
    connections: Mapping[str, Connection]
    """Those that have a table, by name."""
    default_connection: Connection
    """What holds for the others."""
    l2tp: L2tp
    ppp: Ppp
    users: Mapping[str, User]
    """By name."""
    marks: Marks
    metrics: Metrics | None
    """None to listen nowhere."""
    warnings: tuple[str, ...]
    """What works but is not right, each with its file, line and remedy. To be logged at start."""

    @property
    def path(self) -> Path:
        """The file that it was loaded from."""
        return self.source.path

    def connection(self, name: str) -> Connection:
        """What holds for the clients of the connection with this name."""
        return self.connections.get(name, self.default_connection)

    def where(self, key: str) -> str:
        """Where "ike.encryption" is set: "gateway.toml:12".

        A key that the file leaves at its default is at its table's header, and without that at no
        line of the file.
        """
        return str(self.source.place(parse_key(key)))
