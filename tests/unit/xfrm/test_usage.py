"""What SAs have carried, read off a dump without decoding the rest."""

import struct

import pytest
from msgspec.structs import replace
from pyroute2.netlink import NLMSG_DONE, NLMSG_ERROR

from tests.support.xfrm_wire import encoded, read
from xfrm.algorithms import encryption, integrity
from xfrm.constants import MessageType
from xfrm.model import Encap, Mark, Sa, Usage
from xfrm.sa_codec import encode_sa
from xfrm.usage import SaName, parse_usage

SA = Sa(
    spi=0x01020304,
    src="192.0.2.1",
    dst="192.0.2.2",
    reqid=7,
    encryption=encryption("aes-cbc", b"k" * 16),
    integrity=integrity("hmac-sha1-96", b"m" * 20),
    encap=Encap(4500, 40000),
    set_mark=Mark(0x10000, 0x7FFF0000),
    usage=Usage(bytes=123456789012),
)


def dumped(*sas: Sa) -> bytes:
    """These SAs in one datagram of a dump."""
    data = b""
    for sa in sas:
        message = read(MessageType.NEWSA, encode_sa(sa))
        if sa.usage is not None:
            message["curlft_bytes"] = sa.usage.bytes
        data += encoded(message)
    return data


def test_sas_of_a_datagram() -> None:
    marked = replace(SA, spi=5, dst="192.0.2.3", set_mark=None, mark=Mark(0x20000, 0x7FFF0000))
    six = replace(SA, src="2001:db8::1", dst="2001:db8::2", usage=None)
    end = struct.pack("=IHHIIi", 20, NLMSG_DONE, 2, 1, 0, 0)
    assert list(parse_usage(dumped(SA, marked, six) + end)) == [
        (SaName(0x01020304, "192.0.2.2", 0), 123456789012),
        (SaName(5, "192.0.2.3", 0x20000), 123456789012),
        (SaName(0x01020304, "2001:db8::2", 0), 0),
    ]


def test_a_refusal_is_an_error() -> None:
    refusal = struct.pack("=IHHIIi", 20, NLMSG_ERROR, 0, 1, 0, -1)
    with pytest.raises(PermissionError):
        list(parse_usage(refusal))
