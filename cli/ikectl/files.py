"""Files that hold keys and secrets: private from their first moment, whole or not there."""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import sys
from pathlib import Path

from cli.ikectl.errors import CommandError

PRIVATE = 0o600
PUBLIC = 0o644

MAX_SIZE = 1024 * 1024
"""Bytes of a file that is read: a key, a certificate, an index of some thousand certificates."""

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a new file. Raises CommandError where one is there already, or it cannot be written."""
    try:
        _write(path, data, mode)
    except FileExistsError:
        raise CommandError(
            f"{path} is there already and is not overwritten; move it away first"
        ) from None
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def replace(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file in place of the one of that name: a reader sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(temporary, data, mode)
        try:
            temporary.rename(path)
        except OSError:
            temporary.unlink()
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # The umask may have taken bits away; a key file has none that it could add.
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink()
        raise


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """Return the content of a regular file. Raises CommandError."""
    return _read(path)[0]


def read_private(path: Path) -> bytes:
    """Return the content of a file that nobody but its owner may read or write.

    Raises CommandError where others may.
    """
    data, mode = _read(path)
    if mode & _GROUP_AND_OTHERS:
        raise CommandError(
            f"{path} holds a secret, and others may read or write it (mode {mode:04o}): "
            f"chmod 600 {path}"
        )
    return data


def read_secret(path: Path) -> bytes:
    """Return the one line of a private file, text in UTF-8.

    Raises CommandError where others may read it, and where it has no line or more than one.
    """
    data = read_private(path)
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    if not line or b"\n" in line:
        raise CommandError(f"{path} must have one line, the secret")
    try:
        line.decode()
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not text in UTF-8") from None
    return line


def _read(path: Path) -> tuple[bytes, int]:
    try:
        # O_NONBLOCK: a named pipe would otherwise be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise CommandError(f"{path} is not a file")
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise CommandError(f"{path} is larger than {MAX_SIZE} bytes")
    return data, stat.S_IMODE(mode)


def ask_secret(what: str, remedy: str, *, twice: bool = False) -> bytes:
    """Ask for a secret on the terminal, without showing it.

    Raises CommandError without a terminal, naming `remedy`, and where the two entries differ.
    """
    if not sys.stdin.isatty():
        raise CommandError(f"{what} is needed, and there is no terminal to ask on: {remedy}")
    secret = getpass.getpass(f"{what}: ")
    if not secret:
        raise CommandError(f"{what} is empty")
    if twice and getpass.getpass(f"{what}, again: ") != secret:
        raise CommandError("the two are not the same")
    return secret.encode()
