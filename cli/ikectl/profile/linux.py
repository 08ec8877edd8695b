"""A shell script that gives NetworkManager a connection of its L2TP plugin.

The connection is written as the file that NetworkManager keeps (nm-settings-keyfile(5)) and loaded
with nmcli: as arguments of nmcli the secrets would be in the process list. The keys of [vpn] are
those of NetworkManager-l2tp 1.20, where the preshared key has become a secret;
tests/support/nm_l2tp_keys.py has them.
"""

from __future__ import annotations

import base64
import uuid

from cli.ikectl.profile.settings import Certificate, Settings, file_stem

CONNECTIONS = "/etc/NetworkManager/system-connections"
CERTIFICATES = "/etc/NetworkManager/certs"

_END = "END_OF_FILE"

_NAMESPACE = uuid.UUID("0f8a3c52-58a5-5d3b-8a3c-1c0a8f0f7d11")
_AGENT_OWNED = "1"
"""The secret is the user's, who is asked, and whose keyring keeps it (NMSettingSecretFlags)."""
_SYSTEM_OWNED = "0"


def build(settings: Settings) -> bytes:
    """Return the script."""
    stem = file_stem(settings.name)
    path = f"{CONNECTIONS}/{stem}.nmconnection"
    lines = [
        "#!/bin/sh",
        "# Run as root. It needs NetworkManager and NetworkManager-l2tp 1.20 or newer.",
        "set -eu",
        "umask 077",
        f'[ ! -e "{path}" ] || {{ echo "{path} is there already" >&2; exit 1; }}',
    ]
    if isinstance(settings.machine, Certificate):
        lines += [
            f'mkdir -p "{CERTIFICATES}"',
            f"base64 -d >\"{_container(settings.machine)}\" <<'{_END}'",
            *_wrapped(settings.machine.container),
            _END,
        ]
    lines += [
        f"cat >\"{path}\" <<'{_END}'",
        *keyfile(settings),
        _END,
        f'nmcli connection load "{path}"',
        f'echo "connect with: nmcli --ask connection up {_uuid(settings)}"',
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def keyfile(settings: Settings) -> list[str]:
    """Return the lines of the connection's file."""
    machine = settings.machine
    vpn = {
        "service-type": "org.freedesktop.NetworkManager.l2tp",
        "gateway": settings.server,
        "user-auth-type": "password",
        "user": settings.user,
        "password-flags": _AGENT_OWNED,
        "ipsec-enabled": "yes",
    }
    secrets = {}
    if isinstance(machine, Certificate):
        container = _container(machine)
        vpn |= {
            "machine-auth-type": "tls",
            "machine-ca": container,
            "machine-cert": container,
            "machine-key": container,
            "machine-certpass-flags": _AGENT_OWNED,
        }
    else:
        vpn |= {"machine-auth-type": "psk", "ipsec-psk-flags": _SYSTEM_OWNED}
        secrets = {"ipsec-psk": machine.key}
    routes = {f"route{number}": str(net) for number, net in enumerate(settings.routes, 1)}
    sections = {
        "connection": {
            "id": settings.name,
            "uuid": _uuid(settings),
            "type": "vpn",
            "autoconnect": "false",
        },
        "vpn": vpn,
        "vpn-secrets": secrets,
        "ipv4": {"method": "auto"} | ({"never-default": "true"} if routes else {}) | routes,
        "ipv6": {"method": "disabled"},
    }
    lines = []
    for section, values in sections.items():
        present = {key: value for key, value in values.items() if value}
        if present:
            lines += [f"[{section}]", *(f"{key}={_value(present[key])}" for key in present), ""]
    return lines


def _value(text: str) -> str:
    r"""Escape as GKeyFile reads it: backslashes, and a space at the beginning."""
    escaped = text.replace("\\", "\\\\")
    return f"\\s{escaped[1:]}" if escaped.startswith(" ") else escaped


def _container(certificate: Certificate) -> str:
    return f"{CERTIFICATES}/{file_stem(certificate.client)}.p12"


def _uuid(settings: Settings) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{settings.server} {settings.user} {settings.name}"))


def _wrapped(data: bytes) -> list[str]:
    return base64.encodebytes(data).decode().splitlines()
