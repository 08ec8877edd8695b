"""What a client is, told from its vendor IDs, and the few places where that changes an answer."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

APPLE_NAT_T = bytes.fromhex("4df37928e9fc4fd1b3262170d515c662")
MS_ISAKMPOAKLEY = bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461")
MS_INITIAL_CONTACT = bytes.fromhex("26244d38eddb61b3172a36e3d0cfb819")
STRONGSWAN = bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb")
LIBRESWAN_PREFIX = b"OE-Libreswan-"
FRAGMENTATION = bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2d3")
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
NAT_T_00 = bytes.fromhex("4485152d18b6bbcd0be8a8469579ddcc")
XAUTH = bytes.fromhex("09002689dfd6b712")

_WINDOWS: dict[int, str] = {
    2: "Windows 2000",
    3: "Windows XP SP1",
    4: "Windows XP SP2 or 2003",
    5: "Windows Vista",
    6: "Windows 2008",
    7: "Windows 7",
    8: "Windows 2008 R2",
    9: "Windows 8 or later",
}


class Implementation(Struct, frozen=True):
    """What the vendor IDs of message 1 say of the client."""

    name: str
    avoid_sha256: bool = False
    """Android's racoon truncates HMAC-SHA2-256 to 96 bits where RFC 4868 says 128."""
    initial_contact: bool = False
    """Windows says by a vendor ID in message 1 that it has no Phase 1 SA with us."""
    shows_dn: bool = False
    """Windows shows the subject of its certificate, and is shown that of ours."""
    dpd: bool = False
    """Dead peer detection may be used (RFC 3706 section 5.1)."""


UNKNOWN = Implementation("unknown")

KEPT = 64
"""Lists of vendor IDs of which it is remembered what they say. There are some thirty kinds of
clients; a stranger's take 12 kB each at the most."""


@lru_cache(maxsize=KEPT)
def recognise(vendor_ids: tuple[bytes, ...]) -> Implementation:
    """Name the implementation, from what only it sends; "unknown" is an answer."""
    known = frozenset(vendor_ids)
    dpd = DPD in known
    if APPLE_NAT_T in known:
        return Implementation("Apple", dpd=dpd)
    for vendor_id in vendor_ids:
        if vendor_id.startswith(MS_ISAKMPOAKLEY) and len(vendor_id) == 20:
            version = int.from_bytes(vendor_id[16:], "big")
            return Implementation(
                _WINDOWS.get(version, f"Windows (version {version})"),
                initial_contact=MS_INITIAL_CONTACT in known,
                shows_dn=True,
                dpd=dpd,
            )
        if vendor_id.startswith(LIBRESWAN_PREFIX):
            return Implementation("libreswan", dpd=dpd)
    if STRONGSWAN in known:
        return Implementation("strongSwan", dpd=dpd)
    # Of the clients that still name draft-00, only Android's racoon also names fragmentation.
    if NAT_T_00 in known and any(vendor_id.startswith(FRAGMENTATION) for vendor_id in vendor_ids):
        return Implementation("Android", avoid_sha256=True, dpd=dpd)
    if XAUTH in known and dpd:
        return Implementation("strongSwan or alike", dpd=dpd)
    return Implementation("unknown", dpd=dpd)
