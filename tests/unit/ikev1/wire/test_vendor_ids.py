import hashlib

import pytest

from ikev1.wire.vendor_ids import DPD, FRAGMENTATION, KNOWN, XAUTH, KnownVendorId, name_of


@pytest.mark.parametrize("known", [k for k in KNOWN if k.text], ids=lambda known: known.name)
def test_hashes_are_of_their_texts(known: KnownVendorId) -> None:
    assert hashlib.md5(known.text.encode()).digest().startswith(known.prefix)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_every_known_one_is_named(known: KnownVendorId) -> None:
    assert name_of(known.prefix) == known.name
    assert name_of(known.prefix + b"\xff").startswith(known.name)


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        ("4a131c81070358455c5728f20e95452f", "RFC 3947"),
        ("90cb80913ebb696e086381b5ec427b1f", r"draft-ietf-ipsec-nat-t-ike-02\n"),
        ("4df37928e9fc4fd1b3262170d515c662", "draft-ietf-ipsec-nat-t-ike"),
        (DPD.hex(), "DPD 1.0"),
        ("afcad71368a1f1c96b8696fc77570102", "DPD 1.2"),
        ("afcad71368a1f1c96b8696fc7757", "DPD"),
        (FRAGMENTATION.hex(), "FRAGMENTATION"),
        (FRAGMENTATION.hex() + "80000000", "FRAGMENTATION 80000000"),
        ("1e2b516905991c7d7c96fcbfb587e46100000009", "MS NT5 ISAKMPOAKLEY 9 (Windows 8 or later)"),
        ("1e2b516905991c7d7c96fcbfb587e46100000063", "MS NT5 ISAKMPOAKLEY 99 (Windows)"),
        ("1e2b516905991c7d7c96fcbfb587e461", "MS NT5 ISAKMPOAKLEY"),
        ("12f5f28c457168a9702d9fe274cc0100", "Cisco Unity 0100"),
        (XAUTH.hex(), "XAUTH"),
        (b"OE-Libreswan-5.2".hex(), "libreswan 352e32"),
        (b"OE0123456789".hex(), "Openswan 30313233343536373839"),
        ("", "unknown"),
        ("00ff", "unknown 00ff"),
        ("ab" * 40, "unknown " + "ab" * 32 + "... (40 octets)"),
        # One octet short of RFC 3947's.
        ("4a131c81070358455c5728f20e9545", "unknown 4a131c81070358455c5728f20e9545"),
    ],
)
def test_names(octets: str, name: str) -> None:
    assert name_of(bytes.fromhex(octets)) == name
