"""The parameters of Windows' cmdlets that a profile of ours may use, as a checker.

From github.com/MicrosoftDocs/windows-powershell-docs, docset/winserver2022-ps, vpnclient and pki:
the parameters, which are required, and the values that are accepted (compared without case, as
PowerShell does).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cmdlet:
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    switches: frozenset[str] = frozenset()
    """Take no value."""
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CMDLETS = {
    "Add-VpnConnection": Cmdlet(
        required=names("Name ServerAddress"),
        optional=names(
            "TunnelType L2tpPsk DnsSuffix IdleDisconnectSeconds AuthenticationMethod "
            "EncryptionLevel"
        ),
        switches=names(
            "AllUserConnection RememberCredential SplitTunneling Force PassThru "
            "UseWinlogonCredential"
        ),
        values={
            "TunnelType": ("Pptp", "L2tp", "Sstp", "Ikev2", "Automatic"),
            "AuthenticationMethod": ("Pap", "Chap", "MSChapv2", "Eap", "MachineCertificate"),
            "EncryptionLevel": ("NoEncryption", "Optional", "Required", "Maximum", "Custom"),
        },
    ),
    "Get-VpnConnection": Cmdlet(
        optional=names("Name ErrorAction"), switches=names("AllUserConnection")
    ),
    "Remove-VpnConnection": Cmdlet(
        required=names("Name"), switches=names("Force PassThru AllUserConnection")
    ),
    "Add-VpnConnectionRoute": Cmdlet(
        required=names("ConnectionName DestinationPrefix"),
        optional=names("RouteMetric"),
        switches=names("PassThru AllUserConnection"),
    ),
    "Set-VpnConnectionIPsecConfiguration": Cmdlet(
        required=names(
            "ConnectionName AuthenticationTransformConstants CipherTransformConstants "
            "EncryptionMethod IntegrityCheckMethod PfsGroup DHGroup"
        ),
        switches=names("PassThru Force AllUserConnection"),
        values={
            "AuthenticationTransformConstants": (
                "MD596",
                "SHA196",
                "SHA256128",
                "GCMAES128",
                "GCMAES192",
                "GCMAES256",
                "None",
            ),
            "CipherTransformConstants": (
                "DES",
                "DES3",
                "AES128",
                "AES192",
                "AES256",
                "GCMAES128",
                "GCMAES192",
                "GCMAES256",
                "None",
            ),
            "EncryptionMethod": (
                "DES",
                "DES3",
                "AES128",
                "AES192",
                "AES256",
                "GCMAES128",
                "GCMAES256",
            ),
            "IntegrityCheckMethod": ("MD5", "SHA1", "SHA256", "SHA384"),
            "PfsGroup": ("None", "PFS1", "PFS2", "PFS2048", "ECP256", "ECP384", "PFSMM", "PFS24"),
            "DHGroup": ("None", "Group1", "Group2", "Group14", "ECP256", "ECP384", "Group24"),
        },
    ),
    "Import-PfxCertificate": Cmdlet(
        required=names("FilePath"),
        optional=names("Password CertStoreLocation"),
        switches=names("Exportable"),
    ),
    "Import-Certificate": Cmdlet(required=names("FilePath"), optional=names("CertStoreLocation")),
}

_CALL = re.compile(
    rf"({'|'.join(CMDLETS)})((?: -[A-Za-z0-9]+(?: (?!-)(?:'(?:''|[^'])*'|[^\s')]+))?)+)"
)
_PARAMETER = re.compile(r" -([A-Za-z0-9]+)(?: (?!-)('(?:''|[^'])*'|[^\s')]+))?")


def calls(script: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Every call of one of the cmdlets, with its parameters; a switch has None."""
    for cmdlet, parameters in _CALL.findall(script):
        pairs = ((found[1], found[2]) for found in _PARAMETER.finditer(parameters))
        yield cmdlet, {name: value and unquoted(value) for name, value in pairs}


def unquoted(text: str) -> str:
    """A string in single quotes as PowerShell reads it."""
    if not text.startswith("'"):
        return text
    return re.sub("(['\u2018\u2019\u201a\u201b])\\1", r"\1", text[1:-1])


def faults(script: str) -> list[str]:
    """What the documentation has against the calls of a script."""
    found = []
    for name, parameters in calls(script):
        cmdlet = CMDLETS[name]
        found += [f"{name}: {key} is missing" for key in cmdlet.required - parameters.keys()]
        for key, value in parameters.items():
            if key in cmdlet.switches:
                if value is not None:
                    found.append(f"{name}: {key} takes no value")
            elif key not in cmdlet.required | cmdlet.optional:
                found.append(f"{name}: no parameter {key}")
            elif value is None:
                found.append(f"{name}: {key} has no value")
            elif key in cmdlet.values and value.lower() not in map(str.lower, cmdlet.values[key]):
                found.append(f"{name}: {key} may not be {value}")
    return found
