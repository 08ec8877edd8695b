"""Clients sold for older Windows: SSH Sentinel, SafeNet SoftRemote, FortiClient.

Little beyond their vendor IDs is documented; the rest is that of Windows XP.
"""

from interop.clients import windows
from interop.clients.facts import Known, Unknown
from interop.clients.model import Client, Programs
from interop.clients.sources import LS, SCAN, SS
from interop.clients.wire import (
    DH2,
    DH5,
    ESP_3DES,
    ESP_AES128,
    HMAC_MD5,
    HMAC_SHA1,
    MD5,
    SHA1,
    aes,
    esp,
    triple_des,
)
from interop.initiator.profiles import DRAFT_02_N, IdciAddress

_LIKE_XP = windows.WINDOWS_XP_SP2
_REASON = "as Windows XP SP2"
_IKE = _LIKE_XP.ike.taken_for(_REASON).but(
    phase1=Unknown(
        (aes(128, SHA1, DH5), triple_des(SHA1, DH2), triple_des(MD5, DH2)), "the usual of its time"
    ),
    esp=Unknown(esp((ESP_AES128, ESP_3DES), (HMAC_SHA1, HMAC_MD5)), "the usual of its time"),
    idci_address=Unknown(IdciAddress.NUMBER, "KB818043 is about Windows"),
    fragmentation=Unknown(None, "no vendor ID of it is known"),
)
_L2TP = _LIKE_XP.l2tp.taken_for("as Windows XP, whose dial-up it uses")
_PPP = _LIKE_XP.ppp.taken_for("as Windows XP, whose dial-up it uses")
_CONDUCT = _LIKE_XP.conduct.taken_for(_REASON)

SSH_SENTINEL = Client(
    name="ssh-sentinel",
    title="SSH Sentinel 1.4.1",
    programs=Programs("SSH Sentinel", "Windows", "Windows"),
    ike=_IKE.but(
        name=Known("ssh-sentinel", "ours"),
        vendor_ids=Known(
            (bytes.fromhex("eb4b0d96276b4e220ad16221a7b2a5e6"), DRAFT_02_N),
            f"{LS} vendorid.c, {SCAN}; its NAT-T is not known",
        ),
    ),
    l2tp=_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)
SAFENET = Client(
    name="safenet-softremote",
    title="SafeNet SoftRemote 9.0.1",
    programs=Programs("SoftRemote", "Windows", "Windows"),
    ike=_IKE.but(
        name=Known("safenet-softremote", "ours"),
        vendor_ids=Known(
            (
                bytes.fromhex("47bbe7c993f1fc13b4e6d0db565c68e5010201010201010310")
                + b"9.0.1 (Build 12)"
                + bytes(8),
                bytes.fromhex("da8e937880010000"),
                DRAFT_02_N,
            ),
            f"{LS} vendorid.c, {SCAN}; the build and its NAT-T are not known",
        ),
    ),
    l2tp=_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)
FORTICLIENT = Client(
    name="forticlient",
    title="FortiClient",
    programs=Programs("FortiClient", "Windows", "Windows"),
    ike=_IKE.but(
        name=Known("forticlient", "ours"),
        vendor_ids=Known(
            (bytes.fromhex("1d6e178f6c2c0be284985465450fe9d4"), DRAFT_02_N),
            f"{SS} isakmp_vendor.c; its NAT-T is not known",
        ),
    ),
    l2tp=_L2TP,
    ppp=_PPP,
    conduct=_CONDUCT,
)

CLIENTS = (SSH_SENTINEL, SAFENET, FORTICLIENT)
