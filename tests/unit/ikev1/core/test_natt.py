import hashlib
from dataclasses import replace

import pytest

from ikev1.core import natt
from ikev1.core.effects import Path
from ikev1.wire.enums import HashAlgorithm, IdType, PayloadType
from ikev1.wire.payloads import NatD, NatOa

COOKIES = bytes(range(16))
PATH = Path("203.0.113.1", 500, "198.51.100.7", 500)
V6 = Path("2001:db8::1", 4500, "2001:db8::7", 4500, encapsulated=True)


def test_the_hash_is_that_of_rfc_3947() -> None:
    data = COOKIES + bytes([203, 0, 113, 1]) + (500).to_bytes(2)
    found = natt.nat_d_hash(HashAlgorithm.SHA1, COOKIES, "203.0.113.1", 500)
    assert found == hashlib.sha1(data).digest()
    sizes = {1: 16, 2: 20, 4: 32, 5: 48, 6: 64}
    for algorithm, size in sizes.items():
        assert len(natt.nat_d_hash(algorithm, COOKIES, "2001:db8::1", 500)) == size


def of(path: Path) -> NatD:
    """NAT-D of the near end, the address of whoever hashes it."""
    return NatD(natt.nat_d_hash(HashAlgorithm.SHA1, COOKIES, path.remote, path.remote_port))


def our(path: Path) -> NatD:
    return NatD(natt.nat_d_hash(HashAlgorithm.SHA1, COOKIES, path.local, path.local_port))


OTHER = NatD(bytes(20))


@pytest.mark.parametrize("path", [PATH, V6])
@pytest.mark.parametrize(
    ("received", "client", "server"),
    [
        (("our", "their"), False, False),
        (("our", "other"), True, False),
        (("other", "their"), False, True),
        (("other", "other"), True, True),
        # Several addresses of the client's: one that fits is enough.
        (("our", "other", "their"), False, False),
        (("our", "other", "other"), True, False),
        # In the wrong order nothing fits.
        (("their", "our"), True, True),
        # Too few say nothing.
        ((), False, False),
        (("our",), False, False),
        (("other",), False, False),
    ],
)
def test_detect(path: Path, received: tuple[str, ...], client: bool, server: bool) -> None:
    payloads = {"our": our(path), "their": of(path), "other": OTHER}
    found = natt.detect(
        tuple(payloads[name] for name in received), HashAlgorithm.SHA1, COOKIES, path
    )
    assert (found.client, found.server) == (client, server)
    assert found.detected is (client or server)


def test_another_port_alone_is_a_nat() -> None:
    mapped = replace(PATH, remote_port=1024)
    assert natt.detect((our(PATH), of(PATH)), HashAlgorithm.SHA1, COOKIES, mapped).client


def test_situations_in_words() -> None:
    words = [str(natt.NatSituation(client, server)) for client in (0, 1) for server in (0, 1)]  # type: ignore[arg-type]
    assert words == ["none", "server", "client", "both"]


def test_ours_are_of_the_remote_end_first() -> None:
    for variant in natt.VARIANTS:
        first, second = natt.make_nat_d(variant, HashAlgorithm.SHA1, COOKIES, PATH)
        assert (first.data, second.data) == (of(PATH).data, our(PATH).data)
        assert first.type == second.type == variant.nat_d


RFC, DRAFT_3, DRAFT_2_N, DRAFT_2 = natt.VARIANTS


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((RFC, DRAFT_2_N), RFC),
        ((DRAFT_2, DRAFT_2_N, DRAFT_3, RFC), RFC),
        ((DRAFT_2, DRAFT_3), DRAFT_3),
        ((DRAFT_2, DRAFT_2_N), DRAFT_2_N),
        ((DRAFT_2,), DRAFT_2),
        ((), None),
    ],
)
def test_the_best_variant_is_chosen_whatever_the_order(
    offered: tuple[natt.Variant, ...], chosen: natt.Variant | None
) -> None:
    vendor_ids = [b"something else", *(variant.vendor_id for variant in offered)]
    assert natt.choose_variant(vendor_ids) == chosen
    assert natt.choose_variant(vendor_ids[::-1]) == chosen


def test_vendor_ids_are_those_that_clients_send() -> None:
    assert [variant.vendor_id.hex() for variant in natt.VARIANTS] == [
        "4a131c81070358455c5728f20e95452f",
        "7d9419a65310ca6f2c179d9215529d56",
        "90cb80913ebb696e086381b5ec427b1f",
        "cd60464335df21f87cfdb2fc68b6a448",
    ]
    assert [variant.nat_d for variant in natt.VARIANTS] == [20, 130, 130, 130]


def test_nat_oa() -> None:
    number = PayloadType.NAT_OA_DRAFT
    theirs = NatOa(IdType.IPV4_ADDR, bytes([10, 0, 0, 7]), number)
    both = natt.make_nat_oa((theirs, theirs), PATH)
    assert [item.address for item in both] == [bytes([198, 51, 100, 7]), bytes([203, 0, 113, 1])]
    (one,) = natt.make_nat_oa((theirs,), PATH)
    assert (one.address, one.type) == (bytes([203, 0, 113, 1]), number)
    assert natt.make_nat_oa((), PATH) == ()
    assert {item.id_type for item in natt.make_nat_oa((theirs, theirs), V6)} == {IdType.IPV6_ADDR}
