"""NAT keepalives of a gateway behind a NAT (RFC 3948 section 4)."""

from __future__ import annotations

from tests.support.ike_dialin import NAT, PRIVATE, Dialin
from tests.support.ike_host import IkeHost

PUBLIC = "192.0.2.80"


def dialled_in(*, gateway_behind_nat: bool) -> tuple[IkeHost, Dialin]:
    host = IkeHost()
    client = Dialin(
        host,
        inner=PRIVATE,
        nat=NAT,
        ports=(40500, 44500),
        dialled=PUBLIC if gateway_behind_nat else None,
    )
    client.main_mode()
    return host, client


def test_sent_while_the_client_is_there() -> None:
    host, client = dialled_in(gateway_behind_nat=True)
    for _ in range(3):
        assert host.advance(host.now + 19.9) == []
        assert host.advance(host.now + 0.1) == [(client.path(floated=True), b"\xff")]
    (known,) = host.engine.clients
    host.close_client(known.id)
    assert host.advance(host.now + 100) == []


def test_not_sent_where_the_client_alone_is_behind_a_nat() -> None:
    host, _ = dialled_in(gateway_behind_nat=False)
    assert host.advance(host.now + 100) == []
