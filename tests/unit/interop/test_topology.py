"""The lab's networks are whole: every cable joins two interfaces, and every interface has one."""

from collections import Counter
from ipaddress import ip_interface

import pytest

from interop.topology import (
    GATEWAY_ADDRESS,
    TOPOLOGIES,
    Topology,
    both_nat,
    client_nat,
    with_relay,
)

ALL = [
    *(make() for make in TOPOLOGIES.values()),
    *(with_relay(make()) for make in TOPOLOGIES.values()),
    client_nat(3),
    with_relay(both_nat(3)),
]


def every_topology() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("topology", ALL, ids=[topology.name for topology in ALL])


@every_topology()
def test_every_interface_has_one_cable(topology: Topology) -> None:
    ends = Counter(end for link in topology.links for end in (link.a, link.b))
    interfaces = {
        (machine.name, interface.name)
        for machine in topology.machines
        for interface in machine.interfaces
    }
    assert ends == Counter(interfaces)


@every_topology()
def test_every_default_gateway_is_on_a_network_of_its_machine(topology: Topology) -> None:
    for machine in topology.machines:
        networks = [
            ip_interface(interface.address).network
            for interface in machine.interfaces
            if interface.address
        ]
        if machine.default_gateway:
            assert any(ip_interface(machine.default_gateway).ip in part for part in networks)


@every_topology()
def test_the_address_that_is_dialled_is_the_gateways_or_is_published(topology: Topology) -> None:
    holders = [
        machine
        for machine in topology.machines
        for interface in machine.interfaces
        if interface.address and interface.address.split("/")[0] == GATEWAY_ADDRESS
    ]
    (holder,) = holders
    if topology.gateway_address == GATEWAY_ADDRESS:
        assert holder.name == "gateway"
    else:
        assert holder.publishes == ("wan0", topology.gateway_address)
