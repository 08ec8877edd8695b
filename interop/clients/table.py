"""The clients side by side, as the page docs/clients.md: ``python -m interop.clients.table``."""

import enum
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from ikev1.wire.vendor_ids import name_of
from interop.clients import aggressive, android, apple, dialers, linux, windows
from interop.clients.facts import Fact, Known, Unknown
from interop.clients.model import Client
from interop.clients.wire import ALWAYS
from interop.initiator.profiles import EspOffer, Phase1Offer
from interop.lac.profiles import AvpLine, Drawn
from interop.ppp.profiles import Asks
from l2tp.wire.enums import IpcpOption, LcpOption, OpenEnum, Protocol
from l2tp.wire.ppp import Option

FAMILIES: Mapping[str, tuple[Client, ...]] = {
    "Apple": apple.CLIENTS,
    "Windows 2000 and XP": windows.CLIENTS[:5],
    "Windows Vista to 11": windows.CLIENTS[5:9],
    "MSL2TP and Windows CE": windows.CLIENTS[9:],
    "Android": android.CLIENTS,
    "Linux": linux.CLIENTS,
    "Sold for older Windows": dialers.CLIENTS,
    "With Aggressive Mode, which is refused": aggressive.CLIENTS,
}

_HEAD = """\
# Clients

What is known of each client that `interop` plays, with its source. This page is made from
`interop/clients/` by `python -m interop.clients.table`; a test keeps both equal.

A number after a value names its source, below the table. **?** marks what nobody has told that we
know of: runs use the value shown, and reports say so. Times are in seconds, sizes in octets.
**=** is what stands on its left. `conduct.insists_on` leaves out what no client can do without.

    python -m interop dial CLIENT        # one of them dials in to the gateway in the lab

The gateway does not serve Aggressive Mode ([security.md](security.md)): the clients of the last
table are played up to its refusal. Nor does it send LOAD-BALANCE, by which a server sends clients
to another one (`conduct.follows_load_balance` tells who would go): there is one gateway, and a
client that hears it counts as led astray. How each client and the real programs fare with the
gateway is in [matrix.md](matrix.md).

"""

_BETWEEN = "<br>"
_DITTO = "="


class Sources:
    """The sources of one table, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, source: str) -> int:
        """The number of a source."""
        return self._numbers.setdefault(source, len(self._numbers) + 1)

    def listed(self) -> Iterable[str]:
        """All of them, as lines."""
        return (f"{number}. {source}" for source, number in self._numbers.items())


def page() -> str:
    """The whole page."""
    return _HEAD + "\n\n".join(_family(*family) for family in FAMILIES.items()) + "\n"


def _family(title: str, clients: tuple[Client, ...]) -> str:
    sources = Sources()
    names = " | ".join(client.name for client in clients)
    lines = [
        f"## {title}",
        "",
        *(f"- `{client.name}`: {client.title}" for client in clients),
        "",
        f"| | {names} |",
        "| --- " * (len(clients) + 1) + "|",
    ]
    told = [client.facts() for client in clients]
    for name in told[0]:
        cells = [_cell(name, facts[name], sources) for facts in told]
        shown = [
            _DITTO if number and cell == cells[number - 1] else cell
            for number, cell in enumerate(cells)
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *sources.listed()])


def _cell(name: str, fact: Fact, sources: Sources) -> str:
    text = _shown(name, fact.value).replace("|", "\\|")
    match fact:
        case Known(_, source):
            return f"{text} [{sources.number(source)}]"
        case Unknown(_, because):
            return f"**?** {text} [{sources.number(because)}]"


def _shown(name: str, value: object) -> str:
    """A value in few words."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Phase1Offer() | EspOffer():
            return _offer(value)
        case AvpLine():
            return _avp(value)
        case Option():
            return _option(name, value)
        case Asks(protocol, options):
            return f"{protocol.name} {' '.join(_asked(protocol, option) for option in options)}"
        case bytes():
            return _octets(name, value)
        case OpenEnum():
            return value.name
        case enum.Enum():
            return str(value.value)
        case frozenset():
            return _BETWEEN.join(sorted(str(item) for item in value - ALWAYS)) or "nothing more"
        case Mapping():
            return _BETWEEN.join(f"{key}: {_shown(name, item)}" for key, item in value.items())
        case tuple() if value and all(type(item) is int for item in value):
            return " ".join(map(str, value))
        case tuple():
            return _BETWEEN.join(_shown(name, item) for item in value) or "none"
        case _ if is_dataclass(value):
            return _record({field.name: getattr(value, field.name) for field in fields(value)})
    return str(value)


def _record(parts: Mapping[str, object]) -> str:
    """Flags that are set by their names, all other parts with their values."""
    shown = [
        key if part is True else f"{key} {_shown(key, part)}"
        for key, part in parts.items()
        if part is not False
    ]
    return ", ".join(shown) or "nothing"


def _offer(offer: Phase1Offer | EspOffer) -> str:
    """In strongSwan's notation, as the configuration of the gateway has it."""
    if isinstance(offer, Phase1Offer):
        cipher = _cipher(offer.encryption.name, offer.key_length)
        return f"{cipher}-{_plain(offer.hash.name)}-{_plain(offer.group.name)}"
    cipher = _cipher(EspTransform(offer.transform).name, offer.key_length)
    auth = "" if offer.auth is None else f"-{_plain(AuthAlgorithm(offer.auth).name)}"
    return cipher + auth


def _cipher(name: str, bits: int | None) -> str:
    short = {"TRIPLE_DES": "3des", "TRIPLE_DES_CBC": "3des", "DES_CBC": "des", "DES": "des"}
    return short.get(name, f"aes{bits}")


def _plain(name: str) -> str:
    for prefix in ("HMAC_", "SHA2_"):
        name = name.replace(prefix, "SHA" if prefix == "SHA2_" else "")
    return name.replace("_", "").lower()


def _avp(line: AvpLine) -> str:
    value = line.value
    match value:
        case Drawn():
            text = value.value
        case bytes():
            text = value.hex(" ")
        case str():
            text = repr(value)
        case _:
            text = f"{value:#x}" if line.type.name == "PROTOCOL_VERSION" else str(value)
    optional = "" if line.mandatory else " (not M)"
    return f"{line.type.name} {text}{optional}"


_ASKED = {
    (Protocol.IPV6CP, 1): "interface identifier",
    (Protocol.CCP, 18): "MPPE",
    (Protocol.ACSCP, 1): "routes",
    (Protocol.ACSCP, 2): "domains",
}


def _asked(protocol: Protocol, option: Option) -> str:
    return f"{_ASKED[protocol, option.type]} {option.value.hex()}"


def _option(name: str, option: Option) -> str:
    kinds: type[OpenEnum] = IpcpOption if name == "ppp.ipcp" else LcpOption
    named = kinds(option.type).name
    zero = not any(option.value)
    return named if zero else f"{named} {option.value.hex()}"


def _octets(name: str, value: bytes) -> str:
    if name == "ike.vendor_ids":
        return name_of(value)
    if name == "ppp.identifications" and value.isascii() and value.decode().isprintable():
        return value.decode()
    return value.hex() or "none"


if __name__ == "__main__":
    sys.stdout.write(page())
