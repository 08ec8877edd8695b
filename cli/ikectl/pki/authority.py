"""A CA in its directory: opening it, issuing, renewing, revoking, publishing.

    ca.crt, ca.key              the CA, PEM; the key is PKCS #8
    index.json                  what it has issued
    gateway/NAME.crt, .key      PEM
    clients/NAME.p12, .crt      PKCS #12 with the key, and the certificate alone in PEM
    crl.pem, crl.der            the last CRL

A client's key is nowhere but in its PKCS #12, under a passphrase that is not kept.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cli.ikectl import files
from cli.ikectl.errors import CommandError
from cli.ikectl.names import GatewayName, gateway_name
from cli.ikectl.pki import certificates, pkcs12
from cli.ikectl.pki import index as indexes
from cli.ikectl.pki.arguments import MAX_GATEWAY_DAYS
from cli.ikectl.pki.certificates import Issuer, PrivateKey, Revocation
from cli.ikectl.pki.index import CLIENT, GATEWAY, Entry, Index

DIRECTORY_MODE = 0o700
LOCK = ".lock"
CRL_FILES = ("crl.pem", "crl.der")

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True, slots=True)
class Issued:
    """What came of issuing."""

    entry: Entry
    paths: tuple[Path, ...]
    """The files that were written."""


@dataclass(slots=True)
class Authority:
    """A CA that is open, and locked against every other command."""

    directory: Path
    issuer: Issuer
    index: Index
    now: datetime

    def issue_gateway(self, names: tuple[GatewayName, ...], key_type: str, days: int) -> Issued:
        """Issue the gateway's certificate and key. Raises CommandError."""
        self._free(str(names[0]))
        key = certificates.generate_key(key_type)
        certificate, entry = self._gateway(names, key, days)
        new = {
            self._path(GATEWAY, entry.name, "key"): _private_pem(key, b""),
            self._path(GATEWAY, entry.name, "crt"): certificate.public_bytes(_PEM),
        }
        self._record_with(entry, new)
        return Issued(entry, tuple(new))

    def issue_client(
        self, name: str, key_type: str, days: int, passphrase: str, *, legacy: bool
    ) -> Issued:
        """Issue a client's certificate, as PKCS #12. Raises CommandError."""
        self._free(name)
        entry, new = self._client(name, key_type, days, passphrase, legacy=legacy)
        self._record_with(entry, new)
        return Issued(entry, tuple(new))

    def last(self, name: str) -> Entry:
        """Return the newest certificate of a name, which may have expired.

        Raises CommandError where there is none, and where it was revoked.
        """
        of_name = (entry for entry in reversed(self.index.entries) if entry.name == name)
        last = next(of_name, None)
        if last is None:
            raise CommandError(f'"{name}" has no certificate; `ikectl pki list` shows which are')
        if last.revoked is not None:
            raise CommandError(
                f'the certificate of "{name}" was revoked: `ikectl pki {last.kind} {name}` issues '
                "another"
            )
        return last

    def renew_gateway(self, last: Entry, days: int) -> Issued:
        """Issue a gateway's certificate once more, in place of its file. Raises CommandError.

        The key stays, so that the two files go together at every moment. The certificate from
        before is valid until it expires or is revoked.
        """
        names = tuple(gateway_name(text) for text in last.names)
        key_path = self._path(GATEWAY, last.name, "key")
        certificate, entry = self._gateway(names, _load_key(key_path, None), days)
        path = self._path(GATEWAY, last.name, "crt")
        self._save(self.index.add(entry))
        files.replace(path, certificate.public_bytes(_PEM), files.PUBLIC)
        return Issued(entry, (path,))

    def renew_client(self, last: Entry, days: int, passphrase: str, *, legacy: bool) -> Issued:
        """Issue a client's certificate anew, with another key, in place of its files.

        Raises CommandError. The one from before is valid until it expires or is revoked: the
        client works until it has the new one.
        """
        entry, new = self._client(last.name, last.key, days, passphrase, legacy=legacy)
        self._save(self.index.add(entry))
        for path, data in new.items():
            files.replace(path, data, _mode(path))
        return Issued(entry, tuple(new))

    def revoke(self, which: str, reason: str) -> tuple[Entry, ...]:
        """Revoke all certificates of a name that are valid, or one by its serial.

        Raises CommandError where there is none. The CRL is to be published after it.
        """
        found = tuple(self.index.matching(which))
        if not found:
            raise CommandError(f'no certificate has the name or serial "{which}"')
        valid = tuple(entry for entry in found if entry.state(self.now) == "valid")
        if not valid:
            raise CommandError(f'"{which}": {found[-1].state(self.now)} already')
        serials = frozenset(entry.serial for entry in valid)
        self._save(self.index.revoke(serials, reason, self.now))
        return valid

    def publish(self, days: int, elsewhere: Path | None) -> tuple[Path, ...]:
        """Write the CRL, here and perhaps in one more directory. Raises CommandError."""
        number = self.index.crl_number + 1
        revocations = [
            Revocation(int(entry.serial, 16), entry.revoked, entry.reason)
            for entry in self.index.entries
            if entry.revoked is not None
        ]
        crl = certificates.revocation_list(self.issuer, revocations, number, days, self.now)
        # The number first: one that is left out does no harm, one that comes twice does.
        self._save(replace(self.index, crl_number=number, crl_next_update=crl.next_update_utc))
        encodings = (_PEM, serialization.Encoding.DER)
        directories = (self.directory, elsewhere) if elsewhere else (self.directory,)
        paths = []
        for directory in directories:
            for file, encoding in zip(CRL_FILES, encodings, strict=True):
                files.replace(directory / file, crl.public_bytes(encoding), files.PUBLIC)
                paths.append(directory / file)
        return tuple(paths)

    def _gateway(
        self, names: tuple[GatewayName, ...], key: PrivateKey, days: int
    ) -> tuple[x509.Certificate, Entry]:
        if days > MAX_GATEWAY_DAYS:
            raise CommandError(
                f"Apple devices take a gateway's certificate of {MAX_GATEWAY_DAYS} days at most"
            )
        public_key = key.public_key()
        certificate = certificates.gateway_certificate(
            self.issuer, public_key, names, days, self.now
        )
        self._check_end(certificate)
        texts = tuple(str(name) for name in names)
        key_type = certificates.key_type_of(public_key)
        return certificate, _entry(certificate, texts[0], GATEWAY, key_type, texts)

    def _client(
        self, name: str, key_type: str, days: int, passphrase: str, *, legacy: bool
    ) -> tuple[Entry, dict[Path, bytes]]:
        key = certificates.generate_key(key_type)
        certificate = certificates.client_certificate(
            self.issuer, key.public_key(), name, days, self.now
        )
        self._check_end(certificate)
        container = pkcs12.build(
            name, key, certificate, self.issuer.certificate, passphrase, legacy=legacy
        )
        new = {
            self._path(CLIENT, name, "p12"): container,
            self._path(CLIENT, name, "crt"): certificate.public_bytes(_PEM),
        }
        return _entry(certificate, name, CLIENT, key_type), new

    def _free(self, name: str) -> None:
        """Raise CommandError unless a certificate may be issued under a name for the first time.

        Files of one that was revoked or has expired make room.
        """
        if self.index.valid(name, self.now):
            raise CommandError(
                f'"{name}" has a certificate: `ikectl pki renew {name}` issues it once more, '
                f"`ikectl pki revoke {name}` ends it"
            )
        for entry in self.index.matching(name):
            self._forget_files(entry)

    def _forget_files(self, entry: Entry) -> None:
        suffixes = ("key", "crt") if entry.kind == GATEWAY else ("p12", "crt")
        for suffix in suffixes:
            self._path(entry.kind, entry.name, suffix).unlink(missing_ok=True)

    def _check_end(self, certificate: x509.Certificate) -> None:
        end = self.issuer.certificate.not_valid_after_utc
        if certificate.not_valid_after_utc > end:
            days = (end - self.now).days
            raise CommandError(
                f"the CA itself ends on {end:%Y-%m-%d}: "
                + (f"use --days {days} at most" if days > 0 else "make a new one")
            )

    def _record_with(self, entry: Entry, new: dict[Path, bytes]) -> None:
        """Write new files and then the index; what comes before an error is taken back."""
        done: list[Path] = []
        try:
            for path, data in new.items():
                files.create(path, data, _mode(path))
                done.append(path)
            self._save(self.index.add(entry))
        except CommandError:
            for path in done:
                path.unlink()
            raise

    def _save(self, index: Index) -> None:
        indexes.save(self.directory, index)
        self.index = index

    def _path(self, kind: str, name: str, suffix: str) -> Path:
        folder = "gateway" if kind == GATEWAY else "clients"
        return self.directory / folder / f"{name}.{suffix}"


def create(
    directory: Path,
    *,
    name: str,
    organization: str,
    key_type: str,
    days: int,
    passphrase: bytes,
    crl_url: str,
    now: datetime,
) -> None:
    """Make a CA; an empty passphrase leaves its key unencrypted. Raises CommandError."""
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"cannot make {directory}: {error.strerror}") from None
    with _locked(directory):
        for file in ("ca.key", "ca.crt", indexes.FILE):
            if (directory / file).exists():
                raise CommandError(f"{directory} has a CA already; name another --directory")
        key = certificates.generate_key(key_type)
        certificate = certificates.authority_certificate(key, name, organization, days, now)
        for folder in ("gateway", "clients"):
            (directory / folder).mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        files.create(directory / "ca.key", _private_pem(key, passphrase))
        files.create(directory / "ca.crt", certificate.public_bytes(_PEM), files.PUBLIC)
        indexes.save(directory, Index(organization=organization, crl_url=crl_url))


@contextmanager
def opened(directory: Path, passphrase: Callable[[], bytes], now: datetime) -> Iterator[Authority]:
    """Open a CA for one command; `passphrase` is called if its key is encrypted.

    Raises CommandError.
    """
    index = indexes.load(directory)
    with _locked(directory):
        index = indexes.load(directory)
        certificate = load_certificate(directory)
        key = _load_key(directory / "ca.key", passphrase)
        if key.public_key() != certificate.public_key():
            raise CommandError(f"ca.key and ca.crt in {directory} do not belong together")
        issuer = Issuer(certificate, key, index.organization, index.crl_url)
        yield Authority(directory, issuer, index, now)


def load_certificate(directory: Path) -> x509.Certificate:
    """Return the CA's certificate. Raises CommandError."""
    path = directory / "ca.crt"
    try:
        return x509.load_pem_x509_certificate(files.read(path))
    except ValueError as error:
        raise CommandError(f"{path} is not a certificate in PEM: {error}") from None


def _load_key(path: Path, passphrase: Callable[[], bytes] | None) -> PrivateKey:
    data = files.read_private(path)
    encrypted = passphrase is not None and b"ENCRYPTED" in data
    try:
        secret = passphrase() if passphrase is not None and encrypted else None
        key = serialization.load_pem_private_key(data, secret)
    except (ValueError, TypeError):
        why = "the passphrase is wrong" if encrypted else "not a private key in PEM"
        raise CommandError(f"cannot use {path}: {why}") from None
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise CommandError(f"{path} is neither an RSA nor an ECDSA key")
    return key


def _mode(path: Path) -> int:
    return files.PUBLIC if path.suffix == ".crt" else files.PRIVATE


def _private_pem(key: PrivateKey, passphrase: bytes) -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)


def _entry(
    certificate: x509.Certificate, name: str, kind: str, key: str, names: tuple[str, ...] = ()
) -> Entry:
    return Entry(
        name=name,
        kind=kind,
        serial=f"{certificate.serial_number:x}",
        names=names,
        key=key,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory: two commands at once would lose what one of them wrote in the index."""
    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE)
    except OSError as error:
        raise CommandError(f"cannot lock {path}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
