"""Apple's device management schema, the part that a profile of ours may use, as a checker.

From github.com/apple/device-management, mdm/profiles, at 0a4527c5ea21825fd23e08273ccdb9e2302458ce
(TopLevel.yaml at 0340fd30e0bf820ded4797aa658a3ba8b6ab6c6e): every key of the payloads' own
dictionaries and of com.apple.vpn.managed's IPSec, PPP and IPv4, with type, presence and values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    kind: type
    required: bool = False
    values: tuple[Any, ...] = ()
    keys: dict[str, Key] | None = None
    """Of a dictionary."""


BINARY = (0, 1)


def text(*values: str, required: bool = False) -> Key:
    return Key(str, required, values)


COMMON: dict[str, Key] = {
    "PayloadIdentifier": text(required=True),
    "PayloadUUID": text(required=True),
    "PayloadType": text(required=True),
    "PayloadVersion": Key(int, True, (1,)),
    "PayloadDescription": text(),
    "PayloadDisplayName": text(),
    "PayloadOrganization": text(),
}

TOP_LEVEL = COMMON | {
    "PayloadType": text("Configuration", required=True),
    "PayloadContent": Key(list, True),
    "IsEncrypted": Key(bool),
    "HasRemovalPasscode": Key(bool),
    "PayloadRemovalDisallowed": Key(bool),
    "PayloadScope": text("System", "User"),
    "ConsentText": Key(dict),
}

IPSEC = {
    "RemoteAddress": text(),
    "AuthenticationMethod": text("SharedSecret", "Certificate"),
    "XAuthName": text(),
    "XAuthPassword": text(),
    "XAuthEnabled": Key(int, values=BINARY),
    "XAuthPasswordEncryption": text("Prompt"),
    "LocalIdentifier": text(),
    "LocalIdentifierType": text("KeyID"),
    "SharedSecret": Key(bytes),
    "PayloadCertificateUUID": text(),
    "PromptForVPNPIN": Key(bool),
    "DisconnectOnIdle": Key(int, values=BINARY),
    "DisconnectOnIdleTimer": Key(int),
    "OnDemandEnabled": Key(int, values=BINARY),
    "OnDemandRules": Key(list),
}

PPP = {
    "AuthName": text(),
    "AuthPassword": text(),
    "TokenCard": Key(int, values=BINARY),
    "CommRemoteAddress": text(),
    "AuthEAPPlugins": Key(list),
    "AuthProtocol": Key(list),
    "CCPMPPE40Enabled": Key(int, values=BINARY),
    "CCPMPPE128Enabled": Key(int, values=BINARY),
    "CCPEnabled": Key(int, values=BINARY),
    "DisconnectOnIdle": Key(int, values=BINARY),
    "DisconnectOnIdleTimer": Key(int),
}

PAYLOADS: dict[str, dict[str, Key]] = {
    "com.apple.vpn.managed": {
        "VPNType": text(
            "VPN", "L2TP", "IPSec", "IKEv2", "AlwaysOn", "TransparentProxy", required=True
        ),
        "VPNSubType": text(),
        "UserDefinedName": text(required=True),
        "IPv4": Key(dict, keys={"OverridePrimary": Key(int, values=BINARY)}),
        "PPP": Key(dict, keys=PPP),
        "IPSec": Key(dict, keys=IPSEC),
        "DNS": Key(dict),
        "Proxies": Key(dict),
    },
    "com.apple.security.pkcs12": {
        "PayloadCertificateFileName": text(),
        "PayloadContent": Key(bytes, True),
        "Password": text(),
        "AllowAllAppsAccess": Key(bool),
        "KeyIsExtractable": Key(bool),
    },
    # An alias of com.apple.security.pkcs1: one DER certificate.
    "com.apple.security.root": {
        "PayloadCertificateFileName": text(),
        "PayloadContent": Key(bytes, True),
    },
}


def faults(profile: dict[str, Any]) -> list[str]:
    """What a device's schema has against a profile."""
    found = list(_faults("profile", profile, TOP_LEVEL))
    seen: set[str] = {profile["PayloadIdentifier"], profile["PayloadUUID"]}
    for payload in profile["PayloadContent"]:
        kind = payload.get("PayloadType", "")
        if kind not in PAYLOADS:
            found.append(f"no such payload: {kind}")
            continue
        found += _faults(kind, payload, COMMON | PAYLOADS[kind])
        for key in ("PayloadIdentifier", "PayloadUUID"):
            if payload[key] in seen:
                found.append(f"{key} of {kind} is not unique in the profile")
            seen.add(payload[key])
    return found


def _faults(where: str, values: dict[str, Any], keys: dict[str, Key]) -> list[str]:
    required = {name for name, key in keys.items() if key.required}
    found = [f"{where}: {name} is missing" for name in sorted(required - values.keys())]
    for name, value in values.items():
        key = keys.get(name)
        if key is None:
            found.append(f"{where}: no such key: {name}")
        elif type(value) is not key.kind:
            found.append(f"{where}: {name} is {type(value).__name__}, not {key.kind.__name__}")
        elif key.values and value not in key.values:
            found.append(f"{where}: {name} may not be {value!r}")
        elif key.keys is not None and isinstance(value, dict):
            found += _faults(f"{where}.{name}", value, key.keys)
    return found
