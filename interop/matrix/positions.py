"""The columns of the matrix: where the clients and the gateway stand among NATs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from interop.topology import Topology, both_nat, client_nat, no_nat, server_nat

ONE = (("client", "alice"),)
TWO = (*ONE, ("client2", "bob"))


@dataclass(frozen=True, slots=True)
class Position:
    """A topology, and who calls from which machine of it, in this order."""

    name: str
    title: str
    topology: Callable[[], Topology]
    callers: tuple[tuple[str, str], ...] = ONE

    @property
    def nat(self) -> bool:
        """Whether there is a NAT on the way."""
        return self.name != "no-nat"

    @property
    def client_nat(self) -> bool:
        """Whether the clients are behind one."""
        return self.nat and self.name != "server-nat"


POSITIONS: Mapping[str, Position] = MappingProxyType(
    {
        position.name: position
        for position in (
            Position("no-nat", "no NAT", no_nat),
            Position("client-nat", "client behind NAT", client_nat),
            Position("server-nat", "gateway behind NAT", server_nat),
            Position("both-nat", "both behind NAT", both_nat),
            Position("two-clients", "two behind one NAT", partial(client_nat, 2), TWO),
        )
    }
)
