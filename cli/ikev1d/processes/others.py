"""What one process of the gateway has to do with the others; here there are none."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.control import REQUESTS, Request
from cli.ikev1d.config import Config
from cli.ikev1d.run_files import of_process
from ikev1.core.clients import MarkSpace
from ikev1.core.replacement import Proof
from ikev1.core.share import WHOLE, Share
from l2tp.datapath.flows import Flow
from l2tp.datapath.udp import Datagram
from l2tp.pool import Rivals


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the others may have this process do."""

    flow: Callable[[int, Flow], None]
    """A client of another process, by its mark, may send in this flow."""
    flow_ended: Callable[[int], None]
    end_user: Callable[[str, str], None]
    """End the sessions of a user, with a cause."""
    end_client: Callable[[int, str], None]
    """End the client with a mark, with a cause."""
    l2tp: Callable[[Datagram], None]
    """A datagram of a client of this process has come to another one."""


class Others:
    """The other processes: nobody. `cli.ikev1d.processes.worker` has those of a real crew."""

    share: Share = WHOLE
    unusable: frozenset[str] | None = None
    """ESP algorithms that the kernel lacks; None where that has not been found out."""
    rivals: Rivals | None = None
    """Who leases addresses of the same pool."""
    foreign_tunnel_ids: Container[int] = ()
    requests: Sequence[type[Request]] = REQUESTS
    """What may be asked on the control socket of this process."""

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.share.count == 1

    def marks(self, config: Config) -> MarkSpace:
        """The marks of this process."""
        return MarkSpace(config.marks.base, config.marks.mask, self.share)

    def own(self, path: Path) -> Path:
        """The name of a file that each process has for itself."""
        return path if self.alone else of_process(path, self.share.index)

    async def join(self, wishes: Wishes) -> None:
        """Say that this process is ready; return when all are."""

    def receives(self, mark: int, source: str) -> bool:
        """Whether what comes from an address under no mark, or under this one, is for us."""
        return True

    def pass_on(self, datagram: Datagram) -> None:
        """Give L2TP to the process that its mark belongs to."""

    def flow(self, mark: int, flow: Flow) -> None:
        """A client of ours may send in this flow."""

    def flow_ended(self, mark: int) -> None:
        """A client of ours is gone."""

    def user_in(self, user: str) -> None:
        """A user has a session here."""

    def user_out(self, user: str) -> None:
        """A user has none here any more."""

    def has_user(self, user: str) -> bool:
        """Whether a user has a session with another process."""
        return False

    def end_user(self, user: str, cause: str, then: Callable[[], None]) -> None:
        """Have the others end the sessions of a user, and go on."""
        then()

    def client_in(self, mark: int, proof: Proof | None) -> None:
        """A client that has proved this is connected here."""

    def client_out(self, mark: int) -> None:
        """It is not any more."""

    def has_client(self, proof: Proof) -> bool:
        """Whether a client that has proved this is connected to another process."""
        return False

    def end_client(self, proof: Proof, cause: str) -> None:
        """Have the others end the clients that have proved this."""


ALONE = Others()
