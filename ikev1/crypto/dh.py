"""Diffie-Hellman of Phase 1 and of PFS: MODP groups (RFC 2409, 3526) and ECP groups (RFC 5903).

This is the one file that touches the finite-field DH of `cryptography`, which announces its
removal. Two libraries compute the MODP groups, both in constant time:

- OpenSSL, through `cryptography`, takes half the time of GMP but holds the GIL; and since it has no
  name for group 2, it validates that group anew with each public value, for 43 ms;
- GMP's `mpz_powm_sec` releases the GIL, so that slow exponentiations can run in threads.
"""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import gmpy2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning

from ikev1.discreet import Discreet
from ikev1.wire.enums import Group

with warnings.catch_warnings():
    # From cryptography 50 on, naming these is what warns; their use does not.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    from cryptography.hazmat.primitives.asymmetric.dh import (
        DHParameterNumbers,
        DHPrivateKey,
        DHPublicNumbers,
    )

_GENERATOR: Final = 2  # of every MODP group of RFC 2409 and RFC 3526


class DhError(Exception):
    """The group is not supported, or the peer's public value is not one of that group."""


class DhResult(Discreet, frozen=True):
    """What the responder gets from one run of DH, both as they go on the wire and into the PRF."""

    public: bytes
    shared: bytes


class KeyPair(ABC):
    """One side's ephemeral key pair; `public` is the KE payload's content.

    MODP values are padded with zero octets on the left to the size of the prime (RFC 2409
    section 5); ECP values are x | y (RFC 5903 section 7).
    """

    __slots__ = ("public",)

    public: bytes

    @staticmethod
    def generate(group: int, random: Callable[[int], bytes]) -> "KeyPair":
        """Make a key pair of the IKE group number `group`.

        `random` gives the private exponents that GMP works with. OpenSSL draws its own.

        Raises DhError for a group that is not in `SUPPORTED_GROUPS`.
        """
        return _group(group).generate(random)

    @abstractmethod
    def agree(self, peer_public: bytes) -> bytes:
        """Return the shared secret g^xy, padded like `public`, or for ECP its x coordinate.

        Raises DhError if the length is not exactly the group's, the value not within [2, p-2], or
        the point not on the curve.
        """


class _Group(ABC):
    __slots__ = ()

    @abstractmethod
    def generate(self, random: Callable[[int], bytes]) -> KeyPair: ...

    @abstractmethod
    def check(self, peer_public: bytes) -> None:
        """Refuse what can be refused before any exponentiation; raises DhError."""


class _ModpGroup(_Group):
    """What the MODP groups have in common: the prime, its size, the range of public values."""

    __slots__ = ("_prime", "size")

    def __init__(self, bits: int, addend: int) -> None:
        self._prime = modp_prime(bits, addend)
        self.size = bits // 8

    def check(self, peer_public: bytes) -> None:
        self.decode(peer_public)

    def decode(self, peer_public: bytes) -> int:
        """Check and read a public value; raises DhError.

        1 and p-1 generate the subgroups of order 1 and 2 and would fix the secret. The primes are
        safe ones, so there are no other small subgroups.
        """
        if len(peer_public) != self.size:
            raise DhError(f"public value has {len(peer_public)} octets instead of {self.size}")
        value = int.from_bytes(peer_public)
        if not 2 <= value <= self._prime - 2:
            raise DhError("public value is not within [2, p-2]")
        return value


class _GmpGroup(_ModpGroup):
    __slots__ = ("_exponent_size", "_mpz_prime")

    def __init__(self, bits: int, addend: int, exponent_bits: int) -> None:
        super().__init__(bits, addend)
        self._mpz_prime = gmpy2.mpz(self._prime)
        self._exponent_size = exponent_bits // 8

    def generate(self, random: Callable[[int], bytes]) -> "_GmpKeyPair":
        exponent = int.from_bytes(random(self._exponent_size))
        # GMP's time depends on the exponent's length, which the highest bit makes constant.
        return _GmpKeyPair(self, exponent | 1 << (8 * self._exponent_size - 1))

    def power(self, base: int, exponent: int) -> bytes:
        gmpy2.get_context().allow_release_gil = True  # a setting of each thread, off by default
        return int(gmpy2.powmod_sec(base, exponent, self._mpz_prime)).to_bytes(self.size)


class _GmpKeyPair(KeyPair):
    __slots__ = ("_exponent", "_group")

    def __init__(self, group: _GmpGroup, exponent: int) -> None:
        self._group = group
        self._exponent = exponent
        self.public = group.power(_GENERATOR, exponent)

    def agree(self, peer_public: bytes) -> bytes:
        return self._group.power(self._group.decode(peer_public), self._exponent)


class _OpensslGroup(_ModpGroup):
    """OpenSSL takes exponents of twice the group's strength, 225 bits for group 14."""

    __slots__ = ("_parameters", "numbers")

    def __init__(self, bits: int, addend: int) -> None:
        super().__init__(bits, addend)
        self.numbers = DHParameterNumbers(self._prime, _GENERATOR)
        self._parameters = self.numbers.parameters()

    def generate(self, random: Callable[[int], bytes]) -> "_OpensslKeyPair":
        return _OpensslKeyPair(self, self._parameters.generate_private_key())


class _OpensslKeyPair(KeyPair):
    __slots__ = ("_group", "_private")

    def __init__(self, group: _OpensslGroup, private: DHPrivateKey) -> None:
        self._group = group
        self._private = private
        self.public = private.public_key().public_numbers().y.to_bytes(group.size)

    def agree(self, peer_public: bytes) -> bytes:
        group = self._group
        peer = DHPublicNumbers(group.decode(peer_public), group.numbers).public_key()
        return self._private.exchange(peer)


class _EcpGroup(_Group):
    __slots__ = ("_coordinate_size", "_curve")

    def __init__(self, curve: ec.EllipticCurve) -> None:
        self._curve = curve
        self._coordinate_size = (curve.key_size + 7) // 8

    def check(self, peer_public: bytes) -> None:
        self.decode(peer_public)

    def decode(self, peer_public: bytes) -> ec.EllipticCurvePublicKey:
        """Check and read x | y; raises DhError. The point at infinity has no such form."""
        size = 2 * self._coordinate_size
        if len(peer_public) != size:
            raise DhError(f"public value has {len(peer_public)} octets instead of {size}")
        uncompressed = b"\x04" + peer_public
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(self._curve, uncompressed)
        except ValueError as error:
            raise DhError("public value is not a point of the curve") from error

    def generate(self, random: Callable[[int], bytes]) -> "_EcpKeyPair":
        return _EcpKeyPair(self, ec.generate_private_key(self._curve))


class _EcpKeyPair(KeyPair):
    __slots__ = ("_group", "_private")

    def __init__(self, group: _EcpGroup, private: ec.EllipticCurvePrivateKey) -> None:
        self._group = group
        self._private = private
        encoded = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = encoded[1:]

    def agree(self, peer_public: bytes) -> bytes:
        return self._private.exchange(ec.ECDH(), self._group.decode(peer_public))


def modp_prime(bits: int, addend: int) -> int:
    """Return 2^bits - 2^(bits-64) - 1 + 2^64 * (floor(2^(bits-130) * pi) + addend).

    All the primes are defined by this formula (RFC 2409 section 6.2, RFC 3526 sections 2 to 7).
    """
    numerator, denominator = gmpy2.const_pi(bits).as_integer_ratio()
    digits = (int(numerator) << (bits - 130)) // int(denominator)
    return int((1 << bits) - (1 << (bits - 64)) - 1 + ((digits + addend) << 64))


# Exponents for GMP: twice the strength of the group (80 bits for group 2, then RFC 3526 section 8,
# first estimate, or SP 800-56A rev. 3 appendix D, whichever is more), rounded up to whole 64-bit
# limbs, which cost no more. Group 2 gets a limb on top, as in strongSwan.
_GROUPS: Final[Mapping[int, _Group]] = MappingProxyType(
    {
        Group.MODP_1024: _GmpGroup(1024, 129093, exponent_bits=256),
        Group.MODP_1536: _OpensslGroup(1536, 741804),
        Group.MODP_2048: _OpensslGroup(2048, 124476),
        Group.MODP_3072: _GmpGroup(3072, 1690314, exponent_bits=320),
        Group.MODP_4096: _GmpGroup(4096, 240904, exponent_bits=320),
        Group.MODP_6144: _GmpGroup(6144, 929484, exponent_bits=384),
        Group.MODP_8192: _GmpGroup(8192, 4743158, exponent_bits=448),
        Group.ECP_256: _EcpGroup(ec.SECP256R1()),
        Group.ECP_384: _EcpGroup(ec.SECP384R1()),
        Group.ECP_521: _EcpGroup(ec.SECP521R1()),
    }
)

SUPPORTED_GROUPS: Final = frozenset(_GROUPS)


def _group(group: int) -> _Group:
    found = _GROUPS.get(group)
    if found is None:
        raise DhError(f"group {group} is not supported")
    return found


def generate_and_agree(group: int, peer_public: bytes, random: Callable[[int], bytes]) -> DhResult:
    """Do the responder's whole part: make a key pair, and agree with the peer's public value.

    Arguments and errors are those of `KeyPair.generate` and `KeyPair.agree`. A public value out of
    range is refused before anything is computed.
    """
    own = _group(group)
    own.check(peer_public)
    key_pair = own.generate(random)
    return DhResult(key_pair.public, key_pair.agree(peer_public))
