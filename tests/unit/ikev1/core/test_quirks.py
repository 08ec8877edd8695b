import pytest

from ikev1.core.quirks import UNKNOWN, recognise
from interop.clients.ike import ANDROID, IOS_2011, IPHONE, STRONGSWAN, WINDOWS_10
from interop.initiator.profiles import Profile
from tests.support.ike_offers import XP


@pytest.mark.parametrize(
    ("profile", "name", "avoid_sha256", "initial_contact", "dpd"),
    [
        (IPHONE, "Apple", False, False, True),
        (IOS_2011, "Apple", False, False, True),
        (WINDOWS_10, "Windows 8 or later", False, True, False),
        (XP, "Windows XP SP2 or 2003", False, False, False),
        (ANDROID, "Android", True, False, True),
        (STRONGSWAN, "strongSwan or alike", False, False, True),
    ],
)
def test_what_clients_are(
    profile: Profile, name: str, avoid_sha256: bool, initial_contact: bool, dpd: bool
) -> None:
    for vendor_ids in (profile.vendor_ids, profile.vendor_ids[::-1]):
        found = recognise(vendor_ids)
        assert (found.name, found.avoid_sha256) == (name, avoid_sha256)
        assert (found.initial_contact, found.dpd) == (initial_contact, dpd)


def test_nobody_known() -> None:
    assert recognise(()) == UNKNOWN
    assert recognise((b"", b"\x1e\x2b", bytes(16))) == UNKNOWN


def test_others() -> None:
    assert recognise((b"OE-Libreswan-4.10",)).name == "libreswan"
    assert recognise((bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb"),)).name == "strongSwan"
    windows = bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461")
    assert recognise((windows + (16).to_bytes(4),)).name == "Windows (version 16)"
    assert recognise((windows,)) == UNKNOWN
