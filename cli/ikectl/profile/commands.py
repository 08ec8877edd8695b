"""Runs `ikectl profile`."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cli.ikectl import files
from cli.ikectl.errors import CommandError
from cli.ikectl.names import client_name, gateway_name
from cli.ikectl.profile import apple, linux, text, windows
from cli.ikectl.profile.serve import Document, OneTimeServer, parse_address
from cli.ikectl.profile.settings import Certificate, PresharedKey, Settings, file_stem


@dataclass(frozen=True, slots=True)
class _Format:
    build: Callable[[Settings], bytes]
    extension: str
    media_type: str


_FORMATS = {
    "apple": _Format(apple.build, ".mobileconfig", "application/x-apple-aspen-config"),
    "windows": _Format(windows.build, ".ps1", "text/plain; charset=utf-8"),
    "linux": _Format(linux.build, ".sh", "text/plain; charset=utf-8"),
    "text": _Format(text.build, ".txt", "text/plain; charset=utf-8"),
}

MAX_TEXT = 255
"""Characters of a name and of an account."""

_TOKEN_BYTES = 12

_PBE_SHA1_3DES = bytes.fromhex("060a2a864886f70d010c0103")
"""pbeWithSHAAnd3-KeyTripleDES-CBC in DER (RFC 7292 appendix C)."""


def run(options: argparse.Namespace) -> None:
    """Make a profile, and hand it over. Raises CommandError."""
    _check(options)
    settings = _settings(options)
    kind = _FORMATS[options.format]
    data = kind.build(settings)
    if options.sign:
        data = _signed(data, options)
    if options.serve:
        _serve(Document(_file(settings, kind), kind.media_type, data), options)
    elif options.output == "-":
        sys.stdout.buffer.write(data)
    else:
        _write(data, settings, kind, options)


def _check(options: argparse.Namespace) -> None:
    if options.format != "apple" and (options.sign or options.p12_passphrase_file):
        raise CommandError("--sign and --p12-passphrase-file are for apple profiles")
    if options.p12_passphrase_file and not options.client:
        raise CommandError("--p12-passphrase-file goes with --client")
    if options.p12_passphrase_file and options.serve:
        raise CommandError(
            "key and passphrase together are not given away unencrypted: leave out "
            "--p12-passphrase-file, and the device asks for it"
        )
    if options.url and (options.serve or options.output == "-"):
        raise CommandError("--url needs a file, and --serve and --output - write none")


def _settings(options: argparse.Namespace) -> Settings:
    server = str(gateway_name(options.server))
    if options.format == "apple" and options.routes:
        print(
            "ikectl: Apple devices take no routes from a profile; they get one to the network of "
            "their own inner address, by its class, and no other",
            file=sys.stderr,
        )
    return Settings(
        name=_printable(options.name or server, "a connection's name"),
        server=server,
        user=_printable(options.user, "an account") if options.user else "",
        machine=_certificate(options) if options.client else PresharedKey(_psk(options)),
        routes=tuple(options.routes),
        behind_nat=options.behind_nat,
        strict=options.strict,
    )


def _psk(options: argparse.Namespace) -> str:
    if options.psk_file:
        key = files.read_secret(options.psk_file).decode()
    else:
        key = files.ask_secret("preshared key", "name a file with --psk-file").decode()
    if not key.isascii():
        print(
            "ikectl: the preshared key is not ASCII alone; devices differ in how they encode it",
            file=sys.stderr,
        )
    return _printable(key, "a preshared key")


def _certificate(options: argparse.Namespace) -> Certificate:
    # Imported here: a profile with a preshared key does without.
    from cli.ikectl.profile.signing import authority_der

    name = client_name(options.client)
    path = options.pki / "clients" / f"{name}.p12"
    container = files.read(path)
    if options.format == "apple" and _PBE_SHA1_3DES not in container:
        print(
            f"ikectl: Apple devices of 2023 and before refuse {path} as a wrong passphrase; "
            f"`ikectl pki renew {name} --legacy` makes one that all take",
            file=sys.stderr,
        )
    passphrase_file = options.p12_passphrase_file
    return Certificate(
        client=name,
        container=container,
        authority=authority_der(options.pki / "ca.crt"),
        passphrase=files.read_secret(passphrase_file).decode() if passphrase_file else "",
    )


def _signed(data: bytes, options: argparse.Namespace) -> bytes:
    from cli.ikectl.profile.signing import sign

    name = str(gateway_name(options.sign))
    gateway = options.pki / "gateway"
    return sign(data, gateway / f"{name}.crt", gateway / f"{name}.key", options.pki / "ca.crt")


def _write(data: bytes, settings: Settings, kind: _Format, options: argparse.Namespace) -> None:
    # Below a URL the name is what keeps others out.
    unguessable = secrets.token_urlsafe(_TOKEN_BYTES) if options.url else ""
    path = Path(options.output or _file(settings, kind, unguessable))
    files.create(path, data)
    print(f"wrote {path}; it holds secrets: hand it over on a way that nobody else reads")
    if options.url:
        url = f"{options.url.rstrip('/')}/{path.name}"
        print(f"put it there, readable by the web server: {url}")
        _show_code(url)


def _serve(document: Document, options: argparse.Namespace) -> None:
    address, port = parse_address(options.serve)
    try:
        server = OneTimeServer(address, port, document)
    except OSError as error:
        raise CommandError(f"cannot serve on {options.serve}: {error.strerror}") from None
    with server:
        _show_code(server.url)
        print(f"for the first that comes, within {options.minutes} minutes; not encrypted on its")
        print("way: in a network in which nobody listens", flush=True)
        if not server.wait(options.minutes * 60):
            raise CommandError("nobody came; the address is good no more")
        print(f"given to {server.taker}. If that is not the device you meant, change the secrets.")


def _show_code(url: str) -> None:
    from cli.ikectl.profile.qr import draw

    print(draw(url, colours=sys.stdout.isatty()))
    print(url)


def _file(settings: Settings, kind: _Format, unguessable: str = "") -> str:
    parts = (file_stem(part) for part in (settings.name, settings.user, unguessable) if part)
    return "-".join(parts) + kind.extension


def _printable(value: str, what: str) -> str:
    if not value.isprintable() or len(value) > MAX_TEXT or value != value.strip():
        raise CommandError(
            f"{what} has 1 to {MAX_TEXT} printable characters, and no space at its ends"
        )
    return value
