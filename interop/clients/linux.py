"""Linux: strongSwan or libreswan, with xl2tpd and pppd, alone or under NetworkManager."""

from interop.clients.facts import Known, Unknown, facts
from interop.clients.model import CertificateUse, Client, Conduct, Programs, Requests
from interop.clients.sources import LS, NM, PD, SS, XL
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
    ECP256,
    ECP384,
    ESP_3DES,
    ESP_AES128,
    ESP_AES256,
    HMAC_SHA1,
    MAGIC,
    PFC,
    SERIAL,
    SESSION_ID,
    SHA1,
    SHA256,
    TUNNEL_ID,
    VAN_JACOBSON,
    VERSION,
    aes,
    bearer,
    bearer_type,
    esp,
    firmware,
    framing,
    framing_type,
    host_name,
    mru,
    result,
    rx_speed,
    triple_des,
    tx_speed,
    vendor_name,
    window,
)
from interop.initiator.checks import Cause
from interop.initiator.profiles import (
    CHARON_FRAGMENTS,
    DPD,
    DRAFT_02_N,
    FRAGMENTATION,
    FRAGMENTATION_WITH_CAPABILITY,
    LIBRESWAN_FRAGMENTS,
    RFC_3947,
    XAUTH,
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

_CHARON_PROGRAMS = Programs("charon", "xl2tpd", "pppd")

_CHARON = facts(
    Profile,
    name=Known("strongswan", "ours"),
    phase1=Known(
        (
            aes(256, SHA256, DH14),
            aes(256, SHA1, DH14),
            aes(256, SHA1, ECP384),
            aes(128, SHA1, ECP256),
            aes(128, SHA1, DH2),
            triple_des(SHA1, DH2),
        ),
        f"set in its configuration: a part of {NM}'s list",
    ),
    phase1_lifetime=Known(10800, f"set in its configuration, as by {NM}"),
    vendor_ids=Known(
        (XAUTH, DPD, FRAGMENTATION_WITH_CAPABILITY, RFC_3947, DRAFT_02_N),
        f"{SS} isakmp_vendor.c, 5.9.8 on the wire",
    ),
    esp=Known(
        esp((ESP_AES256, ESP_AES128, ESP_3DES), (HMAC_SHA1,)),
        f"set in its configuration, as by {NM}",
    ),
    esp_lifetime=Known(3600, f"set in its configuration, as by {NM}"),
    esp_lifetime_kilobytes=Known(None, f"{SS} quick_mode.c: none unless set"),
    attribute_order=Known(AttributeOrder.CHARON, f"{SS} proposal_substructure.c"),
    long_durations=Known(False, f"{SS} transform_attribute.c"),
    retransmission=Known(Retransmission(4.0, 5, 1.8), f"{SS} charon.retransmit_*"),
    l2tp_port=Known(L2tpPort.L2TP, f"{NM}: leftprotoport udp/1701"),
    server_port=Known(1701, f"{NM}: rightprotoport udp/1701"),
    nonce_size=Known(32, f"{SS} NONCE_SIZE"),
    initial_contact=Known(True, f"{SS} main_mode.c, add_initial_contact"),
    initial_contact_apart=Known(False, f"{SS} main_mode.c, add_initial_contact"),
    fragmentation=Known(CHARON_FRAGMENTS, f"{SS} charon.fragment_size, message.c"),
    goodbye=Known(Goodbye(), f"{SS} quick_delete.c, isakmp_delete.c"),
    esp_apart=Known(False, f"{SS} quick_mode.c"),
    pfs_group=Known(None, "set in its configuration"),
    claims=Known(None, "set in its configuration: its own"),
    fqdn=Known(None, "set in its configuration: its address"),
    idci_address=Known(IdciAddress.NUMBER, f"{SS} quick_mode.c"),
)
_XL2TPD = facts(
    L2tpProfile,
    port=Known(1701, f"{XL} file.c"),
    sccrq=Known(
        (
            VERSION,
            framing(3),
            bearer(0),
            firmware(0x0690),
            host_name("laptop"),
            vendor_name("xelerance.com"),
            TUNNEL_ID,
            window(4),
        ),
        f"{XL} control.c",
    ),
    scccn=Known((), f"{XL} control.c"),
    icrq=Known((SESSION_ID, SERIAL, bearer_type(0)), f"{XL} control.c"),
    iccn=Known((tx_speed(10_000_000), framing_type(1), rx_speed(10_000_000)), f"{XL} control.c"),
    cdn=Known((result(b"\0\1\0\0"), SESSION_ID), f"{XL} call.c"),
    stopccn=Known((TUNNEL_ID, result(b"\0\6\0\0")), f"{XL} call.c"),
    window=Known(4, f"{XL} file.c"),
    waits_for_zlb=Known(False, f"{XL} control.c"),
    retransmission=Known(Backoff(1.0, 5, 2.0), f"{XL} network.c"),
    hello=Known(60.0, f"{XL} l2tp.h"),
    length_bit=Known(True, f"{NM} writes length bit = yes"),
    hang_up=Known((MessageType.CDN, MessageType.STOPCCN), f"{XL} call.c"),
    stray_hellos=Known(0, f"{XL} control.c"),
    strict_header=Known(False, f"{XL} network.c"),
    requires=Known(
        {
            MessageType.SCCRP: frozenset((AvpType.ASSIGNED_TUNNEL_ID,)),
            MessageType.ICRP: frozenset((AvpType.ASSIGNED_SESSION_ID,)),
        },
        f"{XL} control.c",
    ),
)
_PPPD = facts(
    PppProfile,
    lcp=Known((mru(1400), ACCM, MAGIC, PFC, ACFC), f"{PD} lcp.c; MRU as {NM} sets it"),
    first_identifier=Known(1, f"{PD} fsm.c"),
    identifications=Known((), f"{PD} lcp.c"),
    logins=Known((Login.MSCHAPV2, Login.CHAP_MD5, Login.PAP), f"{PD} auth.c"),
    echo=Known(None, f"{NM}: off unless set"),
    echo_failures=Known(0, f"{NM}: off unless set"),
    ipcp=Known((VAN_JACOBSON, ADDRESS, DNS1, DNS2), f"{PD} ipcp.c; usepeerdns by {NM}"),
    asks_for=Known((), f"{NM}: noccp; {PD}: IPv6CP only where set"),
    ipcp_last=Known(False, f"{PD} main.c, protocols"),
    restart=Known(Backoff(3.0, 10), f"{PD} fsm.h"),
    dhcpinform=Known(None, f"{PD} has none"),
    terminates=Known(True, f"{PD} lcp.c"),
)
_CHARON_CONDUCT = facts(
    Conduct,
    insists_on=Known(
        ALWAYS | {Cause.QM2_IDS, Cause.QM2_ENCAPSULATION_MODE},
        f"{SS} quick_mode.c get_ts, select_proposal; message.c lets notifications pass",
    ),
    phase1_rekey=Known(0.9, f"{SS} margintime and rekeyfuzz"),
    phase1_rekey_as_greater=Known(None, f"{SS} margintime and rekeyfuzz"),
    phase2_rekey=Known(0.9, f"{SS} margintime and rekeyfuzz"),
    deletes_rekeyed=Known(True, f"{SS} quick_mode.c, a Delete after a rekeying"),
    renews_on_demand=Known(False, f"{SS} trap policies: none unless set"),
    keepalive=Known(20.0, f"{SS} charon.keep_alive"),
    needs_phase1=Known(False, f"{SS} task_manager_v1.c"),
    certificate=Known(
        CertificateUse(Requests.MESSAGE_3, chain=True, checks_name=False),
        f"{SS} isakmp_cert_pre.c, isakmp_cert_post.c; {NM}: rightid=%any",
    ),
    server_wait=Known(30.0, f"{XL} and {PD}: their retransmissions end"),
)

STRONGSWAN = Client(
    "strongswan",
    "strongSwan with xl2tpd",
    _CHARON_PROGRAMS,
    _CHARON,
    _XL2TPD,
    _PPPD,
    _CHARON_CONDUCT,
)
NETWORK_MANAGER = Client(
    name="networkmanager-l2tp",
    title="NetworkManager-l2tp with strongSwan",
    programs=_CHARON_PROGRAMS,
    ike=_CHARON.but(
        name=Known("networkmanager-l2tp", "ours"),
        phase1=Known(
            (
                aes(256, SHA256, DH14),
                aes(256, SHA256, DH5),
                aes(256, SHA256, DH2),
                aes(256, SHA1, DH14),
                aes(256, SHA1, DH5),
                aes(256, SHA1, DH2),
                aes(256, SHA1, ECP384),
                aes(128, SHA1, DH2),
                aes(128, SHA1, ECP256),
                triple_des(SHA1, DH14),
                triple_des(SHA1, DH2),
            ),
            f"{NM} README",
        ),
        l2tp_port=Known(L2tpPort.ANY, f"{NM}: no leftprotoport where 1701 is taken"),
    ),
    l2tp=_XL2TPD.but(
        port=Known(0, f"{NM}: where 1701 is taken"),
        iccn=Known(
            (tx_speed(100_000_000), framing_type(1), rx_speed(100_000_000)), f"{NM}: tx bps, rx bps"
        ),
    ),
    ppp=_PPPD,
    conduct=_CHARON_CONDUCT,
)
LIBRESWAN = Client(
    name="libreswan",
    title="libreswan with xl2tpd",
    programs=Programs("pluto", "xl2tpd", "pppd"),
    ike=facts(
        Profile,
        name=Known("libreswan", "ours"),
        phase1=Known(
            (
                aes(256, SHA256, DH14),
                aes(256, SHA256, DH5),
                aes(256, SHA1, DH14),
                aes(256, SHA1, DH5),
                aes(256, SHA1, ECP384),
                aes(128, SHA1, ECP256),
                triple_des(SHA1, DH14),
            ),
            f"{NM} README: its list without group 2, which libreswan lacks",
        ),
        phase1_lifetime=Known(28800, f"{LS} ikelifetime=8h"),
        vendor_ids=Known(
            (FRAGMENTATION, RFC_3947, DRAFT_02_N, DPD),
            f"{LS} ikev1_vendorid.c: DPD last; which drafts is not certain",
        ),
        esp=Known(
            esp((ESP_AES256, ESP_AES128, ESP_3DES), (HMAC_SHA1,)),
            f"set in its configuration, as by {NM}",
        ),
        esp_lifetime=Known(28800, f"{LS} salifetime=8h"),
        esp_lifetime_kilobytes=Unknown(None, "none"),
        attribute_order=Unknown(AttributeOrder.RACOON, "life first, as in FreeS/WAN"),
        long_durations=Unknown(False, "the usual"),
        retransmission=Known(Retransmission(0.5, 6, 2.0), f"{LS} retransmit-interval"),
        l2tp_port=Known(L2tpPort.L2TP, f"{LS} docs/examples/l2tp-psk.conf"),
        server_port=Known(1701, f"{LS} docs/examples/l2tp-psk.conf"),
        nonce_size=Known(32, f"{LS} defs.h DEFAULT_NONCE_SIZE"),
        initial_contact=Known(False, f"{LS} initial-contact=no, the default"),
        fragmentation=Known(LIBRESWAN_FRAGMENTS, f"{LS} ikev1_send.c"),
        goodbye=Known(Goodbye(), f"{LS} ikev1_delete.c"),
        esp_apart=Unknown(False, "the usual"),
        pfs_group=Known(None, "set in its configuration"),
        claims=Known(None, "set in its configuration: its own"),
        fqdn=Known(None, "set in its configuration: its address"),
        idci_address=Known(IdciAddress.NUMBER, f"{LS} ikev1_quick.c"),
        initial_contact_apart=Known(False, f"{LS} initial-contact=no, the default"),
    ),
    l2tp=_XL2TPD,
    ppp=_PPPD,
    conduct=facts(
        Conduct,
        insists_on=Known(
            ALWAYS | {Cause.QM2_IDS, Cause.QM2_ENCAPSULATION_MODE}, f"{LS} ikev1_quick.c"
        ),
        phase1_rekey=Known(0.9, f"{LS} rekeymargin and rekeyfuzz"),
        phase1_rekey_as_greater=Known(None, f"{LS} rekeymargin and rekeyfuzz"),
        phase2_rekey=Known(0.9, f"{LS} rekeymargin and rekeyfuzz"),
        deletes_rekeyed=Unknown(True, "as charon does"),
        renews_on_demand=Known(False, f"{LS} auto=add: no trap policy"),
        keepalive=Known(20.0, f"{LS} keep-alive"),
        needs_phase1=Known(False, f"{LS} connections.c"),
        certificate=Known(
            CertificateUse(Requests.MESSAGE_3, chain=False, checks_name=False),
            f"{LS} sendca=none, the default; {NM}: rightid=%any",
        ),
        server_wait=Known(30.0, f"{XL} and {PD}: their retransmissions end"),
    ),
)

CLIENTS = (STRONGSWAN, LIBRESWAN, NETWORK_MANAGER)
