"""The [[certificate]] sections: the gateway's certificates, and whom they let in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar, get_args

from cli.ikev1d.config import key_files, schema
from cli.ikev1d.config.check import Check
from cli.ikev1d.config.files import read
from cli.ikev1d.config.key_files import KeyFileError
from cli.ikev1d.config.model import GatewayCertificate
from cli.ikev1d.config.source import Key
from cli.ikev1d.token_key import TokenError, TokenKey, TokenUri
from ikev1.core.credentials import SigningKey
from ikev1.wire.payloads import Identification
from ikev1.x509 import identity, names
from ikev1.x509.certificate import Certificate
from ikev1.x509.chain import SERVER_USAGES, read_anchor
from ikev1.x509.errors import CertificateError
from ikev1.x509.identity import IdentityPattern
from ikev1.x509.names import NamePattern
from ikev1.x509.revocation import Crl
from ikev1.x509.trust import RevocationPolicy, Trust, UsagePolicy

SOON = timedelta(days=30)
"""A certificate with less than that left is warned of."""
ANY = "%any"
SAME = "%same"

T = TypeVar("T")


def read_certificates(
    check: Check, tables: tuple[schema.CertificateTable, ...]
) -> tuple[GatewayCertificate, ...]:
    """Return what the sections say, with the files that they name. Raises ConfigError."""
    return tuple(_entry(check, ("certificate", index), one) for index, one in enumerate(tables))


def _entry(check: Check, key: Key, table: schema.CertificateTable) -> GatewayCertificate:
    signing_key, chain = _own(check, key, table)
    own = chain[0]
    _check_own(check, (*key, "pkcs12" if table.pkcs12 else "certificate"), own)
    return GatewayCertificate(
        connection=table.connection,
        key=signing_key,
        chain=chain,
        identity=_own_identity(check, key, table, own),
        trust=Trust(
            anchors=_anchors(check, key, table),
            authority=_authority(check, key, table, own),
            client=_client(check, (*key, "id"), table.id),
            usage=check.choice((*key, "eku"), table.eku, get_args(UsagePolicy)),
            sha1=table.sha1,
            own=own,
            revocation=check.choice(
                (*key, "revocation"), table.revocation, get_args(RevocationPolicy)
            ),
            crls=_crls(check, key, table),
            fetch=table.fetch,
        ),
        local=check.network((*key, "local"), table.local),
        remote=check.network((*key, "remote"), table.remote),
        place=check.source.place(key),
    )


def _own(
    check: Check, key: Key, table: schema.CertificateTable
) -> tuple[SigningKey, tuple[Certificate, ...]]:
    """The private key, and the chain of its certificate."""
    passphrase = None
    if table.passphrase_file is not None:
        passphrase = _line_of(check, (*key, "passphrase_file"), table.passphrase_file)
    named = [name for name in ("key", "pkcs12", "pkcs11") if getattr(table, name) is not None]
    if len(named) != 1 or (table.certificate is None) != (table.pkcs12 is not None):
        raise check.error(
            key,
            "has not one certificate and key of the gateway",
            allowed="certificate with key, or certificate with pkcs11, or pkcs12 alone",
        )
    if table.pkcs12 is not None:
        at = (*key, "pkcs12")
        data = _private(check, at, table.pkcs12)
        made, found = _guarded(check, at, lambda: key_files.bundle(data, passphrase))
        return made, _guarded(check, at, lambda: key_files.chain_of(made.public, found))
    at = (*key, "certificate")
    found = _each(check, at, (str(table.certificate),), key_files.certificates)
    if table.pkcs11 is not None:
        chain = key_files.chain_of(found[0].key, found)
        return _token_key(check, (*key, "pkcs11"), table.pkcs11, passphrase, chain[0]), chain
    data = _private(check, (*key, "key"), str(table.key))
    made = _guarded(check, (*key, "key"), lambda: key_files.private_key(data, passphrase))
    return made, _guarded(check, at, lambda: key_files.chain_of(made.public, found))


def _token_key(check: Check, key: Key, text: str, pin: bytes | None, own: Certificate) -> TokenKey:
    try:
        return TokenKey(TokenUri.parse(text), pin, own.key)
    except ValueError as error:
        raise check.error(
            key,
            f"the URI {error}",
            allowed='"pkcs11:token=vpn;object=gateway?module-path=/usr/lib/softhsm/libsofthsm2.so"',
        ) from None
    except TokenError as error:
        raise check.error(key, str(error)) from None


def _anchors(check: Check, key: Key, table: schema.CertificateTable) -> tuple[Certificate, ...]:
    if not table.ca:
        raise check.error(
            (*key, "ca"),
            "names no authority, so no client could be let in",
            remedy='add ca = ["ca.pem"], the certificate of who has signed those of the clients',
        )

    def anchors(data: bytes) -> tuple[Certificate, ...]:
        return tuple(read_anchor(one.der) for one in key_files.certificates(data))

    found = _each(check, (*key, "ca"), table.ca, anchors)
    for one in found:
        _check_time(check, (*key, "ca"), one)
    return found


def _authority(
    check: Check, key: Key, table: schema.CertificateTable, own: Certificate
) -> NamePattern | None:
    if table.client_ca == ANY:
        return None
    if table.client_ca == SAME:
        return NamePattern.of(own.issuer)
    try:
        return NamePattern.parse(table.client_ca)
    except ValueError as error:
        raise check.error(
            (*key, "client_ca"), str(error), allowed='"%any", "%same", or a name: "C=DE, CN=CA"'
        ) from None


def _client(check: Check, key: Key, text: str) -> IdentityPattern | None:
    if text == ANY:
        return None
    try:
        return IdentityPattern.parse(text)
    except ValueError as error:
        raise check.error(
            key,
            str(error),
            allowed='"%any", "C=*, O=Acme, CN=*", "@*.example.org", "*@example.org", an address',
        ) from None


def _own_identity(
    check: Check, key: Key, table: schema.CertificateTable, own: Certificate
) -> Identification | None:
    text = table.local_id
    if text is None:
        return None
    try:
        return identity.of_certificate(text, own)
    except ValueError:
        problem = f'"{text}" is not an identity'
    except CertificateError as error:
        problem = error.cause
    raise check.error((*key, "local_id"), problem, allowed=f"what is in it: {identity.listed(own)}")


def _crls(check: Check, key: Key, table: schema.CertificateTable) -> tuple[Crl, ...]:
    key = (*key, "crl")
    found = _each(check, key, table.crl, lambda data: (key_files.crl(data),))
    for crl in found:
        if datetime.now(UTC) > crl.good_until:
            check.warn(
                key,
                f'the CRL of "{names.show(crl.issuer)}" is out of date since '
                f"{crl.good_until:%Y-%m-%d}",
            )
    return found


def _check_own(check: Check, key: Key, own: Certificate) -> None:
    """Warn of what makes clients refuse the gateway's certificate."""
    _check_time(check, key, own)
    if not own.dns_names and not own.addresses:
        check.warn(
            key,
            f"the certificate of {own.title} has no subjectAltName: macOS and iOS want the name "
            "there that they dial",
        )
    if own.extended_usages is not None and not own.extended_usages & SERVER_USAGES.keys():
        check.warn(
            key,
            f"the certificate of {own.title} is not for a server: its extended key usage has "
            f"none of {', '.join(SERVER_USAGES.values())}",
        )


def _check_time(check: Check, key: Key, one: Certificate) -> None:
    trouble = time_trouble(one, datetime.now(UTC))
    if trouble:
        check.warn(key, trouble)


def time_trouble(one: Certificate, now: datetime) -> str:
    """What is wrong with a certificate's time, or soon will be; "" for nothing."""
    until = f"{one.not_after:%Y-%m-%d}"
    if now < one.not_before:
        return f"the certificate of {one.title} is not valid yet"
    if now > one.not_after:
        return f"the certificate of {one.title} has expired on {until}"
    if now + SOON > one.not_after:
        return f"the certificate of {one.title} expires on {until}"
    return ""


# --- files ---------------------------------------------------------------------------------------


def _each(
    check: Check, key: Key, names: tuple[str, ...], parse: Callable[[bytes], tuple[T, ...]]
) -> tuple[T, ...]:
    """What is in all files that a key names."""
    found: list[T] = []
    for name in names:
        data = read(_path(check, name), check.source.place(key), str(key[-1])).data
        found += _guarded(check, key, lambda: parse(data), name)  # noqa: B023 - called at once
    return tuple(found)


def _private(check: Check, key: Key, name: str) -> bytes:
    return check.read_private(key, _path(check, name))


def _line_of(check: Check, key: Key, name: str) -> bytes:
    value = _private(check, key, name).removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise check.error(key, "the file is empty")
    return value


def _path(check: Check, name: str) -> Path:
    return check.source.path.parent / name


def _guarded(check: Check, key: Key, step: Callable[[], T], name: str = "") -> T:
    """Run a step that reads what a file holds; what is wrong is an error at `key`."""
    try:
        return step()
    except (KeyFileError, CertificateError) as error:
        raise check.error(key, f"{name}: {error}" if name else str(error)) from None
