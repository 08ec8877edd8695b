"""Every client of the field, whole, against the gateway's engines in memory."""

import functools

import pytest

from interop.clients import CLIENTS
from interop.clients.model import Client
from interop.emulation.effects import Down, Stopped, Up
from interop.initiator import profiles
from interop.initiator.derivation import dh_key
from tests.support.dialled_gateway import DialledGateway, rekeyed

NAT_T = {profiles.RFC_3947, profiles.DRAFT_02, profiles.DRAFT_02_N, profiles.APPLE_NAT_T}
CONTENT = bytes(range(256)) * 4

shared_dh = functools.cache(dh_key)
"""One key pair for each group, to be fast."""

every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


def knows_nat_t(client: Client) -> bool:
    return bool(NAT_T.intersection(client.ike.profile.vendor_ids))


@every_client
def test_dials_in_works_rekeys_hangs_up_and_comes_back(client: Client) -> None:
    gateway = DialledGateway()
    nat = knows_nat_t(client)
    machine = gateway.dial(client, nat=nat, make_dh=shared_dh)

    assert machine.complaints == []
    (up,) = machine.of(Up)
    assert str(up.address) == "10.9.0.10"
    assert [str(address) for address in up.dns] == ["10.0.0.53", "10.0.0.54"]
    assert gateway.ping(machine, CONTENT)

    gateway.do(machine, machine.engine.rekey_phase2(gateway.now))
    gateway.run(2.0)
    assert rekeyed(machine, 2) == 1
    assert gateway.ping(machine, CONTENT[::-1])
    if client.conduct.profile.phase1_rekey is not None:
        gateway.do(machine, machine.engine.rekey_phase1(gateway.now))
        gateway.run(2.0)
        assert rekeyed(machine, 1) == 1
        assert gateway.ping(machine, CONTENT)

    gateway.hang_up(machine)
    assert machine.of(Down)
    assert not machine.of(Stopped)
    assert machine.complaints == []
    assert gateway.lns.lns.sessions() == []

    again = gateway.dial(client, nat=nat, make_dh=shared_dh)
    assert again.complaints == []
    assert gateway.ping(again, CONTENT)
