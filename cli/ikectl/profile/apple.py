"""A configuration profile for iPhone, iPad and Mac.

The keys are those of Apple's device management schema (github.com/apple/device-management,
mdm/profiles: TopLevel, CommonPayloadKeys, com.apple.vpn.managed, com.apple.security.pkcs12 and
com.apple.security.root); tests/support/apple_schema.py has the part that is used.
"""

from __future__ import annotations

import plistlib
import uuid
from typing import Any

from cli.ikectl.profile.settings import Certificate, Settings

_NAMESPACE = uuid.UUID("7d0d3c0e-5c1b-5f0e-9f44-0a1d6f1c9b52")
"""Ours, for UUIDs that stay the same: a device replaces a profile by the next of its identifier."""


def build(settings: Settings) -> bytes:
    """Return the profile, unsigned."""
    identifier = _identifier(settings)
    payloads = []
    certificate_uuid = None
    if isinstance(settings.machine, Certificate):
        payloads.append(_authority(identifier, settings.machine))
        client = _client(identifier, settings.machine)
        certificate_uuid = client["PayloadUUID"]
        payloads.append(client)
    payloads.append(_vpn(identifier, settings, certificate_uuid))
    profile = {
        **_common(identifier, "Configuration", settings.name),
        "PayloadDescription": f"Connects to {settings.server} by L2TP over IPsec.",
        "PayloadContent": payloads,
    }
    if certificate_uuid is not None:
        # On a Mac that is the system's keychain, not the user's: IKE runs as root. iOS has one.
        profile["PayloadScope"] = "System"
    return plistlib.dumps(profile)


def _vpn(identifier: str, settings: Settings, certificate_uuid: str | None) -> dict[str, Any]:
    ppp = {"CommRemoteAddress": settings.server}
    if settings.user:
        ppp["AuthName"] = settings.user
    return {
        **_common(f"{identifier}.vpn", "com.apple.vpn.managed", settings.name),
        "UserDefinedName": settings.name,
        "VPNType": "L2TP",
        "PPP": ppp,
        "IPSec": _ipsec(settings, certificate_uuid),
        # Without it the routes come by DHCP inside the tunnel, or are those of the address's class.
        "IPv4": {"OverridePrimary": int(not settings.routes)},
    }


def _ipsec(settings: Settings, certificate_uuid: str | None) -> dict[str, Any]:
    """Machine authentication. No LocalIdentifier: a group name would mean Aggressive Mode."""
    if isinstance(settings.machine, Certificate):
        return {
            "RemoteAddress": settings.server,
            "AuthenticationMethod": "Certificate",
            "PayloadCertificateUUID": certificate_uuid,
        }
    return {
        "RemoteAddress": settings.server,
        "AuthenticationMethod": "SharedSecret",
        "SharedSecret": settings.machine.key.encode(),
    }


def _authority(identifier: str, certificate: Certificate) -> dict[str, Any]:
    return {
        **_common(f"{identifier}.ca", "com.apple.security.root", "VPN CA"),
        "PayloadCertificateFileName": "ca.crt",
        "PayloadContent": certificate.authority,
    }


def _client(identifier: str, certificate: Certificate) -> dict[str, Any]:
    payload = {
        **_common(f"{identifier}.client", "com.apple.security.pkcs12", certificate.client),
        "PayloadCertificateFileName": f"{certificate.client}.p12",
        "PayloadContent": certificate.container,
    }
    if certificate.passphrase:
        payload["Password"] = certificate.passphrase
    return payload


def _common(identifier: str, payload_type: str, display_name: str) -> dict[str, Any]:
    return {
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(_NAMESPACE, identifier)).upper(),
        "PayloadType": payload_type,
        "PayloadVersion": 1,
        "PayloadDisplayName": display_name,
    }


def _identifier(settings: Settings) -> str:
    """In reverse-DNS style: one profile for each server and user."""
    labels = settings.server.replace(":", "-").split(".")
    if not labels[-1].isdigit():
        labels.reverse()
    return ".".join([*labels, "l2tp", settings.user or "vpn"])
