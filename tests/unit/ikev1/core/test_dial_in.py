"""Main Mode and Quick Mode against an initiator that shares no more than the codec."""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import pytest
from msgspec import structs

from ikev1.core.effects import (
    ChildUp,
    ComputeDh,
    IkeSaUp,
    InstallInbound,
    InstallOutbound,
    Path,
)
from ikev1.core.proposals import IKE_ENCRYPTION, IKE_GROUP, IKE_HASH
from ikev1.crypto.dh import modp_prime
from ikev1.wire.enums import (
    AuthAlgorithm,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
    IdType,
    NotifyType,
)
from ikev1.wire.payloads import Identification
from interop.clients.ike import IPHONE, PROFILES
from interop.initiator.derivation import DhKey, dh_key
from interop.initiator.effects import Phase1Up
from interop.initiator.profiles import EspOffer, L2tpPort, Phase1Offer, Profile, only
from tests.support.ike_dialin import CLIENT, GATEWAY, NAT, PRIVATE, Dialin, agree
from tests.support.ike_host import IkeHost
from tests.support.ike_offers import ANDROID_12, XP

CLIENTS = [*PROFILES.values(), ANDROID_12, XP]


def seen(nat: bool) -> Callable[[IkeHost, Profile], Dialin]:
    return Dialin.behind_nat if nat else Dialin


def of_every_client() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("profile", CLIENTS, ids=[client.name for client in CLIENTS])


def check_up(client: Dialin) -> None:
    """Both sides have the same SAs, and the kernel has both of them."""
    host = client.host
    child = client.child()
    assert agree(client.sas[-1], child)
    assert client.failures == []
    assert client.initiator.findings == ()
    assert host.inbound == {child.inbound_spi: child}
    assert host.outbound == {child.inbound_spi: child}
    assert host.refusals() == []
    assert host.drops() == []
    assert host.engine.half_open == 0


@of_every_client()
def test_without_nat(profile: Profile) -> None:
    host = IkeHost()
    client = Dialin(host, profile).connect()
    check_up(client)
    child = client.child()
    assert not child.encapsulated
    assert child.path == client.path(floated=False)
    (up,) = host.told_of(IkeSaUp)
    assert (up.nat, up.identity, up.connection) == ("none", CLIENT, "office")
    assert not client.told_of(Phase1Up)[0].client_behind_nat


@of_every_client()
def test_behind_a_nat(profile: Profile) -> None:
    host = IkeHost()
    client = Dialin.behind_nat(host, profile).connect()
    check_up(client)
    child = client.child()
    assert child.encapsulated
    assert child.path == client.path(floated=True)
    assert (child.path.remote, child.path.remote_port, child.path.local_port) == (NAT, 61001, 4500)
    (up,) = host.told_of(IkeSaUp)
    assert (up.nat, up.identity) == ("client", PRIVATE)
    (told,) = client.told_of(Phase1Up)
    assert (told.client_behind_nat, told.server_behind_nat) == (True, False)


def test_behind_a_nat_that_keeps_the_ports() -> None:
    client = Dialin(IkeHost(), inner=PRIVATE, nat=NAT).connect()
    check_up(client)
    assert client.child().encapsulated


class ServerBehindNat(Dialin):
    """The gateway has another address than the one that is dialled."""

    def path(self, floated: bool) -> Path:
        return structs.replace(super().path(floated), local="10.1.1.1")


def test_the_gateway_behind_a_nat() -> None:
    host = IkeHost()
    client = ServerBehindNat(host).connect()
    assert client.child().encapsulated
    assert client.initiator.findings == ()
    (up,) = host.told_of(IkeSaUp)
    assert up.nat == "server"
    assert client.told_of(Phase1Up)[0].server_behind_nat


def test_both_behind_nats() -> None:
    host = IkeHost()
    client = ServerBehindNat(host, inner=PRIVATE, nat=NAT, ports=(1, 2)).connect()
    assert client.child().encapsulated
    assert host.told_of(IkeSaUp)[0].nat == "both"


def test_over_ipv6() -> None:
    host = IkeHost()
    client = Dialin(host, inner="2001:db8::7", gateway="2001:db8::1").connect()
    check_up(client)
    assert host.told_of(IkeSaUp)[0].identity == "2001:db8::7"


def test_each_question_is_asked_once_and_in_order() -> None:
    host = IkeHost()
    Dialin(host).connect()
    assert [type(question) for question in host.asked] == [
        ComputeDh,
        InstallInbound,
        InstallOutbound,
    ]


def test_the_inbound_sa_is_in_the_kernel_before_the_client_may_send() -> None:
    host = IkeHost(hold=(InstallInbound, InstallOutbound))
    client = Dialin(host).main_mode()
    client.run(client.initiator.quick_mode(host.now))
    assert client.sas == []
    assert len(host.inbound) == 1
    client.deliver(host.answer())  # to InstallInbound: message 2
    assert len(client.sas) == 1
    assert host.told_of(ChildUp) == []
    client.deliver(host.answer())  # to InstallOutbound
    assert len(host.told_of(ChildUp)) == 1
    check_up(client)


def test_what_is_told_of_a_client() -> None:
    host = IkeHost(now=100.0)
    client = Dialin(host)
    (first,) = client.note(client.initiator.start(100.0))
    (second,) = client.give(first)
    host.now = 100.5
    client.run(client.take(second, floated=False))
    client.quick_mode()
    (up,) = host.told_of(IkeSaUp)
    assert up.client == client.initiator.cookies[:4].hex()
    assert (up.suite, up.lifetime, up.implementation) == ("aes256-sha256-modp2048", 3600, "Apple")
    assert (up.duration, up.replaces) == (0.5, None)
    (child_up,) = host.told_of(ChildUp)
    assert (child_up.child, child_up.rekeyed) == (client.child(), False)
    assert (child_up.child.client, child_up.child.client_port) == (up.client, 49152)


# --- Phase 1 algorithms --------------------------------------------------------------------------


def dh_of_group_18(group: int, random: Callable[[int], bytes]) -> DhKey:
    """The one group that the initiator does not have by itself."""
    if group != Group.MODP_8192:
        return dh_key(group, random)
    prime = modp_prime(8192, 4743158)
    exponent = int.from_bytes(random(20))
    return DhKey(
        pow(2, exponent, prime).to_bytes(1024),
        lambda peer: pow(int.from_bytes(peer), exponent, prime).to_bytes(1024),
    )


@pytest.mark.parametrize("group", list(IKE_GROUP))
def test_every_group(group: Group) -> None:
    offer = Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA2_256, group)
    host = IkeHost()
    client = Dialin(host, only(IPHONE, offer), make_dh=dh_of_group_18).connect()
    check_up(client)
    assert host.told_of(IkeSaUp)[0].suite == f"aes256-sha256-{IKE_GROUP[group]}"


@pytest.mark.parametrize("hash_", list(IKE_HASH))
@pytest.mark.parametrize(("cipher", "bits"), list(IKE_ENCRYPTION))
def test_every_hash_with_every_cipher(
    hash_: HashAlgorithm, cipher: EncryptionAlgorithm, bits: int | None
) -> None:
    """MD5 and SHA-1 are shorter than the longer keys, which stretches SKEYID_e."""
    host = IkeHost()
    client = Dialin(host, only(IPHONE, Phase1Offer(cipher, bits, hash_, Group.ECP_256)))
    client.connect()
    check_up(client)
    name = IKE_ENCRYPTION[cipher, bits]
    assert host.told_of(IkeSaUp)[0].suite == f"{name}-{IKE_HASH[hash_]}-ecp256"


# --- Phase 2 algorithms --------------------------------------------------------------------------

FAST = only(
    IPHONE,
    Phase1Offer(EncryptionAlgorithm.AES_CBC, 128, HashAlgorithm.SHA1, Group.ECP_256),
)


@pytest.mark.parametrize("auth", [AuthAlgorithm(number) for number in (1, 2, 5, 6, 7)])
@pytest.mark.parametrize(
    ("cipher", "bits"),
    [
        (EspTransform.AES_CBC, 128),
        (EspTransform.AES_CBC, 192),
        (EspTransform.AES_CBC, 256),
        (EspTransform.TRIPLE_DES, None),
    ],
)
def test_every_esp_cipher_with_every_integrity(
    cipher: EspTransform, bits: int | None, auth: AuthAlgorithm
) -> None:
    host = IkeHost()
    profile = replace(FAST, esp=(EspOffer(cipher, bits, auth),))
    client = Dialin(host, profile).connect()
    check_up(client)
    child = client.child()
    digest = {1: 16, 2: 20, 5: 32, 6: 48, 7: 64}[auth]
    assert len(child.inbound_encryption_key) == (bits or 192) // 8
    assert len(child.inbound_integrity_key) == digest


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_aes_gcm_with_its_salt(bits: int) -> None:
    host = IkeHost()
    profile = replace(FAST, esp=(EspOffer(EspTransform.AES_GCM_16, bits, None),))
    client = Dialin(host, profile).connect()
    check_up(client)
    child = client.child()
    assert (len(child.inbound_encryption_key), child.inbound_integrity_key) == (bits // 8 + 4, b"")


@pytest.mark.parametrize("group", [Group.MODP_1024, Group.MODP_2048, Group.ECP_384])
@pytest.mark.parametrize("nat", [False, True])
def test_pfs_where_the_client_wants_it(group: Group, nat: bool) -> None:
    host = IkeHost()
    client = seen(nat)(host, replace(FAST, pfs_group=group)).connect()
    check_up(client)
    assert host.count(ComputeDh) == 2
    assert client.child().pfs_group == group


def test_pfs_gives_other_keys() -> None:
    """The same random values with and without it."""
    plain = Dialin(IkeHost(), FAST).connect()
    with_pfs = Dialin(IkeHost(), replace(FAST, pfs_group=Group.ECP_256)).connect()
    assert plain.sas[0].inbound_keys != with_pfs.sas[0].inbound_keys


def test_both_lifetimes_reach_the_kernel() -> None:
    client = Dialin(IkeHost(), PROFILES["windows-10"]).connect()
    assert (client.child().lifetime, client.child().kilobytes) == (3600, 250_000)


# --- identities of Phase 2 -----------------------------------------------------------------------


class Chooses(Dialin):
    """A client that names other identities in Quick Mode than its profile says."""

    ci: Identification
    cr: Identification

    def naming(self, ci: Identification, cr: Identification | None = None) -> Self:
        self.ci = ci
        self.cr = cr or address(GATEWAY, 1701)
        return self

    def dial(self) -> Self:
        self.main_mode()
        self.initiator.quick_mode(self.host.now)
        # Its first message is not sent but made anew, with the identities that are to be tried.
        exchange = next(reversed(self.initiator._quick_modes.values()))
        exchange._ids = (self.ci, self.cr)
        exchange._chain = self.initiator._session.new_chain(exchange.message_id)
        self.run([exchange.start(self.host.now)])
        return self


def address(text: str, port: int, protocol: int = 17) -> Identification:
    octets = bytes(int(part) for part in text.split("."))
    return Identification(IdType.IPV4_ADDR, protocol, port, octets)


@pytest.mark.parametrize("nat", [False, True])
@pytest.mark.parametrize(
    ("port", "shown"), [(L2tpPort.L2TP, 1701), (L2tpPort.ANY, 0), (L2tpPort.EPHEMERAL, 49152)]
)
def test_the_clients_port(port: L2tpPort, shown: int, nat: bool) -> None:
    client = seen(nat)(IkeHost(), replace(FAST, l2tp_port=port)).connect()
    check_up(client)
    assert client.child().client_port == shown


def test_unpatched_windows_names_no_port_on_our_side() -> None:
    """KB248750: IDcr is 17/0."""
    client = Chooses(IkeHost(), FAST).naming(address(CLIENT, 1701), address(GATEWAY, 0)).dial()
    check_up(client)
    assert client.child().client_port == 1701


@pytest.mark.parametrize("port", [1, 500, 1700, 1702, 65535])
def test_another_port_on_our_side_is_refused(port: int) -> None:
    host = IkeHost()
    client = Chooses(host, FAST).naming(address(CLIENT, 1701), address(GATEWAY, port)).dial()
    (refusal,) = host.refusals()
    assert refusal.exchange == "Quick Mode"
    assert f"port {port}, not L2TP's 1701" in refusal.cause
    assert "UDP port 1701 on the gateway's side" in refusal.remedy
    assert refusal.notify == NotifyType.INVALID_ID_INFORMATION
    assert client.failures[0].detail.startswith("INVALID_ID_INFORMATION")
    assert host.inbound == host.outbound == {}


@pytest.mark.parametrize("protocol", [1, 6, 47, 50, 255])
def test_another_protocol_is_refused(protocol: int) -> None:
    for ids in (
        (address(CLIENT, 1701, protocol), address(GATEWAY, 1701)),
        (address(CLIENT, 1701), address(GATEWAY, 1701, protocol)),
    ):
        host = IkeHost()
        Chooses(host, FAST).naming(*ids).dial()
        assert f"protocol {protocol}, not UDP" in host.refusals()[0].cause
        assert host.inbound == {}


FQDN = Identification(IdType.FQDN, 17, 1701, b"laptop")


def test_a_name_instead_of_an_address_behind_a_nat() -> None:
    """MS-818043: Windows names itself so when it rekeys behind a NAT."""
    client = Chooses.behind_nat(IkeHost(), FAST).naming(FQDN).dial()
    check_up(client)
    assert client.sas[0].ids[0] == FQDN


def test_a_name_instead_of_an_address_without_a_nat() -> None:
    host = IkeHost()
    Chooses(host, FAST).naming(FQDN).dial()
    (refusal,) = host.refusals()
    assert "IDci @laptop" in refusal.cause
    assert "type FQDN, not an address" in refusal.cause


@pytest.mark.parametrize(
    "ids",
    [
        (address("198.51.100.8", 1701), address(GATEWAY, 1701)),
        (address(CLIENT, 1701), address("203.0.113.2", 1701)),
    ],
)
def test_other_addresses_without_a_nat(ids: tuple[Identification, Identification]) -> None:
    host = IkeHost()
    Chooses(host, FAST).naming(*ids).dial()
    assert "no NAT is between us" in host.refusals()[0].cause


def test_any_private_address_behind_a_nat() -> None:
    """NAT64 clients of Apple's name 192.168.2.2 in Phase 2, others the address of yesterday."""
    client = Chooses.behind_nat(IkeHost(), FAST)
    client.naming(address("192.168.2.2", 0)).dial()
    check_up(client)


@pytest.mark.parametrize("port", [0, 1701, 49152])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IdType.FQDN, b""),
        (IdType.USER_FQDN, b""),
        (IdType.KEY_ID, b""),
        (IdType.KEY_ID, b"\x00\xff"),
        (IdType.DER_ASN1_DN, b"\x30\x00"),
        (IdType.IPV4_ADDR, bytes(4)),
        (IdType.IPV4_ADDR_SUBNET, bytes.fromhex("0a000000ff000000")),
        (IdType.IPV6_ADDR, bytes(16)),
        (IdType(200), b"odd"),
    ],
    ids=str,
)
def test_any_odd_identity_behind_a_nat(kind: IdType, data: bytes, port: int) -> None:
    """In transport mode it means nothing there; the port does."""
    odd = Identification(kind, 17, port, data)
    client = Chooses.behind_nat(IkeHost(), FAST).naming(odd).dial()
    check_up(client)
    assert client.child().client_port == port
    assert client.sas[0].ids[0] == odd


@pytest.mark.parametrize("fqdn", ["", "laptop", "b\u00fcro\n"])
def test_an_odd_identity_in_phase_1(fqdn: str) -> None:
    client = Dialin.behind_nat(IkeHost(), replace(FAST, fqdn=fqdn)).connect()
    check_up(client)


def test_an_empty_address_in_phase_1_or_2_is_malformed() -> None:
    host = IkeHost()
    Chooses.behind_nat(host, FAST).naming(Identification(IdType.IPV4_ADDR, 17, 1701, b"")).dial()
    assert host.inbound == {}


def test_a_network_is_no_address_without_a_nat() -> None:
    network = Identification(IdType.IPV4_ADDR_SUBNET, 0, 0, bytes.fromhex("c6336407ffffffff"))
    host = IkeHost()
    Chooses(host, FAST).naming(network).dial()
    assert "type IPV4_ADDR_SUBNET, not an address" in host.refusals()[0].cause
