"""Microsoft's clients: Windows 2000 to 11, the add-on for the systems before, Windows CE."""

from interop.clients.facts import Facts, Known, Unknown, facts
from interop.clients.model import CertificateUse, Client, Conduct, Programs, Requests
from interop.clients.sources import (
    CE_MAIN_MODE,
    CE_QUICK_MODE,
    CLOUDSTACK_872,
    HWDSL2_102,
    KB248750,
    KB325158,
    KB818043,
    LIBRESWAN_26,
    LINOGATE,
    LS,
    MIKROTIK_LOG,
    MS_IKEE,
    MS_L2TPIE,
    NM,
    NM_169,
    PPP_287,
    PPPD_LOG,
    QUIDWAY,
    SCAN,
    SOFTETHER_1253,
    UBUNTU_7,
    UBUNTU_WM_6,
    UBUNTU_XP,
    XL2TPD_219,
    XL2TPD_227,
)
from interop.clients.wire import (
    ACFC,
    ADDRESS,
    ALWAYS,
    DH1,
    DH2,
    DH14,
    DNS1,
    DNS2,
    ECP256,
    ECP384,
    ESP_3DES,
    ESP_AES128,
    ESP_AES256,
    ESP_DES,
    ESP_NULL,
    HMAC_MD5,
    HMAC_SHA1,
    IPV6CP,
    MAGIC,
    MD5,
    PFC,
    SERIAL,
    SESSION_ID,
    SHA1,
    TUNNEL_ID,
    VERSION,
    WINS1,
    WINS2,
    aes,
    bearer,
    bearer_type,
    des,
    esp,
    firmware,
    framing,
    framing_type,
    host_name,
    mppe,
    mru,
    result,
    triple_des,
    tx_speed,
    vendor_id,
    vendor_name,
    window,
    windows,
)
from interop.initiator.checks import Cause
from interop.initiator.profiles import (
    DRAFT_02_N,
    FRAGMENTATION,
    MS_INITIAL_CONTACT,
    RFC_3947,
    WINDOWS_FRAGMENTS,
    AttributeOrder,
    Goodbye,
    IdciAddress,
    L2tpPort,
    Profile,
    Retransmission,
)
from interop.lac.profiles import Backoff, L2tpProfile
from interop.ppp.profiles import Dhcpinform, Login, PppProfile
from l2tp.wire.enums import AvpType, IpcpOption, LcpOption, MessageType
from l2tp.wire.ppp import Option

_DISCOVERY = vendor_id("MS-Negotiation Discovery Capable")
_CGA = vendor_id("IKE CGA version 1")
_KEY_MODS = bytes.fromhex("01528bbbc00696121849ab9a1c5b2a5100000001")
_VISTA_TAIL = (RFC_3947, DRAFT_02_N, FRAGMENTATION, _DISCOVERY, MS_INITIAL_CONTACT, _CGA)

_WINDOWS = Programs("Windows", "Windows", "Windows")
_WINDOWS_CE = Programs("Windows CE", "Windows CE", "Windows CE")

_FIVE = (
    "with DES and NULL, each in a proposal of its own and with both lifetimes, message 1 of Quick"
    f" Mode has the 444 octets of {CLOUDSTACK_872}"
)

_IKE = facts(
    Profile,
    name=Known("windows-10", "ours"),
    phase1=Known(
        (
            aes(256, SHA1, ECP384),
            aes(128, SHA1, ECP256),
            aes(256, SHA1, DH14),
            triple_des(SHA1, DH14),
            triple_des(SHA1, DH2),
        ),
        f"{LIBRESWAN_26}; {HWDSL2_102}; the two with 3DES: {NM} README",
    ),
    phase1_lifetime=Known(28800, f"{SOFTETHER_1253}; {LS} docs/examples/l2tp-psk.conf"),
    vendor_ids=Known(
        (_KEY_MODS, windows(9), *_VISTA_TAIL),
        f"{HWDSL2_102}; their order: {XL2TPD_219}",
    ),
    esp=Unknown(
        esp((ESP_AES256, ESP_AES128, ESP_3DES, ESP_DES, ESP_NULL), (HMAC_SHA1,)),
        f"{NM} README names the first three; {_FIVE}",
    ),
    esp_apart=Unknown(True, _FIVE),
    esp_lifetime=Known(3600, f"{LS} docs/examples/l2tp-psk.conf"),
    esp_lifetime_kilobytes=Unknown(250_000, f"hearsay; that there is one: {_FIVE}"),
    attribute_order=Unknown(AttributeOrder.CHARON, "the order of the RFC's appendix, life last"),
    long_durations=Known(
        True, f"{XL2TPD_219}, {CLOUDSTACK_872}: message 1 has 408 octets, as five transforms make"
    ),
    retransmission=Known(Retransmission(base=1.0, tries=4, factor=2.0), HWDSL2_102),
    l2tp_port=Known(L2tpPort.L2TP, f"{MS_L2TPIE} appendix; {CLOUDSTACK_872}"),
    server_port=Known(1701, CLOUDSTACK_872),
    nonce_size=Known(48, f"{SOFTETHER_1253}: of the nonces there SoftEther's has 16 octets"),
    initial_contact=Known(False, f"{LIBRESWAN_26}: it has a vendor ID for that"),
    idci_address=Known(IdciAddress.NUMBER, f"{CLOUDSTACK_872}; {NM_169}"),
    fragmentation=Known(WINDOWS_FRAGMENTS, f"{MS_IKEE} section 3.3.6.1"),
    goodbye=Unknown(Goodbye(), "Deletes are documented for rekeying alone"),
    pfs_group=Known(None, f"{LS} docs/examples/l2tp-psk.conf"),
    claims=Known(None, f"{NM_169}; {CLOUDSTACK_872}: its own"),
    fqdn=Known(None, f"{NM_169}; {LINOGATE}: its address"),
    initial_contact_apart=Known(False, f"{LIBRESWAN_26}: it has a vendor ID for that"),
)


def _sccrq(revision: int) -> tuple[object, ...]:
    """With a computer's name of the usual fifteen letters."""
    return (
        VERSION,
        framing(1),
        bearer(0),
        firmware(revision),
        host_name("DESKTOP-AB12C34"),
        vendor_name("Microsoft"),
        TUNNEL_ID,
        window(8),
    )


_L2TP = facts(
    L2tpProfile,
    port=Known(1701, f"{MS_L2TPIE} appendix"),
    sccrq=Known(_sccrq(0x0A00), f"{MIKROTIK_LOG}; {XL2TPD_219}"),
    scccn=Unknown((), "the one AVP that RFC 2661 asks for"),
    icrq=Unknown(
        (SESSION_ID, SERIAL, bearer_type(2)),
        f"what RFC 2661 asks for, and the bearer; in {UBUNTU_7} one of type 1 stands in it too,"
        f" which {MS_L2TPIE} may explain",
    ),
    iccn=Unknown((tx_speed(100_000_000), framing_type(1)), "what RFC 2661 asks for"),
    cdn=Unknown((SESSION_ID, result(b"\0\3")), "what RFC 2661 asks for"),
    stopccn=Unknown((TUNNEL_ID, result(b"\0\1")), "what RFC 2661 asks for"),
    window=Unknown(8, "no more than it tells to take"),
    waits_for_zlb=Unknown(False, "the rule of RFC 2661"),
    retransmission=Unknown(Backoff(1.0, 5, 2.0), "RFC 2661 section 5.8"),
    hello=Unknown(60.0, "RFC 2661 section 6.5"),
    length_bit=Unknown(True, "the usual"),
    stray_hellos=Unknown(0, "none is seen in logs"),
    strict_header=Unknown(False, "the rule of RFC 2661"),
    hang_up=Unknown((MessageType.CDN, MessageType.STOPCCN), "the order of RFC 2661"),
    requires=Unknown(
        {
            MessageType.SCCRP: frozenset((AvpType.ASSIGNED_TUNNEL_ID,)),
            MessageType.ICRP: frozenset((AvpType.ASSIGNED_SESSION_ID,)),
        },
        "what no client can do without",
    ),
)
_LCP = (mru(1400), MAGIC, PFC, ACFC, Option(LcpOption.CALLBACK, b"\x06"))
_IPCP = (ADDRESS, DNS1, WINS1, DNS2, WINS2)
_PPP = facts(
    PppProfile,
    lcp=Known(
        (
            *_LCP,
            Option(LcpOption.MRRU, (1614).to_bytes(2)),
            Option(LcpOption.ENDPOINT, b"\x01" + bytes(range(20))),
        ),
        PPPD_LOG,
    ),
    first_identifier=Known(0, PPPD_LOG),
    identifications=Known(
        (b"MSRASV5.20", b"MSRAS-0-DESKTOP-AB12C34", bytes(range(16))), f"{PPPD_LOG}; {PPP_287}"
    ),
    logins=Known((Login.MSCHAPV2, Login.CHAP_MD5, Login.PAP), f"{PPPD_LOG}; by service"),
    echo=Unknown(None, "none is seen in logs"),
    echo_failures=Unknown(0, "none is seen in logs"),
    ipcp=Unknown(_IPCP, "as Windows 7"),
    asks_for=Unknown((IPV6CP, mppe(0x01000000)), "as Windows 7"),
    ipcp_last=Unknown(True, "as Windows 7"),
    restart=Unknown(Backoff(3.0, 10), "RFC 1661 section 4.6"),
    dhcpinform=Unknown(
        Dhcpinform(
            parameters=(6, 44, 43, 249, 15),
            client_id=b"",
            chaddr=bytes(16),
            interval=3.0,
            tries=4,
        ),
        "it is sent, but its options are not documented",
    ),
    terminates=Unknown(True, "the rule of RFC 1661"),
)
_CONDUCT = facts(
    Conduct,
    insists_on=Unknown(ALWAYS | {Cause.QM2_ENCAPSULATION_MODE}, "what no client can do without"),
    phase1_rekey=Unknown(0.9, "before the end"),
    phase1_rekey_as_greater=Unknown(None, "none is documented"),
    phase2_rekey=Unknown(0.9, f"{CLOUDSTACK_872} shows a new Quick Mode, but not when"),
    deletes_rekeyed=Known(True, CLOUDSTACK_872),
    renews_on_demand=Unknown(True, "its filters stay"),
    keepalive=Unknown(20.0, "RFC 3948 section 4"),
    needs_phase1=Unknown(False, "the usual"),
    certificate=Unknown(
        CertificateUse(Requests.MESSAGE_3, chain=True, checks_name=False),
        f"{LINOGATE} shows that its identity is the subject, and no more",
    ),
    server_wait=Unknown(30.0, "the usual"),
)


def _named(facts_: Facts[Profile], name: str) -> Facts[Profile]:
    return facts_.but(name=Known(name, "ours"))


WINDOWS_10 = Client("windows-10", "Windows 10", _WINDOWS, _IKE, _L2TP, _PPP, _CONDUCT)
WINDOWS_11 = Client(
    name="windows-11",
    title="Windows 11",
    programs=_WINDOWS,
    ike=_named(_IKE.taken_for("as Windows 10"), "windows-11"),
    l2tp=_L2TP.taken_for("as Windows 10"),
    ppp=_PPP.taken_for("as Windows 10"),
    conduct=_CONDUCT.taken_for("as Windows 10"),
)
_7_PPP = _PPP.but(
    lcp=Known(_LCP, UBUNTU_7),
    identifications=Known((b"MSRASV5.20", b"MSRAS-0-ENIGMA-PC", bytes(range(16))), UBUNTU_7),
    ipcp=Known(_IPCP, UBUNTU_7),
    asks_for=Known((IPV6CP, mppe(0x01000000)), UBUNTU_7),
    ipcp_last=Known(True, UBUNTU_7),
    terminates=Known(True, UBUNTU_7),
)
WINDOWS_7 = Client(
    name="windows-7",
    title="Windows 7",
    programs=_WINDOWS,
    ike=_named(_IKE, "windows-7").but(
        vendor_ids=Known((windows(8), *_VISTA_TAIL), LIBRESWAN_26),
    ),
    l2tp=_L2TP.but(sccrq=Known(_sccrq(0x0601), f"{MIKROTIK_LOG}; firmware: {XL2TPD_227}")),
    ppp=_7_PPP,
    conduct=_CONDUCT,
)
WINDOWS_VISTA = Client(
    name="windows-vista",
    title="Windows Vista",
    programs=_WINDOWS,
    ike=_named(_IKE.taken_for("as Windows 7"), "windows-vista").but(
        vendor_ids=Unknown((windows(5), *_VISTA_TAIL), f"as Windows 7, with the version of {SCAN}"),
        phase1=Unknown(
            (aes(256, SHA1, DH14), triple_des(SHA1, DH14), triple_des(SHA1, DH2)),
            "as Windows 7 without elliptic curves",
        ),
    ),
    l2tp=_L2TP.but(sccrq=Unknown(_sccrq(0x0600), "as Windows 7, one version less")),
    ppp=_7_PPP.taken_for("as Windows 7"),
    conduct=_CONDUCT.taken_for("as Windows 7"),
)

_XP_LIST = (
    triple_des(SHA1, DH14),
    triple_des(SHA1, DH2),
    triple_des(MD5, DH2),
    des(SHA1, DH1),
    des(MD5, DH1),
)
"""That of Windows CE 5.0, whose first transform is also seen in logs of XP."""
_XP_IKE = _named(_IKE.taken_for("as Windows 7"), "windows-xp-sp2").but(
    phase1=Unknown(_XP_LIST, f"{LINOGATE} shows the first; the rest as {CE_MAIN_MODE}"),
    vendor_ids=Known((windows(4), FRAGMENTATION, DRAFT_02_N, MS_INITIAL_CONTACT), LINOGATE),
    esp=Unknown(esp((ESP_3DES, ESP_DES), (HMAC_MD5, HMAC_SHA1)), f"as {CE_QUICK_MODE}"),
    l2tp_port=Known(L2tpPort.L2TP, f"{LS} docs/examples/l2tp-psk.conf"),
    server_port=Known(1701, f"{LS} docs/examples/l2tp-psk.conf"),
    idci_address=Known(IdciAddress.NAME, f"{LS} ikev1_quick.c, MS-818043"),
)
_XP_L2TP = _L2TP.but(sccrq=Unknown(_sccrq(0x0501), "as Windows 2000, with its own version"))
_XP_PPP = _7_PPP.taken_for("as Windows 7").but(
    lcp=Known(_LCP, UBUNTU_XP),
    identifications=Known((b"MSRASV5.10", b"MSRAS-0-COMPTECH2"), UBUNTU_XP),
    ipcp=Known(_IPCP, UBUNTU_XP),
    asks_for=Known((mppe(0x01000001),), UBUNTU_XP),
    ipcp_last=Known(True, UBUNTU_XP),
    terminates=Known(True, UBUNTU_XP),
)
_XP_CONDUCT = _CONDUCT.taken_for("as Windows 7")

WINDOWS_XP_SP2 = Client(
    "windows-xp-sp2", "Windows XP SP2", _WINDOWS, _XP_IKE, _XP_L2TP, _XP_PPP, _XP_CONDUCT
)
WINDOWS_XP_KB818043 = Client(
    name="windows-xp-kb818043",
    title="Windows XP SP1 with KB818043",
    programs=_WINDOWS,
    ike=_named(_XP_IKE, "windows-xp-kb818043").but(
        vendor_ids=Unknown(
            (windows(3), FRAGMENTATION, DRAFT_02_N, MS_INITIAL_CONTACT),
            f"as SP2, with the version of {SCAN}; {KB818043} names draft 2",
        ),
    ),
    l2tp=_XP_L2TP,
    ppp=_XP_PPP,
    conduct=_XP_CONDUCT,
)
WINDOWS_XP = Client(
    name="windows-xp",
    title="Windows XP before KB818043",
    programs=_WINDOWS,
    ike=_named(_XP_IKE, "windows-xp").but(
        vendor_ids=Unknown(
            (windows(3), FRAGMENTATION), f"{KB818043}: no NAT-T; the rest as XP SP2"
        ),
        server_port=Known(0, f"{KB248750}; {LS} docs/examples/l2tp-psk.conf"),
        idci_address=Known(IdciAddress.NUMBER, f"{LS} ikev1_quick.c: a fault of NAT-T"),
    ),
    l2tp=_XP_L2TP,
    ppp=_XP_PPP,
    conduct=_XP_CONDUCT,
)

_2000_L2TP = _L2TP.but(sccrq=Known(_sccrq(0x0500), QUIDWAY))
_2000_PPP = _XP_PPP.taken_for("as XP").but(
    identifications=Unknown((b"MSRASV5.00", b"MSRAS-0-W2K"), "as XP, with its own version"),
)
WINDOWS_2000_KB818043 = Client(
    name="windows-2000-kb818043",
    title="Windows 2000 with KB818043",
    programs=_WINDOWS,
    ike=_named(_XP_IKE, "windows-2000-kb818043").but(
        phase1=Unknown((triple_des(SHA1, DH2), triple_des(MD5, DH2)), "as XP without group 14"),
        vendor_ids=Unknown(
            (windows(2), FRAGMENTATION, DRAFT_02_N, MS_INITIAL_CONTACT),
            f"as XP SP2, with the version of {SCAN}; {KB818043} names draft 2",
        ),
    ),
    l2tp=_2000_L2TP,
    ppp=_2000_PPP,
    conduct=_XP_CONDUCT,
)
WINDOWS_2000 = Client(
    name="windows-2000",
    title="Windows 2000 before KB818043",
    programs=_WINDOWS,
    ike=_named(_XP_IKE, "windows-2000").but(
        phase1=Unknown((triple_des(SHA1, DH2), triple_des(MD5, DH2)), "as XP without group 14"),
        vendor_ids=Unknown((windows(2),), f"{KB818043}: no NAT-T; version of {SCAN}"),
        fragmentation=Unknown(None, "no vendor ID of it is known"),
        server_port=Known(0, f"{KB248750}; {LS} docs/examples/l2tp-psk.conf"),
        idci_address=Known(IdciAddress.NUMBER, f"{LS} ikev1_quick.c: a fault of NAT-T"),
    ),
    l2tp=_2000_L2TP,
    ppp=_2000_PPP,
    conduct=_XP_CONDUCT,
)

# Windows CE: one network stack in all of these.
_CE_IKE = _named(_XP_IKE.taken_for("as Windows XP SP2"), "windows-mobile-5").but(
    phase1=Known(_XP_LIST, CE_MAIN_MODE),
    esp=Known(esp((ESP_3DES, ESP_DES), (HMAC_MD5, HMAC_SHA1)), CE_QUICK_MODE),
    idci_address=Unknown(IdciAddress.NUMBER, "KB818043 is about Windows 2000 and XP"),
)
_CE_L2TP = _XP_L2TP.taken_for("as Windows XP")
_OVER_BLUETOOTH = f"as over Bluetooth: {UBUNTU_WM_6}"
_CE_PPP = _XP_PPP.taken_for("as Windows XP").but(
    first_identifier=Unknown(0, _OVER_BLUETOOTH),
    identifications=Unknown((), _OVER_BLUETOOTH),
    ipcp=Unknown(
        (Option(IpcpOption.COMPRESSION, bytes.fromhex("002d0f00")), *_IPCP), _OVER_BLUETOOTH
    ),
    asks_for=Unknown((mppe(0x00000001), IPV6CP), f"{_OVER_BLUETOOTH}, with IPCP between them"),
    dhcpinform=Unknown(None, "none is documented"),
)
WINDOWS_MOBILE_5 = Client(
    "windows-mobile-5",
    "Windows Mobile 5 (Windows CE 5.1)",
    _WINDOWS_CE,
    _CE_IKE,
    _CE_L2TP,
    _CE_PPP,
    _XP_CONDUCT,
)
WINDOWS_MOBILE_6 = Client(
    name="windows-mobile-6",
    title="Windows Mobile 6 (Windows CE 5.2)",
    programs=_WINDOWS_CE,
    ike=_named(_CE_IKE, "windows-mobile-6"),
    l2tp=_CE_L2TP,
    ppp=_CE_PPP,
    conduct=_XP_CONDUCT,
)
POCKET_PC_2003 = Client(
    name="pocket-pc-2003",
    title="Pocket PC 2003 (Windows CE 4.2)",
    programs=_WINDOWS_CE,
    ike=_named(_CE_IKE.taken_for("as Windows CE 5.0"), "pocket-pc-2003"),
    l2tp=_CE_L2TP,
    ppp=_CE_PPP,
    conduct=_XP_CONDUCT,
)

MSL2TP = Client(
    name="msl2tp",
    title="MSL2TP for Windows 98, ME and NT 4",
    programs=Programs("MSL2TP", "MSL2TP", "MSL2TP"),
    ike=_named(_XP_IKE.taken_for("as Windows XP SP2"), "msl2tp").but(
        phase1=Known((triple_des(SHA1, DH2),), KB325158),
        esp=Known(esp((ESP_3DES,), (HMAC_SHA1,)), KB325158),
        vendor_ids=Unknown(
            (
                bytes.fromhex("3025dbd21062b9e53dc441c6aab5293600000000"),
                bytes.fromhex("da8e937880010000"),
                DRAFT_02_N,
            ),
            f"{LS} vendorid.c, with a question mark; NAT-T as XP",
        ),
        idci_address=Unknown(IdciAddress.NUMBER, "KB818043 is about Windows 2000 and XP"),
        fragmentation=Unknown(None, "no vendor ID of it is known"),
    ),
    l2tp=_XP_L2TP.taken_for("as Windows XP"),
    ppp=_XP_PPP.taken_for("as Windows XP").but(identifications=Unknown((), "none is documented")),
    conduct=_XP_CONDUCT,
)

CLIENTS = (
    WINDOWS_2000,
    WINDOWS_2000_KB818043,
    WINDOWS_XP,
    WINDOWS_XP_KB818043,
    WINDOWS_XP_SP2,
    WINDOWS_VISTA,
    WINDOWS_7,
    WINDOWS_10,
    WINDOWS_11,
    MSL2TP,
    POCKET_PC_2003,
    WINDOWS_MOBILE_5,
    WINDOWS_MOBILE_6,
)
