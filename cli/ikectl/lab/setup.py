"""The keys of a lab, made for it alone, and the files with them."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from cli.ikectl import files
from cli.ikectl.errors import CommandError
from cli.ikectl.profile import apple, text, windows
from cli.ikectl.profile.settings import Certificate, PresharedKey, Settings

USER = "lab"
SECRET_LENGTH = 14
"""Characters of each secret: 69 bits, to be typed into a telephone."""
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without what looks like something else."""
_SOMEWHERE = ("192.0.2.1", 9)
"""RFC 5737: nobody. The kernel is asked for the way there, and nothing is sent."""

_CONFIGURATION = """\
# Made by `ikectl lab`, for one afternoon.
[gateway]
listen = ["{address}"]
control_socket = "{control}"

[ppp]
pool = "10.255.77.10-10.255.77.19"
local_address = "10.255.77.1"

{section}

[[user]]
name = "{user}"
secret = "{password}"
"""


@dataclass(frozen=True, slots=True)
class Lab:
    """Where everything is, and what the user types into the device."""

    address: IPv4Address
    directory: Path
    machine: PresharedKey | Certificate
    password: str = field(repr=False)
    passphrase: str = field(default="", repr=False)
    """Of the device's certificate, where it has one."""

    @property
    def configuration(self) -> Path:
        """The gateway's."""
        return self.directory / "ikev1d.toml"

    @property
    def control(self) -> Path:
        """The gateway's control socket."""
        return self.directory / "control"

    @property
    def log(self) -> Path:
        """What the gateway logs."""
        return self.directory / "ikev1d.log"

    @property
    def transcript(self) -> Path:
        """What it traces."""
        return self.directory / "transcript.jsonl"

    @property
    def settings(self) -> Settings:
        """What a profile says."""
        return Settings("ikectl lab", str(self.address), USER, self.machine)

    def fields(self) -> dict[str, str]:
        """What the user types into the device."""
        fields = {"server": str(self.address), "account": USER, "password": self.password}
        if isinstance(self.machine, PresharedKey):
            return fields | {"secret": self.machine.key}
        return fields | {"passphrase": self.passphrase}


def prepare(directory: Path, address: IPv4Address, *, certificate: bool = False) -> Lab:
    """Make a directory with a configuration and profiles. Raises CommandError."""
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        raise CommandError(f"{directory} is there already; name a new --directory") from None
    except OSError as error:
        raise CommandError(f"cannot make {directory}: {error.strerror}") from None
    if certificate:
        # Imported here: with a secret, it goes without what takes long to load.
        from cli.ikectl.lab.certificates import make

        made = make(directory / "pki", address)
        section = made.section
        lab = Lab(address, directory, made.client, _secret(), made.passphrase)
    else:
        psk = _secret()
        section = f'[[psk]]\nsecret = "{psk}"'
        lab = Lab(address, directory, PresharedKey(psk), _secret())
    configuration = _CONFIGURATION.format(
        address=address, control=lab.control, section=section, user=USER, password=lab.password
    )
    files.create(lab.configuration, configuration.encode())
    files.create(lab.directory / "profile.mobileconfig", apple.build(lab.settings))
    files.create(lab.directory / "windows.ps1", windows.build(lab.settings))
    files.create(lab.directory / "fields.txt", text.build(lab.settings))
    return lab


def _secret() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def own_address() -> IPv4Address:
    """The address of this machine on its way out. Raises CommandError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
        except OSError:
            raise CommandError(
                "this machine has no default route; name its address with --listen"
            ) from None
        return IPv4Address(probe.getsockname()[0])
