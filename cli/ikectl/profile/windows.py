"""A PowerShell script for the VPN client of Windows.

The cmdlets and their parameters are Microsoft's VpnClient module (Windows 8.1 and newer);
tests/support/windows_cmdlets.py has those that are used.
"""

from __future__ import annotations

import base64

from cli.ikectl.profile.settings import Certificate, Settings, file_stem

_QUOTES = "'\u2018\u2019\u201a\u201b"
"""All of them end a string in single quotes."""

_BASE64_WIDTH = 76

NAT_KEY = r"HKLM:\SYSTEM\CurrentControlSet\Services\PolicyAgent"
NAT_VALUE = "AssumeUDPEncapsulationContextOnSendRule"
"""Windows refuses a gateway behind a NAT without it (Microsoft KB 947234). 2: whoever is behind
one, gateway, client or both. It takes a restart."""


def build(settings: Settings) -> bytes:
    """Return the script, in UTF-8 with a mark: Windows PowerShell takes it for ANSI otherwise."""
    lines = ["$ErrorActionPreference = 'Stop'", ""]
    if isinstance(settings.machine, Certificate) or settings.behind_nat:
        lines.insert(0, "#Requires -RunAsAdministrator")
    if isinstance(settings.machine, Certificate):
        lines += _certificates(settings.machine)
    lines += _connection(settings)
    if settings.behind_nat:
        lines += [
            "# The gateway is behind a NAT.",
            f"$key = {quoted(NAT_KEY)}",
            f"New-ItemProperty -Path $key -Name {NAT_VALUE} -PropertyType DWord -Value 2 -Force",
            "Write-Host 'Restart Windows before you connect.'",
        ]
    return b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode()


def _connection(settings: Settings) -> list[str]:
    name = quoted(settings.name)
    add = [
        f"Add-VpnConnection -Name {name} -ServerAddress {quoted(settings.server)}",
        # IPsec is the encryption; PPP has none of its own.
        "-TunnelType L2tp -AuthenticationMethod MSChapv2 -EncryptionLevel Required",
        "-RememberCredential -Force",
    ]
    if not isinstance(settings.machine, Certificate):
        add.append(f"-L2tpPsk {quoted(settings.machine.key)}")
    if settings.routes:
        add.append("-SplitTunneling")
    lines = [
        f"if (Get-VpnConnection -Name {name} -ErrorAction SilentlyContinue) {{",
        f"    Remove-VpnConnection -Name {name} -Force",
        "}",
        " ".join(add),
    ]
    lines += [
        f"Add-VpnConnectionRoute -ConnectionName {name} -DestinationPrefix {quoted(str(route))}"
        for route in settings.routes
    ]
    if settings.strict:
        lines.append(
            f"Set-VpnConnectionIPsecConfiguration -ConnectionName {name} "
            "-EncryptionMethod AES256 -IntegrityCheckMethod SHA256 -DHGroup ECP384 "
            "-CipherTransformConstants AES256 -AuthenticationTransformConstants SHA256128 "
            "-PfsGroup None -Force"
        )
    return lines


def _certificates(certificate: Certificate) -> list[str]:
    """The computer's store, not the user's: L2TP looks for certificates nowhere else."""
    stem = file_stem(certificate.client)
    prompt = quoted(f"Passphrase of the certificate of {certificate.client}")
    root, my = r"Cert:\LocalMachine\Root", r"Cert:\LocalMachine\My"
    return [
        "# The computer's store: L2TP looks for certificates nowhere else.",
        *_temporary(f"{stem}-ca.crt", "$authority", certificate.authority),
        *_temporary(f"{stem}.p12", "$client", certificate.container),
        "try {",
        f"    Import-Certificate -FilePath $authority -CertStoreLocation {root}",
        f"    $word = Read-Host -AsSecureString -Prompt {prompt}",
        f"    Import-PfxCertificate -FilePath $client -Password $word -CertStoreLocation {my}",
        "} finally {",
        "    Remove-Item -Path $authority, $client",
        "}",
        "",
    ]


def _temporary(file: str, variable: str, data: bytes) -> list[str]:
    text = base64.b64encode(data).decode()
    chunks = [text[at : at + _BASE64_WIDTH] for at in range(0, len(text), _BASE64_WIDTH)]
    return [
        f"{variable} = Join-Path ([IO.Path]::GetTempPath()) {quoted(file)}",
        f"[IO.File]::WriteAllBytes({variable}, [Convert]::FromBase64String(@'",
        *chunks,
        "'@))",
    ]


def quoted(text: str) -> str:
    """Return a string in single quotes, in which only these quotes mean something."""
    return "'" + "".join(char * 2 if char in _QUOTES else char for char in text) + "'"
