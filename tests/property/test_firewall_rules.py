"""A rule that is not understood never makes a packet surely dropped."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from cli.ikev1d.verify.firewall.rules import (
    OTHER,
    Chain,
    Condition,
    Field,
    Packet,
    Rule,
    Verdict,
    dropped,
)

NAMES = ("input", "first", "second", "third")
CONDITIONS = st.one_of(
    st.just(OTHER),
    st.builds(
        Condition,
        st.just(Field.PROTOCOL),
        st.sampled_from([("udp",), ("esp",), ("udp", "tcp")]),
        st.booleans(),
    ),
    st.builds(
        Condition,
        st.just(Field.DPORT),
        st.sampled_from([(range(500, 501),), (range(1000),), (range(4500, 4501),)]),
        st.booleans(),
    ),
    st.builds(Condition, st.just(Field.SOURCE), st.just((IPv4Network("192.0.2.0/24"),))),
    st.builds(Condition, st.just(Field.STATE), st.sampled_from([("new",), ("established",)])),
)
PLAIN = st.sampled_from([Verdict.ACCEPT, Verdict.DROP, Verdict.RETURN, Verdict.NONE])
PACKETS = st.builds(
    Packet,
    st.sampled_from(["udp", "esp"]),
    st.sampled_from([None, 500, 4500]),
    st.sampled_from([None, IPv4Address("192.0.2.7"), IPv4Address("10.0.0.1")]),
)


@st.composite
def rules(draw: st.DrawFn, index: int) -> Rule:
    """A rule of the chain with this index, which jumps to later ones alone: none go round."""
    conditions = tuple(draw(st.lists(CONDITIONS, max_size=2)))
    if index + 1 < len(NAMES) and draw(st.booleans()):
        verdict = draw(st.sampled_from([Verdict.JUMP, Verdict.GOTO]))
        return Rule(conditions, verdict, draw(st.sampled_from(NAMES[index + 1 :])))
    return Rule(conditions, draw(PLAIN))


@st.composite
def filters(draw: st.DrawFn) -> list[Chain]:
    return [
        Chain(
            tool="nft",
            table="inet filter",
            name=name,
            hook="" if index else "input",
            policy=draw(st.sampled_from([Verdict.ACCEPT, Verdict.DROP])),
            rules=tuple(draw(st.lists(rules(index), max_size=4))),
        )
        for index, name in enumerate(NAMES)
    ]


def inserted(chains: list[Chain], chain: int, place: int, rule: Rule) -> list[Chain]:
    """The same filter with one rule more."""
    old = chains[chain]
    place = min(place, len(old.rules))
    new = Chain(
        tool=old.tool,
        table=old.table,
        name=old.name,
        hook=old.hook,
        policy=old.policy,
        rules=(*old.rules[:place], rule, *old.rules[place:]),
    )
    return [*chains[:chain], new, *chains[chain + 1 :]]


@given(
    filters(),
    PACKETS,
    st.integers(0, len(NAMES) - 1),
    st.integers(0, 4),
    st.sampled_from([Verdict.ACCEPT, Verdict.DROP, Verdict.RETURN, Verdict.NONE]),
)
def test_a_doubtful_rule_never_drops(
    chains: list[Chain], packet: Packet, chain: int, place: int, verdict: Verdict
) -> None:
    more = inserted(chains, chain, place, Rule((OTHER,), verdict))
    before, after = dropped(chains, "input", packet), dropped(more, "input", packet)
    assert before is not None or after is None
    if verdict in (Verdict.DROP, Verdict.NONE):
        assert (before is None) == (after is None)
