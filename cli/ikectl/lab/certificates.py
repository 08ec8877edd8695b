"""A CA for one afternoon, with a certificate for the gateway and one for the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

from cli.ikectl import files
from cli.ikectl.pki import authority
from cli.ikectl.pki.commands import section
from cli.ikectl.pki.pkcs12 import generate_passphrase
from cli.ikectl.profile.settings import Certificate
from cli.ikectl.profile.signing import authority_der

CLIENT = "lab"
KEY = "rsa2048"
"""Phones, Macs and Windows take RSA alone in IKEv1."""
DAYS = 30


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the gateway's configuration and the device's profile have of it."""

    section: str
    client: Certificate
    passphrase: str = field(repr=False)
    """Of the PKCS #12, which the device asks for."""


def make(directory: Path, address: IPv4Address) -> Certificates:
    """Make a CA in a new directory, for clients that dial an address. Raises CommandError."""
    now = datetime.now(UTC).replace(microsecond=0)
    authority.create(
        directory,
        name="ikectl lab",
        organization="",
        key_type=KEY,
        days=DAYS,
        passphrase=b"",
        crl_url="",
        now=now,
    )
    passphrase = generate_passphrase()
    with authority.opened(directory, bytes, now) as ca:
        ca.publish(DAYS, None)
        lines = section(ca, ca.issue_gateway((address,), KEY, DAYS))
        # With 3DES, which Apple's devices of every age take.
        (container, *_) = ca.issue_client(CLIENT, KEY, DAYS, passphrase, legacy=True).paths
    client = Certificate(CLIENT, files.read(container), authority_der(directory / "ca.crt"))
    return Certificates("\n".join(lines), client, passphrase)
