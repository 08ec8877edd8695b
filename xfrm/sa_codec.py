"""SAs as NETLINK_XFRM messages, and back."""

import struct
from collections.abc import Mapping
from typing import Any

from xfrm import messages
from xfrm.constants import IPPROTO_ESP, XFRM_INF, Mode, UdpEncap
from xfrm.model import (
    Aead,
    Encap,
    Encryption,
    Integrity,
    Lifetime,
    Mark,
    Progress,
    Replay,
    Sa,
    SaState,
    Selector,
    Usage,
)
from xfrm.selectors import (
    decode_mark,
    decode_selector,
    encode_mark,
    encode_selector,
    family_of,
    pack_address,
    unpack_address,
)

_ALL_PACKETS = (Selector(), Selector(dst="::", dst_prefix=0))
_WORD_BITS = 32
_SMALL_WINDOW = 32
"""Packets that fit the bitmap of struct xfrm_replay_state."""


def encode_sa(sa: Sa) -> messages.usersa_info:
    """The body of XFRM_MSG_NEWSA and XFRM_MSG_UPDSA."""
    message = messages.usersa_info()
    message.update(
        id_daddr=pack_address(sa.dst),
        id_spi=sa.spi,
        id_proto=sa.protocol,
        saddr=pack_address(sa.src),
        reqid=sa.reqid,
        family=family_of(sa.dst),
        mode=sa.mode,
        **_encode_lifetime(sa.lifetime),
    )
    if sa.selector is not None:
        message.update(encode_selector(sa.selector))
    attributes = _encode_algorithms(sa)
    if sa.encap is not None:
        encap = {
            "encap_type": sa.encap.form,
            "encap_sport": sa.encap.sport,
            "encap_dport": sa.encap.dport,
        }
        attributes.append(("XFRMA_ENCAP", encap))
    if sa.mapping_interval:
        attributes.append(("XFRMA_MTIMER_THRESH", sa.mapping_interval))
    if sa.set_mark is not None:
        attributes.append(("XFRMA_SET_MARK", sa.set_mark.value))
        attributes.append(("XFRMA_SET_MARK_MASK", sa.set_mark.mask))
    if sa.usage is not None:
        usage = {
            "bytes": sa.usage.bytes,
            "packets": sa.usage.packets,
            "add_time": sa.usage.add_time,
            "use_time": sa.usage.use_time,
        }
        attributes.append(("XFRMA_LTIME_VAL", usage))
    if sa.replay_window <= _SMALL_WINDOW:
        message["replay_window"] = sa.replay_window
        if sa.replay is not None:
            attributes.append(("XFRMA_REPLAY_VAL", _encode_replay(sa.replay)))
    else:
        replay = _encode_large_replay(sa.replay or Replay(), sa.replay_window)
        attributes.append(("XFRMA_REPLAY_ESN_VAL", replay))
    message["attrs"] = attributes + encode_mark(sa.mark)
    return message


def encode_sa_id(
    spi: int, dst: str, mark: Mark | None, protocol: int = IPPROTO_ESP
) -> messages.usersa_id:
    """The body of XFRM_MSG_GETSA and XFRM_MSG_DELSA."""
    message = messages.usersa_id()
    message.update(daddr=pack_address(dst), spi=spi, family=family_of(dst), proto=protocol)
    message["attrs"] = encode_mark(mark)
    return message


def encode_larval_sa(
    src: str, dst: str, reqid: int, lowest: int, highest: int
) -> messages.userspi_info:
    """The body of XFRM_MSG_ALLOCSPI, for an ESP SA in transport mode."""
    message = messages.userspi_info()
    message.update(
        info_id_daddr=pack_address(dst),
        info_id_proto=IPPROTO_ESP,
        info_saddr=pack_address(src),
        info_reqid=reqid,
        info_family=family_of(dst),
        info_mode=Mode.TRANSPORT,
        min=lowest,
        max=highest,
    )
    return message


def _encode_algorithms(sa: Sa) -> list[tuple[str, Any]]:
    attributes: list[tuple[str, Any]] = []
    if sa.encryption is not None:
        attributes.append(("XFRMA_ALG_CRYPT", _algorithm(sa.encryption)))
    if sa.integrity is not None:
        members = _algorithm(sa.integrity) | {"alg_trunc_len": sa.integrity.truncation}
        attributes.append(("XFRMA_ALG_AUTH_TRUNC", members))
    if sa.aead is not None:
        members = _algorithm(sa.aead) | {"alg_icv_len": sa.aead.icv}
        attributes.append(("XFRMA_ALG_AEAD", members))
    return attributes


def _algorithm(algorithm: Encryption | Integrity | Aead) -> dict[str, Any]:
    return {
        "alg_name": algorithm.name.encode(),
        "alg_key_len": len(algorithm.key) * 8,
        "alg_key": algorithm.key,
    }


def _encode_lifetime(lifetime: Lifetime) -> dict[str, int]:
    soft, hard = lifetime.soft_bytes, lifetime.hard_bytes
    return {
        "lft_soft_byte_limit": XFRM_INF if soft is None else soft,
        "lft_hard_byte_limit": XFRM_INF if hard is None else hard,
        "lft_soft_packet_limit": XFRM_INF,
        "lft_hard_packet_limit": XFRM_INF,
        "lft_soft_add_expires_seconds": lifetime.soft_seconds or 0,
        "lft_hard_add_expires_seconds": lifetime.hard_seconds or 0,
    }


def _encode_replay(replay: Replay) -> dict[str, int]:
    return {"oseq": replay.sent, "seq": replay.received, "bitmap": replay.bitmap[0]}


def _encode_large_replay(replay: Replay, window: int) -> dict[str, Any]:
    words = -(-window // _WORD_BITS)
    bitmap = (replay.bitmap + (0,) * words)[:words]
    return {
        "bmp_len": words,
        "oseq": replay.sent,
        "seq": replay.received,
        "replay_window": window,
        "bmp": struct.pack(f"={words}I", *bitmap),
    }


def decode_sa_state(message: Mapping[str, Any]) -> SaState:
    """An SA of the kernel: the answer to XFRM_MSG_GETSA, one entry of a dump."""
    attributes = dict(message["attrs"])
    family = message["family"]
    window, replay = _decode_replay(message["replay_window"], attributes)
    encryption, integrity, aead = _decode_algorithms(attributes)
    sa = Sa(
        spi=message["id_spi"],
        src=unpack_address(family, message["saddr"]),
        dst=unpack_address(family, message["id_daddr"]),
        reqid=message["reqid"],
        encryption=encryption,
        integrity=integrity,
        aead=aead,
        selector=_decode_sa_selector(message),
        encap=_decode_encap(attributes),
        mark=decode_mark(attributes),
        set_mark=_decode_set_mark(attributes),
        mapping_interval=attributes.get("XFRMA_MTIMER_THRESH", 0),
        replay_window=window,
        lifetime=_decode_lifetime(message),
        protocol=message["id_proto"],
        mode=Mode(message["mode"]),
    )
    return SaState(
        sa=sa,
        usage=decode_usage(message),
        replay=replay,
        replay_window_errors=message["stats_replay_window"],
        replay_errors=message["stats_replay"],
        integrity_errors=message["stats_integrity_failed"],
        last_used=attributes.get("XFRMA_LASTUSED", 0),
    )


def decode_progress(message: Mapping[str, Any]) -> Progress:
    """How far an SA of the kernel has come."""
    _, replay = _decode_replay(message["replay_window"], dict(message["attrs"]))
    return Progress(decode_usage(message), replay)


def decode_usage(message: Mapping[str, Any]) -> Usage:
    """What an SA of the kernel has carried."""
    return Usage(
        bytes=message["curlft_bytes"],
        packets=message["curlft_packets"],
        add_time=message["curlft_add_time"],
        use_time=message["curlft_use_time"],
    )


def _decode_algorithms(
    attributes: Mapping[str, Any],
) -> tuple[Encryption | None, Integrity | None, Aead | None]:
    crypt = attributes.get("XFRMA_ALG_CRYPT")
    auth = attributes.get("XFRMA_ALG_AUTH_TRUNC")
    combined = attributes.get("XFRMA_ALG_AEAD")
    return (
        crypt and Encryption(_algorithm_name(crypt), _key(crypt)),
        auth and Integrity(_algorithm_name(auth), _key(auth), auth["alg_trunc_len"]),
        combined and Aead(_algorithm_name(combined), _key(combined), combined["alg_icv_len"]),
    )


def _algorithm_name(algorithm: Mapping[str, Any]) -> str:
    name: bytes = algorithm["alg_name"]
    return name.rstrip(b"\0").decode("ascii", "replace")


def _key(algorithm: Mapping[str, Any]) -> bytes:
    # An attribute is padded to a multiple of four octets; the padding is not of the key.
    key: bytes = algorithm["alg_key"]
    return key[: algorithm["alg_key_len"] // 8]


def _decode_sa_selector(message: Mapping[str, Any]) -> Selector | None:
    if not message["sel_family"]:  # a larval SA
        return None
    selector = decode_selector(message)
    return None if selector in _ALL_PACKETS else selector


def _decode_encap(attributes: Mapping[str, Any]) -> Encap | None:
    encap = attributes.get("XFRMA_ENCAP")
    if encap is None:
        return None
    return Encap(encap["encap_sport"], encap["encap_dport"], UdpEncap(encap["encap_type"]))


def _decode_set_mark(attributes: Mapping[str, Any]) -> Mark | None:
    value = attributes.get("XFRMA_SET_MARK")
    if value is None:
        return None
    return Mark(value, attributes.get("XFRMA_SET_MARK_MASK", 0xFFFFFFFF))


def _decode_lifetime(message: Mapping[str, Any]) -> Lifetime:
    soft, hard = message["lft_soft_byte_limit"], message["lft_hard_byte_limit"]
    return Lifetime(
        soft_seconds=message["lft_soft_add_expires_seconds"] or None,
        hard_seconds=message["lft_hard_add_expires_seconds"] or None,
        soft_bytes=None if soft == XFRM_INF else soft,
        hard_bytes=None if hard == XFRM_INF else hard,
    )


def _decode_replay(window: int, attributes: Mapping[str, Any]) -> tuple[int, Replay]:
    large = attributes.get("XFRMA_REPLAY_ESN_VAL")
    if large is not None:
        bitmap = struct.unpack_from(f"={large['bmp_len']}I", large["bmp"])
        return large["replay_window"], Replay(large["oseq"], large["seq"], bitmap)
    small = attributes.get("XFRMA_REPLAY_VAL")
    if small is None:
        return window, Replay()
    return window, Replay(small["oseq"], small["seq"], (small["bitmap"],))
