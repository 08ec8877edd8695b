"""The configuration file: whether it can be read, by us and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cli.control import Finding
from cli.ikev1d.config import Config, ConfigError, load
from cli.ikev1d.config.certificates import time_trouble
from cli.ikev1d.verify.certificates import certificates_of
from cli.ikev1d.verify.findings import failure, ok, warning


def read_configuration(path: Path) -> Config | ConfigError:
    """The configuration, or what is wrong with it."""
    try:
        return load(path)
    except ConfigError as error:
        return error


def check_configuration(found: Config | ConfigError) -> Iterator[Finding]:
    """Judge it. Its warnings are about the permissions of files with secrets, above all."""
    if isinstance(found, ConfigError):
        yield failure(
            "configuration.file",
            str(found),
            "the gateway does not start, or does not take over what has changed",
            found.remedy or "correct the line, and try it with `ikev1d --check`",
        )
        return
    now = datetime.now(UTC)
    told = {time_trouble(one, now) for _, one in certificates_of(found)}
    # Those of certificates that expire are told by `certificates`, with what to do.
    warnings = [text for text in found.warnings if not any(t and text.endswith(t) for t in told)]
    for text in warnings:
        why = "it works, but not as it should"
        yield warning("configuration.warning", text, why, "see the line that is named")
    if not warnings:
        yield ok("configuration.file", f"{found.path} is good")
