"""Runs IKEv1 clients against a responder and reports what came of them."""

import argparse
import asyncio
import functools
import sys
from ipaddress import IPv4Network, ip_address
from pathlib import Path

from ikev1.wire.enums import EncryptionAlgorithm, Group, HashAlgorithm
from interop.clients.ike import PROFILES
from interop.initiator.checks import WARNINGS, Cause
from interop.initiator.derivation import dh_key
from interop.initiator.profiles import Phase1Offer, Profile, only
from interop.initiator.udp import Plan, run

_CIPHERS = {
    "aes128": (EncryptionAlgorithm.AES_CBC, 128),
    "aes192": (EncryptionAlgorithm.AES_CBC, 192),
    "aes256": (EncryptionAlgorithm.AES_CBC, 256),
    "3des": (EncryptionAlgorithm.TRIPLE_DES_CBC, None),
}
_HASHES = {
    "md5": HashAlgorithm.MD5,
    "sha1": HashAlgorithm.SHA1,
    "sha256": HashAlgorithm.SHA2_256,
    "sha384": HashAlgorithm.SHA2_384,
    "sha512": HashAlgorithm.SHA2_512,
}
_GROUPS = {
    "modp1024": Group.MODP_1024,
    "modp1536": Group.MODP_1536,
    "modp2048": Group.MODP_2048,
    "modp3072": Group.MODP_3072,
    "modp4096": Group.MODP_4096,
    "modp8192": Group.MODP_8192,
    "ecp256": Group.ECP_256,
    "ecp384": Group.ECP_384,
    "ecp521": Group.ECP_521,
}


def phase1_offer(text: str) -> Phase1Offer:
    """Read strongSwan's notation, such as aes256-sha256-modp2048."""
    try:
        cipher, hash_, group = text.split("-")
        encryption, key_length = _CIPHERS[cipher]
        return Phase1Offer(encryption, key_length, _HASHES[hash_], _GROUPS[group])
    except (KeyError, ValueError):
        message = f"{text!r} is not CIPHER-HASH-GROUP, such as aes256-sha256-modp2048"
        raise argparse.ArgumentTypeError(message) from None


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m interop.initiator", description=__doc__)
    made.add_argument("--target", type=ip_address, required=True)
    made.add_argument("--port", type=int, default=500)
    made.add_argument("--floated-port", type=int, default=4500)
    made.add_argument("--psk-file", type=Path, required=True)
    made.add_argument("--profile", choices=sorted(PROFILES), default="strongswan")
    made.add_argument("--phase1", type=phase1_offer, help="offer this transform alone")
    made.add_argument("--count", type=int, default=1, help="clients")
    made.add_argument("--concurrency", type=int, default=1, help="clients at a time")
    made.add_argument("--quick-modes", type=int, default=1, help="of each client")
    made.add_argument("--source", type=ip_address, help="local address")
    made.add_argument("--source-port", type=int, default=0, help="first client's; two for each")
    made.add_argument("--inner", type=IPv4Network, help="addresses behind an imagined NAT")
    made.add_argument("--keep", action="store_true", help="send no Delete at the end")
    made.add_argument("--share-dh", action="store_true", help="one key pair for all clients")
    made.add_argument(
        "--tolerate", type=Cause, choices=list(Cause), action="append", default=[], metavar="CAUSE"
    )
    made.add_argument("--strict", action="store_true", help="fail where racoon only warns")
    made.add_argument("--json", action="store_true")
    return made


def tolerated(arguments: argparse.Namespace) -> frozenset[Cause]:
    """The causes that are to be counted alone."""
    named = frozenset(arguments.tolerate)
    return named if arguments.strict else named | WARNINGS


def main() -> int:
    """Run the clients; exit status 1 if one failed."""
    arguments = parser().parse_args()
    profile: Profile = PROFILES[arguments.profile]
    if arguments.phase1 is not None:
        profile = only(profile, arguments.phase1)
    plan = Plan(
        profile=profile,
        psk=arguments.psk_file.read_bytes().rstrip(b"\r\n"),
        target=arguments.target,
        port=arguments.port,
        floated_port=arguments.floated_port,
        make_dh=functools.cache(dh_key) if arguments.share_dh else dh_key,
        tolerated=tolerated(arguments),
        source=arguments.source,
        source_port=arguments.source_port,
        inner=arguments.inner,
        quick_modes=arguments.quick_modes,
        keep=arguments.keep,
    )
    report = asyncio.run(run(plan, arguments.count, arguments.concurrency))
    sys.stdout.write((report.as_json() if arguments.json else report.as_text()) + "\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
