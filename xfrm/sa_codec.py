"""SAs as NETLINK_XFRM messages, and back."""

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from xfrm import messages
from xfrm.constants import IPPROTO_ESP, XFRM_INF, Mode, UdpEncap
from xfrm.flat import HEADER, Layout
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
from xfrm.packing import (
    NUMBERS,
    PADDING,
    attribute,
    attribute_head,
    find_attribute,
    only,
)
from xfrm.selectors import (
    decode_mark,
    decode_selector,
    encode_mark,
    family_of,
    pack_address,
    pack_selector,
    unpack_address,
)

_ALL_PACKETS = (Selector(), Selector(dst="::", dst_prefix=0))
_WORD_BITS = 32
_SMALL_WINDOW = 32
"""Packets that fit the bitmap of struct xfrm_replay_state."""

_SA = only(
    messages.usersa_info.fields,
    *("sel", "id_daddr", "id_spi", "id_proto", "saddr", "lft"),
    *("reqid", "family", "mode", "replay_window"),
)
_SA_ID = only(messages.usersa_id.fields, "daddr", "spi", "family", "proto")
_LARVAL_SA = only(
    messages.userspi_info.fields,
    *("info_id_daddr", "info_id_proto", "info_saddr"),
    *("info_reqid", "info_family", "info_mode", "min", "max"),
)
_LIFETIME = only(
    messages.XFRM_LIFETIME_CFG,
    *("soft_byte_limit", "hard_byte_limit", "soft_packet_limit", "hard_packet_limit"),
    *("soft_add_expires_seconds", "hard_add_expires_seconds"),
)
_CARRIED = only(
    messages.usersa_info.fields,
    *("curlft_bytes", "curlft_packets", "curlft_add_time", "curlft_use_time"),
)
_ATTRIBUTES = HEADER.size + messages.usersa_info.layout.size
"""Where they begin in a message about an SA."""

_ENCRYPTION = attribute_head("XFRMA_ALG_CRYPT", "alg_name", "alg_key_len")
_INTEGRITY = attribute_head("XFRMA_ALG_AUTH_TRUNC", "alg_name", "alg_key_len", "alg_trunc_len")
_AEAD = attribute_head("XFRMA_ALG_AEAD", "alg_name", "alg_key_len", "alg_icv_len")
_ENCAP = attribute("XFRMA_ENCAP", "encap_type", "encap_sport", "encap_dport")
_MAPPING_INTERVAL = attribute("XFRMA_MTIMER_THRESH", "value")
_SET_MARK = attribute("XFRMA_SET_MARK", "value")
_SET_MARK_MASK = attribute("XFRMA_SET_MARK_MASK", "value")
_USAGE = attribute("XFRMA_LTIME_VAL", "bytes", "packets", "add_time", "use_time")
_REPLAY = attribute("XFRMA_REPLAY_VAL", "oseq", "seq", "bitmap")
_LARGE_REPLAY = attribute_head("XFRMA_REPLAY_ESN_VAL", "bmp_len", "oseq", "seq", "replay_window")
_KEPT = 64
"""Heads of attributes that are kept: a few suites and one window are in use."""

_SMALL_STATE, _LARGE_STATE = NUMBERS["XFRMA_REPLAY_VAL"], NUMBERS["XFRMA_REPLAY_ESN_VAL"]
_SMALL = Layout(messages.xfrmmsg.xfrm_replay_state.fields)
_LARGE = Layout(messages.xfrmmsg.xfrm_replay_state_esn.fields)
_FRESH = Replay()


def encode_sa(sa: Sa) -> bytes:
    """The body of XFRM_MSG_NEWSA and XFRM_MSG_UPDSA."""
    small_window = sa.replay_window <= _SMALL_WINDOW
    parts = [
        _SA.pack(
            b"" if sa.selector is None else pack_selector(sa.selector),
            pack_address(sa.dst),
            sa.spi.to_bytes(4, "big"),
            sa.protocol,
            pack_address(sa.src),
            _pack_lifetime(sa.lifetime),
            sa.reqid,
            family_of(sa.dst),
            sa.mode,
            sa.replay_window if small_window else 0,
        ),
        *_encode_algorithms(sa),
    ]
    if sa.encap is not None:
        parts.append(_encode_encap(sa.encap))
    if sa.mapping_interval:
        parts.append(_MAPPING_INTERVAL(sa.mapping_interval))
    if sa.set_mark is not None:
        parts.append(_SET_MARK(sa.set_mark.value))
        parts.append(_SET_MARK_MASK(sa.set_mark.mask))
    if sa.usage is not None:
        usage = sa.usage
        parts.append(_USAGE(usage.bytes, usage.packets, usage.add_time, usage.use_time))
    if not small_window:
        parts.append(_encode_large_replay(sa.replay or _FRESH, sa.replay_window))
    elif sa.replay is not None:
        parts.append(_REPLAY(sa.replay.sent, sa.replay.received, sa.replay.bitmap[0]))
    parts.append(encode_mark(sa.mark))
    return b"".join(parts)


def encode_sa_id(spi: int, dst: str, mark: Mark | None, protocol: int = IPPROTO_ESP) -> bytes:
    """The body of XFRM_MSG_GETSA and XFRM_MSG_DELSA."""
    structure = _SA_ID.pack(pack_address(dst), spi.to_bytes(4, "big"), family_of(dst), protocol)
    return structure + encode_mark(mark)


def encode_larval_sa(src: str, dst: str, reqid: int, lowest: int, highest: int) -> bytes:
    """The body of XFRM_MSG_ALLOCSPI, for an ESP SA in transport mode."""
    return _LARVAL_SA.pack(
        pack_address(dst),
        IPPROTO_ESP,
        pack_address(src),
        reqid,
        family_of(dst),
        Mode.TRANSPORT,
        lowest,
        highest,
    )


def _encode_algorithms(sa: Sa) -> Iterator[bytes]:
    if sa.encryption is not None:
        yield _crypt_head(sa.encryption.name, len(sa.encryption.key))
        yield _padded(sa.encryption.key)
    if sa.integrity is not None:
        truncation = sa.integrity.truncation
        yield _auth_head(sa.integrity.name, len(sa.integrity.key), truncation)
        yield _padded(sa.integrity.key)
    if sa.aead is not None:
        yield _aead_head(sa.aead.name, len(sa.aead.key), sa.aead.icv)
        yield _padded(sa.aead.key)


@lru_cache(_KEPT)
def _crypt_head(name: str, octets: int) -> bytes:
    return _ENCRYPTION(octets, name.encode(), octets * 8)


@lru_cache(_KEPT)
def _auth_head(name: str, octets: int, truncation: int) -> bytes:
    return _INTEGRITY(octets, name.encode(), octets * 8, truncation)


@lru_cache(_KEPT)
def _aead_head(name: str, octets: int, icv: int) -> bytes:
    return _AEAD(octets, name.encode(), octets * 8, icv)


def _padded(key: bytes) -> bytes:
    return key + PADDING[len(key) & 3]


def _encode_encap(encap: Encap) -> bytes:
    return _ENCAP(encap.form, encap.sport.to_bytes(2, "big"), encap.dport.to_bytes(2, "big"))


@lru_cache(_KEPT)
def _pack_lifetime(lifetime: Lifetime) -> bytes:
    """A struct xfrm_lifetime_cfg."""
    soft, hard = lifetime.soft_bytes, lifetime.hard_bytes
    return _LIFETIME.pack(
        XFRM_INF if soft is None else soft,
        XFRM_INF if hard is None else hard,
        XFRM_INF,
        XFRM_INF,
        lifetime.soft_seconds or 0,
        lifetime.hard_seconds or 0,
    )


@lru_cache(_KEPT)
def _encode_large_replay(replay: Replay, window: int) -> bytes:
    words = -(-window // _WORD_BITS)
    bitmap = struct.pack(f"={words}I", *(replay.bitmap + (0,) * words)[:words])
    return _LARGE_REPLAY(len(bitmap), words, replay.sent, replay.received, window) + bitmap


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
        usage=Usage(
            message["curlft_bytes"],
            message["curlft_packets"],
            message["curlft_add_time"],
            message["curlft_use_time"],
        ),
        replay=replay,
        replay_window_errors=message["stats_replay_window"],
        replay_errors=message["stats_replay"],
        integrity_errors=message["stats_integrity_failed"],
        last_used=attributes.get("XFRMA_LASTUSED", 0),
    )


def read_progress(message: bytes) -> Progress:
    """How far an SA of the kernel has come, without decoding the rest of the answer."""
    found = find_attribute(message, _ATTRIBUTES, len(message), _SMALL_STATE, _LARGE_STATE)
    if found is None:
        return Progress(read_usage(message), _FRESH)
    number, start, end = found
    if number == _SMALL_STATE:
        return Progress(read_usage(message), _small_replay(_SMALL.unpack(message, start, end)))
    return Progress(read_usage(message), _large_replay(_LARGE.unpack(message, start, end)))


def read_usage(message: bytes) -> Usage:
    """What an SA of the kernel has carried, likewise."""
    return Usage(*_CARRIED.unpack_from(message, HEADER.size))


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
        return large["replay_window"], _large_replay(large)
    small = attributes.get("XFRMA_REPLAY_VAL")
    return window, _FRESH if small is None else _small_replay(small)


def _small_replay(state: Mapping[str, Any]) -> Replay:
    return Replay(state["oseq"], state["seq"], (state["bitmap"],))


def _large_replay(state: Mapping[str, Any]) -> Replay:
    bitmap = struct.unpack_from(f"={state['bmp_len']}I", state["bmp"])
    return Replay(state["oseq"], state["seq"], bitmap)
