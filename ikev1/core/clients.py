"""Clients: who owns which mark, which Phase 1 and which child SAs.

A client is one remote endpoint with one identity. It keeps its mark through every rekey of either
kind, so that the L2TP tunnel in its SAs never notices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ikev1.core.credentials import PresharedKey
from ikev1.core.effects import ChildSa, Path
from ikev1.core.phase1_terms import Phase1Terms
from ikev1.core.replacement import Proof
from ikev1.core.share import WHOLE, Share
from ikev1.wire.payloads import Identification
from ikev1.wire.sa import Transform
from ikev1.x509.certificate import Certificate

FEW_PLACES = 4
"""Addresses at which clients that look like one are searched."""
SHARED_MARKS = 0xFFFF
"""Marks for all engines together, where there are several. Beyond these the kernel's names for a
client (reqids) repeat; one engine takes them in turn, several do not know of each other's turns."""


@dataclass(frozen=True)
class MarkSpace:
    """The values of `mask` that the gateway may use for SA marks, above `base`.

    The bits outside `mask` stay the administrator's.
    """

    base: int = 0
    mask: int = 0x00FFFFFF
    share: Share = WHOLE
    """Of several engines each has the marks with its own remainder."""

    def __post_init__(self) -> None:
        if self.mask <= 0 or self.base & ~self.mask or self.base % self.step:
            raise ValueError(f"mark base {self.base:#x} is not inside mask {self.mask:#x}")
        if (self.mask // self.step) & (self.mask // self.step + 1):
            raise ValueError(f"the bits of mark mask {self.mask:#x} do not stand together")
        if self.first > self.last:
            raise ValueError(f"no mark of mask {self.mask:#x} is above base {self.base:#x}")

    @property
    def step(self) -> int:
        """The lowest bit of the mask: the distance between two marks."""
        return self.mask & -self.mask

    @cached_property
    def stride(self) -> int:
        """The distance between two marks of this engine."""
        return self.step * self.share.count

    @cached_property
    def first(self) -> int:
        """The lowest mark of this engine."""
        return self.base + self.step * (self.share.index or self.share.count)

    @cached_property
    def last(self) -> int:
        """The highest mark, of all engines."""
        if self.share.count == 1:
            return self.mask
        return min(self.mask, self.base + self.step * SHARED_MARKS)

    def engine_of(self, mark: int) -> int:
        """The index of the engine that a mark belongs to."""
        return (mark - self.base) // self.step % self.share.count

    def after(self, mark: int) -> int:
        """The mark that has its turn after another one of this engine."""
        following = mark + self.stride
        return self.first if following > self.last else following


@dataclass(slots=True, eq=False)
class Child:
    """A child SA in the kernel, or on its way there."""

    sa: ChildSa
    since: float
    expires: float
    quick_mode: tuple[bytes, int]
    """What makes it: the cookie pair of its Phase 1 SA, and the message ID."""
    transform: Transform
    """What was agreed, as the client wrote it, to offer it again."""
    identities: tuple[Identification, ...]
    """The client's and ours, or none."""
    up: bool = False
    """Whether its Quick Mode is complete."""
    outbound: bool = False
    """Whether its outbound SA is in the kernel, or asked for."""
    attempts: int = 0
    """How many times we have tried to renew it."""


@dataclass(frozen=True, slots=True)
class Departure:
    """A client has renewed its Phase 1 from elsewhere."""

    cookies: bytes
    """Cookie pair of the SA that came from there."""
    left: Path
    """Where the client was until then."""


@dataclass(slots=True, eq=False)
class Client:
    """A remote endpoint with one identity."""

    id: str
    path: Path
    identity: str
    connection: str
    implementation: str
    nat: str
    since: float
    proof: Proof | None = None
    """Who it has proved to be, where that tells it from every other client."""
    psk: PresharedKey | None = None
    """The key of its newest Phase 1."""
    chain: tuple[Certificate, ...] = ()
    """Or its certificate there, and those that lead to a trusted authority."""
    mark: int = 0
    """Given by `Clients.add`."""
    phase1: list[bytes] = field(default_factory=list)
    """Cookie pairs of its IKE SAs, the newest last."""
    children: list[Child] = field(default_factory=list)

    next_rekey: float = 0.0
    """When the earliest that we may begin a Quick Mode with it again."""
    terms: Phase1Terms | None = None
    """Those of its newest Phase 1, where we may be the one to renew it."""
    phase1_attempts: int = 0
    """How many times we have tried to renew that."""
    next_phase1: float = 0.0
    """When the earliest that we may try again."""
    probes: int = 0
    """Number of the last R-U-THERE (RFC 3706 section 5.4: a counter)."""
    begins_anew: bool = False
    """Whether it has said INITIAL-CONTACT: it has nothing of an earlier session."""
    departure: Departure | None = None
    """The last one from where it was to where it is; None once it has dialled since."""

    @property
    def newest(self) -> Child | None:
        """The child whose Quick Mode was completed last, by the order in which they began."""
        return next((child for child in reversed(self.children) if child.up), None)

    def made_by(self, quick_mode: tuple[bytes, int]) -> Child | None:
        """The child SA of a Quick Mode, if it has come that far."""
        return next((child for child in self.children if child.quick_mode == quick_mode), None)

    def looks_like(self, other: Client) -> bool:
        """Whether the two may be one device, behind one NAT that has given it another port."""
        return (self.path.remote, self.identity, self.connection, self.implementation) == (
            other.path.remote,
            other.identity,
            other.connection,
            other.implementation,
        )

    def next_probe(self, random: Callable[[int], bytes]) -> int:
        """The number of the next R-U-THERE."""
        if not self.probes:
            self.probes = int.from_bytes(random(2), "big")
        self.probes += 1
        return self.probes

    @property
    def carrying(self) -> Child | None:
        """The child whose outbound SA is in use, or will be in a moment."""
        return next((child for child in reversed(self.children) if child.outbound), None)


class Clients:
    """All clients, and their marks."""

    def __init__(self, marks: MarkSpace) -> None:
        self._marks = marks
        self._last = marks.first - marks.stride
        self._by_mark: dict[int, Client] = {}
        self._by_id: dict[str, Client] = {}
        self._by_place: dict[tuple[str, int], dict[tuple[str, str], Client]] = {}
        """By remote address and port, then by identity and connection."""
        self._by_look: dict[tuple[str, str], dict[str, dict[int, Client]]] = {}
        """By identity and connection, then by remote address, then by mark."""
        self._by_proof: dict[Proof, list[Client]] = {}
        self._by_spi: dict[int, tuple[Client, Child]] = {}

    def __iter__(self) -> Iterator[Client]:
        return iter(tuple(self._by_mark.values()))

    def __len__(self) -> int:
        return len(self._by_mark)

    def find(self, path: Path, identity: str, connection: str) -> Client | None:
        """The client at this remote endpoint with this identity: its Phase 1 is being renewed."""
        here = self._by_place.get((path.remote, path.remote_port), {})
        return here.get((identity, connection))

    def at(self, path: Path) -> Client | None:
        """The client that was last seen to come to this remote address and port."""
        here = self._by_place.get((path.remote, path.remote_port), {})
        return next(reversed(here.values()), None)

    def like(self, client: Client) -> tuple[Client, ...]:
        """The clients with this one's identity and connection, itself too.

        Only those at its address where there are others at many: every home has a 192.168.1.2.
        """
        alike = self._by_look.get((client.identity, client.connection), {})
        here = alike.get(client.path.remote, {})
        places = alike.values() if len(alike) <= FEW_PLACES else (here,)
        return tuple(other for place in places for other in place.values())

    def proved(self, proof: Proof | None) -> tuple[Client, ...]:
        """The clients that have proved to be this one, wherever they are."""
        return tuple(self._by_proof.get(proof, ())) if proof is not None else ()

    def add(self, client: Client) -> bool:
        """Take in a new client and give it a mark of its own; False where every mark is taken."""
        mark = self._free_mark()
        if mark is None:
            return False
        if client.id in self._by_id:
            client.id = f"{client.id}-{mark:x}"
        client.mark = mark
        self._by_mark[mark] = client
        self._by_id[client.id] = client
        self._settle(client)
        if client.proof is not None:
            self._by_proof.setdefault(client.proof, []).append(client)
        return True

    def move(self, client: Client, path: Path) -> None:
        """The client is at another address or port now."""
        self._unsettle(client)
        client.path = path
        self._settle(client)

    def _settle(self, client: Client) -> None:
        place = (client.path.remote, client.path.remote_port)
        self._by_place.setdefault(place, {})[client.identity, client.connection] = client
        alike = self._by_look.setdefault((client.identity, client.connection), {})
        alike.setdefault(client.path.remote, {})[client.mark] = client

    def _unsettle(self, client: Client) -> None:
        place = (client.path.remote, client.path.remote_port)
        here = self._by_place.get(place, {})
        if here.get((client.identity, client.connection)) is client:
            del here[client.identity, client.connection]
            if not here:
                del self._by_place[place]
        alike = self._by_look[client.identity, client.connection]
        del alike[client.path.remote][client.mark]
        if not alike[client.path.remote]:
            del alike[client.path.remote]
        if not alike:
            del self._by_look[client.identity, client.connection]

    def _free_mark(self) -> int | None:
        for _ in range(len(self._by_mark) + 1):
            self._last = self._marks.after(self._last)
            if self._last not in self._by_mark:
                return self._last
        return None

    def remove(self, client: Client) -> None:
        """Forget the client; its mark is free. Its children are forgotten with it."""
        for child in client.children:
            self._by_spi.pop(child.sa.inbound_spi, None)
        client.children.clear()
        self._by_mark.pop(client.mark, None)
        self._by_id.pop(client.id, None)
        if client.proof is not None:
            same = self._by_proof[client.proof]
            same.remove(client)
            if not same:
                del self._by_proof[client.proof]
        self._unsettle(client)

    def absorb(self, client: Client, other: Client, children: list[Child]) -> None:
        """What `other` has is this client's, which has `children` then; `other` is forgotten."""
        other.phase1, other.children = [], []
        self.remove(other)
        self._settle(client)  # the other one may have been seen there since
        client.children = children
        for child in children:
            self._by_spi[child.sa.inbound_spi] = (client, child)

    def by_mark(self, mark: int) -> Client | None:
        """The owner of a mark."""
        return self._by_mark.get(mark)

    def by_id(self, client_id: str) -> Client | None:
        """The client with this identifier."""
        return self._by_id.get(client_id)

    def add_child(self, client: Client, child: Child) -> None:
        """A child SA whose inbound half is in the kernel."""
        client.children.append(child)
        self._by_spi[child.sa.inbound_spi] = (client, child)

    def remove_child(self, child: Child) -> None:
        """Forget a child SA."""
        client, _ = self._by_spi.pop(child.sa.inbound_spi)
        client.children.remove(child)

    def by_inbound_spi(self, spi: int) -> tuple[Client, Child] | None:
        """The owner of an SPI of ours."""
        return self._by_spi.get(spi)
