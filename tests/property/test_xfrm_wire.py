"""The flat codec of NETLINK_XFRM against pyroute2's own, and against itself."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pyroute2.netlink import nlmsg
from pyroute2.netlink.exceptions import NetlinkDecodeError

from tests.support.xfrm_strategies import policies, sas, usages, word
from tests.support.xfrm_wire import encoded, read, whole
from xfrm import messages
from xfrm.constants import MessageType
from xfrm.flat import HEADER, FlatMessage, Layout
from xfrm.marshal import MarshalXfrm
from xfrm.model import Policy, Progress, Replay, Sa, Usage
from xfrm.policy_codec import decode_policy, encode_policy, encode_policy_id
from xfrm.sa_codec import (
    decode_sa_state,
    encode_sa,
    encode_sa_id,
    read_progress,
    read_usage,
)

MESSAGES = [
    messages.usersa_info,
    messages.usersa_id,
    messages.userspi_info,
    messages.usersa_flush,
    messages.userpolicy_info,
    messages.userpolicy_id,
    messages.userpolicy_flush,
    messages.user_acquire,
    messages.user_expire,
    messages.user_polexpire,
    messages.user_mapping,
]

_RANGES = {"B": 2**8, "H": 2**16, "I": 2**32, "Q": 2**64}


def member(fmt: str) -> st.SearchStrategy[Any]:
    if fmt == "s":
        return st.binary(max_size=67)
    if fmt.endswith("s"):
        size = int(fmt[:-1])
        return st.binary(min_size=size, max_size=size)
    if fmt == "i":
        return st.integers(-(2**31), 2**31 - 1)
    return st.integers(0, _RANGES[fmt[-1]] - 1)


def structure(fields: tuple[tuple[str, str], ...]) -> st.SearchStrategy[Any]:
    members = {name: member(fmt) for name, fmt in fields if not fmt.endswith("x")}
    return members["value"] if list(members) == ["value"] else st.fixed_dictionaries(members)


def attribute(name: str, kind: str) -> st.SearchStrategy[tuple[str, Any]]:
    nla_class = getattr(messages.xfrmmsg, kind)
    value: st.SearchStrategy[Any]
    if hasattr(nla_class, "element"):
        value = st.lists(structure(nla_class.element), max_size=4)
    elif kind == "cdata":
        value = st.binary(max_size=40)
    else:
        value = structure(nla_class.fields)
    return value.map(lambda made: (name, made))


attributes = st.lists(
    st.one_of(*(attribute(n, k) for n, k in messages.xfrmmsg.nla_map if k != "none")), max_size=8
)


@st.composite
def any_message(draw: st.DrawFn) -> FlatMessage:
    message_class = draw(st.sampled_from(MESSAGES))
    message = message_class()
    message.update(draw(structure(message_class.fields)))
    message["attrs"] = draw(attributes)
    message["header"].update(
        type=draw(st.integers(0, 0xFFFF)),
        flags=draw(st.integers(0, 0xFFFF)),
        sequence_number=draw(word),
        pid=draw(word),
    )
    return message


@given(any_message())
def test_decodes_as_pyroute2_does(message: FlatMessage) -> None:
    data = encoded(message)
    flat, generic = type(message)(data), type(message)(data)
    flat.decode()
    nlmsg.decode(generic)
    assert flat["header"] == generic["header"]
    for name, fmt in type(message).fields:
        if not fmt.endswith("x"):
            assert flat[name] == generic[name] == message[name]
    decoded = [(slot[0], header_free(slot[1])) for slot in generic["attrs"]]
    assert flat["attrs"] == decoded


def header_free(value: Any) -> Any:
    """Strip what pyroute2 keeps of an attribute beside its members."""
    if isinstance(value, dict):
        return {
            name: inner
            for name, inner in value.items()
            if name not in ("header", "attrs") and not name.endswith(("pad", "pad2"))
        }
    return value


@given(st.sampled_from(MESSAGES), st.binary(max_size=400), st.data())
def test_arbitrary_octets_raise_the_decode_error_alone(
    message_class: type[FlatMessage], octets: bytes, data: st.DataObject
) -> None:
    try:
        message_class(octets or bytes(1)).decode()
    except NetlinkDecodeError:
        return
    assert len(octets) >= 16 + Layout(message_class.fields).size


@given(any_message(), st.data())
def test_damaged_messages_raise_the_decode_error_alone(
    message: FlatMessage, data: st.DataObject
) -> None:
    octets = bytearray(encoded(message))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    damaged = type(message)(bytes(octets[: data.draw(st.integers(1, len(octets)))]))
    try:
        damaged.decode()
    except NetlinkDecodeError:
        return
    for name, _ in damaged["attrs"]:
        assert name in dict(messages.xfrmmsg.nla_map)


def as_pyroute2_makes_it(kind: MessageType, body: bytes) -> None:
    """What pyroute2 reads in a message of ours makes the same octets again."""
    message = MarshalXfrm().msg_map[kind](whole(kind, body))
    nlmsg.decode(message)
    message["attrs"] = [(name, header_free(value)) for name, value in read(kind, body)["attrs"]]
    assert encoded(message)[HEADER.size :] == body


@given(sas())
def test_sa_survives(sa: Sa) -> None:
    state = decode_sa_state(read(MessageType.NEWSA, encode_sa(sa)))
    assert state.sa == replace(sa, replay=None, usage=None)
    if sa.replay is not None:
        assert state.replay == sa.replay
    elif sa.replay_window <= 32:
        assert state.replay == Replay()


@given(sas())
def test_sa_is_encoded_as_pyroute2_does(sa: Sa) -> None:
    as_pyroute2_makes_it(MessageType.NEWSA, encode_sa(sa))
    as_pyroute2_makes_it(MessageType.DELSA, encode_sa_id(sa.spi, sa.dst, sa.mark, sa.protocol))


@given(sas(), usages)
def test_progress_is_read_without_decoding_the_rest(sa: Sa, usage: Usage) -> None:
    message = read(MessageType.NEWSA, encode_sa(sa))
    message.update(
        curlft_bytes=usage.bytes,
        curlft_packets=usage.packets,
        curlft_add_time=usage.add_time,
        curlft_use_time=usage.use_time,
    )
    data = encoded(message)
    assert read_usage(data) == usage
    state = decode_sa_state(message)
    assert read_progress(data) == Progress(state.usage, state.replay)


@given(sas())
def test_sa_is_named_by_what_names_it(sa: Sa) -> None:
    received = read(MessageType.DELSA, encode_sa_id(sa.spi, sa.dst, sa.mark, sa.protocol))
    full = read(MessageType.NEWSA, encode_sa(sa))
    assert (received["daddr"], received["spi"], received["proto"], received["family"]) == (
        full["id_daddr"],
        full["id_spi"],
        full["id_proto"],
        full["family"],
    )
    assert received.get_attr("XFRMA_MARK") == full.get_attr("XFRMA_MARK")


@given(policies())
def test_policy_survives(policy: Policy) -> None:
    received = read(MessageType.NEWPOLICY, encode_policy(policy))
    assert decode_policy(received) == policy


@given(policies())
def test_policy_is_encoded_as_pyroute2_does(policy: Policy) -> None:
    # The list of templates is no structure that pyroute2 knows: tests/unit/xfrm/test_layout.py.
    as_pyroute2_makes_it(MessageType.NEWPOLICY, encode_policy(replace(policy, templates=())))
    as_pyroute2_makes_it(MessageType.DELPOLICY, encode_policy_id(policy))


@given(policies())
def test_policy_is_named_by_what_names_it(policy: Policy) -> None:
    received = read(MessageType.DELPOLICY, encode_policy_id(policy))
    full = read(MessageType.NEWPOLICY, encode_policy(policy))
    for name, _ in messages.userpolicy_id.fields:
        if name != "pad":
            assert received[name] == full[name]
    assert received.get_attr("XFRMA_MARK") == full.get_attr("XFRMA_MARK")


@given(sas())
def test_keys_are_not_shown(sa: Sa) -> None:
    secret = b"unmistakable"
    secrets = {
        name: replace(getattr(sa, name), key=secret)
        for name in ("encryption", "integrity", "aead")
        if getattr(sa, name) is not None
    }
    sa = replace(sa, **secrets)
    received = read(MessageType.NEWSA, encode_sa(sa))
    shown = repr(sa) + str(sa) + repr(received) + str(received) + repr(decode_sa_state(received))
    assert secret.decode() not in shown
    assert secret.hex() not in shown
