"""Clients with a name set for them, for which they begin Aggressive Mode: the gateway refuses it.

All else of them is as without the name, but that nothing of it comes to pass.
"""

from dataclasses import replace

from ikev1.wire.enums import IdType
from interop.clients import android, apple
from interop.clients.facts import Known
from interop.clients.model import Client
from interop.clients.sources import AI, AP, AR
from interop.clients.wire import DH14, MD5, SHA1, SHA256, SHA512, aes
from interop.initiator.profiles import DPD, FRAGMENTATION_WITH_CAPABILITY, GroupName

_VENDOR_IDS = Known(
    (FRAGMENTATION_WITH_CAPABILITY, *apple.NAT_T, DPD), f"{AI} isakmp_agg.c agg_i1send"
)
_PHASE_1 = Known(
    tuple(aes(256, hash_, DH14) for hash_ in (SHA256, SHA1, MD5, SHA512)),
    f"{AP} ipsec_utils.c since ppp-809.40.5: its first try; the second has those with group 2",
)


def _apple(like: Client) -> Client:
    name = f"{like.name}-group-name"
    return replace(
        like,
        name=name,
        title=f"{like.title}, with a group name",
        ike=like.ike.but(
            name=Known(name, "ours"),
            phase1=_PHASE_1,
            vendor_ids=_VENDOR_IDS,
            group_name=Known(
                GroupName(IdType.KEY_ID, "employees"),
                f"{AP} IPSecIsAggressiveMode, opt_ipseclocalidentifiertype; {AI} ipsecdoi_setid1",
            ),
        ),
        conduct=like.conduct.but(certificate=Known(None, f"{AP} IPSecIsAggressiveMode: PSK alone")),
    )


def _android(name: str, title: str, id_type: IdType, identifier: str) -> Client:
    like = android.ANDROID
    first, *others = like.ike.profile.vendor_ids[-2:]
    vendor_ids = (first, *like.ike.profile.vendor_ids[:-2], *others)
    return replace(
        like,
        name=name,
        title=title,
        ike=like.ike.but(
            name=Known(name, "ours"),
            vendor_ids=Known(vendor_ids, f"{AR} isakmp_agg.c agg_i1send"),
            group_name=Known(GroupName(id_type, identifier), f"{AR} setup.c"),
        ),
        conduct=like.conduct.but(certificate=Known(None, f"{AR} setup.c: PSK alone")),
    )


CLIENTS = (
    _apple(apple.IPHONE),
    _apple(apple.MACOS),
    _android(
        "android-identifier", "Android 4.3 to 12, with an IPsec identifier", IdType.KEY_ID, "staff"
    ),
    _android(
        "android-identifier-fqdn",
        "Android 4.3 to 12, with a host name as its IPsec identifier",
        IdType.FQDN,
        "staff.example.org",
    ),
)
