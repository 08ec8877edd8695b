"""From the tables of the document to the configuration: what the texts mean, and what fits what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from msgspec.structs import asdict

from cli.ikev1d.config import algorithms, schema
from cli.ikev1d.config.certificates import read_certificates
from cli.ikev1d.config.check import Check
from cli.ikev1d.config.model import (
    AddressRange,
    Config,
    Connection,
    Esp,
    Gateway,
    Ike,
    L2tp,
    Marks,
    Metrics,
    Ppp,
    Psk,
    SameIdentity,
    SameUser,
)
from cli.ikev1d.config.source import Key
from cli.ikev1d.config.users import read_users
from cli.ikev1d.logs import LogFormat, LogLevel
from ikev1.core.credentials import MAX_CANDIDATES

SAME_IDENTITY: tuple[SameIdentity, ...] = ("replace", "keep", "several")
SAME_USER: tuple[SameUser, ...] = ("several", "replace", "keep")
LOG_FORMATS: tuple[LogFormat, ...] = ("text", "json")
LOG_LEVELS: tuple[LogLevel, ...] = ("debug", "info", "warning", "error")
AUTH_PROTOCOLS = ("mschapv2", "chap-md5", "pap")
PFS = ("if-asked",)

MAX_SOCKET_PATH = 107
"""Bytes of sun_path without its NUL (unix(7))."""

MAX_PORT = 65_535

MAX_SERVERS = 2
"""RFC 1877 has a primary and a secondary server, of DNS and of NetBIOS names."""


def build(document: schema.Document, check: Check) -> Config:
    """Return the configuration that `document` means, with the warnings of `check`.

    Raises ConfigError.
    """
    gateway = _gateway(check, document.gateway)
    ike = _ike(check, document.ike)
    marks = _marks(check, document.marks)
    _check_workers(check, document, marks)
    psks = _psks(check, document.psk)
    certificates = read_certificates(check, document.certificate)
    if not psks and not certificates:
        raise check.error(
            ("psk",),
            "there is none, and no [[certificate]], so no client can authenticate",
            remedy='add a [[psk]] section with secret = "..." or secret_file = "..."',
        )
    named = {psk.connection for psk in psks} | {one.connection for one in certificates}
    l2tp = _l2tp(check, document.l2tp)
    ppp = _ppp(check, document.ppp)
    default = Connection(
        name="",
        dpd_delay=ike.dpd_delay,
        dpd_timeout=ike.dpd_timeout,
        hello_interval=l2tp.hello_interval,
        echo_interval=ppp.echo_interval,
        echo_failures=ppp.echo_failures,
        rekey=False,
        same_identity="replace",
    )
    return Config(
        source=check.source,
        gateway=gateway,
        ike=ike,
        esp=_esp(check, document.esp),
        psks=psks,
        certificates=certificates,
        connections=MappingProxyType(_connections(check, document.connection, named, default)),
        default_connection=default,
        l2tp=l2tp,
        ppp=ppp,
        users=MappingProxyType(read_users(check, document, gateway, ppp)),
        marks=marks,
        metrics=_metrics(check, document.metrics),
        warnings=tuple(check.warnings),
    )


def _gateway(check: Check, table: schema.GatewayTable) -> Gateway:
    socket = Path(table.control_socket)
    key = ("gateway", "control_socket")
    if not socket.is_absolute() or len(bytes(socket)) > MAX_SOCKET_PATH:
        raise check.error(key, f"not an absolute path of {MAX_SOCKET_PATH} bytes at most")
    if table.listen and table.interfaces:
        raise check.error(
            ("gateway", "interfaces"),
            "cannot stand beside gateway.listen",
            remedy="choose the addresses or the interfaces",
        )
    public_address = None
    if table.public_address is not None:
        public_address = check.address(("gateway", "public_address"), table.public_address)
    return Gateway(
        listen=check.each(("gateway", "listen"), table.listen, check.address),
        interfaces=check.each(("gateway", "interfaces"), table.interfaces, check.interface),
        public_address=public_address,
        name=check.name(("gateway", "name"), table.name),
        control_socket=socket,
        workers=table.workers,
        log_format=check.choice(("gateway", "log_format"), table.log_format, LOG_FORMATS),
        log_level=check.choice(("gateway", "log_level"), table.log_level, LOG_LEVELS),
    )


def _ike(check: Check, table: schema.IkeTable) -> Ike:
    policy = check.policy(("ike", "policy"), table.policy)
    if table.half_open_per_address > table.half_open_limit:
        raise check.error(
            ("ike", "half_open_per_address"), "is above half_open_limit, and so limits nothing"
        )
    _check_dpd(check, ("ike",), table.dpd_delay, table.dpd_timeout)
    return Ike(
        encryption=check.names(
            ("ike", "encryption"),
            table.encryption,
            policy.ike_encryption,
            algorithms.IKE_ENCRYPTION,
        ),
        hashes=check.names(("ike", "hash"), table.hash, policy.ike_hashes, algorithms.IKE_HASHES),
        groups=check.names(
            ("ike", "groups"), table.groups, policy.ike_groups, algorithms.IKE_GROUPS
        ),
        max_lifetime=table.max_lifetime,
        half_open_limit=table.half_open_limit,
        half_open_per_address=table.half_open_per_address,
        half_open_timeout=table.half_open_timeout,
        dpd_delay=table.dpd_delay,
        dpd_timeout=table.dpd_timeout,
    )


def _check_dpd(check: Check, table: Key, delay: int, timeout: int) -> None:
    if delay >= timeout:
        raise check.error(
            (*table, "dpd_timeout"),
            f"{timeout} is not above dpd_delay, {delay}: no client would have time to answer",
        )


def _esp(check: Check, table: schema.EspTable) -> Esp:
    policy = check.policy(("esp", "policy"), table.policy)
    check.choice(("esp", "pfs"), table.pfs, PFS)
    return Esp(
        encryption=check.names(
            ("esp", "encryption"),
            table.encryption,
            policy.esp_encryption,
            algorithms.ESP_ENCRYPTION,
        ),
        integrity=check.names(
            ("esp", "integrity"),
            table.integrity,
            policy.esp_integrity,
            algorithms.ESP_INTEGRITY,
        ),
        max_lifetime=table.max_lifetime,
    )


def _psks(check: Check, tables: tuple[schema.PskTable, ...]) -> tuple[Psk, ...]:
    psks = tuple(
        Psk(
            connection=table.connection,
            secret=check.secret(("psk", index), table),
            local=check.network(("psk", index, "local"), table.local),
            remote=check.network(("psk", index, "remote"), table.remote),
            identity=check.identity(("psk", index, "id"), table.id),
            one_client=table.one_client,
            place=check.source.place(("psk", index)),
        )
        for index, table in enumerate(tables)
    )
    anywhere = [index for index, psk in enumerate(psks) if psk.remote is None]
    if len(anywhere) > MAX_CANDIDATES:
        check.warn(
            ("psk", anywhere[MAX_CANDIDATES]),
            f"{len(anywhere)} keys are for clients at any address, and only {MAX_CANDIDATES} are "
            "tried: nobody gets in with this one, or with those below. Give keys a remote network, "
            "or give clients certificates",
        )
    return psks


def _connections(
    check: Check,
    tables: tuple[schema.ConnectionTable, ...],
    named: Collection[str],
    default: Connection,
) -> dict[str, Connection]:
    """The connections that have a table; what a table leaves out is as in `default`."""
    made: dict[str, Connection] = {}
    for index, table in enumerate(tables):
        key = ("connection", index)
        if table.name in made:
            first = next(number for number, other in enumerate(tables) if other.name == table.name)
            raise check.error(
                key,
                f'"{table.name}" has a section at {check.source.place(("connection", first))} too',
                remedy="make one of the two",
            )
        if table.name not in named:
            check.warn(
                key,
                f'no [[psk]] or [[certificate]] has connection = "{table.name}", so this is for '
                "nobody",
            )
        check.choice((*key, "same_identity"), table.same_identity, SAME_IDENTITY)
        own = {name: value for name, value in asdict(table).items() if value is not None}
        made[table.name] = connection = replace(default, **own)
        _check_dpd(check, key, connection.dpd_delay, connection.dpd_timeout)
    return made


def _l2tp(check: Check, table: schema.L2tpTable) -> L2tp:
    secret = None
    if table.secret is not None or table.secret_file is not None:
        secret = check.secret(("l2tp",), table)
    return L2tp(
        host_name=check.name(("l2tp", "host_name"), table.host_name),
        hello_interval=table.hello_interval,
        secret=secret,
    )


def _ppp(check: Check, table: schema.PppTable) -> Ppp:
    proxy_arp: str | None = None
    if table.proxy_arp is not False:
        proxy_arp = check.interface(("ppp", "proxy_arp"), table.proxy_arp)
    for name, servers in (("dns", table.dns), ("wins", table.wins)):
        if len(servers) > MAX_SERVERS:
            raise check.error(("ppp", name), f"PPP tells a client {MAX_SERVERS} servers at most")
    local_address = check.address(("ppp", "local_address"), table.local_address)
    return Ppp(
        auth=check.names(("ppp", "auth"), table.auth, (), AUTH_PROTOCOLS),
        pool=_pool(check, table, local_address),
        local_address=local_address,
        dns=check.each(("ppp", "dns"), table.dns, check.address),
        wins=check.each(("ppp", "wins"), table.wins, check.address),
        mtu=table.mtu,
        echo_interval=table.echo_interval,
        echo_failures=table.echo_failures,
        same_user=check.choice(("ppp", "same_user"), table.same_user, SAME_USER),
        proxy_arp=proxy_arp,
    )


def _pool(
    check: Check, table: schema.PppTable, local_address: IPv4Address
) -> tuple[AddressRange, ...]:
    key = ("ppp", "pool")
    pool = (
        (check.address_range(key, table.pool),)
        if isinstance(table.pool, str)
        else check.each(key, table.pool, check.address_range)
    )
    for lower, upper in pairwise(sorted(pool, key=lambda part: part.first)):
        if upper.first <= lower.last:
            raise check.error(key, f"{lower} and {upper} overlap")
    if sum(map(len, pool)) - any(local_address in part for part in pool) < 1:
        raise check.error(key, "holds no address for a client")
    return pool


def _marks(check: Check, table: schema.MarksTable) -> Marks:
    marks = Marks(table.base, table.mask)
    run = marks.mask // (marks.mask & -marks.mask)
    if run & (run + 1):
        raise check.error(
            ("marks", "mask"),
            f"the bits of {marks.mask:#010x} are not one run",
            allowed="adjoining bits, such as 0x7fff0000 or 0x00ffff00",
        )
    if marks.base & ~marks.mask:
        raise check.error(
            ("marks", "base"), f"{marks.base:#x} has bits outside of mask {marks.mask:#010x}"
        )
    if marks.count < 1:
        raise check.error(("marks", "base"), "leaves no mark above it for a client")
    return marks


def _check_workers(check: Check, document: schema.Document, marks: Marks) -> None:
    key, workers = ("gateway", "workers"), document.gateway.workers
    if workers > 1 and any(table.pkcs11 is not None for table in document.certificate):
        raise check.error(
            key,
            "cannot be above 1 beside a key in a token, which one process alone can use",
            remedy="remove gateway.workers, or give the key in a file",
        )
    if workers > marks.count:
        raise check.error(
            key, f"more than the {marks.count} marks of [marks]", remedy="widen marks.mask"
        )


def _metrics(check: Check, table: schema.MetricsTable) -> Metrics | None:
    if table.listen is None:
        return None
    key = ("metrics", "listen")
    address, _, port = table.listen.partition(":")
    if not port.isdecimal() or not 1 <= int(port) <= MAX_PORT:
        raise check.error(
            key,
            f'"{table.listen}" is not an address with a port',
            allowed="such as 127.0.0.1:9410",
        )
    return Metrics(check.address(key, address), int(port))
