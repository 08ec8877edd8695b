"""The networks of the lab, as data: machines, their addresses, and the links between them."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a link; ``address`` is written with its prefix length, or None for a bare end."""

    name: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A host or router. A router that masquerades names the interface it does it on.

    One that publishes names that interface and the machine inside that gets what comes to UDP 500
    and 4500 there.
    """

    name: str
    interfaces: tuple[Interface, ...]
    default_gateway: str | None = None
    forwards: bool = False
    masquerades: str | None = None
    publishes: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two interfaces, each given as (machine, interface)."""

    a: tuple[str, str]
    b: tuple[str, str]


GATEWAY_ADDRESS = "198.51.100.1"
"""What clients dial."""
HIDDEN_GATEWAY_ADDRESS = "172.16.0.2"
OFFICE_ADDRESS = "192.168.1.10"


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that is needed to build one lab. ``gateway_address`` is the gateway's own."""

    name: str
    machines: tuple[Machine, ...]
    links: tuple[Link, ...]
    gateway_address: str = GATEWAY_ADDRESS


@dataclass(frozen=True, slots=True)
class _Side:
    """What is on one side of the internet, its cable to there included."""

    machines: tuple[Machine, ...]
    links: tuple[Link, ...]


_INTERNET = Machine(
    "internet",
    (Interface("west0", "203.0.113.1/24"), Interface("east0", "198.51.100.254/24")),
    forwards=True,
)
_WEST_PORT = ("internet", "west0")
_EAST_PORT = ("internet", "east0")
_OFFICE = Machine("office", (Interface("lan0", f"{OFFICE_ADDRESS}/24"),), "192.168.1.1")
_OFFICE_LINK = Link(("gateway", "lan0"), ("office", "lan0"))


def _gateway(address: str, router: str) -> Machine:
    return Machine(
        "gateway",
        (Interface("wan0", f"{address}/24"), Interface("lan0", "192.168.1.1/24")),
        default_gateway=router,
        forwards=True,
    )


_PUBLIC_CLIENT = _Side(
    (Machine("client", (Interface("wan0", "203.0.113.2/24"),), "203.0.113.1"),),
    (Link(("client", "wan0"), _WEST_PORT),),
)
_PUBLIC_GATEWAY = _Side(
    (_gateway(GATEWAY_ADDRESS, "198.51.100.254"), _OFFICE),
    (Link(_EAST_PORT, ("gateway", "wan0")), _OFFICE_LINK),
)
_HIDDEN_GATEWAY = _Side(
    (
        Machine(
            "gateway-nat",
            (Interface("wan0", f"{GATEWAY_ADDRESS}/24"), Interface("lan0", "172.16.0.1/24")),
            default_gateway="198.51.100.254",
            forwards=True,
            masquerades="wan0",
            publishes=("wan0", HIDDEN_GATEWAY_ADDRESS),
        ),
        _gateway(HIDDEN_GATEWAY_ADDRESS, "172.16.0.1"),
        _OFFICE,
    ),
    (
        Link(_EAST_PORT, ("gateway-nat", "wan0")),
        Link(("gateway-nat", "lan0"), ("gateway", "wan0")),
        _OFFICE_LINK,
    ),
)


def _hidden_clients(count: int) -> _Side:
    """Clients behind one masquerading router, each on a network of its own there."""
    names = ["client", *(f"client{number}" for number in range(2, count + 1))]
    machines = tuple(
        Machine(name, (Interface("wan0", f"10.1.{index}.2/24"),), f"10.1.{index}.1")
        for index, name in enumerate(names)
    )
    inside = tuple(Interface(f"lan{index}", f"10.1.{index}.1/24") for index in range(count))
    nat = Machine(
        "nat",
        (*inside, Interface("wan0", "203.0.113.2/24")),
        default_gateway="203.0.113.1",
        forwards=True,
        masquerades="wan0",
    )
    links = (
        *(Link((name, "wan0"), ("nat", f"lan{index}")) for index, name in enumerate(names)),
        Link(("nat", "wan0"), _WEST_PORT),
    )
    return _Side((*machines, nat), links)


def _join(name: str, west: _Side, east: _Side, gateway_address: str = GATEWAY_ADDRESS) -> Topology:
    machines = (*west.machines, _INTERNET, *east.machines)
    return Topology(name, machines, (*west.links, *east.links), gateway_address)


def no_nat() -> Topology:
    """One client with a public address: client - internet - gateway - office."""
    return _join("no-nat", _PUBLIC_CLIENT, _PUBLIC_GATEWAY)


def client_nat(clients: int = 1) -> Topology:
    """``clients`` clients behind one masquerading router, each on a network of its own there.

    They are called client, client2, client3...; the addresses are 10.1.0.2, 10.1.1.2, 10.1.2.2...
    """
    return _join("client-nat", _hidden_clients(clients), _PUBLIC_GATEWAY)


def server_nat() -> Topology:
    """One public client; the gateway on a private network whose router hands it UDP 500, 4500."""
    return _join("server-nat", _PUBLIC_CLIENT, _HIDDEN_GATEWAY, HIDDEN_GATEWAY_ADDRESS)


def both_nat(clients: int = 1) -> Topology:
    """Clients as in `client_nat`, the gateway as in `server_nat`."""
    return _join("both-nat", _hidden_clients(clients), _HIDDEN_GATEWAY, HIDDEN_GATEWAY_ADDRESS)


def two_nats(*, stacked: bool) -> Topology:
    """Two homes with the same private network; client and client2 are 10.1.0.2 in both.

    Their routers, nat and nat2, have the addresses 100.64.0.2 and 100.64.1.2 of one carrier. If
    ``stacked`` the carrier masquerades too, and both homes are behind 203.0.113.2.
    """
    machines: list[Machine] = []
    links = [Link(("carrier", "wan0"), _WEST_PORT)]
    for index, (client, nat) in enumerate((("client", "nat"), ("client2", "nat2"))):
        home = Machine(client, (Interface("wan0", "10.1.0.2/24"),), "10.1.0.1")
        router = Machine(
            nat,
            (Interface("lan0", "10.1.0.1/24"), Interface("wan0", f"100.64.{index}.2/24")),
            default_gateway=f"100.64.{index}.1",
            forwards=True,
            masquerades="wan0",
        )
        machines += [home, router]
        links += [
            Link((client, "wan0"), (nat, "lan0")),
            Link((nat, "wan0"), ("carrier", f"lan{index}")),
        ]
    carrier = Machine(
        "carrier",
        (
            Interface("lan0", "100.64.0.1/24"),
            Interface("lan1", "100.64.1.1/24"),
            Interface("wan0", "203.0.113.2/24"),
        ),
        default_gateway="203.0.113.1",
        forwards=True,
        masquerades="wan0" if stacked else None,
    )
    internet = replace(_INTERNET, default_gateway="203.0.113.2")
    return Topology(
        "stacked-nats" if stacked else "two-nats",
        (*machines, carrier, internet, *_PUBLIC_GATEWAY.machines),
        (*links, *_PUBLIC_GATEWAY.links),
    )


def with_relay(topology: Topology) -> Topology:
    """Put a machine called relay into the cable from the internet to the gateway's side.

    Nothing passes it until `interop.relay` runs there.
    """
    relay = Machine("relay", (Interface("west0", None), Interface("east0", None)))
    links: list[Link] = []
    for link in topology.links:
        if link.a == _EAST_PORT:
            links += [Link(link.a, ("relay", "west0")), Link(("relay", "east0"), link.b)]
        else:
            links.append(link)
    return replace(
        topology,
        name=f"{topology.name}-relay",
        machines=(*topology.machines, relay),
        links=tuple(links),
    )


TOPOLOGIES = {
    "no-nat": no_nat,
    "client-nat": client_nat,
    "server-nat": server_nat,
    "both-nat": both_nat,
}
