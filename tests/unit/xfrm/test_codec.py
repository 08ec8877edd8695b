"""What the codecs put where; that everything survives is in tests/property/test_xfrm_wire.py."""

import struct
from typing import Any

from tests.support.xfrm_wire import read
from xfrm.algorithms import encryption, integrity
from xfrm.constants import XFRM_INF, Action, Direction, MessageType, Mode
from xfrm.events import Acquire, Expire, NatMapping, decode_event
from xfrm.flat import FlatMessage
from xfrm.messages import user_acquire, user_expire, user_mapping
from xfrm.model import Encap, Lifetime, Mark, Policy, Replay, Sa, Selector, Template
from xfrm.policy_codec import encode_policy
from xfrm.sa_codec import encode_sa
from xfrm.selectors import pack_address

AF_INET, AF_INET6 = 2, 10


def sa(**changes: Any) -> Sa:
    return Sa(spi=0x01020304, src="192.0.2.1", dst="192.0.2.2", reqid=7, **changes)


def new_sa(made: Sa) -> FlatMessage:
    return read(MessageType.NEWSA, encode_sa(made))


def new_policy(policy: Policy) -> FlatMessage:
    return read(MessageType.NEWPOLICY, encode_policy(policy))


def test_addresses_take_the_first_octets() -> None:
    assert pack_address("192.0.2.1") == bytes([192, 0, 2, 1]) + bytes(12)
    assert pack_address("2001:db8::1")[:4] == b"\x20\x01\x0d\xb8"
    assert pack_address(None) == bytes(16)


def test_sa_without_limits_never_expires() -> None:
    message = new_sa(sa())
    assert message["lft_hard_byte_limit"] == message["lft_soft_packet_limit"] == XFRM_INF
    assert message["lft_hard_add_expires_seconds"] == 0
    assert message["attrs"] == []


def test_lifetime_limits() -> None:
    message = new_sa(
        sa(lifetime=Lifetime(soft_seconds=5, hard_seconds=6, soft_bytes=7, hard_bytes=8))
    )
    assert message["lft_soft_add_expires_seconds"] == 5
    assert message["lft_hard_add_expires_seconds"] == 6
    assert message["lft_soft_byte_limit"] == 7
    assert message["lft_hard_byte_limit"] == 8


def test_attributes_of_an_sa() -> None:
    message = new_sa(
        sa(
            encryption=encryption("aes-cbc", b"k" * 16),
            integrity=integrity("hmac-sha1-96", b"m" * 20),
            encap=Encap(4500, 40000),
            mapping_interval=5,
            mark=Mark(1, 3),
            set_mark=Mark(4, 12),
            replay=Replay(sent=9, received=8, bitmap=(7,)),
        )
    )
    assert message["replay_window"] == 32
    assert dict(message["attrs"]) == {
        "XFRMA_ALG_CRYPT": {
            "alg_name": b"cbc(aes)".ljust(64, b"\0"),
            "alg_key_len": 128,
            "alg_key": b"k" * 16,
        },
        "XFRMA_ALG_AUTH_TRUNC": {
            "alg_name": b"hmac(sha1)".ljust(64, b"\0"),
            "alg_key_len": 160,
            "alg_trunc_len": 96,
            "alg_key": b"m" * 20,
        },
        "XFRMA_ENCAP": {
            "encap_type": 2,
            "encap_sport": 4500,
            "encap_dport": 40000,
            "encap_oa": bytes(16),
        },
        "XFRMA_MTIMER_THRESH": 5,
        "XFRMA_SET_MARK": 4,
        "XFRMA_SET_MARK_MASK": 12,
        "XFRMA_MARK": {"v": 1, "m": 3},
        "XFRMA_REPLAY_VAL": {"oseq": 9, "seq": 8, "bitmap": 7},
    }


def test_window_that_needs_the_large_structure() -> None:
    message = new_sa(sa(replay_window=33, replay=Replay(sent=1, received=2, bitmap=(3,))))
    assert message["replay_window"] == 0
    assert message.get_attr("XFRMA_REPLAY_ESN_VAL") == {
        "bmp_len": 2,
        "oseq": 1,
        "seq": 2,
        "oseq_hi": 0,
        "seq_hi": 0,
        "replay_window": 33,
        "bmp": struct.pack("=2I", 3, 0),
    }


def test_ports_are_matched_whole_or_not_at_all() -> None:
    message = new_policy(Policy(Selector(dport=1701, protocol=17), Direction.IN))
    assert (message["sel_dport"], message["sel_dport_mask"]) == (1701, 0xFFFF)
    assert (message["sel_sport"], message["sel_sport_mask"]) == (0, 0)
    assert (message["sel_family"], message["sel_prefixlen_d"]) == (AF_INET, 0)


def test_prefix_is_the_whole_address_by_default() -> None:
    message = new_policy(Policy(Selector("2001:db8::1", "2001:db8::", None, 32), Direction.OUT))
    assert (message["sel_prefixlen_s"], message["sel_prefixlen_d"]) == (128, 32)
    assert message["sel_family"] == AF_INET6


def test_template_takes_any_algorithm() -> None:
    policy = Policy(
        Selector("192.0.2.1", "192.0.2.2"),
        Direction.OUT,
        Action.ALLOW,
        templates=(Template("192.0.2.1", "192.0.2.2", reqid=7),),
    )
    (template,) = new_policy(policy).get_attr("XFRMA_TMPL")
    assert template["aalgos"] == template["ealgos"] == template["calgos"] == 0xFFFFFFFF
    assert (template["id_proto"], template["mode"], template["reqid"]) == (50, Mode.TRANSPORT, 7)


def test_mode_of_a_newer_kernel_has_a_name() -> None:
    assert Mode(5).name == "MODE(5)"
    assert Mode(5) == 5


def event(message: Any, number: int, attributes: list[tuple[str, Any]], **members: Any) -> Any:
    message["header"]["type"] = number
    message.update(members)
    message["attrs"] = attributes
    return decode_event(message)


def test_expire() -> None:
    members = {
        "state_id_spi": 0x10,
        "state_id_daddr": pack_address("192.0.2.1"),
        "state_id_proto": 50,
        "state_family": AF_INET,
        "state_reqid": 7,
    }
    marked = [("XFRMA_MARK", {"v": 1, "m": 3})]
    assert event(user_expire(), 0x18, marked, hard=1, **members) == Expire(
        0x10, "192.0.2.1", 50, 7, Mark(1, 3), hard=True
    )
    assert event(user_expire(), 0x18, [], hard=0, **members) == Expire(
        0x10, "192.0.2.1", 50, 7, None, hard=False
    )


def test_mapping() -> None:
    made = event(
        user_mapping(),
        0x26,
        [],
        id_spi=0x10,
        id_daddr=pack_address("192.0.2.1"),
        id_family=AF_INET,
        reqid=7,
        old_saddr=pack_address("192.0.2.2"),
        old_sport=4500,
        new_saddr=pack_address("192.0.2.3"),
        new_sport=1024,
    )
    assert made == NatMapping(0x10, "192.0.2.1", 7, "192.0.2.2", 4500, "192.0.2.3", 1024)


def test_acquire() -> None:
    made = event(
        user_acquire(),
        0x17,
        [("XFRMA_MARK", {"v": 1, "m": 3})],
        id_daddr=pack_address("192.0.2.2"),
        saddr=pack_address("192.0.2.1"),
        sel_family=AF_INET,
        sel_daddr=pack_address("192.0.2.2"),
        sel_saddr=pack_address("192.0.2.1"),
        sel_prefixlen_d=32,
        sel_prefixlen_s=32,
        sel_proto=17,
        sel_sport=1701,
        sel_sport_mask=0xFFFF,
        sel_dport=0,
        sel_dport_mask=0,
        policy_sel_family=AF_INET,
        policy_index=9,
    )
    selector = Selector("192.0.2.1", "192.0.2.2", protocol=17, sport=1701)
    assert made == Acquire("192.0.2.1", "192.0.2.2", selector, 9, Mark(1, 3))


def test_other_notifications_are_no_events() -> None:
    assert event(new_sa(sa()), 0x10, []) is None
