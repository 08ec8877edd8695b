"""The side of a client that answers a Main Mode of the gateway: a second engine, at its address."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ikev1.core.effects import Path
from tests.support.ike_dialin import Dialin, Sent
from tests.support.ike_host import IkeHost


@dataclass
class Answering:
    """What a client's own IKE would do with what the gateway begins.

    The client that has dialled in is `dialin`; `own` is the engine that answers in its place.
    """

    dialin: Dialin
    own: IkeHost = field(default_factory=IkeHost)
    reached: list[tuple[Path, bytes]] = field(default_factory=list)
    """What has come to it."""

    def take(self, sent: Sent) -> list[tuple[Path, bytes]]:
        """Carry datagrams to the client; what it sends, and from where the gateway sees it come."""
        answers: list[tuple[Path, bytes]] = []
        for path, datagram in sent:
            encapsulated = path.encapsulated
            if path != self.dialin.path(encapsulated):
                continue
            self.reached.append((path, datagram))
            here = Path(
                local=self.dialin.inner,
                local_port=4500 if encapsulated else 500,
                remote=self.dialin.dialled or path.local,
                remote_port=path.local_port,
                encapsulated=encapsulated,
            )
            self.own.now = self.dialin.host.now
            answers += [(path, answer) for _, answer in self.own.receive(datagram, here)]
        return answers

    def give(self, answers: Sent) -> list[tuple[Path, bytes]]:
        """Carry the client's datagrams to the gateway; what that sends."""
        return [
            sent for path, datagram in answers for sent in self.dialin.host.receive(datagram, path)
        ]

    def deliver(self, sent: Sent) -> None:
        """Carry datagrams to and fro until nobody has more to say."""
        waiting = deque([sent])
        while waiting:
            following = self.give(self.take(waiting.popleft()))
            if following:
                waiting.append(following)
