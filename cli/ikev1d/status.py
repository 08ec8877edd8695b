"""Joins what the layers know of each client: the SA mark is the key on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

from cli.control import ClientStatus
from cli.ikev1d.data_paths import OpenPath
from cli.ikev1d.kernel_sas import KernelSas, Traffic
from cli.ikev1d.l2tp import LnsHost
from ikev1.core.clients import Client
from ikev1.core.ike_sa import IkeSa
from ikev1.core.responder import Responder
from l2tp.core.views import SessionView, TunnelView
from xfrm.usage import SaName

BATCH = 4
"""Clients before other work gets its turn: each takes 70 to 140 microseconds, most of it JSON."""


async def client_statuses(
    engine: Responder, lns: LnsHost, sas: KernelSas, carried: dict[SaName, int]
) -> AsyncIterator[list[ClientStatus]]:
    """Every client in batches, the oldest first; `carried` is used up.

    One that goes meanwhile is left out.
    """
    now = asyncio.get_running_loop().time()
    clients = iter(engine.clients)
    while some := tuple(islice(clients, BATCH)):
        yield [
            _joined(client, engine, lns, sas.traffic(client.mark, carried), now)
            for client in some
            if engine.clients.by_mark(client.mark) is client
        ]
        await asyncio.sleep(0)


def _joined(
    client: Client, engine: Responder, lns: LnsHost, traffic: Traffic, now: float
) -> ClientStatus:
    tunnels, sessions = lns.engine.of_client(client.mark)
    tunnel = next((tunnel for tunnel in reversed(tunnels) if tunnel.is_live), None)
    session = sessions[-1] if sessions else None
    ike_sas = tuple(engine.ike_sas_of(client))
    return _status(
        client,
        ike_sas[-1] if ike_sas else None,
        tunnel,
        session,
        lns.data_paths.of_session(session.session_id) if session else None,
        traffic,
        now,
    )


def _status(
    client: Client,
    ike_sa: IkeSa | None,
    tunnel: TunnelView | None,
    session: SessionView | None,
    path: OpenPath | None,
    traffic: Traffic,
    now: float,
) -> ClientStatus:
    child = client.carrying
    return ClientStatus(
        client=client.id,
        state=_state(client, tunnel, session),
        peer_address=client.path.remote,
        peer_port=client.path.remote_port,
        local_address=client.path.local,
        identity=client.identity,
        connection=client.connection,
        implementation=client.implementation,
        nat=client.nat,
        ike_algorithms=ike_sa.choice.label if ike_sa and ike_sa.choice else "",
        esp_algorithms=child.sa.suite.label if child else "",
        user=session.user if session else "",
        auth=session.auth_protocol.value if session and session.auth_protocol else "",
        inner_address=str(session.address) if session and session.address else "",
        interface=path.interface if path else "",
        data_path="" if path is None else "kernel" if path.in_kernel else "user",
        data_path_cause=path.cause if path else "",
        age=int(now - client.since),
        bytes_in=traffic.received,
        bytes_out=traffic.sent,
        ike_rekey=int(ike_sa.expires - now) if ike_sa else None,
        esp_rekey=int(child.expires - now) if child else None,
        spi_in=f"{child.sa.inbound_spi:08x}" if child else "",
        spi_out=f"{child.sa.outbound_spi:08x}" if child else "",
        mark=client.mark,
        tunnel_id=tunnel.tunnel_id if tunnel else None,
        peer_tunnel_id=tunnel.peer_tunnel_id if tunnel else None,
        session_id=session.session_id if session else None,
        peer_session_id=session.peer_session_id if session else None,
        host_name=tunnel.host_name if tunnel else "",
    )


def _state(client: Client, tunnel: TunnelView | None, session: SessionView | None) -> str:
    if session is not None:
        return "up" if session.is_up else "ppp"
    if tunnel is not None:
        return "l2tp"
    return "esp" if client.carrying else "ike"
