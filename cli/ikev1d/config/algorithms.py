"""The algorithms that a policy may name, and the two policies.

The names are those that logs and `ikectl status` show. The order of a list decides nothing: a
client offers its transforms in its own order, and the first that is in the list is taken. What
each client offers, and so what each policy shuts out, is told in example.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

IKE_ENCRYPTION = ("aes256", "aes192", "aes128", "3des")
IKE_HASHES = ("sha512", "sha384", "sha256", "sha1", "md5")
IKE_GROUPS = (
    "ecp521",
    "ecp384",
    "ecp256",
    "modp8192",
    "modp4096",
    "modp3072",
    "modp2048",
    "modp1536",
    "modp1024",
)
ESP_ENCRYPTION = (
    "aes256gcm16",
    "aes192gcm16",
    "aes128gcm16",
    "aes256",
    "aes192",
    "aes128",
    "3des",
)
ESP_INTEGRITY = ("sha512", "sha384", "sha256", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Policy:
    """The algorithms of one named policy."""

    ike_encryption: tuple[str, ...]
    ike_hashes: tuple[str, ...]
    ike_groups: tuple[str, ...]
    esp_encryption: tuple[str, ...]
    esp_integrity: tuple[str, ...]


DEFAULT = Policy(
    ike_encryption=IKE_ENCRYPTION,
    # Every client known to offer MD5 offers SHA-1 with it, in both phases.
    ike_hashes=("sha512", "sha384", "sha256", "sha1"),
    ike_groups=IKE_GROUPS,
    esp_encryption=ESP_ENCRYPTION,
    esp_integrity=("sha512", "sha384", "sha256", "sha1"),
)
"""Lets in what is in use: Windows since XP, Apple since 2003, Android, Linux."""

STRICT = Policy(
    ike_encryption=("aes256", "aes128"),
    ike_hashes=("sha512", "sha384", "sha256"),
    ike_groups=(
        "ecp521",
        "ecp384",
        "ecp256",
        "modp8192",
        "modp4096",
        "modp3072",
        "modp2048",
    ),
    esp_encryption=("aes256gcm16", "aes128gcm16", "aes256", "aes128"),
    # HMAC-SHA-1 has no practical weakness, and clients that pass the strict Phase 1 need it: macOS
    # before 11, iOS before 14, and NetworkManager-l2tp as it comes, which offers nothing else.
    esp_integrity=("sha512", "sha384", "sha256", "sha1"),
)
"""No 3DES, no SHA-1 in IKE, no group below 2048 bits. Shuts out all of Windows and Android."""

POLICIES: Mapping[str, Policy] = MappingProxyType({"default": DEFAULT, "strict": STRICT})
