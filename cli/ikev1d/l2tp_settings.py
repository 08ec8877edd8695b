"""What the operator's configuration means for the L2TP engine, and for logins."""

from __future__ import annotations

import socket
from collections.abc import Callable

from cli.ikev1d.config import Config, Connection, Place
from cli.ikev1d.processes.others import ALONE, Others
from l2tp.core.settings import ClientSettings, LnsSettings
from l2tp.pool import AddressPool
from l2tp.ppp.auth import text_of
from l2tp.ppp.settings import AuthProtocol, EchoSettings, PppSettings
from l2tp.ppp.users import User


def make_settings(
    config: Config, of_client: Callable[[int], ClientSettings], others: Others = ALONE
) -> LnsSettings:
    """The engine's settings from the operator's configuration, and from what is of each client."""
    ppp = config.ppp
    reserved = [ppp.local_address]
    reserved += [user.address for user in config.users.values() if user.address is not None]
    name = config.l2tp.host_name or config.gateway.name or socket.gethostname()
    return LnsSettings(
        ppp=PppSettings(
            local_address=ppp.local_address,
            dns=ppp.dns,
            wins=ppp.wins,
            mru=ppp.mtu,
            mtu=ppp.mtu,
            auth_protocols=tuple(AuthProtocol(method) for method in ppp.auth),
            auth_name=config.gateway.name or name,
        ),
        pool=AddressPool(
            [str(range_) for range_ in ppp.pool],
            reserved,
            others.rivals,
            (others.share.index, others.share.count),
        ),
        host_name=name,
        shared_secret=config.l2tp.secret.reveal() if config.l2tp.secret else None,
        of_client=of_client,
        foreign_tunnel_ids=others.foreign_tunnel_ids,
        max_tunnels=config.marks.count,
    )


def make_users(config: Config) -> dict[str, User]:
    """Who may log in, by name."""
    return {
        user.name: User(user.name, text_of(user.secret.reveal()), user.address)
        for user in config.users.values()
    }


def without_address(config: Config) -> dict[str, Place]:
    """Users that no address of the pool is permitted to, and where that is written."""
    first = config.ppp.pool[0].first
    return {
        user.name: user.place
        for user in config.users.values()
        if user.address is None and not user.permits(first)
    }


def client_settings(connection: Connection) -> ClientSettings:
    """What a client's connection has to say about its tunnels."""
    return ClientSettings(
        hello_interval=connection.hello_interval,
        patience=connection.dpd_timeout,
        echo=EchoSettings(connection.echo_interval, connection.echo_failures),
    )
