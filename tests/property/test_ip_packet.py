"""The quick way to the IPv4 packet in a PPP frame agrees with the parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2tp.errors import ProtocolError
from l2tp.wire.enums import Protocol
from l2tp.wire.ppp import ip_packet, parse_frame

HEADERS = [
    b"\xff\x03\x00\x21",
    b"\x00\x21",
    b"\xff\x03\x21",
    b"\x21",
    b"\xff\x03",
    b"\x80\x21",
    b"",
]
PACKETS = st.builds(bytes.__add__, st.sampled_from([b"\x45", b"\x60", b""]), st.binary(max_size=40))


@given(st.builds(bytes.__add__, st.sampled_from(HEADERS), PACKETS))
def test_agrees_with_the_parser(octets: bytes) -> None:
    packet = ip_packet(octets)
    try:
        frame = parse_frame(octets)
    except ProtocolError:
        assert packet is None
        return
    information = frame.information
    whole = len(information) >= 20 and information[0] >> 4 == 4
    expected = information if frame.protocol is Protocol.IP and whole else None
    assert packet == expected
