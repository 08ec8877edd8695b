"""What a lab asks of an IKEv1 initiator, whichever program it is."""

from typing import Protocol

from interop.peers.strongswan import INITIATE_LIMIT, Connection
from interop.process import Process


class IpsecInitiator(Protocol):
    """A started program that has no connection yet. Commands raise `CommandError`."""

    process: Process

    def load(self, connection: Connection) -> None:
        """Take over a connection and its secret, in place of what was loaded before."""
        ...

    def initiate(self, name: str = "l2tp", limit: int = INITIATE_LIMIT) -> str:
        """Bring up both phases within ``limit`` seconds; the program's account of it."""
        ...

    def terminate(self, name: str = "l2tp") -> str:
        """Delete the IKE SA and the IPsec SAs, and tell the peer."""
        ...

    def rekey_child(self, name: str = "l2tp") -> str:
        """Replace the IPsec SA by a new Quick Mode, and wait until it is up."""
        ...

    def rekey_ike(self, name: str = "l2tp") -> str:
        """Replace the IKE SA by a new Main Mode, and wait until it is up."""
        ...

    def sas(self) -> str:
        """List the SAs as the program prints them; empty if there are none."""
        ...
