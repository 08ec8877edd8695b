"""The command line of `ikectl pki`. Imports nothing that is slow to load."""

from __future__ import annotations

import argparse
from pathlib import Path

DEFAULT_DIRECTORY = Path("/etc/ikev1d/pki")

KEY_TYPES = ("rsa2048", "rsa3072", "rsa4096", "ecdsa-p256", "ecdsa-p384")

REASONS = ("unspecified", "key-compromise", "superseded", "cessation-of-operation")
"""Those of RFC 5280 section 5.3.1 that a gateway's operator has a use for."""

CA_DAYS = 3650
GATEWAY_DAYS = 730
CLIENT_DAYS = 730
CRL_DAYS = 30

MAX_GATEWAY_DAYS = 825
"""What iOS 13, macOS 10.15 and later take in a TLS server certificate under a CA that the user or
an administrator installed (support.apple.com/103769). The later bound of 398 days is for the CAs
that come with the system (support.apple.com/102028): it does not concern a CA made here."""

MAX_DAYS = 36_500


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pki` and its commands."""
    pki = commands.add_parser(
        "pki",
        help="certificates: a CA, the gateway's, the clients'",
        description="A certificate authority in one directory. docs/certificates.md walks through.",
    )
    pki.add_argument(
        "--directory",
        metavar="PATH",
        type=_absolute,
        default=DEFAULT_DIRECTORY,
        help="where everything is kept, default: %(default)s",
    )
    pki.add_argument(
        "--ca-passphrase-file",
        metavar="FILE",
        type=Path,
        help="of the CA's key; without it the terminal is asked, where the key is encrypted",
    )
    verbs = pki.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    init = verbs.add_parser("init", help="make the CA")
    init.add_argument("--name", default="VPN CA", help="its common name, default: %(default)s")
    init.add_argument(
        "--organization", default="", help="of the CA and of every certificate it issues"
    )
    _add_key(init, "rsa3072")
    _add_days(init, CA_DAYS)
    init.add_argument(
        "--ask-passphrase", action="store_true", help="encrypt the CA's key; asks for a passphrase"
    )
    init.add_argument(
        "--crl-url",
        metavar="URL",
        default="",
        help="where clients find the CRL; goes into every certificate",
    )

    gateway = verbs.add_parser("gateway", help="issue the gateway's certificate")
    gateway.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help="what clients dial: all DNS names and addresses, the usual one first",
    )
    _add_key(gateway, None)
    _add_days(gateway, GATEWAY_DAYS, MAX_GATEWAY_DAYS)

    client = verbs.add_parser("client", help="issue a client's certificate, as PKCS #12")
    client.add_argument("name", metavar="NAME", help="as alice or alice@example.com")
    _add_key(client, None)
    _add_days(client, CLIENT_DAYS)
    _add_container(client)

    renew = verbs.add_parser(
        "renew", help="issue it once more: for a gateway with the same key, for a client anew"
    )
    renew.add_argument("name", metavar="NAME")
    renew.add_argument("--days", metavar="N", type=_days, help="default: as before")
    _add_container(renew)

    revoke = verbs.add_parser("revoke", help="revoke certificates and publish the CRL")
    revoke.add_argument("which", metavar="NAME|SERIAL", help="all of a name, or one by its serial")
    revoke.add_argument("--reason", choices=REASONS, default="unspecified")
    _add_publication(revoke)

    crl = verbs.add_parser("crl", help="publish the CRL, in PEM and DER")
    _add_publication(crl)

    listing = verbs.add_parser("list", help="every certificate that was issued")
    listing.add_argument("--json", action="store_true", help="for programs")


def _add_key(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--key",
        choices=KEY_TYPES,
        default=default,
        help=f"default: {default or 'as the CA'}; phones, Macs and Windows take RSA alone in IKEv1",
    )


def _add_days(parser: argparse.ArgumentParser, default: int, limit: int = MAX_DAYS) -> None:
    parser.add_argument(
        "--days",
        metavar="N",
        type=_days,
        default=default,
        help=f"how long it is valid, default: {default}"
        + (f", {limit} at most" if limit != MAX_DAYS else ""),
    )


def _add_container(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--legacy",
        action="store_true",
        help="PKCS #12 with 3DES and SHA-1, for Apple devices and Windows before 10 1709",
    )
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        type=Path,
        help="write the passphrase there (mode 600) and not on the terminal",
    )


def _add_publication(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--crl-days",
        metavar="N",
        type=_days,
        default=CRL_DAYS,
        help="until the next CRL, default: %(default)s",
    )
    parser.add_argument(
        "--publish",
        metavar="PATH",
        type=Path,
        help="a directory to put crl.pem and crl.der in as well, as of a web server",
    )


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"1 to {MAX_DAYS} days")
    return days
