"""Hypothesis strategies for SAs and policies."""

from socket import AF_INET6, inet_ntop

from hypothesis import strategies as st

from xfrm.constants import Action, Direction, Mode
from xfrm.model import (
    Aead,
    Encap,
    Encryption,
    Integrity,
    Lifetime,
    Mark,
    Policy,
    Replay,
    Sa,
    Selector,
    Template,
    Usage,
)

octet = st.integers(0, 0xFF)
port = st.integers(0, 0xFFFF)
word = st.integers(0, 0xFFFFFFFF)
long = st.integers(0, 2**64 - 1)
limit = st.none() | st.integers(0, 2**64 - 2)
seconds = st.none() | st.integers(1, 2**63)

ipv4 = st.ip_addresses(v=4).map(str)
# As inet_ntop writes them, which has ::ffff:0.0.0.0 where ipaddress has ::ffff:0:0.
ipv6 = st.ip_addresses(v=6).map(lambda address: inet_ntop(AF_INET6, address.packed))
families = st.sampled_from([(ipv4, 31), (ipv6, 127)])

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789()_-", min_size=1, max_size=63)
keys = st.binary(max_size=80)
marks = st.none() | st.builds(Mark, word, word)
encryptions = st.builds(Encryption, names, keys)
integrities = st.builds(Integrity, names, keys, word)
aeads = st.builds(Aead, names, keys, word)
usages = st.builds(Usage, long, long, long, long)


@st.composite
def selectors(draw: st.DrawFn, addresses: st.SearchStrategy[str], longest: int) -> Selector:
    src = draw(st.none() | addresses)
    dst = draw(addresses)
    prefix = st.none() | st.integers(1, longest)
    return Selector(
        src,
        dst,
        draw(prefix) if src else None,
        draw(prefix),
        draw(octet),
        draw(port),
        draw(port),
    )


@st.composite
def replays(draw: st.DrawFn, window: int) -> Replay:
    words = 1 if window <= 32 else -(-window // 32)
    bitmap = draw(st.lists(word, min_size=words, max_size=words))
    return Replay(draw(word), draw(word), tuple(bitmap))


@st.composite
def sas(draw: st.DrawFn) -> Sa:
    addresses, longest = draw(families)
    window = draw(st.integers(0, 4096))
    return Sa(
        spi=draw(word),
        src=draw(addresses),
        dst=draw(addresses),
        reqid=draw(word),
        encryption=draw(st.none() | encryptions),
        integrity=draw(st.none() | integrities),
        aead=draw(st.none() | aeads),
        selector=draw(st.none() | selectors(addresses, longest)),
        encap=draw(st.none() | st.builds(Encap, port, port)),
        mapping_interval=draw(word),
        mark=draw(marks),
        set_mark=draw(marks),
        replay_window=window,
        lifetime=draw(st.builds(Lifetime, seconds, seconds, limit, limit)),
        replay=draw(st.none() | replays(window)),
        usage=draw(st.none() | usages),
        protocol=draw(octet),
        mode=draw(octet.map(Mode)),
    )


@st.composite
def templates(draw: st.DrawFn, addresses: st.SearchStrategy[str]) -> Template:
    specific = addresses.filter(lambda text: text not in ("0.0.0.0", "::"))
    src, dst = draw(st.just((None, None)) | st.tuples(specific, specific))
    return Template(src, dst, draw(word), draw(octet), draw(octet.map(Mode)), draw(word))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    addresses, longest = draw(families)
    return Policy(
        selector=draw(selectors(addresses, longest)),
        direction=draw(st.sampled_from(Direction)),
        action=draw(st.sampled_from(Action)),
        priority=draw(word),
        templates=tuple(draw(st.lists(templates(addresses), max_size=6))),
        mark=draw(marks),
        index=draw(word),
    )
