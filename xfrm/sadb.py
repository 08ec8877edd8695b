"""Installs, queries and removes SAs and policies of the kernel (RFC 4301 section 4.4)."""

import errno
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace
from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL

from xfrm import messages
from xfrm.constants import Group, MessageType
from xfrm.errors import KernelError
from xfrm.events import Event
from xfrm.model import Mark, Policy, Progress, Sa, SaState, Usage
from xfrm.netlink import Answer, DumpSocket, EventSocket, Request, RequestSocket
from xfrm.ownership import ours
from xfrm.policy_codec import decode_policy, encode_policy, encode_policy_id
from xfrm.sa_codec import (
    decode_sa_state,
    encode_larval_sa,
    encode_sa,
    encode_sa_id,
    read_progress,
    read_usage,
)
from xfrm.usage import SaName, dump_usage

LOWEST_SPI = 0x100
"""RFC 4303 section 2.1: 1 to 255 are reserved, 0 must not go on the wire."""
HIGHEST_SPI = 0xFFFFFFFF

SEQUENCE_GAP = 1024
"""Sequence numbers skipped by `continuing`, for packets that left after the SA had been read."""

BATCH = 32
"""Requests in one datagram. Each refusal takes about 1 kB of the receive buffer, each SA 2 kB."""

_EVERY_PROTOCOL = bytes(4)
"""A struct xfrm_usersa_flush with no protocol, filled up to four octets."""

_GONE = (errno.ESRCH, errno.ENOENT)


class AddSa(Struct, frozen=True):
    """Install an SA under an SPI that nobody allocated before."""

    sa: Sa


class UpdateSa(Struct, frozen=True):
    """Give the SPI of `Sadb.allocate_spi` its SA. To undo it is to delete the SA."""

    sa: Sa


class AddPolicy(Struct, frozen=True):
    """Install a policy."""

    policy: Policy


Addition = AddSa | UpdateSa | AddPolicy


class Sadb:
    """The kernel's SAD and SPD, in the network namespace in which `open` was called.

    What asks for one thing is done when the call returns, within some 50 microseconds; what asks
    for all of a kind comes in parts and is awaited.
    """

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        self._requests = RequestSocket()
        self._dumps = DumpSocket()
        self._events = EventSocket(on_event) if on_event else None

    async def open(self, groups: Sequence[Group] = (Group.EXPIRE, Group.MAPPING)) -> None:
        """Open the sockets; from here on `on_event` is called. Raises KernelError.

        Group.ACQUIRE has a price: with a listener the kernel keeps a larval SA for each packet
        flow that has a policy but no SA, without one it drops the packet.
        """
        self._requests.open()
        await self._dumps.open()
        if self._events is not None:
            await self._events.listen(groups)

    def close(self) -> None:
        """Close the sockets. What was installed stays."""
        self._requests.close()
        self._dumps.close()
        if self._events is not None:
            self._events.close()

    def allocate_spi(
        self,
        src: str,
        dst: str,
        reqid: int,
        lowest: int = LOWEST_SPI,
        highest: int = HIGHEST_SPI,
    ) -> int:
        """Reserve a random unused SPI of `dst`, for net.core.xfrm_acq_expires seconds (30).

        Raises KernelError.
        """
        body = encode_larval_sa(src, dst, reqid, lowest, highest)
        answer = self._one(Request(body, MessageType.ALLOCSPI), "allocate_spi", f"of {dst}")
        return decode_sa_state(_sa_message(answer)).sa.spi

    def add_sa(self, sa: Sa) -> None:
        """Install an SA under an SPI that nobody allocated. Raises KernelError."""
        self.apply([AddSa(sa)])

    def update_sa(self, sa: Sa) -> None:
        """Give an allocated SPI its SA, or change the lifetime, marks or UDP ports of an SA.

        The addresses and keys of an SA cannot be changed, see `replace_sa`. Raises KernelError.
        """
        self._one(Request(encode_sa(sa), MessageType.UPDSA), "update_sa", _name(sa))

    def delete_sa(self, spi: int, dst: str, mark: Mark | None = None) -> None:
        """Remove an SA. Raises KernelError."""
        body = encode_sa_id(spi, dst, mark)
        self._one(Request(body, MessageType.DELSA), "delete_sa", _name_of(spi, dst))

    def get_sa(self, spi: int, dst: str, mark: Mark | None = None) -> SaState:
        """Read an SA with its counters, sequence numbers and keys. Raises KernelError."""
        body = encode_sa_id(spi, dst, mark)
        answer = self._one(Request(body, MessageType.GETSA), "get_sa", _name_of(spi, dst))
        return decode_sa_state(_sa_message(answer))

    async def list_sas(self) -> list[SaState]:
        """Read all SAs, also those of others and larval ones. Raises KernelError."""
        parts = await self._dumps.dump(messages.usersa_id(), MessageType.GETSA)
        return [decode_sa_state(part) for part in parts]

    def dump_usage(self) -> AsyncIterator[list[tuple[SaName, int]]]:
        """Read what all SAs have carried, in octets, in pieces. Raises KernelError."""
        return dump_usage()

    def replace_sa(self, old: Sa, new: Sa) -> None:
        """Put `new` in the place of `old`, `continuing` it.

        For a peer whose address or port has changed. Raises KernelError; `old` is gone then, unless
        it was gone before.
        """
        answers = self._requests.exchange(
            [
                Request(encode_sa_id(old.spi, old.dst, old.mark), MessageType.GETSA),
                Request(encode_sa_id(old.spi, old.dst, old.mark), MessageType.DELSA),
            ]
        )
        for answer in answers:
            _check(answer, "get_sa", _name(old))
        self.add_sa(continuing(new, read_progress(_message(answers[0]))))

    def add_policy(self, policy: Policy) -> None:
        """Install a policy. Raises KernelError."""
        self.apply([AddPolicy(policy)])

    def update_policy(self, policy: Policy) -> None:
        """Install a policy, in the place of the one with its selector and mark if there is one.

        Raises KernelError.
        """
        body = encode_policy(policy)
        self._one(Request(body, MessageType.UPDPOLICY), "update_policy", _name(policy))

    def delete_policy(self, policy: Policy) -> None:
        """Remove a policy, by its index if it has one, else by selector. Raises KernelError."""
        body = encode_policy_id(policy)
        self._one(Request(body, MessageType.DELPOLICY), "delete_policy", _name(policy))

    async def list_policies(self) -> list[Policy]:
        """Read all policies, also those of others and of sockets. Raises KernelError."""
        parts = await self._dumps.dump(messages.userpolicy_id(), MessageType.GETPOLICY)
        return [decode_policy(part) for part in parts]

    def apply(self, additions: Sequence[Addition]) -> None:
        """Install all of these or none, in one system call and in this order.

        Raises KernelError for the first that the kernel refused; the others have been removed
        again then, and the SPIs of `UpdateSa` are no longer allocated.
        """
        requests = [_addition(addition) for addition in additions]
        answers = self._requests.exchange(requests)
        refused = [pair for pair in zip(additions, answers, strict=True) if pair[1].errno]
        if not refused:
            return
        done = [
            _removal(addition.policy if isinstance(addition, AddPolicy) else addition.sa)
            for addition, answer in zip(additions, answers, strict=True)
            # What got no answer may have been done. An allocated SPI is given up in any case.
            if answer.errno in (0, errno.ENOBUFS) or isinstance(addition, UpdateSa)
        ]
        self._requests.exchange(list(reversed(done)))
        addition, answer = refused[0]
        match addition:
            case AddSa(sa):
                _check(answer, "add_sa", _name(sa))
            case UpdateSa(sa):
                _check(answer, "update_sa", _name(sa))
            case AddPolicy(policy):
                _check(answer, "add_policy", _name(policy))

    def remove(self, things: Sequence[Sa | Policy]) -> None:
        """Remove SAs and policies in as few system calls as possible; what is gone is no error.

        Raises KernelError for the first that could not be removed, after trying all.
        """
        refused: list[KernelError] = []
        for start in range(0, len(things), BATCH):
            part = things[start : start + BATCH]
            answers = self._requests.exchange([_removal(thing) for thing in part])
            for thing, answer in zip(part, answers, strict=True):
                if answer.errno and answer.errno not in _GONE:
                    refused.append(KernelError(answer.errno, "remove", _name(thing), answer.detail))
        if refused:
            raise refused[0]

    def retire(self, sas: Sequence[Sa], policies: Sequence[Policy] = ()) -> list[Progress]:
        """Remove SAs in one system call; how far each had come, nowhere if it was gone.

        At most half of `BATCH`; policies go behind the SAs. Raises KernelError for the first that
        could not be removed, after trying all.
        """
        things: list[Sa | Policy] = [*sas, *policies]
        answers = self._requests.exchange([*map(_question, sas), *map(_removal, things)])
        counted, removed = answers[: len(sas)], answers[len(sas) :]
        for thing, answer in zip(things, removed, strict=True):
            if answer.errno not in _GONE:
                _check(answer, "remove", _name(thing))
        return [
            read_progress(answer.message) if answer.message else Progress() for answer in counted
        ]

    def usage(self, sas: Sequence[Sa]) -> list[Usage]:
        """What each SA has carried, nothing if it is gone, in as few system calls as possible."""
        answers = [
            answer
            for start in range(0, len(sas), BATCH)
            for answer in self._requests.exchange(
                [_question(sa) for sa in sas[start : start + BATCH]]
            )
        ]
        return [read_usage(answer.message) if answer.message else Usage() for answer in answers]

    async def purge(self) -> int:
        """Remove all that this gateway, or an earlier run of it, installed; say how many.

        Raises KernelError.
        """
        # A larval SA without an SPI cannot be named; it expires after xfrm_acq_expires.
        states = await self.list_sas()
        sas = [state.sa for state in states if ours(state.sa) and state.sa.spi]
        policies = [policy for policy in await self.list_policies() if ours(policy)]
        # SAs first: until its policy goes too, traffic without an SA is dropped.
        self.remove([*sas, *policies])
        return len(sas) + len(policies)

    def flush(self) -> None:
        """Remove every SA and every policy, also those of others. Raises KernelError."""
        self._one(Request(_EVERY_PROTOCOL, MessageType.FLUSHSA), "flush", "SAs")
        self._one(Request(b"", MessageType.FLUSHPOLICY), "flush", "policies")

    def _one(self, request: Request, operation: str, what: str) -> Answer:
        (answer,) = self._requests.exchange([request])
        _check(answer, operation, what)
        return answer


def continuing(sa: Sa, progress: Progress) -> Sa:
    """An SA that goes on where one with its keys has stopped, with its counters and lifetime.

    Sequence numbers never repeat, or a counter mode cipher would encrypt twice under one nonce.
    """
    replay = replace(progress.replay, sent=progress.replay.sent + SEQUENCE_GAP)
    return replace(sa, replay=replay, usage=progress.usage)


def _check(answer: Answer, operation: str, what: str) -> None:
    if answer.errno:
        raise KernelError(answer.errno, operation, what, answer.detail)


def _message(answer: Answer) -> bytes:
    assert answer.message is not None, "the kernel answers with a message or an error"
    return answer.message


def _sa_message(answer: Answer) -> messages.usersa_info:
    message = messages.usersa_info(_message(answer))
    message.decode()
    return message


def _addition(addition: Addition) -> Request:
    match addition:
        case AddSa(sa):
            return Request(encode_sa(sa), MessageType.NEWSA, NLM_F_CREATE | NLM_F_EXCL)
        case UpdateSa(sa):
            return Request(encode_sa(sa), MessageType.UPDSA)
        case AddPolicy(policy):
            flags = NLM_F_CREATE | NLM_F_EXCL
            return Request(encode_policy(policy), MessageType.NEWPOLICY, flags)


def _question(sa: Sa) -> Request:
    return Request(encode_sa_id(sa.spi, sa.dst, sa.mark, sa.protocol), MessageType.GETSA)


def _removal(thing: Sa | Policy) -> Request:
    if isinstance(thing, Policy):
        return Request(encode_policy_id(thing), MessageType.DELPOLICY)
    body = encode_sa_id(thing.spi, thing.dst, thing.mark, thing.protocol)
    return Request(body, MessageType.DELSA)


def _name(thing: Sa | Policy) -> str:
    if isinstance(thing, Sa):
        return _name_of(thing.spi, thing.dst)
    selector = thing.selector
    return f"{thing.direction.name} policy {selector.src or 'any'} -> {selector.dst or 'any'}"


def _name_of(spi: int, dst: str) -> str:
    return f"SA 0x{spi:08x} to {dst}"
