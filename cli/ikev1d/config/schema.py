"""The document as it may be written: its tables, keys, types, bounds and defaults.

msgspec checks a TOML document against these. What goes beyond one value, and every meaning of a
text, is checked in `reader`, which makes the structures of `model` of it.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cli.control import DEFAULT_SOCKET
from cli.ikev1d.config.secret import Secret
from ikev1.core.share import MOST

Seconds = Annotated[int, Meta(ge=1, le=86_400)]
SecondsOrNever = Annotated[int, Meta(ge=0, le=86_400)]
Lifetime = Annotated[int, Meta(ge=300, le=604_800)]
"""Seconds. Below five minutes a client spends its time rekeying; above a week nobody is served."""
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Workers = Annotated[int, Meta(ge=1, le=MOST)]
Failures = Annotated[int, Meta(ge=1, le=255)]
Mtu = Annotated[int, Meta(ge=576, le=1500)]
"""Bytes. 576 is what every IPv4 host takes (RFC 791); 1500 is PPP's own default (RFC 1661)."""
Text = Annotated[str, Meta(min_length=1, max_length=255)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the document."""


class GatewayTable(Table, frozen=True):
    """The [gateway] table."""

    listen: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    public_address: str | None = None
    name: Text | None = None
    control_socket: Text = DEFAULT_SOCKET
    workers: Workers = 1
    log_format: str = "text"
    log_level: str = "info"


class IkeTable(Table, frozen=True):
    """The [ike] table."""

    policy: str = "default"
    encryption: tuple[str, ...] | None = None
    hash: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    max_lifetime: Lifetime = 86_400
    half_open_limit: Count = 2000
    half_open_per_address: Count = 64
    half_open_timeout: Seconds = 30
    dpd_delay: SecondsOrNever = 60
    dpd_timeout: Seconds = 180


class EspTable(Table, frozen=True):
    """The [esp] table."""

    policy: str = "default"
    encryption: tuple[str, ...] | None = None
    integrity: tuple[str, ...] | None = None
    max_lifetime: Lifetime = 86_400
    pfs: str = "if-asked"


class PskTable(Table, frozen=True):
    """One [[psk]] table."""

    secret: Secret | None = None
    secret_file: Text | None = None
    local: str = "%any"
    remote: str = "%any"
    id: str = "%any"
    one_client: bool = False
    connection: Text = "l2tp"


class CertificateTable(Table, frozen=True):
    """One [[certificate]] table."""

    certificate: Text | None = None
    key: Text | None = None
    pkcs11: Text | None = None
    pkcs12: Text | None = None
    passphrase_file: Text | None = None
    ca: tuple[Text, ...] = ()
    client_ca: str = "%any"
    id: str = "%any"
    local_id: str | None = None
    local: str = "%any"
    remote: str = "%any"
    connection: Text = "l2tp"
    eku: str = "allow"
    sha1: bool = False
    revocation: str = "lenient"
    crl: tuple[Text, ...] = ()
    fetch: bool = True


class ConnectionTable(Table, frozen=True):
    """One [[connection]] table. None is what holds for every connection."""

    name: Text
    dpd_delay: SecondsOrNever | None = None
    dpd_timeout: Seconds | None = None
    hello_interval: Seconds | None = None
    echo_interval: SecondsOrNever | None = None
    echo_failures: Failures | None = None
    rekey: bool = False
    same_identity: str = "replace"


class L2tpTable(Table, frozen=True):
    """The [l2tp] table."""

    host_name: Text | None = None
    hello_interval: Seconds = 60
    secret: Secret | None = None
    secret_file: Text | None = None


class PppTable(Table, frozen=True):
    """The [ppp] table."""

    pool: str | tuple[str, ...]
    local_address: str
    auth: tuple[str, ...] = ("mschapv2", "chap-md5")
    dns: tuple[str, ...] = ()
    wins: tuple[str, ...] = ()
    mtu: Mtu = 1400
    echo_interval: SecondsOrNever = 30
    echo_failures: Failures = 4
    same_user: str = "several"
    proxy_arp: bool | str = False
    users_file: Text | None = None


class UserTable(Table, frozen=True):
    """One [[user]] table."""

    name: Text
    secret: Secret | None = None
    secret_file: Text | None = None
    address: str | None = None


class MarksTable(Table, frozen=True):
    """The [marks] table."""

    base: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)] = 0
    mask: Annotated[int, Meta(ge=1, le=0xFFFF_FFFF)] = 0x7FFF_0000


class MetricsTable(Table, frozen=True):
    """The [metrics] table."""

    listen: str | None = None


class Document(Table, frozen=True):
    """A whole configuration file."""

    ppp: PppTable
    gateway: GatewayTable = msgspec.field(default_factory=GatewayTable)
    ike: IkeTable = msgspec.field(default_factory=IkeTable)
    esp: EspTable = msgspec.field(default_factory=EspTable)
    l2tp: L2tpTable = msgspec.field(default_factory=L2tpTable)
    marks: MarksTable = msgspec.field(default_factory=MarksTable)
    metrics: MetricsTable = msgspec.field(default_factory=MetricsTable)
    psk: tuple[PskTable, ...] = ()
    certificate: tuple[CertificateTable, ...] = ()
    connection: tuple[ConnectionTable, ...] = ()
    user: tuple[UserTable, ...] = ()


def decode(kind: type[Any], value: object) -> Secret:
    """Read the one type that msgspec does not know, as its dec_hook. Raises ValueError."""
    if kind is not Secret or not isinstance(value, str) or not value:
        raise ValueError("expected the secret itself, a string in quotes")
    return Secret(value.encode())
