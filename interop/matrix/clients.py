"""The rows of the matrix: which clients there are, and how each is put on a machine of the lab."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from interop.matrix.results import Step
from interop.netns import Host
from interop.peers.xl2tpd import Link
from interop.stage import Stage

PSK = "psk"


class MatrixClient(Protocol):
    """A client that is ready to dial in. What goes wrong is a `LabError`."""

    host: Host

    def dial_in(self) -> Link:
        """Bring up IPsec, then L2TP and PPP."""
        ...

    def route_to(self, network: str, link: Link) -> None:
        """Send what goes to ``network`` through the link."""
        ...

    def rekey_esp(self) -> None:
        """Replace the ESP SAs by a new Quick Mode."""
        ...

    def rekey_ike(self) -> None:
        """Replace the IKE SA by a new Main Mode."""
        ...

    def hang_up(self) -> None:
        """End the call as this client does when its user says so."""
        ...

    def stop(self) -> None:
        """End its programs; the machine is free for another client."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """A client, and the ways in which it can prove who it is.

    ``make`` puts it on a machine of the stage, for a user, with one of ``auths``.
    """

    name: str
    title: str
    auths: tuple[str, ...]
    make: Callable[[Stage, str, str, str], MatrixClient]
    unable: Mapping[Step, str] = field(default_factory=lambda: MappingProxyType({}))
    """Steps that this client cannot take, each with the reason."""


def _linux(program: str) -> Callable[[Stage, str, str, str], MatrixClient]:
    def make(stage: Stage, machine: str, user: str, auth: str) -> MatrixClient:
        del auth  # PSK is all there is yet
        return stage.client(machine, user=user, program=program)

    return make


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        row.name: row
        for row in (
            Row("strongswan", "strongSwan, xl2tpd, pppd", (PSK,), _linux("strongswan")),
            Row("libreswan", "libreswan, xl2tpd, pppd", (PSK,), _linux("libreswan")),
        )
    }
)
