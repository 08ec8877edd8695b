"""Runs the commands of `ikectl pki`, and says what came of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.ikectl import files
from cli.ikectl.errors import CommandError
from cli.ikectl.names import authority_name, client_name, gateway_name
from cli.ikectl.pki import authority
from cli.ikectl.pki import index as indexes
from cli.ikectl.pki.arguments import CRL_DAYS
from cli.ikectl.pki.authority import Authority, Issued, opened
from cli.ikectl.pki.certificates import key_type_of
from cli.ikectl.pki.index import GATEWAY, Entry, Index
from cli.ikectl.pki.pkcs12 import generate_passphrase

_PASSPHRASE = "passphrase of the CA's key"  # noqa: S105 - the prompt for it
_PASSPHRASE_REMEDY = "name a file with --ca-passphrase-file"  # noqa: S105
_RELOAD = "the gateway reads it with: systemctl reload ikev1d"
SOON = timedelta(days=30)
"""A certificate with less than that left is pointed out."""
_COLUMNS = ("NAME", "KIND", "STATE", "EXPIRES", "KEY", "SERIAL")


def run(options: argparse.Namespace) -> None:
    """Run one command. Raises CommandError."""
    now = datetime.now(UTC).replace(microsecond=0)
    match options.verb:
        case "init":
            _init(options, now)
        case "list":
            _list(options, now)
        case verb:
            with opened(options.directory, lambda: _passphrase(options), now) as ca:
                _VERBS[verb](ca, options)


def _passphrase(options: argparse.Namespace, *, twice: bool = False) -> bytes:
    if options.ca_passphrase_file:
        return files.read_secret(options.ca_passphrase_file)
    return files.ask_secret(_PASSPHRASE, _PASSPHRASE_REMEDY, twice=twice)


def _init(options: argparse.Namespace, now: datetime) -> None:
    encrypted = options.ask_passphrase or options.ca_passphrase_file
    passphrase = _passphrase(options, twice=True) if encrypted else b""
    organization = options.organization
    authority.create(
        options.directory,
        name=authority_name(options.name, "a CA's name"),
        organization=authority_name(organization, "an organization") if organization else "",
        key_type=options.key,
        days=options.days,
        passphrase=passphrase,
        crl_url=options.crl_url,
        now=now,
    )
    with opened(options.directory, lambda: passphrase, now) as ca:
        ca.publish(min(options.days, CRL_DAYS), None)
    print(f"made a CA in {options.directory}: ca.crt is for everybody, ca.key for nobody")
    if not encrypted:
        print("its key is not encrypted: keep the directory, and copies of it, to root")
    print("go on with: ikectl pki gateway NAME, with the name that clients dial")


def _gateway(ca: Authority, options: argparse.Namespace) -> None:
    names = tuple(dict.fromkeys(gateway_name(text) for text in options.names))
    key_type = options.key or _key_type(ca)
    issued = ca.issue_gateway(names, key_type, options.days)
    _show_issued(issued)
    print("in the gateway's configuration:")
    for line in section(ca, issued):
        print(line)


def section(ca: Authority, issued: Issued) -> Iterator[str]:
    """The gateway's configuration for its certificate, and for clients of this CA."""
    key, certificate = issued.paths
    yield "[[certificate]]"
    yield f'certificate = "{certificate}"'
    yield f'key = "{key}"'
    yield f'ca = ["{ca.directory / "ca.crt"}"]'
    yield f'crl = ["{ca.directory / "crl.pem"}"]'
    names = [gateway_name(name) for name in issued.entry.names]
    if not any(isinstance(name, str) for name in names):
        # Otherwise a DNS name is what it shows, which clients that dial an address do not expect.
        yield f'local_id = "{names[0]}"'


def _client(ca: Authority, options: argparse.Namespace) -> None:
    name = client_name(options.name)
    key_type = options.key or _key_type(ca)
    with _new_passphrase(options.passphrase_file) as passphrase:
        issued = ca.issue_client(name, key_type, options.days, passphrase, legacy=options.legacy)
    _show_issued(issued)
    _show_passphrase(passphrase, options.passphrase_file)


def _renew(ca: Authority, options: argparse.Namespace) -> None:
    last = ca.last(options.name)
    days = options.days or round(last.lifetime / timedelta(days=1))
    if last.kind == GATEWAY:
        _show_issued(ca.renew_gateway(last, days))
        print(_RELOAD)
        return
    with _new_passphrase(options.passphrase_file) as passphrase:
        issued = ca.renew_client(last, days, passphrase, legacy=options.legacy)
    _show_issued(issued)
    _show_passphrase(passphrase, options.passphrase_file)


def _revoke(ca: Authority, options: argparse.Namespace) -> None:
    for entry in ca.revoke(options.which, options.reason):
        print(f"revoked {entry.name}, serial {entry.serial}")
    _crl(ca, options)


def _crl(ca: Authority, options: argparse.Namespace) -> None:
    for path in ca.publish(options.crl_days, options.publish):
        print(f"wrote {path}")
    print(
        f"CRL {ca.index.crl_number}, {_revoked(ca.index)} revoked; "
        f"publish the next before {ca.index.crl_next_update:%Y-%m-%d %H:%M} UTC"
    )
    print(_RELOAD)


_VERBS = {"gateway": _gateway, "client": _client, "renew": _renew, "revoke": _revoke, "crl": _crl}


def _key_type(ca: Authority) -> str:
    return key_type_of(ca.issuer.key.public_key())


@contextmanager
def _new_passphrase(path: Path | None) -> Iterator[str]:
    """A passphrase for a PKCS #12, kept in a file if there is to be one.

    The file is written first: a certificate whose passphrase is lost is of no use.
    """
    passphrase = generate_passphrase()
    if path is not None:
        files.create(path, passphrase.encode() + b"\n")
    try:
        yield passphrase
    except CommandError:
        if path is not None:
            path.unlink()
        raise


def _show_issued(issued: Issued) -> None:
    entry = issued.entry
    for path in issued.paths:
        print(f"wrote {path}")
    print(f"valid until {entry.not_after:%Y-%m-%d %H:%M} UTC, serial {entry.serial}")
    if entry.names:
        print(f"clients may dial {', '.join(entry.names)}")


def _show_passphrase(passphrase: str, path: Path | None) -> None:
    if path is not None:
        print(f"the passphrase is in {path}")
    else:
        print(f"the passphrase, shown only now: {passphrase}")
    print("hand over file and passphrase on different ways; `ikectl profile` makes what a device")
    print("takes. On Windows the file goes into the computer's store, not the user's.")


def _list(options: argparse.Namespace, now: datetime) -> None:
    index = indexes.load(options.directory)
    if options.json:
        print(json.dumps(_document(index, now), indent=2, default=datetime.isoformat))
        return
    certificate = authority.load_certificate(options.directory)
    print(
        f"{certificate.subject.rfc4514_string()}, until {certificate.not_valid_after_utc:%Y-%m-%d}"
    )
    if index.crl_next_update is not None:
        late = ", OVERDUE: ikectl pki crl" if index.crl_next_update < now else ""
        due = f"{index.crl_next_update:%Y-%m-%d %H:%M} UTC{late}"
        print(f"CRL {index.crl_number}, {_revoked(index)} revoked, the next before {due}")
    soon = [entry for entry in index.entries if _ends_soon(index, entry, now)]
    for entry in soon:
        days = (entry.not_after - now).days
        print(f"{entry.name} expires in {days} days: ikectl pki renew {entry.name}")
    print()
    _table([_COLUMNS, *(_row(entry, now) for entry in index.entries)])


def _ends_soon(index: Index, entry: Entry, now: datetime) -> bool:
    """Whether a name will have no certificate in a while."""
    return index.valid(entry.name, now) is entry and entry.not_after - now < SOON


def _row(entry: Entry, now: datetime) -> tuple[str, ...]:
    expires = f"{entry.not_after:%Y-%m-%d}"
    return (entry.name, entry.kind, entry.state(now), expires, entry.key, entry.serial)


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def _document(index: Index, now: datetime) -> dict[str, object]:
    return {
        "v": indexes.VERSION,
        "crl_number": index.crl_number,
        "crl_next_update": index.crl_next_update,
        "certificates": [{**asdict(entry), "state": entry.state(now)} for entry in index.entries],
    }


def _revoked(index: Index) -> int:
    return sum(entry.revoked is not None for entry in index.entries)
