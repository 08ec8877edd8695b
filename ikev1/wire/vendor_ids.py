"""Vendor IDs by name: what is sent and looked for, and what a log shows.

Most are the MD5 hash of a text. Some are cut short, and some have a version or a capability word
after them, which may be missing: programs differ in that even for one and the same vendor ID.
"""

from dataclasses import dataclass

# Octets of an unknown vendor ID, or of what follows a known one, that are shown.
MAX_SHOWN = 32

RFC_3947 = bytes.fromhex("4a131c81070358455c5728f20e95452f")
NAT_T_DRAFT_02 = bytes.fromhex("cd60464335df21f87cfdb2fc68b6a448")
# With the line end that got into the hash in the programs of Microsoft and many others.
NAT_T_DRAFT_02_N = bytes.fromhex("90cb80913ebb696e086381b5ec427b1f")
NAT_T_DRAFT_03 = bytes.fromhex("7d9419a65310ca6f2c179d9215529d56")
# RFC 3706 section 5.1: a hash cut to 14 octets, then major and minor version.
DPD = bytes.fromhex("afcad71368a1f1c96b8696fc77570100")
# The hash alone. Apple's racoon reads a capability word after it, whether there is one or not.
FRAGMENTATION = bytes.fromhex("4048b7d56ebce88525e7de7f00d6c2d3")
XAUTH = bytes.fromhex("09002689dfd6b712")
MS_NT5_ISAKMPOAKLEY = bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461")

# The word after MS_NT5_ISAKMPOAKLEY.
_WINDOWS_VERSIONS = {
    2: "Windows 2000",
    3: "Windows XP SP1",
    4: "Windows XP SP2 or 2003",
    5: "Windows Vista",
    6: "Windows 2008",
    7: "Windows 7",
    8: "Windows 2008 R2",
    9: "Windows 8 or later",
}


@dataclass(frozen=True, slots=True)
class KnownVendorId:
    """A vendor ID, or how one begins.

    `prefix` is the MD5 hash of `text`, or the beginning of that hash; no `text` means that none is
    known, or that the octets are no hash.
    """

    name: str
    prefix: bytes
    text: str = ""


def _hash(text: str, prefix: str) -> KnownVendorId:
    return KnownVendorId(text, _octets(prefix), text)


def _octets(text: str) -> bytes:
    return bytes.fromhex(text)


_NAT_T = "draft-ietf-ipsec-nat-t-ike"
KNOWN = (
    KnownVendorId("RFC 3947", RFC_3947, "RFC 3947"),
    _hash("draft-stenberg-ipsec-nat-traversal-01", "27bab5dc01ea0760ea4e3190ac27c0d0"),
    _hash("draft-stenberg-ipsec-nat-traversal-02", "6105c422e76847e43f9684801292aecd"),
    _hash(_NAT_T, "4df37928e9fc4fd1b3262170d515c662"),
    _hash(f"{_NAT_T}-00", "4485152d18b6bbcd0be8a8469579ddcc"),
    _hash(f"{_NAT_T}-01", "16f6ca16e4a4066d83821a0f0aeaa862"),
    KnownVendorId(f"{_NAT_T}-02", NAT_T_DRAFT_02, f"{_NAT_T}-02"),
    KnownVendorId(rf"{_NAT_T}-02\n", NAT_T_DRAFT_02_N, f"{_NAT_T}-02\n"),
    KnownVendorId(f"{_NAT_T}-03", NAT_T_DRAFT_03, f"{_NAT_T}-03"),
    _hash(f"{_NAT_T}-04", "9909b64eed937c6573de52ace952fa6b"),
    _hash(f"{_NAT_T}-05", "80d0bb3def54565ee84645d4c85ce3ee"),
    _hash(f"{_NAT_T}-06", "4d1e0e136deafa34c4f3ea9f02ec7285"),
    _hash(f"{_NAT_T}-07", "439b59f8ba676c4c7737ae22eab8f582"),
    _hash(f"{_NAT_T}-08", "8f8d83826d246b6fc7a8a6a428c11de8"),
    KnownVendorId("DPD", DPD[:14]),
    KnownVendorId("FRAGMENTATION", FRAGMENTATION, "FRAGMENTATION"),
    KnownVendorId("XAUTH", XAUTH),
    KnownVendorId("Cisco Unity", _octets("12f5f28c457168a9702d9fe274cc"), "CISCO-UNITY"),
    KnownVendorId("MS NT5 ISAKMPOAKLEY", MS_NT5_ISAKMPOAKLEY, "MS NT5 ISAKMPOAKLEY"),
    _hash("IKE CGA version 1", "e3a5966a76379fe707228231e5ce8652"),
    _hash("MS-Negotiation Discovery Capable", "fb1de3cdf341b7ea16b7e5be0855f120"),
    _hash("Vid-Initial-Contact", "26244d38eddb61b3172a36e3d0cfb819"),
    _hash("MS-MamieExists", "214ca4faffa7f32d6748e5303395ae83"),
    KnownVendorId("Windows KEY_MODS", _octets("01528bbbc00696121849ab9a1c5b2a51")),
    KnownVendorId(
        "Windows NLB fast failover", _octets("72872b95fcda2eb708efe322119b4971"), "NLBS_PRESENT"
    ),
    _hash("strongSwan", "882fe56d6fd20dbc2251613b2ebe5beb"),
    KnownVendorId("libreswan", b"OE-Libreswan-"),
    KnownVendorId("libreswan 3.0 to 3.5", b"OEN"),
    KnownVendorId("Openswan", b"OSW"),
    KnownVendorId("Openswan", b"OE"),
    _hash("KAME/racoon", "7003cbc1097dbe9c2600ba6983bc8b35"),
    KnownVendorId("SSH Sentinel 1.0", _octets("054182a07c7ae206f9d2cf9d2432c482")),
    KnownVendorId("SSH Sentinel 1.1", _octets("b91623e693ca18a54c6a2778552305e8")),
    KnownVendorId("SSH Sentinel 1.2", _octets("5430888de01a31a6fa8f60224e449958")),
    KnownVendorId("SSH Sentinel 1.3", _octets("7ee5cb85f71ce259c94a5c731ee4e752")),
    KnownVendorId("SSH Sentinel 1.4", _octets("63d9a1a7009491b5a0a6fdeb2a8284f0")),
    KnownVendorId("SSH Sentinel 1.4.1", _octets("eb4b0d96276b4e220ad16221a7b2a5e6")),
    KnownVendorId("SafeNet SoftRemote", _octets("47bbe7c993f1fc13b4e6d0db565c68e5")),
    KnownVendorId("Fortigate", _octets("1d6e178f6c2c0be284985465450fe9d4")),
    _hash("ESPThruNAT", "50760f624c63e5c53eea386c685ca083"),
)
_LONGEST_FIRST = sorted(KNOWN, key=lambda known: len(known.prefix), reverse=True)


def name_of(data: bytes) -> str:
    """A vendor ID for a log, whatever its octets: printable and of bounded length."""
    for known in _LONGEST_FIRST:
        if data.startswith(known.prefix):
            rest = data[len(known.prefix) :]
            return f"{known.name} {_detail(known.prefix, rest)}" if rest else known.name
    return f"unknown {_shown(data)}".rstrip()


def _detail(prefix: bytes, rest: bytes) -> str:
    """What follows a known beginning."""
    if prefix == DPD[:14] and len(rest) == 2:
        return f"{rest[0]}.{rest[1]}"
    if prefix == MS_NT5_ISAKMPOAKLEY and len(rest) == 4:
        version = int.from_bytes(rest, "big")
        return f"{version} ({_WINDOWS_VERSIONS.get(version, 'Windows')})"
    return _shown(rest)


def _shown(data: bytes) -> str:
    more = f"... ({len(data)} octets)" if len(data) > MAX_SHOWN else ""
    return data[:MAX_SHOWN].hex() + more
