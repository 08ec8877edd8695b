"""Log lines: their form, and that no peer can forge them."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address
from typing import Any

import pytest

from cli.ikev1d.config import Secret
from cli.ikev1d.logs import MAX_VALUE, ClientLog, Lines, LogFormat, LogLevel, configure


@pytest.fixture(autouse=True)
def root_logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Lines, "of_process", None)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class Capture:
    def __init__(
        self, log_format: LogFormat, level: LogLevel = "debug", *, timestamps: bool = False
    ) -> None:
        self._stream = io.StringIO()
        configure(log_format, level, self._stream, timestamps=timestamps)

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def test_text_line_of_a_client() -> None:
    capture = Capture("text")
    log = ClientLog("ikev1d.ike").of("5f0c2a91")
    log.info("IKE SA up", peer="203.0.113.9:4500", nat="client", lifetime=3600, group=None)
    assert capture.lines == [
        "INFO client=5f0c2a91 IKE SA up peer=203.0.113.9:4500 nat=client lifetime=3600 group=None"
    ]


def test_text_line_of_the_gateway_has_no_client() -> None:
    capture = Capture("text")
    ClientLog("ikev1d").warning("no users")
    assert capture.lines == ["WARNING no users"]


def test_a_stream_that_cannot_be_written_costs_nothing_but_the_line() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, text)

    configure("text", "info", Full())
    ClientLog("ikev1d").info("started")
    logging.getLogger("asyncio").warning("socket closed")


def test_text_line_begins_with_the_time_where_asked() -> None:
    capture = Capture("text", timestamps=True)
    ClientLog("ikev1d").info("started")
    time, rest = capture.lines[0].split(" ", 1)
    assert rest == "INFO started"
    assert time.endswith("+00:00")
    assert len(time) == len("2026-03-01T10:11:12.345+00:00")


def test_json_line() -> None:
    capture = Capture("json")
    ClientLog("ikev1d.ppp", "5f0c2a91").info("logged in", user="EXAMPLE\\jörg", tries=2, ok=True)
    (document,) = capture.documents
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "info",
        "logger": "ikev1d.ppp",
        "event": "logged in",
        "client": "5f0c2a91",
        "fields": {"user": "EXAMPLE\\jörg", "tries": 2, "ok": True},
    }


class Transport(Enum):
    UDP = 1


class Number(IntEnum):
    FIVE = 5

    def __str__(self) -> str:
        return "NUMBER(5)"


class Word(StrEnum):
    UP = "up"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "x"', r'"say \"x\""'),
        (b"\x01\xff", "01ff"),
        (12, "12"),
        (1.5, "1.5"),
        (IPv4Address("192.0.2.1"), "192.0.2.1"),
        (Transport.UDP, "UDP"),
        (Number.FIVE, "NUMBER(5)"),
        (Word.UP, "up"),
        (Secret(b"topsecret"), "Secret(hidden)"),
        ([Secret(b"topsecret")], "[Secret(hidden)]"),
    ],
)
def test_values_in_text(value: object, text: str) -> None:
    capture = Capture("text")
    ClientLog("ikev1d").info("event", value=value)
    assert capture.lines == [f"INFO event value={text}"]


FORGERIES = [
    "x\nINFO client=00000000 logged in user=root",
    "x\r\nERROR forged",
    "x\x85next line",
    "x\u2028line separator",
    "x\x0bvertical\x0cfeed\x1c\x1d\x1e",
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "\u202eright to left",
    'x" user="root',
    "\x00",
]


@pytest.mark.parametrize("text", FORGERIES)
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_peers_text_cannot_forge_a_line_or_reach_the_terminal(
    text: str, log_format: LogFormat
) -> None:
    capture = Capture(log_format)
    ClientLog("ikev1d", text).info("login refused", user=text, name=text.encode())
    ClientLog("ikev1d").warning(text)
    assert len(capture.lines) == 2
    assert all(line.isprintable() for line in capture.lines)


def test_quotes_keep_a_value_one_value() -> None:
    capture = Capture("text")
    ClientLog("ikev1d").info("login refused", user='x" user="root')
    assert capture.lines == [r'INFO login refused user="x\" user=\"root"']


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_long_value_is_cut(log_format: LogFormat) -> None:
    capture = Capture(log_format)
    ClientLog("ikev1d").info("event", user="x" * 100_000, data=b"\x00" * 100_000)
    assert len(capture.lines[0]) < 4 * MAX_VALUE
    assert "x" * MAX_VALUE in capture.lines[0]


def raise_and_log(log: logging.Logger) -> None:
    try:
        raise ValueError("bad\nINFO forged \x1b[31m")
    except ValueError:
        log.exception("failed")


def test_traceback_in_text_is_indented_and_escaped() -> None:
    capture = Capture("text")
    raise_and_log(logging.getLogger("asyncio"))
    first, *rest = capture.lines
    assert first == "ERROR failed"
    assert rest
    assert all(line.startswith("    ") for line in rest)
    assert any("INFO forged \\x1b[31m" in line for line in rest)


def test_traceback_in_json_is_on_the_same_line() -> None:
    capture = Capture("json")
    raise_and_log(logging.getLogger("asyncio"))
    (document,) = capture.documents
    assert document["event"] == "failed"
    assert "INFO forged" in document["exception"]


def test_lines_of_libraries_have_the_same_form() -> None:
    capture = Capture("text")
    logging.getLogger("asyncio").warning("socket %s\nclosed", 7)
    assert capture.lines == ["WARNING socket 7\\nclosed"]


def test_level_and_repeated_configuration() -> None:
    first = Capture("text")
    second = Capture("text", "warning")
    log = ClientLog("ikev1d")
    log.debug("no")
    log.info("no")
    log.warning("yes")
    log.error("yes")
    assert first.lines == []
    assert second.lines == ["WARNING yes", "ERROR yes"]
