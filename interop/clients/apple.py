"""Apple's clients: one racoon and one pppd, from Mac OS X 10.3 to today.

Which release has which tag of the sources is told by the tags' dates.
"""

from ipaddress import IPv4Address

from interop.clients.facts import Facts, Known, Unknown, facts
from interop.clients.model import CertificateUse, Client, Conduct, Programs, Requests
from interop.clients.sources import (
    AI,
    AP,
    GIST_MACOS,
    LS,
    OPENSWAN_CONF,
    SOFTETHER_1102,
    SOFTETHER_2110,
    STRONG_28,
    UBUNTU_IOS_4,
)
from interop.clients.wire import (
    ACCM,
    ACFC,
    ADDRESS,
    ALWAYS,
    DH2,
    DH5,
    DH14,
    DNS1,
    DNS2,
    ESP_3DES,
    ESP_AES128,
    ESP_AES256,
    HMAC_MD5,
    HMAC_SHA1,
    HMAC_SHA256,
    IPV6CP,
    MAGIC,
    MD5,
    PFC,
    SESSION_ID,
    SHA1,
    SHA256,
    SHA512,
    TUNNEL_ID,
    VAN_JACOBSON,
    VERSION,
    aes,
    esp,
    framing,
    framing_type,
    host_name,
    result,
    serial,
    triple_des,
    tx_speed,
    window,
)
from interop.initiator.checks import Cause
from interop.initiator.profiles import (
    APPLE_FRAGMENTS,
    APPLE_NAT_T,
    DPD,
    DRAFT_02,
    DRAFT_02_N,
    DRAFT_03,
    FRAGMENTATION_WITH_CAPABILITY,
    LATE_DRAFTS,
    RFC_3947,
    AttributeOrder,
    Goodbye,
    IdciAddress,
    L2tpPort,
    Profile,
    Retransmission,
)
from interop.lac.profiles import Backoff, L2tpProfile
from interop.ppp.profiles import Asks, Dhcpinform, Login, PppProfile
from l2tp.wire.enums import AvpType, MessageType, Protocol
from l2tp.wire.ppp import Option

NAT_T = (RFC_3947, APPLE_NAT_T, *LATE_DRAFTS, DRAFT_03, DRAFT_02, DRAFT_02_N)
_UTILS = f"{AP} ipsec_utils.c"

_DH2_LIST = (
    aes(256, SHA1, DH2),
    aes(256, MD5, DH2),
    aes(128, SHA1, DH2),
    aes(128, MD5, DH2),
    triple_des(SHA1, DH2),
    triple_des(MD5, DH2),
)
_PROGRAMS = Programs("racoon", "pppd", "pppd")

_IKE = facts(
    Profile,
    name=Known("iphone", "ours"),
    phase1=Known(
        (
            aes(256, SHA256, DH14),
            aes(256, SHA1, DH14),
            aes(256, MD5, DH14),
            aes(256, SHA512, DH14),
            aes(256, SHA256, DH5),
            aes(256, SHA1, DH5),
            aes(256, MD5, DH5),
            aes(256, SHA256, DH2),
            *_DH2_LIST,
        ),
        f"{_UTILS} since ppp-809.40.5",
    ),
    phase1_lifetime=Known(3600, _UTILS),
    vendor_ids=Known(
        (*NAT_T, FRAGMENTATION_WITH_CAPABILITY, DPD),
        f"{AI} isakmp_ident.c, remoteconf.c since ipsec-258",
    ),
    esp=Known(
        esp((ESP_AES256, ESP_AES128, ESP_3DES), (HMAC_SHA256, HMAC_SHA1, HMAC_MD5)),
        f"{_UTILS} since ppp-877.40.2",
    ),
    esp_lifetime=Known(3600, _UTILS),
    esp_lifetime_kilobytes=Known(None, f"{AI} ipsec_doi.c setph2proposal0"),
    attribute_order=Known(AttributeOrder.RACOON, f"{AI} ipsec_doi.c setph1attr, setph2proposal0"),
    long_durations=Known(False, f"{AI} ipsec_doi.c setph1attr"),
    retransmission=Known(Retransmission(base=2.0, tries=5), f"{AI} localconf.h"),
    l2tp_port=Known(L2tpPort.EPHEMERAL, f"{AP} l2tp.c; {STRONG_28}"),
    server_port=Known(1701, f"{AP} l2tp.c"),
    nonce_size=Known(16, f"{AI} DEFAULT_NONCE_SIZE"),
    initial_contact=Known(True, f"{AI} isakmp_plist_append_initial_contact"),
    initial_contact_apart=Known(False, f"{AI} isakmp_plist_append_initial_contact"),
    fragmentation=Known(APPLE_FRAGMENTS, f"{AI} isakmp_frag.h, isakmp_frag.c"),
    goodbye=Unknown(Goodbye(), "as OS X 10.8 does"),
    esp_apart=Known(False, f"{AI} ipsec_doi.c setph2proposal0"),
    pfs_group=Known(None, _UTILS),
    claims=Known(None, f"{AI} ipsecdoi_setid1: its own, but for NAT64"),
    fqdn=Known(None, f"{AI} ipsecdoi_setid1: its address, with port 500"),
    idci_address=Known(IdciAddress.NUMBER, f"{AI} ipsec_doi.c, {STRONG_28}"),
    group_name=Known(None, f"{AP} IPSecIsAggressiveMode: where none is set"),
)

# SCCRP, ICRP: what l2tp.c looks for.
_REQUIRES = {
    MessageType.SCCRP: frozenset(
        (
            AvpType.PROTOCOL_VERSION,
            AvpType.HOST_NAME,
            AvpType.FRAMING_CAPABILITIES,
            AvpType.ASSIGNED_TUNNEL_ID,
        )
    ),
    MessageType.ICRP: frozenset((AvpType.ASSIGNED_SESSION_ID,)),
}
_L2TP_C = f"{AP} l2tp.c"


def _result(code: int) -> bytes:
    """In the order of the processor, and with six octets of old buffer behind it."""
    return code.to_bytes(2, "little") + bytes(6)


_L2TP = facts(
    L2tpProfile,
    port=Known(0, _L2TP_C),
    sccrq=Known((VERSION, framing(3), host_name("iphone\0"), TUNNEL_ID, window(4)), _L2TP_C),
    scccn=Known((), _L2TP_C),
    icrq=Known((SESSION_ID, serial(1)), _L2TP_C),
    iccn=Known((tx_speed(1_000_000), framing_type(3)), _L2TP_C),
    cdn=Known((SESSION_ID, result(_result(3))), _L2TP_C),
    stopccn=Known((TUNNEL_ID, result(_result(1))), _L2TP_C),
    window=Known(4, _L2TP_C),
    waits_for_zlb=Known(False, _L2TP_C),
    retransmission=Known(Backoff(1.0, 9, 2.0, cap=4.0), f"{AP} l2tpk.h"),
    hello=Known(None, f"{AP} main.c"),
    stray_hellos=Known(11, f"{AP} main.c, blockacq_count"),
    length_bit=Known(True, f"{AP} l2tp_rfc.c"),
    hang_up=Known((MessageType.CDN, MessageType.STOPCCN), _L2TP_C),
    requires=Known(_REQUIRES, _L2TP_C),
    strict_header=Known(True, f"{AP} l2tp_rfc.c"),
)
_PPP = facts(
    PppProfile,
    lcp=Known((ACCM, MAGIC, PFC, ACFC), f"{AP} lcp.c"),
    first_identifier=Known(1, f"{AP} fsm.c"),
    identifications=Known((), f"{AP} lcp.c"),
    logins=Known((Login.MSCHAPV2, Login.CHAP_MD5, Login.PAP), f"{AP} ppp_option.h, by service"),
    echo=Known(10.0, f"{AP} ppp_option.h"),
    echo_failures=Known(4, f"{AP} ppp_option.h"),
    ipcp=Known((VAN_JACOBSON, ADDRESS, DNS1, DNS2), f"{AP} ipcp.c"),
    asks_for=Known((), f"{AP} ppp_manager.c: noccp, noacsp; IPv6CP where the service has IPv6"),
    ipcp_last=Known(False, f"{AP} main.c, protocols"),
    restart=Known(Backoff(3.0, 10), f"{AP} fsm.h"),
    dhcpinform=Known(None, f"{AP} ppp_manager.c: no-use-dhcp, where all traffic is sent"),
    terminates=Known(True, f"{AP} lcp.c"),
)

_DHCPINFORM = Known(
    Dhcpinform(
        parameters=(6, 44, 43, 1, 249, 15),
        client_id=bytes.fromhex("08000000010000"),
        chaddr=bytes.fromhex("00000001000000000000000000000001"),
        interval=3.0,
        tries=4,
    ),
    f"{AP} acsp.c, ppp_manager.c: with a split tunnel",
)
_ACSCP = Asks(Protocol.ACSCP, (Option(1, (1).to_bytes(4)), Option(2, (1).to_bytes(4))))
"""acscp.h: routes and domains, each with the version of its format."""

RACOON_INSISTS = ALWAYS | {
    Cause.MM2_PAYLOADS,
    Cause.MM2_FRAGMENTATION_VENDOR_ID,
    Cause.MM4_PAYLOADS,
    Cause.MM6_PAYLOADS,
    Cause.MM6_ID_TYPE,
    Cause.QM2_PAYLOADS,
    Cause.QM2_HASH_FIRST,
    Cause.QM2_TRANSFORM,
    Cause.QM2_IDS,
    Cause.QM2_ENCAPSULATION_MODE,
}
"""isakmp_ident.c, isakmp_quick.c, ipsec_doi.c, proposal.c; vendorid.c reads beyond a short one."""

_CONDUCT = facts(
    Conduct,
    insists_on=Known(RACOON_INSISTS, f"{AI} ident_i2recv to ident_i4recv, quick_i2recv"),
    phase1_rekey=Known(0.8, f"{AI} ike_session_get_rekey_lifetime"),
    phase1_rekey_as_greater=Known(0.9, f"{AI} ike_session_get_rekey_lifetime"),
    phase2_rekey=Known(0.8, f"{AI} pfkey.c, on the kernel's soft lifetime"),
    deletes_rekeyed=Unknown(True, "as racoon does"),
    renews_on_demand=Known(
        True, f"{AP} ipsec_utils.c: its policies stay; {AI} pfkey.c: the kernel acquires"
    ),
    keepalive=Known(20.0, f"{AI} localconf.c"),
    needs_phase1=Known(False, f"{AI} ike_session.c"),
    certificate=Known(
        CertificateUse(Requests.MESSAGE_5, chain=False, checks_name=True),
        f"{AI} ident_ir3mx, oakley_check_certid; {AP} my_identifier asn1dn",
    ),
    follows_load_balance=Known(
        True, f"{AI} isakmp_info_recv_lb, {AP} l2tp.c: to the IPv4 address that is its data"
    ),
    server_wait=Known(30.0, f"{AP} main.c: 10 s for the first answer"),
)


def _named(facts_: Facts[Profile], name: str) -> Facts[Profile]:
    return facts_.but(name=Known(name, "ours"))


def _called(name: str) -> Known:
    sccrq = (VERSION, framing(3), host_name(name), TUNNEL_ID, window(4))
    return Known(sccrq, f"{_L2TP_C} since ppp-560.12: gethostname() and its NUL")


def _seen(log: str) -> Facts[Profile]:
    """What a log shows too: a transform, and both lifetimes."""
    return _IKE.but(
        phase1=Known(_IKE.profile.phase1, f"{_UTILS} since ppp-809.40.5; one of them in {log}"),
        phase1_lifetime=Known(3600, f"{_UTILS}; {log}"),
        esp_lifetime=Known(3600, f"{_UTILS}; {log}"),
    )


IPHONE = Client(
    "iphone", "iPhone, iOS of today", _PROGRAMS, _seen(SOFTETHER_1102), _L2TP, _PPP, _CONDUCT
)
IPHONE_NAT64 = Client(
    name="iphone-nat64",
    title="iPhone, iOS of today, on a network with NAT64",
    programs=_PROGRAMS,
    ike=_named(_IKE, "iphone-nat64").but(
        claims=Known(
            (IPv4Address(0), IPv4Address("192.168.2.2")),
            f"{AI} ipsec_doi.c: what it shows where its own address is of IPv6",
        ),
    ),
    l2tp=_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)
MACOS = Client(
    name="macos",
    title="macOS of today",
    programs=_PROGRAMS,
    ike=_named(_seen(SOFTETHER_2110), "macos").but(goodbye=Known(Goodbye(), GIST_MACOS)),
    l2tp=_L2TP.but(sccrq=_called("macbook.local\0")),
    ppp=_PPP,
    conduct=_CONDUCT,
)
MACOS_SPLIT = Client(
    name="macos-split",
    title="macOS of today, all traffic not sent, with IPv6 and ACSP",
    programs=_PROGRAMS,
    ike=_named(_IKE, "macos-split").but(goodbye=Known(Goodbye(), GIST_MACOS)),
    l2tp=_L2TP.but(sccrq=_called("macbook.local\0")),
    ppp=_PPP.but(
        asks_for=Known(
            (IPV6CP, _ACSCP),
            f"{AP} ppp_manager.c: +ipv6 where the service has IPv6, no noacsp where it has ACSP and"
            " all traffic is not sent; acscp.c, main.c",
        ),
        dhcpinform=_DHCPINFORM,
    ),
    conduct=_CONDUCT,
)
IOS_2011 = Client(
    name="ios-2011",
    title="iPhone, iOS 5 to 9",
    programs=_PROGRAMS,
    ike=_named(_IKE, "ios-2011").but(
        phase1=Known(_DH2_LIST, f"{_UTILS}, ppp-560.12 to ppp-809"),
        vendor_ids=Known(
            (*NAT_T, FRAGMENTATION_WITH_CAPABILITY, DPD), f"{AI} isakmp_ident.c, ipsec-146"
        ),
        esp=Known(
            esp((ESP_AES256, ESP_AES128, ESP_3DES), (HMAC_SHA1, HMAC_MD5)),
            f"{_UTILS}, ppp-560.12; {STRONG_28}",
        ),
        goodbye=Known(Goodbye(esp=False, isakmp=False), f"{LS} docs/examples/l2tp-psk.conf"),
    ),
    l2tp=_L2TP.but(stray_hellos=Unknown(0, "its pppd's way to trigger IPsec is not known")),
    ppp=_PPP,
    conduct=_CONDUCT,
)

IOS_4 = Client(
    name="ios-4",
    title="iPhone, iOS 4",
    programs=_PROGRAMS,
    ike=_named(IOS_2011.ike.taken_for("as iOS 5"), "ios-4").but(
        vendor_ids=Known((*NAT_T, DPD), UBUNTU_IOS_4),
        fragmentation=Known(None, f"{UBUNTU_IOS_4}: its vendor ID is not there"),
        initial_contact=Known(True, UBUNTU_IOS_4),
        initial_contact_apart=Known(False, f"{UBUNTU_IOS_4}: with message ID 0"),
        idci_address=Known(IdciAddress.NUMBER, UBUNTU_IOS_4),
        l2tp_port=Known(L2tpPort.ANY, UBUNTU_IOS_4),
    ),
    l2tp=IOS_2011.l2tp.taken_for("as iOS 5").but(port=Known(0, UBUNTU_IOS_4)),
    ppp=_PPP.taken_for("as iOS 5"),
    conduct=_CONDUCT.taken_for("as iOS 5"),
)

# Leopard and the systems before it.
_OLD_ESP = Known(esp((ESP_AES128, ESP_3DES), (HMAC_SHA1, HMAC_MD5)), f"{_UTILS} to ppp-412")
_OLD_L2TP = _L2TP.but(
    sccrq=Known(
        (VERSION, framing(3), host_name(""), TUNNEL_ID, window(4)), f"{_L2TP_C} to ppp-412: empty"
    ),
    stray_hellos=Unknown(0, "how its pppd triggers IPsec is not known"),
    retransmission=Known(Backoff(1.0, 6, 2.0, cap=8.0), f"{AP} l2tpk.h, ppp-142"),
)
_LEOPARD_IKE = _named(_IKE, "macos-10.5").but(
    phase1=Known((triple_des(SHA1, DH2),), f"{AP} ppp-314: none written, so the default of racoon"),
    vendor_ids=Known((*NAT_T, DPD), f"{AI} isakmp_ident.c, ipsec-34: no fragmentation"),
    esp=_OLD_ESP,
    fragmentation=Known(None, f"{AI} config.h, ipsec-34"),
    initial_contact_apart=Known(True, f"{AI} isakmp.c, ipsec-34"),
    goodbye=Unknown(Goodbye(), "as OS X 10.8 does"),
)
MACOS_10_5 = Client(
    name="macos-10.5",
    title="Mac OS X 10.5",
    programs=_PROGRAMS,
    ike=_LEOPARD_IKE,
    l2tp=_OLD_L2TP,
    ppp=_PPP.but(dhcpinform=_DHCPINFORM),
    conduct=_CONDUCT,
)
MACOS_10_4 = Client(
    name="macos-10.4",
    title="Mac OS X 10.4",
    programs=_PROGRAMS,
    ike=_named(_LEOPARD_IKE, "macos-10.4").but(
        phase1=Known(
            (triple_des(SHA1, DH2),), f"{AP} ppp-229.1: none written, so the default of racoon"
        ),
        vendor_ids=Unknown((APPLE_NAT_T, DPD), f"{LS} vendorid.c finds the first in 10.3.3"),
        initial_contact_apart=Unknown(True, "as 10.5 does"),
    ),
    l2tp=_OLD_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)
MACOS_10_3 = Client(
    name="macos-10.3",
    title="Mac OS X 10.3",
    programs=_PROGRAMS,
    ike=_named(_LEOPARD_IKE, "macos-10.3").but(
        phase1=Known((triple_des(SHA1, DH2),), f"{_UTILS}, ppp-142: preshared key only"),
        vendor_ids=Unknown((APPLE_NAT_T,), f"{LS} vendorid.c finds it in 10.3.3"),
        initial_contact_apart=Unknown(True, "as 10.5 does"),
        l2tp_port=Known(L2tpPort.ANY, f"{OPENSWAN_CONF}; {LS} docs/examples"),
    ),
    l2tp=_OLD_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT.but(certificate=Known(None, f"{AP} ipsec_utils.c, ppp-142")),
)
IPHONE_2007 = Client(
    name="iphone-2007",
    title="iPhone, first generation",
    programs=_PROGRAMS,
    ike=_named(_LEOPARD_IKE.taken_for("as Mac OS X 10.5, its contemporary"), "iphone-2007").but(
        goodbye=Known(Goodbye(esp=False, isakmp=False), f"{LS} docs/examples/l2tp-psk.conf")
    ),
    l2tp=_OLD_L2TP.taken_for("as Mac OS X 10.5, its contemporary"),
    ppp=_PPP.taken_for("as Mac OS X 10.5, its contemporary"),
    conduct=_CONDUCT,
)

CLIENTS = (
    IPHONE,
    IPHONE_NAT64,
    IOS_2011,
    IOS_4,
    IPHONE_2007,
    MACOS,
    MACOS_SPLIT,
    MACOS_10_5,
    MACOS_10_4,
    MACOS_10_3,
)
