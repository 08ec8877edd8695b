"""The networks of the lab, as data: machines, their addresses, and the links between them."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a link; ``address`` is written with its prefix length, or None for a bare end."""

    name: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A host or router. A router that masquerades names the interface it does it on."""

    name: str
    interfaces: tuple[Interface, ...]
    default_gateway: str | None = None
    forwards: bool = False
    masquerades: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two interfaces, each given as (machine, interface)."""

    a: tuple[str, str]
    b: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that is needed to build one lab."""

    name: str
    machines: tuple[Machine, ...]
    links: tuple[Link, ...]


GATEWAY_ADDRESS = "198.51.100.1"
OFFICE_ADDRESS = "192.168.1.10"

_CORE = (
    Machine(
        "internet",
        (Interface("west0", "203.0.113.1/24"), Interface("east0", "198.51.100.254/24")),
        forwards=True,
    ),
    Machine(
        "gateway",
        (Interface("wan0", f"{GATEWAY_ADDRESS}/24"), Interface("lan0", "192.168.1.1/24")),
        default_gateway="198.51.100.254",
        forwards=True,
    ),
    Machine(
        "office",
        (Interface("lan0", f"{OFFICE_ADDRESS}/24"),),
        default_gateway="192.168.1.1",
    ),
)
_UPLINK = Link(("internet", "east0"), ("gateway", "wan0"))
_CORE_LINKS = (_UPLINK, Link(("gateway", "lan0"), ("office", "lan0")))


def no_nat() -> Topology:
    """One client with a public address: client - internet - gateway - office."""
    client = Machine("client", (Interface("wan0", "203.0.113.2/24"),), "203.0.113.1")
    link = Link(("client", "wan0"), ("internet", "west0"))
    return Topology("no-nat", (client, *_CORE), (link, *_CORE_LINKS))


def client_nat(clients: int = 1) -> Topology:
    """``clients`` clients behind one masquerading router, each on a network of its own there.

    They are called client, client2, client3...; the addresses are 10.1.0.2, 10.1.1.2, 10.1.2.2...
    """
    names = ["client", *(f"client{number}" for number in range(2, clients + 1))]
    machines = tuple(
        Machine(name, (Interface("wan0", f"10.1.{index}.2/24"),), f"10.1.{index}.1")
        for index, name in enumerate(names)
    )
    inside = tuple(Interface(f"lan{index}", f"10.1.{index}.1/24") for index in range(clients))
    nat = Machine(
        "nat",
        (*inside, Interface("wan0", "203.0.113.2/24")),
        default_gateway="203.0.113.1",
        forwards=True,
        masquerades="wan0",
    )
    links = (
        *(Link((name, "wan0"), ("nat", f"lan{index}")) for index, name in enumerate(names)),
        Link(("nat", "wan0"), ("internet", "west0")),
    )
    return Topology("client-nat", (*machines, nat, *_CORE), (*links, *_CORE_LINKS))


def with_relay(topology: Topology) -> Topology:
    """Cut the cable between internet and gateway and put a machine called relay into it.

    Nothing passes it until `interop.relay` runs there.
    """
    relay = Machine("relay", (Interface("west0", None), Interface("east0", None)))
    links = [link for link in topology.links if link != _UPLINK]
    links += [Link(_UPLINK.a, ("relay", "west0")), Link(("relay", "east0"), _UPLINK.b)]
    return replace(
        topology,
        name=f"{topology.name}-relay",
        machines=(*topology.machines, relay),
        links=tuple(links),
    )


TOPOLOGIES = {"no-nat": no_nat, "client-nat": client_nat}
