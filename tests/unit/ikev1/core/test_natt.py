import hashlib

import pytest
from msgspec import structs
from msgspec.structs import replace

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
    for variant in (variant for variant in natt.VARIANTS if variant is not APPLE):
        first, second = natt.make_nat_d(variant, HashAlgorithm.SHA1, COOKIES, PATH)
        assert (first.data, second.data) == (of(PATH).data, our(PATH).data)
        assert first.type == second.type == variant.nat_d


RFC, DRAFT_3, DRAFT_2_N, DRAFT_2, DRAFT_8, _, _, _, DRAFT_4, APPLE, DRAFT_0 = natt.VARIANTS


def test_apples_are_of_their_senders_end_first() -> None:
    first, second = natt.make_nat_d(APPLE, HashAlgorithm.SHA1, COOKIES, PATH)
    assert (first.data, second.data) == (our(PATH).data, of(PATH).data)
    received = natt.received_nat_d(APPLE, (second, first))
    assert received == (first, second)


def test_only_the_variants_own_nat_d_count() -> None:
    rfc, draft = our(PATH), structs.replace(our(PATH), type=PayloadType.NAT_D_DRAFT)
    assert natt.received_nat_d(RFC, (rfc, draft)) == (rfc,)
    assert natt.received_nat_d(DRAFT_2, (rfc, draft)) == (draft,)
    assert natt.received_nat_d(None, (rfc, draft)) == ()


PUBLIC = "192.0.2.1"


@pytest.mark.parametrize(
    ("nat", "public", "shown"),
    [
        ((False, False), PUBLIC, PATH),
        ((True, False), PUBLIC, PATH),
        ((True, True), PUBLIC, replace(PATH, local=PUBLIC)),
        ((False, True), PUBLIC, replace(PATH, local=PUBLIC, remote_port=0)),
        ((False, True), None, PATH),
        ((True, True), None, PATH),
    ],
)
def test_what_clients_are_shown(nat: tuple[bool, bool], public: str | None, shown: Path) -> None:
    situation = natt.NatSituation(*nat)
    assert natt.shown_path(situation, PATH, public) == shown
    assert natt.shown_address(situation, PATH, public) == shown.local


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((RFC, DRAFT_2_N), RFC),
        ((DRAFT_2, DRAFT_2_N, DRAFT_3, RFC), RFC),
        ((DRAFT_2, DRAFT_3), DRAFT_3),
        ((DRAFT_2, DRAFT_2_N), DRAFT_2_N),
        ((DRAFT_2,), DRAFT_2),
        ((APPLE, DRAFT_8, DRAFT_4, DRAFT_2), DRAFT_2),
        ((APPLE, DRAFT_4, DRAFT_8), DRAFT_8),
        ((APPLE, DRAFT_4), DRAFT_4),
        ((APPLE,), APPLE),
        ((DRAFT_0, APPLE), APPLE),
        ((DRAFT_0, DRAFT_2, RFC), RFC),
        ((DRAFT_0,), DRAFT_0),
        ((), None),
    ],
)
def test_the_best_variant_is_chosen_whatever_the_order(
    offered: tuple[natt.Variant, ...], chosen: natt.Variant | None
) -> None:
    vendor_ids = (b"something else", *(variant.vendor_id for variant in offered))
    assert natt.choose_variant(vendor_ids, esp_on_ike_port=True) == chosen
    assert natt.choose_variant(vendor_ids[::-1], esp_on_ike_port=True) == chosen


def test_vendor_ids_are_those_that_clients_send() -> None:
    assert [variant.vendor_id.hex() for variant in natt.VARIANTS] == [
        "4a131c81070358455c5728f20e95452f",
        "7d9419a65310ca6f2c179d9215529d56",
        "90cb80913ebb696e086381b5ec427b1f",
        "cd60464335df21f87cfdb2fc68b6a448",
        "8f8d83826d246b6fc7a8a6a428c11de8",
        "439b59f8ba676c4c7737ae22eab8f582",
        "4d1e0e136deafa34c4f3ea9f02ec7285",
        "80d0bb3def54565ee84645d4c85ce3ee",
        "9909b64eed937c6573de52ace952fa6b",
        "4df37928e9fc4fd1b3262170d515c662",
        "4485152d18b6bbcd0be8a8469579ddcc",
    ]
    numbers = [(variant.nat_d, variant.nat_oa) for variant in natt.VARIANTS]
    assert numbers == [(20, 21), *[(130, 131)] * 3, *[(15, 16)] * 6, (130, 131)]


def test_a_kernel_without_the_non_ike_marker_does_without_draft_00() -> None:
    alone = (DRAFT_0.vendor_id,)
    assert natt.choose_variant(alone, esp_on_ike_port=False) is None
    with_another = (*alone, DRAFT_2.vendor_id)
    assert natt.choose_variant(with_another, esp_on_ike_port=False) == DRAFT_2


def test_nat_oa() -> None:
    number = PayloadType.NAT_OA_DRAFT
    theirs = NatOa(IdType.IPV4_ADDR, bytes([10, 0, 0, 7]), number)
    both = natt.make_nat_oa((theirs, theirs), PATH)
    assert [item.address for item in both] == [bytes([198, 51, 100, 7]), bytes([203, 0, 113, 1])]
    (one,) = natt.make_nat_oa((theirs,), PATH)
    assert (one.address, one.type) == (bytes([203, 0, 113, 1]), number)
    assert natt.make_nat_oa((), PATH) == ()
    assert {item.id_type for item in natt.make_nat_oa((theirs, theirs), V6)} == {IdType.IPV6_ADDR}
