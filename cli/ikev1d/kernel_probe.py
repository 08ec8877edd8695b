"""What the kernel can do, tried out before the first client comes.

Each algorithm is put into an SA that is removed at once. That also makes the kernel load the
modules it needs, which takes up to a second and would otherwise hold up the first Quick Mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.ikev1d.kernel_forms import algorithms
from ikev1.core.child_sa import key_sizes
from ikev1.core.effects import EspSuite
from ikev1.core.proposals import ESP_ENCRYPTION, ESP_INTEGRITY, TRIPLE_DES_BITS
from xfrm.errors import KernelError
from xfrm.model import Sa
from xfrm.ownership import REQID_BASE
from xfrm.sadb import Sadb

PROBE_SPI = 0x100
PROBE_ADDRESS = "127.0.0.1"
PARTNERS = ("aes128", "sha1")
"""The cipher and the hash that the others are tried with: RFC 8221 wants both of every kernel."""


def missing(sadb: Sadb, ciphers: Iterable[str], hashes: Iterable[str]) -> dict[str, str]:
    """The algorithms of the configuration that the kernel refuses, each with its reason."""
    refused: dict[str, str] = {}
    for name, suite in _suites(ciphers, hashes):
        probe = make_probe(suite)
        try:
            sadb.add_sa(probe)
        except KernelError as error:
            refused[name] = str(error)
        else:
            sadb.delete_sa(probe.spi, probe.dst)
    return refused


def make_probe(suite: EspSuite) -> Sa:
    """An SA of a suite that carries nothing."""
    encryption_size, integrity_size = key_sizes(suite)
    # Not zeros: some kernels refuse a DES key whose three parts are the same.
    key, mac_key = bytes(range(encryption_size)), bytes(integrity_size)
    cipher, mac, combined = algorithms(suite, key, mac_key)
    return Sa(
        spi=PROBE_SPI,
        src=PROBE_ADDRESS,
        dst=PROBE_ADDRESS,
        reqid=REQID_BASE,
        encryption=cipher,
        integrity=mac,
        aead=combined,
    )


def _suites(ciphers: Iterable[str], hashes: Iterable[str]) -> Iterator[tuple[str, EspSuite]]:
    wanted_ciphers, wanted_hashes = frozenset(ciphers), frozenset(hashes)
    hash_names = dict(ESP_INTEGRITY.values())
    partner_cipher, partner_hash = PARTNERS
    for (_, key_length), (name, kernel_name) in ESP_ENCRYPTION.items():
        bits = key_length or TRIPLE_DES_BITS
        aead_suite = kernel_name == "aes-gcm-16"
        if name in wanted_ciphers:
            mac = None if aead_suite else hash_names[partner_hash]
            yield name, EspSuite(kernel_name, bits, mac, name)
        if name == partner_cipher:
            for hash_name in wanted_hashes:
                yield hash_name, EspSuite(kernel_name, bits, hash_names[hash_name], hash_name)
