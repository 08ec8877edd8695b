"""Reading the files that hold secrets: no more than is sensible, and not where others may read."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from cli.ikev1d.config.errors import ConfigError, Place

MAX_SIZE = 16 * 1024 * 1024
"""Bytes of a file. A line of chap-secrets has some 60: this is more than 200,000 users."""

_OTHERS = stat.S_IROTH | stat.S_IWOTH
_GROUP = stat.S_IRGRP | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file, and the mode bits it had at that moment."""

    data: bytes
    mode: int


def read(path: Path, place: Place, key: str = "") -> Content:
    """Return the content of a regular file. Raises ConfigError, which `place` and `key` are for."""
    try:
        # O_NONBLOCK: a named pipe would otherwise be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(path, place, key, error) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ConfigError(place, key, f"{path} is not a file")
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _unreadable(path, place, key, error) from None
    if len(data) > MAX_SIZE:
        raise ConfigError(place, key, f"{path} is larger than {MAX_SIZE} bytes")
    return Content(data, stat.S_IMODE(status.st_mode))


def _unreadable(path: Path, place: Place, key: str, error: OSError) -> ConfigError:
    return ConfigError(place, key, f"cannot read {path}: {error.strerror}")


def read_private(path: Path, place: Place, key: str) -> tuple[bytes, str]:
    """Return the content of a file of secrets, and a warning or "".

    Raises ConfigError where it cannot be read, and where everybody may read or write it.
    """
    content = read(path, place, key)
    return content.data, check_private(path, content.mode, place, key)


def check_private(path: Path, mode: int, place: Place, key: str = "") -> str:
    """Return a warning, or "", about the mode of a file of secrets.

    Raises ConfigError where everybody may read or write it.
    """
    if mode & _OTHERS:
        raise ConfigError(
            place,
            key,
            f"{path} holds secrets, and everybody may read or write it (mode {mode:04o})",
            remedy=f"chmod 600 {path}",
        )
    if mode & _GROUP:
        return (
            f"{path} holds secrets, and its group may read or write it (mode {mode:04o}): "
            f"chmod 600 {path}"
        )
    return ""
