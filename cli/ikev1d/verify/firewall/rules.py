"""A packet filter of either kind as values, and what becomes of a packet in it.

Conditions that are not understood make an answer doubtful, never wrong: a rule that may accept a
packet ends the search, a rule that may drop it is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network

MAX_DEPTH = 16
"""Jumps into chains; the kernel allows as many (NFT_JUMP_STACK_SIZE)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of somebody new. None is whatever it may be."""

    protocol: str
    """"udp", "esp" or "tcp"."""
    dport: int | None = None
    source: IPv4Address | None = None
    iif: str | None = None
    through_sa: bool = False
    """Whether it has come out of an ESP SA."""


class Field(Enum):
    """What a condition looks at."""

    PROTOCOL = "protocol"
    DPORT = "destination port"
    SOURCE = "source address"
    IIF = "input interface"
    STATE = "connection tracking state"
    IPSEC = "came through an SA"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a rule: any of `values`, or with `negated` none of them.

    Values are protocol names, ranges of ports, networks, patterns of interface names, states, or
    booleans, as their field has it.
    """

    field: Field
    values: tuple[object, ...] = ()
    negated: bool = False


OTHER = Condition(Field.OTHER)


class Verdict(Enum):
    """What a rule does."""

    ACCEPT = "accept"
    DROP = "drop"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    TRANSLATE = "translate"
    """Masquerading and other translation of the source."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MarkUse:
    """That a rule sets, or looks at, the packet mark: these bits of it, to or for this value."""

    bits: int
    value: int
    sets: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    conditions: tuple[Condition, ...] = ()
    verdict: Verdict = Verdict.NONE
    target: str = ""
    """The chain to jump to."""
    marks: tuple[MarkUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain, by the name under which the tool knows it: "inet filter input", "INPUT"."""

    tool: str
    """"nft" or "iptables"."""
    table: str
    name: str
    hook: str = ""
    """"input", "forward", "output", "prerouting" or "postrouting"; "" if others jump to it."""
    policy: Verdict = Verdict.ACCEPT
    rules: tuple[Rule, ...] = ()

    def __str__(self) -> str:
        return f"{self.tool} {self.table} {self.name}"


@dataclass(frozen=True, slots=True)
class Drop:
    """The packet is dropped, by a rule of this base chain or where that ends, by its policy."""

    chain: Chain
    by_policy: bool


class Passes(Enum):
    """The packet gets through a chain, for all that can be told."""

    SURELY = 1
    MAYBE = 2


Fate = Drop | Passes


def dropped(chains: Sequence[Chain], hook: str, packet: Packet) -> Drop | None:
    """Where a packet is surely dropped on its way through a hook; None if it may get through."""
    by_name = {(chain.tool, chain.table, chain.name): chain for chain in chains}
    for chain in chains:
        if chain.hook != hook:
            continue
        fate = _walk(chain, by_name, packet, 0)
        if fate is None and chain.policy is Verdict.DROP:
            return Drop(chain, by_policy=True)
        if isinstance(fate, Drop):
            return Drop(chain, by_policy=False)
    return None


def matches(rule: Rule, packet: Packet) -> bool | None:
    """Whether a packet meets all conditions; None if that cannot be told."""
    answers = [_holds(condition, packet) for condition in rule.conditions]
    if False in answers:
        return False
    return None if None in answers else True


def _walk(
    chain: Chain, by_name: Mapping[tuple[str, str, str], Chain], packet: Packet, depth: int
) -> Fate | None:
    """What becomes of the packet in a chain; None if it leaves at its end."""
    if depth > MAX_DEPTH:
        return Passes.MAYBE
    may_leave = False
    for rule in chain.rules:
        met = matches(rule, packet)
        if met is False:
            continue
        fate: Fate | None = None
        ends = False
        match rule.verdict:
            case Verdict.ACCEPT:
                fate = Passes.SURELY
            case Verdict.DROP:
                fate = Drop(chain, by_policy=False)
            case Verdict.RETURN:
                ends = True
            case Verdict.JUMP | Verdict.GOTO:
                fate = _into(chain, rule, by_name, packet, depth)
                ends = fate is None and rule.verdict is Verdict.GOTO
            case _:
                pass
        if isinstance(fate, Passes):
            return fate if met and not may_leave else Passes.MAYBE
        if met and (ends or fate is not None):
            # Where the packet may have left before, what comes behind this chain decides.
            return None if may_leave else fate
        may_leave = may_leave or ends
    return None


def _into(
    chain: Chain,
    rule: Rule,
    by_name: Mapping[tuple[str, str, str], Chain],
    packet: Packet,
    depth: int,
) -> Fate | None:
    target = by_name.get((chain.tool, chain.table, rule.target))
    return Passes.MAYBE if target is None else _walk(target, by_name, packet, depth + 1)


def _holds(condition: Condition, packet: Packet) -> bool | None:
    answer: bool | None = None
    match condition.field:
        case Field.PROTOCOL:
            answer = packet.protocol in condition.values
        case Field.DPORT if packet.dport is not None:
            answer = any(isinstance(r, range) and packet.dport in r for r in condition.values)
        case Field.SOURCE if packet.source is not None:
            source = packet.source
            answer = any(isinstance(n, IPv4Network) and source in n for n in condition.values)
        case Field.IIF if packet.iif is not None:
            answer = any(fnmatchcase(packet.iif, str(pattern)) for pattern in condition.values)
        case Field.STATE:
            answer = "new" in condition.values
        case Field.IPSEC:
            answer = packet.through_sa in condition.values
        case _:
            return None
    return answer if answer is None else answer is not condition.negated
