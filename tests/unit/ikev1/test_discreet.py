"""Values with secrets in them do not show these."""

import pytest

from ikev1.core.effects import ChildSa, ComputeDh, EspSuite, Path, Signed
from ikev1.crypto.keymat import Phase1Keys
from ikev1.discreet import Discreet

CHILD = ChildSa(
    client="c0ffee01",
    mark=7,
    inbound_spi=0x1000,
    outbound_spi=0x2000,
    path=Path("203.0.113.1", 4500, "198.51.100.7", 4500, encapsulated=True),
    encapsulated=True,
    suite=EspSuite("aes-cbc", 256, "hmac-sha1-96", "aes256-sha1"),
    client_port=1701,
    lifetime=3600,
    kilobytes=None,
    rekey_seconds=None,
    rekey_kilobytes=None,
    pfs_group=None,
    inbound_encryption_key=b"secret",
    inbound_integrity_key=b"secret",
    outbound_encryption_key=b"secret",
    outbound_integrity_key=b"secret",
)


@pytest.mark.parametrize(
    "value",
    [CHILD, Phase1Keys(*[b"secret"] * 4), ComputeDh(1, 14, b"secret"), Signed(b"secret")],
    ids=lambda value: type(value).__name__,
)
def test_no_octets_are_shown(value: Discreet) -> None:
    assert "secret" not in f"{value} {value!r} {value.__rich_repr__()}"


def test_all_else_is_shown() -> None:
    assert "mark=7" in repr(CHILD)
    assert "label='aes256-sha1'" in repr(CHILD)
