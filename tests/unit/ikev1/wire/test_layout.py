"""The declarative face: a Layout is a construct among others."""

import pytest
from construct import GreedyRange, Int8ub, Int16ub, Prefixed, SizeofError, StreamError, Struct

from ikev1.errors import ProtocolError
from ikev1.wire.enums import CertEncoding, IdType
from ikev1.wire.header import HEADER
from ikev1.wire.layout import Open
from ikev1.wire.payloads import CERTIFICATE, IDENTIFICATION, Certificate, Identification
from ikev1.wire.sa import SA
from tests.support.ike_samples import APPLE_MM1

ADDRESS = Identification(IdType.IPV4_ADDR, 17, 1701, bytes([192, 0, 2, 1]))
ADDRESS_OCTETS = bytes.fromhex("01 11 06a5 c0000201")


def test_parse_and_build() -> None:
    assert IDENTIFICATION.parse(ADDRESS_OCTETS) == ADDRESS
    assert IDENTIFICATION.build(ADDRESS) == ADDRESS_OCTETS


def test_parse_takes_all_octets() -> None:
    with pytest.raises(ProtocolError, match="1 octets too many"):
        HEADER.parse(bytes(29))


def test_layouts_compose() -> None:
    pair = Struct(
        "before" / Int8ub,
        "identification" / Prefixed(Int16ub, IDENTIFICATION),
        "sa" / Prefixed(Int16ub, SA),
        "after" / Int8ub,
    )
    octets = pair.build({"before": 1, "identification": ADDRESS, "sa": APPLE_MM1[0], "after": 2})
    assert octets[1:11] == b"\x00\x08" + ADDRESS_OCTETS
    parsed = pair.parse(octets)
    assert (parsed.before, parsed.after) == (1, 2)
    assert parsed.identification == ADDRESS
    assert parsed.sa == APPLE_MM1[0]


def test_a_fixed_layout_leaves_the_rest_of_the_stream() -> None:
    parsed = Struct("header" / HEADER, "after" / Int16ub).parse(bytes(28) + b"\x12\x34")
    assert parsed.after == 0x1234


def test_layouts_repeat() -> None:
    certificates = GreedyRange(Prefixed(Int8ub, CERTIFICATE))
    values = [Certificate(CertEncoding.CRL, b"a"), Certificate(CertEncoding.SPKI, b"bc")]
    assert list(certificates.parse(certificates.build(values))) == values


def test_a_short_prefix_is_not_read_beyond() -> None:
    with pytest.raises(StreamError):
        Prefixed(Int8ub, IDENTIFICATION).parse(b"\x09" + ADDRESS_OCTETS)


def test_an_open_number_stands_alone_as_well() -> None:
    number = Open(Int8ub, IdType)
    assert number.parse(b"\x02") is IdType.FQDN
    assert str(number.parse(b"\xc8")) == "ID(200)"
    assert number.build(IdType.FQDN) == b"\x02"


def test_size_is_known_where_it_is_fixed() -> None:
    assert HEADER.sizeof() == 28
    with pytest.raises(SizeofError):
        IDENTIFICATION.sizeof()
    with pytest.raises(SizeofError):
        SA.sizeof()


@pytest.mark.parametrize(
    "value",
    [
        Identification(IdType.FQDN, 256, 0, b"a"),
        Identification(IdType(300), 0, 0, b"a"),
        Identification(IdType.FQDN, 0, 65536, b"a"),
        Identification(IdType.FQDN, -1, 0, b"a"),
    ],
)
def test_a_field_that_does_not_fit_is_a_value_error(value: Identification) -> None:
    with pytest.raises(ValueError, match="Identification"):
        IDENTIFICATION.build(value)
