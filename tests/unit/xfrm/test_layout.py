"""The declared structures against C: `ctypes` lays out the same members by the compiler's rules."""

import ctypes
import sys
from ctypes import c_char, c_int32, c_uint8, c_uint16, c_uint32, c_uint64
from typing import Any

import pytest

from xfrm import messages
from xfrm.flat import Layout
from xfrm.packing import only


class Address(ctypes.Union):
    _fields_ = [("a4", c_uint32), ("a6", c_uint32 * 4)]


class Selector(ctypes.Structure):
    _fields_ = [
        ("daddr", Address),
        ("saddr", Address),
        ("dport", c_uint16),
        ("dport_mask", c_uint16),
        ("sport", c_uint16),
        ("sport_mask", c_uint16),
        ("family", c_uint16),
        ("prefixlen_d", c_uint8),
        ("prefixlen_s", c_uint8),
        ("proto", c_uint8),
        ("ifindex", c_int32),
        ("user", c_uint32),
    ]


class Id(ctypes.Structure):
    _fields_ = [("daddr", Address), ("spi", c_uint32), ("proto", c_uint8)]


class LifetimeConfig(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name, _ in messages.XFRM_LIFETIME_CFG]


class LifetimeCurrent(ctypes.Structure):
    _fields_ = [(name, c_uint64) for name in ("bytes", "packets", "add_time", "use_time")]


class Stats(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("replay_window", "replay", "integrity_failed")]


class UsersaInfo(ctypes.Structure):
    _fields_ = [
        ("sel", Selector),
        ("id", Id),
        ("saddr", Address),
        ("lft", LifetimeConfig),
        ("curlft", LifetimeCurrent),
        ("stats", Stats),
        ("seq", c_uint32),
        ("reqid", c_uint32),
        ("family", c_uint16),
        ("mode", c_uint8),
        ("replay_window", c_uint8),
        ("flags", c_uint8),
    ]


class UsersaId(ctypes.Structure):
    _fields_ = [
        ("daddr", Address),
        ("spi", c_uint32),
        ("family", c_uint16),
        ("proto", c_uint8),
    ]


class UserspiInfo(ctypes.Structure):
    _fields_ = [("info", UsersaInfo), ("min", c_uint32), ("max", c_uint32)]


class UserpolicyInfo(ctypes.Structure):
    _fields_ = [
        ("sel", Selector),
        ("lft", LifetimeConfig),
        ("curlft", LifetimeCurrent),
        ("priority", c_uint32),
        ("index", c_uint32),
        ("dir", c_uint8),
        ("action", c_uint8),
        ("flags", c_uint8),
        ("share", c_uint8),
    ]


class UserpolicyId(ctypes.Structure):
    _fields_ = [("sel", Selector), ("index", c_uint32), ("dir", c_uint8)]


class UserTemplate(ctypes.Structure):
    _fields_ = [
        ("id", Id),
        ("family", c_uint16),
        ("saddr", Address),
        ("reqid", c_uint32),
        ("mode", c_uint8),
        ("share", c_uint8),
        ("optional", c_uint8),
        ("aalgos", c_uint32),
        ("ealgos", c_uint32),
        ("calgos", c_uint32),
    ]


class Acquire(ctypes.Structure):
    _fields_ = [
        ("id", Id),
        ("saddr", Address),
        ("sel", Selector),
        ("policy", UserpolicyInfo),
        ("aalgos", c_uint32),
        ("ealgos", c_uint32),
        ("calgos", c_uint32),
        ("seq", c_uint32),
    ]


class Expire(ctypes.Structure):
    _fields_ = [("state", UsersaInfo), ("hard", c_uint8)]


class PolicyExpire(ctypes.Structure):
    _fields_ = [("pol", UserpolicyInfo), ("hard", c_uint8)]


class Mapping(ctypes.Structure):
    _fields_ = [
        ("id", UsersaId),
        ("reqid", c_uint32),
        ("old_saddr", Address),
        ("new_saddr", Address),
        ("old_sport", c_uint16),
        ("new_sport", c_uint16),
    ]


class Encap(ctypes.Structure):
    _fields_ = [
        ("encap_type", c_uint16),
        ("encap_sport", c_uint16),
        ("encap_dport", c_uint16),
        ("encap_oa", Address),
    ]


class Algorithm(ctypes.Structure):
    _fields_ = [("alg_name", c_char * 64), ("alg_key_len", c_uint32)]


class AlgorithmAuth(ctypes.Structure):
    _fields_ = [
        ("alg_name", c_char * 64),
        ("alg_key_len", c_uint32),
        ("alg_trunc_len", c_uint32),
    ]


class AlgorithmAead(ctypes.Structure):
    _fields_ = [
        ("alg_name", c_char * 64),
        ("alg_key_len", c_uint32),
        ("alg_icv_len", c_uint32),
    ]


class ReplayState(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("oseq", "seq", "bitmap")]


class ReplayStateEsn(ctypes.Structure):
    _fields_ = [
        (name, c_uint32)
        for name in ("bmp_len", "oseq", "seq", "oseq_hi", "seq_hi", "replay_window")
    ]


class AddressFilter(ctypes.Structure):
    _fields_ = [
        ("saddr", Address),
        ("daddr", Address),
        ("family", c_uint16),
        ("splen", c_uint8),
        ("dplen", c_uint8),
    ]


class Offload(ctypes.Structure):
    _fields_ = [("ifindex", c_int32), ("flags", c_uint8)]


class PolicyType(ctypes.Structure):
    _fields_ = [("type", c_uint8), ("reserved1", c_uint16), ("reserved2", c_uint8)]


class MarkPair(ctypes.Structure):
    _fields_ = [("v", c_uint32), ("m", c_uint32)]


class Flush(ctypes.Structure):
    _fields_ = [("proto", c_uint8)]


def offsets(structure: Any, prefix: str = "", base: int = 0) -> dict[str, tuple[int, int]]:
    """Offset and size of every member, those of embedded structures under its prefix."""
    found: dict[str, tuple[int, int]] = {}
    for name, kind in structure._fields_:
        member = getattr(structure, name)
        if isinstance(kind, type) and issubclass(kind, ctypes.Structure):
            found |= offsets(kind, f"{prefix}{name}_", base + member.offset)
        else:
            found[prefix + name] = (base + member.offset, member.size)
    return found


@pytest.mark.parametrize(
    ("declared", "structure"),
    [
        (messages.usersa_info, UsersaInfo),
        (messages.usersa_id, UsersaId),
        (messages.userspi_info, UserspiInfo),
        (messages.usersa_flush, Flush),
        (messages.userpolicy_info, UserpolicyInfo),
        (messages.userpolicy_id, UserpolicyId),
        (messages.user_acquire, Acquire),
        (messages.user_expire, Expire),
        (messages.user_polexpire, PolicyExpire),
        (messages.user_mapping, Mapping),
        (messages.xfrmmsg.xfrm_algo, Algorithm),
        (messages.xfrmmsg.xfrm_algo_auth, AlgorithmAuth),
        (messages.xfrmmsg.xfrm_algo_aead, AlgorithmAead),
        (messages.xfrmmsg.xfrm_encap_tmpl, Encap),
        (messages.xfrmmsg.xfrm_usersa_info, UsersaInfo),
        (messages.xfrmmsg.xfrm_userpolicy_info, UserpolicyInfo),
        (messages.xfrmmsg.xfrm_lifetime_cur, LifetimeCurrent),
        (messages.xfrmmsg.xfrm_replay_state, ReplayState),
        (messages.xfrmmsg.xfrm_replay_state_esn, ReplayStateEsn),
        (messages.xfrmmsg.xfrm_userpolicy_type, PolicyType),
        (messages.xfrmmsg.xfrm_mark, MarkPair),
        (messages.xfrmmsg.xfrm_address_filter, AddressFilter),
        (messages.xfrmmsg.xfrm_user_offload, Offload),
    ],
    ids=lambda value: value.__name__,
)
def test_members_lie_where_c_puts_them(declared: Any, structure: Any) -> None:
    check(declared.fields, structure)


def test_templates_lie_where_c_puts_them() -> None:
    check(messages.xfrmmsg.xfrm_user_tmpl.element, UserTemplate)


def check(fields: tuple[tuple[str, str], ...], structure: Any) -> None:
    layout = Layout(fields)
    assert layout.size == ctypes.sizeof(structure)
    names = {name for name, fmt in fields if not fmt.endswith("x")} - {layout.tail}
    assert names == set(offsets(structure))
    for name, (offset, size) in offsets(structure).items():
        fmt = dict(fields)[name]
        full: Any = b"\xff" * size if fmt.endswith("s") or fmt[0] == ">" else 256**size - 1
        if fmt == "i":
            full = -1
        expected = bytearray(layout.size)
        expected[offset : offset + size] = b"\xff" * size
        assert only(fields, name).pack(full) == bytes(expected), name


def test_network_order_is_kept() -> None:
    fields = (("port", ">H"), ("spi", ">I"), ("native", "H"))
    packed = only(fields, "port", "spi", "native").pack(b"\1\2", b"\3\4\5\6", 7)
    assert packed[:6] == bytes(range(1, 7))
    layout = Layout(fields)
    assert layout.unpack(packed, 0, len(packed)) == {
        "port": 0x0102,
        "spi": 0x03040506,
        "native": 7,
    }


def test_attribute_numbers_are_those_of_the_header_file() -> None:
    numbers = {name: number for number, (name, _) in enumerate(messages.xfrmmsg.nla_map)}
    assert numbers["XFRMA_ALG_CRYPT"] == 2
    assert numbers["XFRMA_ENCAP"] == 4
    assert numbers["XFRMA_TMPL"] == 5
    assert numbers["XFRMA_REPLAY_VAL"] == 10
    assert numbers["XFRMA_SRCADDR"] == 13
    assert numbers["XFRMA_ALG_AEAD"] == 18
    assert numbers["XFRMA_ALG_AUTH_TRUNC"] == 20
    assert numbers["XFRMA_MARK"] == 21
    assert numbers["XFRMA_REPLAY_ESN_VAL"] == 23
    assert numbers["XFRMA_SA_EXTRA_FLAGS"] == 24
    assert numbers["XFRMA_SET_MARK"] == 29
    assert numbers["XFRMA_SET_MARK_MASK"] == 30
    assert numbers["XFRMA_IF_ID"] == 31
    assert numbers["XFRMA_MTIMER_THRESH"] == 32


def test_an_embedded_structure_is_octets() -> None:
    fields = (("a", "B"), ("in_x", "H"), ("in_y", ">H"), ("in_pad", "2x"), ("b", "I"))
    structure = only(fields, "in", "b")
    assert structure.pack(b"embedd", 1) == b"\0embedd" + (1).to_bytes(4, sys.byteorder)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "c"), ("in_x", "in")])
def test_members_that_are_not_declared_in_this_order_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="not members in this order"):
        only((("a", "B"), ("in_x", "H"), ("b", "I")), *names)
