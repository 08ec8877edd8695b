"""Diffie-Hellman against the RFCs' own vectors and against plain integer arithmetic."""

import hashlib
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ikev1.crypto import dh
from ikev1.crypto.dh import DhError, KeyPair, generate_and_agree, modp_prime

ADDENDS = {
    2: (1024, 129093),
    5: (1536, 741804),
    14: (2048, 124476),
    15: (3072, 1690314),
    16: (4096, 240904),
    17: (6144, 929484),
    18: (8192, 4743158),
}
MODP_GROUPS = sorted(ADDENDS)
ECP_SIZES = {19: 32, 20: 48, 21: 66}

# RFC 2409 section 6.2, the second Oakley group.
OAKLEY_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"
    "020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437"
    "4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)

# SHA-256 of the primes that OpenSSL has as literals (openssl genpkey -genparam ... modp_2048).
PRIME_DIGESTS = {
    5: "64fcc83ec403930bf18393dbc883ccaa1fbb08ac876f77f7aa99748ca945019b",
    14: "d66436f79bbd6b2e38c0ffbd079be904d2641415e2e67140e09448be9a60890e",
    15: "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c",
    16: "4ee95187682bcb230ad26a95205f6920e84708f6251b3894329b09ec23919e33",
    17: "d1bfe6d0925ce7e4da262b62861514a7755e35831e429f343e7b864848657efd",
    18: "39ab4feab950a3128fb71accb9fc3965d857012e081998a85996e3ea8b3c3bcf",
}

# RFC 5903 section 8: private value, x and y of each side, x of the shared point.
ECP_VECTORS = {
    19: (
        ec.SECP256R1(),
        "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433",
        (
            "DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C3772581180"
            "5271A0461CDB8252D61F1C456FA3E59AB1F45B33ACCF5F58389E0577B8990BB3"
        ),
        "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53",
        (
            "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
            "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"
        ),
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE",
    ),
    20: (
        ec.SECP384R1(),
        (
            "099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655"
            "E35B538041E649EE3FAEF896783AB194"
        ),
        (
            "667842D7D180AC2CDE6F74F37551F55755C7645C20EF73E31634FE72B4C55EE6"
            "DE3AC808ACB4BDB4C88732AEE95F41AA"
            "9482ED1FC0EEB9CAFC4984625CCFC23F65032149E0E144ADA024181535A0F38E"
            "EB9FCFF3C2C947DAE69B4C634573A81C"
        ),
        (
            "41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942"
            "E0308312916B8ED2960E4BD55A7448FC"
        ),
        (
            "E558DBEF53EECDE3D3FCCFC1AEA08A89A987475D12FD950D83CFA41732BC509D"
            "0D1AC43A0336DEF96FDA41D0774A3571"
            "DCFBEC7AACF3196472169E838430367F66EEBE3C6E70C416DD5F0C68759DD1FF"
            "F83FA40142209DFF5EAAD96DB9E6386C"
        ),
        (
            "11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4"
            "D603135569B9E9D09CF5D4A270F59746"
        ),
    ),
    21: (
        ec.SECP521R1(),
        (
            "0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A0"
            "95AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D"
            "4A52"
        ),
        (
            "0015417E84DBF28C0AD3C278713349DC7DF153C897A1891BD98BAB4357C9ECBE"
            "E1E3BF42E00B8E380AEAE57C2D107564941885942AF5A7F4601723C4195D176C"
            "ED3E"
            "017CAE20B6641D2EEB695786D8C946146239D099E18E1D5A514C739D7CB4A10A"
            "D8A788015AC405D7799DC75E7B7D5B6CF2261A6A7F1507438BF01BEB6CA3926F"
            "9582"
        ),
        (
            "0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E"
            "9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB15168"
            "5EB9"
        ),
        (
            "00D0B3975AC4B799F5BEA16D5E13E9AF971D5E9B984C9F39728B5E5739735A21"
            "9B97C356436ADC6E95BB0352F6BE64A6C2912D4EF2D0433CED2B6171640012D9"
            "460F"
            "015C68226383956E3BD066E797B623C27CE0EAC2F551A10C2C724D9852077B87"
            "220B6536C5C408A1D2AEBB8E86D678AE49CB57091F4732296579AB44FCD17F0F"
            "C56A"
        ),
        (
            "01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04"
            "D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3"
            "DDEA"
        ),
    ),
}


def prime(group: int) -> int:
    return modp_prime(*ADDENDS[group])


def encoded(value: int, group: int) -> bytes:
    return value.to_bytes(ADDENDS[group][0] // 8)


def test_group_2_is_the_literal_of_rfc_2409() -> None:
    assert prime(2) == OAKLEY_2


@pytest.mark.parametrize("group", sorted(PRIME_DIGESTS))
def test_primes_of_rfc_3526_are_those_of_openssl(group: int) -> None:
    digest = hashlib.sha256(encoded(prime(group), group)).hexdigest()

    assert digest == PRIME_DIGESTS[group]


@pytest.mark.parametrize("group", [2, 5, 14])
def test_primes_are_safe_primes_with_2_generating_the_large_subgroup(group: int) -> None:
    p = prime(group)
    q = (p - 1) // 2

    assert gmpy2.is_prime(p)
    assert gmpy2.is_prime(q)
    assert pow(2, q, p) == 1


@pytest.mark.parametrize("group", MODP_GROUPS)
def test_modp_agrees_with_integer_arithmetic(group: int) -> None:
    p = prime(group)
    peer_exponent = 0x1234567890ABCDEF
    peer_public = encoded(pow(2, peer_exponent, p), group)

    result = generate_and_agree(group, peer_public, os.urandom)

    expected = pow(int.from_bytes(result.public), peer_exponent, p)
    assert result.shared == encoded(expected, group)


@pytest.mark.parametrize(("group", "exponent_size"), [(2, 32), (15, 40), (16, 40), (17, 48)])
def test_gmp_groups_take_their_exponent_from_random(group: int, exponent_size: int) -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return bytes(size - 1) + b"\x05"

    pair = KeyPair.generate(group, random)

    exponent = 5 | 1 << (8 * exponent_size - 1)
    assert asked == [exponent_size]
    assert pair.public == encoded(pow(2, exponent, prime(group)), group)


@pytest.mark.parametrize("group", [2, 5])
def test_modp_values_keep_their_leading_zero_octets(group: int) -> None:
    # The shared secret with a peer whose public value is the generator is one's own public value.
    generator = encoded(2, group)
    pairs = (KeyPair.generate(group, os.urandom) for _ in itertools.count())

    pair = next(pair for pair in pairs if pair.public[0] == 0)

    assert pair.agree(generator) == pair.public


@pytest.mark.parametrize("group", sorted(ECP_VECTORS))
def test_ecp_vectors_of_rfc_5903(group: int) -> None:
    curve, i, g_i, r, g_r, g_ir = ECP_VECTORS[group]
    ecp_group = dh._EcpGroup(curve)

    def pair(private: str) -> KeyPair:
        return dh._EcpKeyPair(ecp_group, ec.derive_private_key(int(private, 16), curve))

    assert pair(i).public == bytes.fromhex(g_i)
    assert pair(r).public == bytes.fromhex(g_r)
    assert pair(i).agree(bytes.fromhex(g_r)) == bytes.fromhex(g_ir)
    assert pair(r).agree(bytes.fromhex(g_i)) == bytes.fromhex(g_ir)


@pytest.mark.parametrize("group", sorted(dh.SUPPORTED_GROUPS - {17, 18}))
def test_initiator_and_responder_agree(group: int) -> None:
    initiator = KeyPair.generate(group, os.urandom)

    responder = generate_and_agree(group, initiator.public, os.urandom)

    assert initiator.agree(responder.public) == responder.shared
    assert responder.public != initiator.public


@pytest.mark.parametrize("group", sorted(ECP_SIZES))
def test_ecp_sizes(group: int) -> None:
    pair = KeyPair.generate(group, os.urandom)

    result = generate_and_agree(group, pair.public, os.urandom)

    assert len(result.public) == 2 * ECP_SIZES[group]
    assert len(result.shared) == ECP_SIZES[group]


@pytest.mark.parametrize("group", MODP_GROUPS)
@pytest.mark.parametrize(
    "value",
    [lambda _: 0, lambda _: 1, lambda p: p - 1, lambda p: p, lambda p: p + 1],
    ids=["0", "1", "p-1", "p", "p+1"],
)
def test_modp_value_out_of_range_is_refused(group: int, value: Callable[[int], int]) -> None:
    public = encoded(value(prime(group)), group)

    with pytest.raises(DhError, match="not within"):
        generate_and_agree(group, public, os.urandom)


@pytest.mark.parametrize("group", [2, 14])
def test_modp_bounds_themselves_are_accepted(group: int) -> None:
    p = prime(group)
    pair = KeyPair.generate(group, os.urandom)

    shared_of_2 = int.from_bytes(pair.agree(encoded(2, group)))
    shared_of_minus_2 = int.from_bytes(pair.agree(encoded(p - 2, group)))

    assert shared_of_minus_2 in {shared_of_2, p - shared_of_2}


@pytest.mark.parametrize("group", [2, 14, 16, 19, 20, 21])
def test_any_other_length_is_refused(group: int) -> None:
    good = KeyPair.generate(group, os.urandom).public

    for public in (b"", good[:-1], good[1:], b"\0" + good, b"\x04" + good):
        with pytest.raises(DhError, match="octets instead of"):
            generate_and_agree(group, public, os.urandom)


@pytest.mark.parametrize("group", sorted(ECP_SIZES))
def test_point_off_the_curve_is_refused(group: int) -> None:
    good = KeyPair.generate(group, os.urandom).public
    off_curve = good[:-1] + bytes((good[-1] ^ 1,))

    for public in (off_curve, bytes(len(good)), b"\xff" * len(good)):
        with pytest.raises(DhError, match="not a point"):
            generate_and_agree(group, public, os.urandom)


@pytest.mark.parametrize("group", [0, 1, 3, 22, 25, 65535])
def test_unsupported_group_is_refused(group: int) -> None:
    with pytest.raises(DhError, match=f"group {group} is not supported"):
        generate_and_agree(group, b"", os.urandom)
    with pytest.raises(DhError):
        KeyPair.generate(group, os.urandom)


def test_bad_public_value_costs_no_exponentiation() -> None:
    def random(size: int) -> bytes:
        raise AssertionError(size)

    with pytest.raises(DhError):
        generate_and_agree(18, encoded(1, 18), random)


def test_agreements_in_threads_do_not_disturb_each_other() -> None:
    initiators = [KeyPair.generate(15, os.urandom) for _ in range(8)]

    with ThreadPoolExecutor(4) as threads:
        results = list(
            threads.map(lambda pair: generate_and_agree(15, pair.public, os.urandom), initiators)
        )

    for initiator, result in zip(initiators, results, strict=True):
        assert initiator.agree(result.public) == result.shared


def test_secrets_are_not_in_reprs() -> None:
    pair = KeyPair.generate(2, os.urandom)
    result = generate_and_agree(2, pair.public, os.urandom)

    assert repr(result.shared) not in repr(result)
