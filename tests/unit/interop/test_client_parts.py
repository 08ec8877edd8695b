"""What emulated clients are built of: MS-CHAPv2, ESP, IP, DHCPINFORM, by the RFCs' own vectors."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop import ip
from interop.clients import CLIENTS
from interop.esp import AUTH_KEYS, EspSa
from interop.ppp import dhcp
from interop.ppp.mschapv2 import md4, response, server_proof
from tests.support.ike_host import deterministic

USER, PASSWORD = b"User", "clientPass"
SERVER_CHALLENGE = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
A, B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
        (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4_of_rfc_1320(text: bytes, digest: str) -> None:
    assert md4(text).hex() == digest


@pytest.mark.parametrize("user", [USER, b"DOMAIN\\User"])
def test_mschapv2_of_rfc_2759(user: bytes) -> None:
    nt_response = response(PASSWORD, user, SERVER_CHALLENGE, PEER_CHALLENGE)

    assert nt_response.hex() == "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
    proof = server_proof(PASSWORD, user, SERVER_CHALLENGE, PEER_CHALLENGE, nt_response)
    assert proof == b"S=407A5589115FD0D6209F510FE9C04566932CDA56"


def esp(transform: EspTransform, auth: AuthAlgorithm) -> EspSa:
    cipher = 24 if transform is EspTransform.TRIPLE_DES else 32
    keymat = bytes(range(cipher + AUTH_KEYS[auth]))
    return EspSa(b"\x01\x02\x03\x04", transform, auth, keymat, deterministic("iv"))


@given(
    payload=st.binary(max_size=100),
    transform=st.sampled_from([EspTransform.AES_CBC, EspTransform.TRIPLE_DES]),
    auth=st.sampled_from(sorted(AUTH_KEYS)),
)
def test_esp_comes_back(payload: bytes, transform: EspTransform, auth: AuthAlgorithm) -> None:
    assert esp(transform, auth).open(esp(transform, auth).seal(payload, 17)) == (payload, 17)


def test_esp_of_rfc_3602() -> None:
    """Case 5 of section 4: the cipher and the padding, with an ICV of our own behind."""
    sa = EspSa(
        bytes.fromhex("00004321"),
        EspTransform.AES_CBC,
        AuthAlgorithm.HMAC_SHA1,
        bytes.fromhex("90d382b410eeba7ad938c46cec1a82bf") + bytes(20),
        lambda _: bytes.fromhex("e96e8c08ab465763fd098d45dd3ff893"),
    )
    echo = bytes.fromhex(
        "08000ebda70a00008e9c083db95b0700"
        "08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
        "3031323334353637"
    )

    assert sa.seal(echo, ip.ICMP)[:-12].hex() == (
        "0000432100000001e96e8c08ab465763fd098d45dd3ff893"
        "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856"
        "a4699e523a55db080b59ec3a8e4b7e52775b07d1db34ed9c538ab50c551b874a"
        "a269add047ad2d5913ac19b7cfbad4a6"
    )


def test_esp_that_was_changed_on_its_way_does_not_open() -> None:
    sa = esp(EspTransform.AES_CBC, AuthAlgorithm.HMAC_SHA2_256)
    packet = sa.seal(b"payload", 17)

    for position in range(len(packet)):
        changed = bytearray(packet)
        changed[position] ^= 1
        assert sa.open(bytes(changed)) is None
    assert sa.open(packet[:20]) is None


@given(data=st.binary(max_size=64))
def test_ip_packets_come_back(data: bytes) -> None:
    packet = ip.parse(ip.udp_packet(A, B, 1000, 2000, data))

    assert packet is not None
    assert (packet.source, packet.destination) == (A, B)
    assert ip.udp_fields(packet.payload) == (1000, 2000, data)
    request = ip.parse(ip.echo_request(A, B, 7, data))
    assert request is not None
    reply = ip.parse(ip.echo_reply(request) or b"")
    assert reply is not None
    assert ip.echoed(reply) == data
    assert reply.source == B


def test_checksum_of_rfc_1071() -> None:
    assert ip.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF


@pytest.mark.parametrize("octets", [b"", b"\x60" + bytes(39), b"\x45" + bytes(19)])
def test_what_is_no_ip_packet(octets: bytes) -> None:
    assert ip.parse(octets) is None


def test_dhcpinform_of_leopard() -> None:
    """As its acsp.c writes it."""
    profile = CLIENTS["macos-10.5"].ppp.profile.dhcpinform
    assert profile is not None
    packet = ip.parse(dhcp.inform(profile, A, 1))

    assert packet is not None
    assert packet.destination == IPv4Address("255.255.255.255")
    fields = ip.udp_fields(packet.payload)
    assert fields is not None
    assert fields[:2] == (68, 67)
    message = fields[2]
    assert message[:8].hex() == "0108060000000001"
    assert message[12:16] == A.packed
    assert message[28:44].hex() == "00000001000000000000000000000001"
    assert message[236:].hex() == "638253633501083d07080000000100003706062c2b01f90fff"


def test_an_answer_to_dhcpinform() -> None:
    header = bytes(236) + bytes.fromhex("63825363")

    assert dhcp.acknowledged(header + bytes.fromhex("350105ff"))
    assert not dhcp.acknowledged(header + bytes.fromhex("350106ff"))
    assert not dhcp.acknowledged(b"")
