"""Android's own client: a racoon, and mtpd for L2TP with pppd behind it."""

from interop.clients.apple import RACOON_INSISTS
from interop.clients.facts import Known, Unknown, facts
from interop.clients.model import CertificateUse, Client, Conduct, Programs, Requests
from interop.clients.sources import AM, AR, AV, GIST_RACOON, IT
from interop.clients.wire import (
    ACCM,
    ACFC,
    ADDRESS,
    DH2,
    DNS1,
    DNS2,
    ESP_3DES,
    ESP_AES128,
    ESP_AES256,
    ESP_DES,
    HMAC_MD5,
    HMAC_SHA1,
    HMAC_SHA256,
    MAGIC,
    MD5,
    PFC,
    SERIAL,
    SESSION_ID,
    SHA1,
    SHA256,
    TUNNEL_ID,
    VAN_JACOBSON,
    VERSION,
    aes,
    des,
    esp,
    framing,
    framing_type,
    host_name,
    mru,
    result,
    triple_des,
    tx_speed,
    window,
)
from interop.initiator.checks import Cause
from interop.initiator.profiles import (
    DPD,
    DRAFT_00,
    DRAFT_02,
    DRAFT_02_N,
    FRAGMENTATION_WITH_CAPABILITY,
    RACOON_FRAGMENTS,
    RFC_3947,
    AttributeOrder,
    Goodbye,
    IdciAddress,
    L2tpPort,
    Profile,
    Retransmission,
)
from interop.lac.profiles import Backoff, L2tpProfile
from interop.ppp.profiles import Login, PppProfile
from l2tp.wire.enums import AvpType, MessageType

_SETUP = f"{AR} setup.c"
_SHA2 = (
    *(aes(256, hash_, DH2) for hash_ in (SHA256, SHA1, MD5)),
    *(aes(128, hash_, DH2) for hash_ in (SHA256, SHA1, MD5)),
    *(triple_des(hash_, DH2) for hash_ in (SHA256, SHA1, MD5)),
    *(des(hash_, DH2) for hash_ in (SHA256, SHA1, MD5)),
)

_PROGRAMS = Programs("racoon", "mtpd", "pppd")

_IKE = facts(
    Profile,
    name=Known("android", "ours"),
    phase1=Known(_SHA2, f"{_SETUP} since 2013"),
    phase1_lifetime=Known(28800, _SETUP),
    vendor_ids=Known(
        (RFC_3947, DRAFT_02, DRAFT_02_N, DRAFT_00, FRAGMENTATION_WITH_CAPABILITY, DPD),
        f"{AR}; {GIST_RACOON}",
    ),
    esp=Known(
        esp((ESP_AES256, ESP_AES128, ESP_3DES, ESP_DES), (HMAC_SHA256, HMAC_SHA1, HMAC_MD5)),
        f"{_SETUP} since 2013",
    ),
    esp_lifetime=Known(28800, _SETUP),
    esp_lifetime_kilobytes=Known(None, _SETUP),
    attribute_order=Known(AttributeOrder.RACOON, f"{IT} ipsec_doi.c, which it descends from"),
    long_durations=Known(False, f"{IT} ipsec_doi.c, which it descends from"),
    retransmission=Known(Retransmission(base=3.0, tries=10), _SETUP),
    l2tp_port=Known(L2tpPort.ANY, f"{_SETUP}, spdadd with port 0"),
    server_port=Known(1701, f"{_SETUP}, spdadd"),
    nonce_size=Known(16, f"{AR} setup.c"),
    initial_contact=Unknown(True, "as ipsec-tools do"),
    initial_contact_apart=Unknown(True, "as ipsec-tools do"),
    fragmentation=Known(RACOON_FRAGMENTS, f"{IT} isakmp_frag.h, which it descends from"),
    goodbye=Unknown(Goodbye(), "as ipsec-tools do at their end"),
    esp_apart=Known(False, f"{IT} ipsec_doi.c, which it descends from"),
    pfs_group=Known(None, _SETUP),
    claims=Known(None, f"{_SETUP}: its own"),
    fqdn=Known(None, f"{_SETUP}: its address"),
    idci_address=Known(IdciAddress.NUMBER, _SETUP),
    group_name=Known(None, f"{_SETUP}: where no identifier is set"),
)
_L2TP = facts(
    L2tpProfile,
    port=Known(0, AM),
    sccrq=Known((VERSION, host_name("anonymous"), framing(3), TUNNEL_ID, window(1)), AM),
    scccn=Known((), AM),
    icrq=Known((SESSION_ID, SERIAL), AM),
    iccn=Known((tx_speed(100_000_000), framing_type(3)), AM),
    cdn=Unknown((SESSION_ID, result(b"\0\3")), "it is not known to send one by itself"),
    stopccn=Known((TUNNEL_ID, result(b"\0\6")), AM),
    window=Known(1, AM),
    waits_for_zlb=Known(True, AM),
    retransmission=Known(Backoff(2.0, 30), AM),
    hello=Known(None, AM),
    length_bit=Unknown(True, "the usual"),
    hang_up=Known((MessageType.STOPCCN,), AM),
    requires=Known(
        {
            MessageType.SCCRP: frozenset((AvpType.ASSIGNED_TUNNEL_ID,)),
            MessageType.ICRP: frozenset((AvpType.ASSIGNED_SESSION_ID,)),
        },
        AM,
    ),
    strict_header=Known(True, AM),
    stray_hellos=Known(0, AM),
)
_PPP = facts(
    PppProfile,
    lcp=Known((mru(1400), ACCM, MAGIC, PFC, ACFC), f"{AV}; the rest is pppd's default"),
    first_identifier=Known(1, "ppp-project/ppp fsm.c"),
    identifications=Known((), "ppp-project/ppp lcp.c"),
    logins=Known((Login.MSCHAPV2, Login.CHAP_MD5, Login.PAP), f"{AV}: refuse-eap"),
    echo=Known(None, f"{AV}: no lcp-echo-interval"),
    echo_failures=Known(0, f"{AV}: no lcp-echo-interval"),
    ipcp=Known((VAN_JACOBSON, ADDRESS, DNS1, DNS2), f"{AV}: usepeerdns; the rest is the default"),
    asks_for=Unknown((), "left out; stock pppd would ask for BSD-Compress and Deflate"),
    ipcp_last=Known(False, "ppp-project/ppp main.c, protocols"),
    restart=Known(Backoff(3.0, 10), "ppp-project/ppp fsm.h"),
    dhcpinform=Known(None, "ppp-project/ppp has none"),
    terminates=Known(True, "ppp-project/ppp lcp.c"),
)
ANDROID_INSISTS = RACOON_INSISTS - {Cause.QM2_IDS, Cause.MM2_FRAGMENTATION_VENDOR_ID}
"""Android's racoon takes any IDs (isakmp_quick.c, ANDROID_PATCHED)."""

_CONDUCT = facts(
    Conduct,
    insists_on=Known(ANDROID_INSISTS, f"{AR} isakmp_ident.c, isakmp_quick.c"),
    phase1_rekey=Known(None, f"{AR}: it ends with its phase 1"),
    phase1_rekey_as_greater=Known(None, f"{AR}: it ends with its phase 1"),
    phase2_rekey=Unknown(0.8, "as ipsec-tools do, on the kernel's soft lifetime"),
    deletes_rekeyed=Unknown(True, "as ipsec-tools do"),
    renews_on_demand=Known(True, f"{_SETUP}: its policies stay, and the kernel acquires"),
    keepalive=Known(20.0, f"{IT} localconf.h, the default"),
    needs_phase1=Known(True, f"{AR} main.c"),
    certificate=Known(
        CertificateUse(Requests.MESSAGE_3, chain=False, checks_name=False),
        f"{AR} setup.c: asn1dn; a server certificate is checked against the CA that was given, "
        "if any; its CERTREQ is that of ipsec-tools",
    ),
    server_wait=Unknown(60.0, "it repeats without an end"),
)

ANDROID = Client("android", "Android 4.3 to 12", _PROGRAMS, _IKE, _L2TP, _PPP, _CONDUCT)
ANDROID_2011 = Client(
    name="android-2011",
    title="Android 4.0 to 4.2",
    programs=_PROGRAMS,
    ike=_IKE.but(
        name=Known("android-2011", "ours"),
        phase1=Unknown(
            tuple(offer for offer in _SHA2 if offer.hash is not SHA256),
            f"{_SETUP}, as before SHA2-256 came in 2013",
        ),
        esp=Unknown(
            esp((ESP_AES256, ESP_AES128, ESP_3DES, ESP_DES), (HMAC_SHA1, HMAC_MD5)),
            f"{_SETUP}, as before SHA2-256 came in 2013",
        ),
    ),
    l2tp=_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)

CLIENTS = (ANDROID, ANDROID_2011)
