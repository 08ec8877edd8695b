"""pppd's secrets file, chap-secrets: which of its lines let whom in to this gateway.

    # client        server  secret          IP addresses
    jacco           *       "mysecret"      192.168.1.128/25
    sam             vpn     rumpelstiltskin 192.168.1.5

Words are split as pppd does it: at white space, with single and double quotes, C-like backslash
escapes, a backslash before a newline joining lines, and `#` starting a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from cli.ikev1d.config.errors import ConfigError, Place
from cli.ikev1d.config.model import ANY, AddressRule, AddressRules
from cli.ikev1d.config.secret import Secret

MAX_WORD = 1023
"""Bytes of one word; pppd cuts what is longer, which is never what was meant."""

WILDCARD = "*"

_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"s": b" ",
    b"t": b"\t",
    b"v": b"\v",
}
_SPACE = b" \t\v\f\r"
_OCTAL = b"01234567"
_HEX = b"0123456789abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class ChapSecret:
    """One line of the file."""

    client: str
    server: str
    secret: Secret
    addresses: tuple[str, ...]
    """The words after the secret up to a "--", behind which pppd takes options."""
    place: Place

    @property
    def secret_file(self) -> Path | None:
        """The file that holds the secret, for a secret written as @/path."""
        value = self.secret.reveal()
        return Path(value[1:].decode(errors="surrogateescape")) if value[:2] == b"@/" else None

    def rules(self) -> AddressRules:
        """Return what the addresses column permits: nothing where it is empty or "-", as in pppd.

        Raises ConfigError for a word that is not "*", an address, a network, or "!" and one of
        these two.
        """
        if self.addresses[:1] == ("-",):
            return AddressRules(())
        return AddressRules(tuple(self._rule(word) for word in self.addresses))

    def _rule(self, word: str) -> AddressRule:
        if word == WILDCARD:
            return AddressRule(ANY, permit=True)
        try:
            network = IPv4Network(word.removeprefix("!"), strict=False)
        except ValueError:
            raise ConfigError(
                self.place,
                "",
                # Not the word itself: behind a secret with a space it is part of the secret.
                f'the addresses of client "{self.client}" hold a word that is not an address',
                allowed='"*", "-", an IPv4 address, a network such as 192.168.1.128/25, '
                'and "!" before an address or network',
                remedy="write addresses in place of host names, and quotes around a secret with a "
                "space",
            ) from None
        return AddressRule(network, permit=not word.startswith("!"))


def parse(data: bytes, path: Path) -> tuple[ChapSecret, ...]:
    """Return the entries of a file; a line of fewer than three words is none, as in pppd.

    Raises ConfigError for a quote that is not closed, a word that is too long, and text that is
    not UTF-8.
    """
    entries = []
    for place, words in _lines(data, path):
        if len(words) < 3:
            continue
        client, server = (_text(word, place) for word in words[:2])
        rest = tuple(_text(word, place) for word in words[3:])
        if "--" in rest:
            rest = rest[: rest.index("--")]
        entries.append(ChapSecret(client, server, Secret(words[2]), rest, place))
    return tuple(entries)


def first_word(data: bytes, path: Path) -> bytes:
    """Return the first word of a file, which is what pppd takes a secret's own file for.

    Raises ConfigError as `parse` does, and where there is no word.
    """
    for _, words in _lines(data, path):
        return words[0]
    raise ConfigError(Place(path), "", "there is no secret in this file")


def _text(word: bytes, place: Place) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise ConfigError(
            place, "", "a word is not UTF-8", remedy="convert the file: iconv -f latin1 -t utf8"
        ) from None


def _lines(data: bytes, path: Path) -> Iterator[tuple[Place, list[bytes]]]:
    """Each line that has words, joined with those that continue it."""
    at = 0
    while at < len(data):
        place = Place(path, data.count(b"\n", 0, at) + 1)
        words, at = _line(data, at, place)
        if words:
            yield place, words


def _line(data: bytes, at: int, place: Place) -> tuple[list[bytes], int]:
    """The words of the line that begins at `at`, and where the next line begins."""
    words: list[bytes] = []
    while at < len(data):
        char = data[at : at + 1]
        if char == b"\n":
            return words, at + 1
        if char == b"#":
            end = data.find(b"\n", at)
            at = len(data) if end < 0 else end
        elif char in _SPACE:
            at += 1
        elif data.startswith(b"\\\n", at):
            at += 2
        else:
            word, at = _word(data, at, place)
            words.append(word)
    return words, at


def _word(data: bytes, at: int, place: Place) -> tuple[bytes, int]:
    """The word that begins at `at`, and where it ends."""
    word = bytearray()
    quote = b""
    while at < len(data):
        char = data[at : at + 1]
        if char == b"\\":
            value, at = _escape(data, at + 1)
            word += value
            continue
        if not quote and (char in _SPACE or char in b"\n#"):
            break
        at += 1
        if quote and char == quote:
            quote = b""
        elif not quote and char in b"\"'":
            quote = char
        else:
            word += char
    if quote:
        raise ConfigError(
            place,
            "",
            "a quote on this line is not closed",
            remedy=r"close it, or write \" or \' for the character itself",
        )
    if len(word) > MAX_WORD:
        raise ConfigError(place, "", f"a word on this line is longer than {MAX_WORD} bytes")
    return bytes(word), at


def _escape(data: bytes, at: int) -> tuple[bytes, int]:
    """What the backslash before `at` stands for, and where that ends."""
    char = data[at : at + 1]
    if char == b"\n":
        return b"", at + 1
    if char == b"x":
        end = _end_of_digits(data, at + 1, 2, _HEX)
        return bytes([int(data[at + 1 : end] or b"0", 16)]), end
    if char and char in _OCTAL:
        end = _end_of_digits(data, at, 3, _OCTAL)
        return bytes([int(data[at:end], 8) & 0xFF]), end
    return _ESCAPES.get(char, char), at + 1


def _end_of_digits(data: bytes, at: int, most: int, digits: bytes) -> int:
    end = at
    while end < min(at + most, len(data)) and data[end] in digits:
        end += 1
    return end
