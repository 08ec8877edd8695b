"""One worker process among several, as the rest of its program sees the others.

What must be decided at once is decided by claims (`claims`): addresses of the pool, and who is
connected. What the others are to know or to do goes to them as messages (`messages`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from itertools import count

from cli.ikev1d.config import Config
from cli.ikev1d.processes.claims import DIRECTORY, Claims, key_of
from cli.ikev1d.processes.messages import (
    ALL,
    SUPERVISOR,
    AnyMessage,
    Begin,
    Channel,
    EndClient,
    EndUser,
    FlowEnded,
    FlowSeen,
    L2tp,
    Ready,
    UserEnded,
    decode,
)
from cli.ikev1d.processes.others import Others, Wishes
from cli.ikev1d.processes.requests import WORKER_REQUESTS
from ikev1.core.replacement import Proof
from ikev1.core.share import Share
from l2tp.datapath.flows import Flow
from l2tp.datapath.udp import Address, Datagram
from xfrm.steering import home


class Foreign:
    """Numbers with another remainder than a process's own."""

    def __init__(self, share: Share) -> None:
        self._share = share

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and number % self._share.count != self._share.index


class Worker(Others):
    """A worker's other workers. `line` leads to the supervisor; `ended` is called at its end."""

    requests = WORKER_REQUESTS

    def __init__(
        self,
        config: Config,
        share: Share,
        unusable: frozenset[str],
        line: socket.socket,
        ended: Callable[[], None],
    ) -> None:
        self.share = share
        self.unusable = unusable
        self.foreign_tunnel_ids = Foreign(share)
        self._claims = Claims(config.gateway.control_socket.with_name(DIRECTORY))
        self.rivals = self._claims
        self._marks = self.marks(config)
        self._line = line
        self._ended = ended
        self._wishes: Wishes | None = None
        self._channel: Channel | None = None
        self._begun = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._clients: dict[int, int] = {}
        """What they have proved, as the name of a claim, by mark."""
        self._tickets = count()
        self._asked: dict[int, tuple[int, Callable[[], None]]] = {}
        """How many have not answered, and what then, by ticket."""

    async def join(self, wishes: Wishes) -> None:
        """Say that this process is ready; return when all are."""
        self._wishes = wishes
        self._channel = await Channel.open(self._line)
        self._reading = asyncio.create_task(self._read(self._channel))
        self._send(SUPERVISOR, Ready())
        await self._begun.wait()

    def receives(self, mark: int, source: str) -> bool:
        """Whether what comes from an address under no mark, or under this one, is for us."""
        if not mark:
            return home(source, self.share.count) == self.share.index
        return self._marks.engine_of(mark) == self.share.index

    def pass_on(self, datagram: Datagram) -> None:
        """Give L2TP to the process that its mark belongs to."""
        owner = self._marks.engine_of(datagram.mark & self._marks.mask)
        source, local = datagram.source, datagram.local_address
        self._send(owner, L2tp(datagram.payload, *source, local, datagram.mark))

    def flow(self, mark: int, flow: Flow) -> None:
        """A client of ours may send in this flow."""
        self._send(ALL, FlowSeen(mark, *flow))

    def flow_ended(self, mark: int) -> None:
        """A client of ours is gone."""
        self._send(ALL, FlowEnded(mark))

    def user_in(self, user: str) -> None:
        """A user has a session here."""
        self._claims.hold(_user(user))

    def user_out(self, user: str) -> None:
        """A user has none here any more."""
        self._claims.drop(_user(user))

    def has_user(self, user: str) -> bool:
        """Whether a user has a session with another process."""
        return self._claims.elsewhere(_user(user))

    def end_user(self, user: str, cause: str, then: Callable[[], None]) -> None:
        """Have the others end the sessions of a user, and go on."""
        ticket = next(self._tickets)
        self._asked[ticket] = (self.share.count - 1, then)
        self._send(ALL, EndUser(user, cause, self.share.index, ticket))

    def client_in(self, mark: int, proof: Proof | None) -> None:
        """A client that has proved this is connected here."""
        if proof is not None:
            self._clients[mark] = key = _client(proof)
            self._claims.hold(key)

    def client_out(self, mark: int) -> None:
        """It is not any more."""
        key = self._clients.pop(mark, None)
        if key is not None:
            self._claims.drop(key)

    def has_client(self, proof: Proof) -> bool:
        """Whether a client that has proved this is connected to another process."""
        return self._claims.elsewhere(_client(proof))

    def end_client(self, proof: Proof, cause: str) -> None:
        """Have the others end the clients that have proved this."""
        self._send(ALL, EndClient(_client(proof), cause))

    def _send(self, to: int, message: AnyMessage) -> None:
        assert self._channel is not None, "no client comes before `join`"
        self._channel.send(to, message)

    async def _read(self, channel: Channel) -> None:
        async for _, octets in channel.frames():
            self._receive(decode(octets))
        channel.close()
        self._ended()

    def _receive(self, message: AnyMessage) -> None:
        wishes = self._wishes
        assert wishes is not None
        match message:
            case Begin():
                self._begun.set()
            case FlowSeen():
                wishes.flow(message.mark, Flow(message.local, message.peer, message.port))
            case FlowEnded():
                wishes.flow_ended(message.mark)
            case EndUser():
                wishes.end_user(message.user, message.cause)
                self._send(message.worker, UserEnded(message.ticket))
            case UserEnded():
                left, then = self._asked[message.ticket]
                self._asked[message.ticket] = (left - 1, then)
                if left == 1:
                    del self._asked[message.ticket]
                    then()
            case EndClient():
                for mark, key in tuple(self._clients.items()):
                    if key == message.key:
                        wishes.end_client(mark, message.cause)
            case L2tp():
                source = Address(message.source, message.port)
                wishes.l2tp(Datagram(message.payload, source, message.local, message.mark))
            case Ready():
                pass


def _user(user: str) -> int:
    return key_of(b"user", user.encode())


def _client(proof: Proof) -> int:
    return key_of(b"client", proof.connection.encode(), proof.what)
