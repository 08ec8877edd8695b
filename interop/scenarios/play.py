"""What a scenario is given, and what every scenario checks at its end."""

from dataclasses import dataclass
from pathlib import Path

from interop.capture import Capture
from interop.errors import LabError
from interop.peers.linux_client import LinuxClient
from interop.peers.xl2tpd import Link
from interop.stage import OFFICE_NETWORK, Stage
from interop.topology import Topology
from interop.wait import StillWaitingError, until

CLEAN_LIMIT = 10.0
"""Seconds after a client's goodbye until nothing of it may be left in the gateway's kernel."""
LOOK = 0.3
"""Seconds between two looks at a kernel or a gateway: each takes several programs."""

NAT_KEEPALIVE = b"\xff"
"""RFC 3948 section 2.3."""


class ClearTextError(LabError):
    """Something crossed the internet that was neither IKE nor ESP."""


class LeftoverError(LabError):
    """The gateway left something in the kernel."""


@dataclass(frozen=True, slots=True)
class Play:
    """The choices of one run. ``interactive``: somebody watches and will press Ctrl-C."""

    topology: Topology
    directory: Path
    reference: bool = False
    ike: str = "aes256-sha256-modp2048"
    esp: str = "aes256-sha1"
    interactive: bool = False

    def stage(self, fault: str | None = None) -> Stage:
        """Make the stage for these choices."""
        return Stage(self.topology, self.directory, fault=fault, reference=self.reference)


def dial_in(stage: Stage, client: LinuxClient) -> Link:
    """Dial in, route the office network through the link, and say so."""
    client.ipsec.initiate(client.connection.name)
    stage.lab.note("IPsec is up")
    link = client.l2tp.connect()
    client.route_to(OFFICE_NETWORK, link)
    stage.lab.note(f"{link.interface} is up: {link.address}, name servers {', '.join(link.dns)}")
    return link


def check_protected(stage: Stage, capture: Capture) -> None:
    """Check that a capture holds IKE, ESP and nothing else. Raises `ClearTextError`."""
    packets = capture.packets()
    bare = [packet for packet in packets if not (packet.is_ike or packet.is_esp)]
    keepalives = [packet for packet in bare if packet.payload == NAT_KEEPALIVE]
    if len(bare) > len(keepalives) or not packets:
        raise ClearTextError(f"{len(packets)} packets, not protected: {bare[:5]}")
    ike = sum(packet.is_ike for packet in packets)
    stage.lab.note(f"{len(packets)} packets on the internet, {ike} of them IKE, the others ESP")


def check_gone(stage: Stage) -> None:
    """Check that no client is left in the gateway's kernel. Raises `LeftoverError`."""
    try:
        until(lambda: not stage.leftovers(), "the clients to be gone", CLEAN_LIMIT, LOOK)
    except StillWaitingError:
        raise LeftoverError("\n".join(["of a client there is left:", *stage.leftovers()])) from None
    stage.lab.note("nothing of the client is left in the gateway's kernel")


def stop_gateway(stage: Stage) -> None:
    """Stop the gateway and check that it leaves nothing. Raises `LeftoverError`."""
    stage.gateway.stop()
    remains = stage.remains()
    if remains:
        raise LeftoverError("\n".join(["of the gateway there is left:", *remains]))
    stage.lab.note("the gateway has stopped; its kernel is as it was before")
