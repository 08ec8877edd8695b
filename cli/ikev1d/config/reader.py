"""Loading a configuration file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from cli.ikev1d.config import schema
from cli.ikev1d.config.build import build
from cli.ikev1d.config.check import Check
from cli.ikev1d.config.errors import ConfigError, Place, did_you_mean
from cli.ikev1d.config.files import check_private, read
from cli.ikev1d.config.model import Config
from cli.ikev1d.config.source import Key, Source, parse_key, show

_TOML_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$")
_TYPE = re.compile(r"`([a-z0-9 |]+)`")
_TYPES = {
    "int": "a whole number",
    "str": "a string in quotes",
    "bool": "true or false",
    "float": "a number with a fraction",
    "array": "a list in brackets",
    "object": "a table",
}
_ADD = {
    "ppp": "add a [ppp] section with pool and local_address",
    "pool": 'add pool = "192.168.1.128-192.168.1.254", the addresses to hand out',
    "local_address": 'add local_address = "192.168.1.99", the gateway\'s own end',
    "name": 'add name = "..."',
}


def load(path: Path) -> Config:
    """Return the configuration that a file holds, and what the files hold that it names.

    Raises ConfigError with the line and the remedy. Reads files and does nothing else, so it may be
    called again at any time; relative paths are relative to the file.
    """
    file = Place(path)
    content = read(path, file)
    try:
        text = content.data.decode()
    except UnicodeDecodeError as error:
        line = content.data.count(b"\n", 0, error.start) + 1
        raise ConfigError(Place(path, line), "", "this is not UTF-8") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(path, text, str(error)) from None
    source = Source(path, text)
    try:
        document = msgspec.convert(tables, schema.Document, dec_hook=schema.decode)
    except msgspec.ValidationError as error:
        raise _not_of_schema(source, str(error)) from None
    check = Check(source)
    if _holds_secrets(document):
        check.warning(check_private(path, content.mode, file))
    return build(document, check)


def _holds_secrets(document: schema.Document) -> bool:
    inline = [table.secret for table in document.psk] + [table.secret for table in document.user]
    return any(secret is not None for secret in (*inline, document.l2tp.secret))


def _not_toml(path: Path, text: str, message: str) -> ConfigError:
    found = _TOML_POSITION.search(message)
    problem = message[: found.start()] if found else message
    if found and found[1]:
        line, column = int(found[1]), f"column {found[2]}"
    else:
        line, column = text.rstrip("\n").count("\n") + 1, "the end of the file"
    remedy = ""
    if problem == "Invalid value":
        remedy = 'a text stands in quotes, key = "text"; true and false are in small letters'
    return ConfigError(Place(path, line), "", f"not TOML at {column}: {problem}", remedy=remedy)


def _not_of_schema(source: Source, message: str) -> ConfigError:
    """What msgspec found, at its line and in words of ours."""
    found = _PATH.search(message)
    key = parse_key(found[1]) if found else ()
    problem = message[: found.start()] if found else message
    if unknown := _UNKNOWN.match(problem):
        return _unknown_key(source, key, unknown[1])
    if missing := _MISSING.match(problem):
        name = missing[1]
        return ConfigError(
            source.place(key), show((*key, name)), "is missing", remedy=_ADD.get(name, "")
        )
    problem = _TYPE.sub(_in_words, problem)
    return ConfigError(source.place(key), show(key), problem[:1].lower() + problem[1:])


def _in_words(types: re.Match[str]) -> str:
    """What msgspec calls `array | null`, in words; TOML has no null, which stands for no key."""
    return " or ".join(_TYPES.get(name, name) for name in types[1].split(" | ") if name != "null")


def _unknown_key(source: Source, table: Key, name: str) -> ConfigError:
    known = _keys_of(table)
    remedy = did_you_mean(name, known)
    owners = [section for section in _keys_of(()) if name in _keys_of((section,))]
    if not remedy and owners:
        remedy = f"it belongs into [{owners[0]}]"
    return ConfigError(
        source.place((*table, name)),
        show((*table, name)),
        "there is no such key" if table else "there is no such section",
        allowed=", ".join(known),
        remedy=remedy,
    )


def _keys_of(table: Key) -> tuple[str, ...]:
    """The keys that a table of the document may have."""
    section = str(table[0]) if table else ""
    return _SECTIONS[section].__struct_fields__


_SECTIONS: dict[str, type[schema.Table]] = {
    "": schema.Document,
    "gateway": schema.GatewayTable,
    "ike": schema.IkeTable,
    "esp": schema.EspTable,
    "psk": schema.PskTable,
    "certificate": schema.CertificateTable,
    "connection": schema.ConnectionTable,
    "l2tp": schema.L2tpTable,
    "ppp": schema.PppTable,
    "user": schema.UserTable,
    "marks": schema.MarksTable,
    "metrics": schema.MetricsTable,
}
