"""What to type into which field, for devices and people that take no file."""

from __future__ import annotations

from cli.ikectl.profile.settings import Certificate, Settings
from cli.ikectl.profile.windows import NAT_KEY, NAT_VALUE, quoted

_WIDTH = 26
_NO_CERTIFICATE = "(by certificate: install the profile of `ikectl profile apple`)"


def build(settings: Settings) -> bytes:
    """Return the text."""
    parts = [_ios(settings), _mac(settings), _windows(settings), _android(settings)]
    title = f"{settings.name}: L2TP over IPsec to {settings.server}"
    lines = [title, "=" * len(title), ""]
    for heading, *rest in parts:
        lines += [heading, "-" * len(heading), *rest, ""]
    lines += ["The password is the one of your account; it is not in this text."]
    return "".join(f"{line}\n" for line in lines).encode()


def _ios(settings: Settings) -> list[str]:
    heading = "iPhone, iPad"
    if isinstance(settings.machine, Certificate):
        return [heading, _NO_CERTIFICATE]
    return [
        heading,
        "Settings > General > VPN & Device Management > VPN > Add VPN Configuration",
        *_fields(
            ("Type", "L2TP"),
            ("Description", settings.name),
            ("Server", settings.server),
            ("Account", _user(settings)),
            ("RSA SecurID", "off"),
            ("Password", "(yours)"),
            ("Secret", settings.machine.key),
            ("Send All Traffic", "off" if settings.routes else "on"),
        ),
    ]


def _mac(settings: Settings) -> list[str]:
    heading = "Mac"
    if isinstance(settings.machine, Certificate):
        return [heading, _NO_CERTIFICATE]
    return [
        heading,
        "System Settings > VPN > Add VPN Configuration > L2TP over IPSec",
        *_fields(
            ("Display name", settings.name),
            ("Server address", settings.server),
            ("Account name", _user(settings)),
            ("User authentication", "Password: (yours)"),
            ("Machine authentication", f"Shared secret: {settings.machine.key}"),
            ("Group name", "(empty)"),
            ("Send all traffic", "off" if settings.routes else "on, under Options"),
        ),
    ]


def _windows(settings: Settings) -> list[str]:
    lines = ["Windows"]
    if isinstance(settings.machine, Certificate):
        kind = "L2TP/IPsec with certificate"
        lines += [
            f"First the certificate: double-click {settings.machine.client}.p12, and choose Local",
            "Machine as the store location, not Current User: L2TP looks nowhere else. Let the",
            "wizard choose the store; then see in certlm.msc that the CA is under Trusted Root",
            "Certification Authorities and your certificate under Personal.",
            "",
        ]
    else:
        kind = "L2TP/IPsec with pre-shared key"
    key = (
        []
        if isinstance(settings.machine, Certificate)
        else [("Pre-shared key", settings.machine.key)]
    )
    lines += [
        "Settings > Network & internet > VPN > Add VPN",
        *_fields(
            ("VPN provider", "Windows (built-in)"),
            ("Connection name", settings.name),
            ("Server name or address", settings.server),
            ("VPN type", kind),
            *key,
            ("Type of sign-in info", "User name and password"),
            ("User name", _user(settings)),
        ),
    ]
    if settings.routes:
        lines += ["In PowerShell, for the office alone and not for everything:"]
        lines += [
            f"    Set-VpnConnection -Name {quoted(settings.name)} -SplitTunneling $true",
            *(
                f"    Add-VpnConnectionRoute -ConnectionName {quoted(settings.name)} "
                f"-DestinationPrefix {route}"
                for route in settings.routes
            ),
        ]
    if settings.behind_nat:
        lines += [
            "The gateway is behind a NAT. As administrator, and then restart Windows:",
            f"    New-ItemProperty -Path {NAT_KEY} `",
            f"        -Name {NAT_VALUE} -PropertyType DWord -Value 2",
        ]
    return lines


def _android(settings: Settings) -> list[str]:
    heading = "Android up to 11 (12 and newer have no L2TP)"
    if isinstance(settings.machine, Certificate):
        kind = "L2TP/IPSec RSA"
        machine = [("IPSec user certificate", settings.machine.client), ("IPSec CA", "VPN CA")]
    else:
        kind = "L2TP/IPSec PSK"
        machine = [("IPSec pre-shared key", settings.machine.key)]
    return [
        heading,
        "Settings > Network & internet > VPN > +",
        *_fields(
            ("Name", settings.name),
            ("Type", kind),
            ("Server address", settings.server),
            ("L2TP secret", "(empty)"),
            ("IPSec identifier", "(empty)"),
            *machine,
            ("Username", _user(settings)),
        ),
    ]


def _user(settings: Settings) -> str:
    return settings.user or "(yours)"


def _fields(*fields: tuple[str, str]) -> list[str]:
    return [f"    {field:{_WIDTH}}{value}" for field, value in fields]
