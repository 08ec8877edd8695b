"""Status for people: a table that fits the terminal, or everything about each client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from cli.control import ClientStatus, GatewayStatus, printable

ELLIPSIS = "…"
NOTHING = "-"

_GROUPS = {
    "modp1024": "dh2",
    "modp1536": "dh5",
    "modp2048": "dh14",
    "modp3072": "dh15",
    "modp4096": "dh16",
    "modp8192": "dh18",
    "ecp256": "dh19",
    "ecp384": "dh20",
    "ecp521": "dh21",
}
"""Groups by their number, for a narrow table (RFC 2409 section 6, RFC 3526, RFC 5903)."""

_NAT = {"none": "no", "client": "cli", "server": "srv"}


def duration(seconds: int | None) -> str:
    """Return "59s", "12m", "3h05m" or "4d07h"; "-" for None."""
    if seconds is None:
        return NOTHING
    seconds = max(seconds, 0)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    if seconds < 86_400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"
    return f"{seconds // 86_400}d{seconds % 86_400 // 3600:02}h"


def size(count: int) -> str:
    """Return "999", "1.0k", "23k", "4.5M" or the like: bytes in powers of 1024."""
    value = float(count)
    for unit in ("", "k", "M", "G", "T"):
        if value < 999.5:
            return f"{value:.1f}{unit}" if unit and value < 9.95 else f"{value:.0f}{unit}"
        value /= 1024
    return f"{value:.0f}P"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, its text for a client, and how it becomes narrow."""

    title: str
    text: Callable[[ClientStatus], str]
    short: Callable[[str], str] | None = None
    """A shorter way to say the same, tried before anything is cut."""
    right: bool = False


def table(clients: Sequence[ClientStatus], width: int) -> str:
    """Return one line for each client under a line of titles, `width` characters at most.

    What does not fit is said shorter, then moved together, then cut. Only a terminal too narrow for
    the columns that are never cut gets longer lines.
    """
    rows = [[column.text(client) or NOTHING for column in COLUMNS] for client in clients]
    gap = "  "
    widths = _widths(rows)
    if _total(widths, gap) > width:
        rows = [
            [column.short(text) if column.short else text for column, text in _cells(row)]
            for row in rows
        ]
        widths = _widths(rows)
    if _total(widths, gap) > width:
        gap = " "
        _cut(widths, _total(widths, gap) - width)
    titles = [column.title for column in COLUMNS]
    return "\n".join(_aligned(row, widths, gap) for row in (titles, *rows))


def details(clients: Sequence[ClientStatus]) -> str:
    """Return every field of every client, one on a line."""
    return "\n\n".join("\n".join(_details_of(client)) for client in clients)


def summary(gateway: GatewayStatus, clients: int, in_user_space: int = 0) -> str:
    """Return one line about the daemon, and one about what it refused where there is any.

    `in_user_space` of the clients are not served by the kernel's own L2TP.
    """
    listen = ", ".join(map(printable, gateway.listen)) or "no address"
    counts = f"{clients} {'client' if clients == 1 else 'clients'}, {gateway.half_open} connecting"
    version = printable(gateway.version)
    lines = [f"ikev1d {version}, up {duration(gateway.uptime)}, {counts}, on {listen}"]
    if gateway.failures:
        causes = sorted(gateway.failures.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{printable(cause, 60)} {count}" for cause, count in causes)
        lines.append(f"refused since start: {listed}")
    if in_user_space:
        lines.append(f"{in_user_space} in user space (STATE up/user): `ikectl verify` says why")
    return "\n".join(lines)


def _state(client: ClientStatus) -> str:
    """How far it has come, and whether its packets take the slower way."""
    state = printable(client.state)
    return f"{state}/user" if client.data_path == "user" else state


def _short_algorithms(text: str) -> str:
    return "-".join(_GROUPS.get(name, name) for name in text.split("-"))


COLUMNS = (
    Column("CLIENT", lambda client: printable(client.client)),
    Column("STATE", _state),
    Column("USER", lambda client: printable(client.user)),
    Column(
        "PEER",
        lambda client: f"{printable(client.peer_address)}:{client.peer_port}",
        short=lambda text: text.rpartition(":")[0],
    ),
    Column("IDENTITY", lambda client: printable(client.identity)),
    Column("NAT", lambda client: printable(client.nat), short=lambda text: _NAT.get(text, text)),
    Column("ADDRESS", lambda client: printable(client.inner_address)),
    Column("IKE", lambda client: printable(client.ike_algorithms), short=_short_algorithms),
    Column("ESP", lambda client: printable(client.esp_algorithms)),
    Column("AGE", lambda client: duration(client.age), right=True),
    Column("IN", lambda client: size(client.bytes_in), right=True),
    Column("OUT", lambda client: size(client.bytes_out), right=True),
    Column("REKEY", lambda client: duration(client.esp_rekey), right=True),
)

LEAST = {"USER": 8, "IDENTITY": 9, "ESP": 8, "IKE": 8}
"""The columns that are cut, the first one first, and the characters that are left of them."""


def _cells(row: Sequence[str]) -> list[tuple[Column, str]]:
    return list(zip(COLUMNS, row, strict=True))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [
        max(len(column.title), *(len(row[index]) for row in rows))
        for index, column in enumerate(COLUMNS)
    ]


def _total(widths: Sequence[int], gap: str) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def _cut(widths: list[int], excess: int) -> None:
    """Take `excess` characters out of the columns that may be cut, as far as they allow it."""
    titles = [column.title for column in COLUMNS]
    for title, least in LEAST.items():
        index = titles.index(title)
        taken = max(0, min(excess, widths[index] - least))
        widths[index] -= taken
        excess -= taken


def _aligned(row: Sequence[str], widths: Sequence[int], gap: str) -> str:
    cells = []
    for (column, text), width in zip(_cells(row), widths, strict=True):
        shown = text if len(text) <= width else text[: width - 1] + ELLIPSIS
        cells.append(shown.rjust(width) if column.right else shown.ljust(width))
    return gap.join(cells).rstrip()


_DURATIONS = frozenset({"age", "ike_rekey", "esp_rekey"})
_SIZES = frozenset({"bytes_in", "bytes_out"})


def _details_of(client: ClientStatus) -> list[str]:
    lines = [f"client {printable(client.client)}"]
    for item in fields(client):
        if item.name == "client":
            continue
        value = getattr(client, item.name)
        if item.name in _DURATIONS:
            text = duration(value)
        elif item.name in _SIZES:
            text = f"{size(value)} ({value} bytes)"
        elif item.name == "mark":
            text = f"{value:#010x}"
        else:
            text = NOTHING if value in (None, "") else printable(str(value), 1024)
        lines.append(f"  {item.name.replace('_', ' '):<16} {text}")
    return lines
