"""Logs: one line for one event, with the client's identifier through all layers.

    2026-03-01T10:11:12.345+00:00 INFO client=5f0c2a91 IKE SA up peer=203.0.113.9:4500 nat=client

or the same as one JSON object. Values may come from a peer: they are escaped and bounded, so that
no peer can forge a line, colour a terminal or fill a disk with one message.
"""

from __future__ import annotations

import json
import logging
import re
import time
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, Final, Literal, TextIO

from cli.control import printable

MAX_VALUE = 500
"""Characters of one value. The longest of ours: the 14 transforms that a Mac offers take 320."""

MAX_EVENT = 400
"""Characters of the event text."""

MAX_TRACEBACK = 20_000
"""Characters of a traceback in JSON."""

_PLAIN_WORD: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""ASCII that needs neither quotes nor escapes: no space, quote, equals sign or backslash."""

_SEPARATORS: Final = frozenset(' "=')

_FIELDS: Final = "event_fields"
_CLIENT: Final = "event_client"

OUR_LOGGER: Final = "ikev1d"
"""The parent of all loggers of the gateway."""

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class ClientLog:
    """Writes events, each with its values, under one client's identifier.

    With an empty identifier it speaks for the gateway. An identifier is needed before a client is
    known; `of` gives the log of a client in the same place of the program.
    """

    __slots__ = ("_logger", "client")

    def __init__(self, logger: str | logging.Logger, client: str = "") -> None:
        """`logger` by its name is one such as "ikev1d.ike"."""
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self.client = client

    def of(self, client: str) -> ClientLog:
        """The log of `client`, under the same logger."""
        return ClientLog(self._logger, client)

    def debug(self, event: str, /, **values: object) -> None:
        """For whoever studies one client's protocol trace."""
        self._write(logging.DEBUG, event, values)

    def info(self, event: str, /, **values: object) -> None:
        """A step of a client's story."""
        self._write(logging.INFO, event, values)

    def warning(self, event: str, /, **values: object) -> None:
        """A client was refused, or something needs the operator's eye."""
        self._write(logging.WARNING, event, values)

    def error(self, event: str, /, **values: object) -> None:
        """The gateway itself failed at something."""
        self._write(logging.ERROR, event, values)

    def _write(self, level: int, event: str, values: dict[str, object]) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        lines = Lines.of_process
        if lines is not None:
            lines.event(time.time(), level, logger.name, self.client, event, values)
            return
        # Logger.log would search the stack for a line number, which no format of ours shows.
        record = logging.LogRecord(logger.name, level, "", 0, event, None, None)
        setattr(record, _FIELDS, values)
        setattr(record, _CLIENT, self.client)
        logger.handle(record)


def configure(
    log_format: LogFormat, level: LogLevel, stream: TextIO, *, timestamps: bool = True
) -> None:
    """Send the logs of the whole process to `stream`, in place of where they went before.

    `timestamps` False leaves the time to whoever reads the stream, as systemd's journal does;
    JSON lines always carry it.
    """
    handler = Lines(stream, JsonFormatter() if log_format == "json" else TextFormatter(timestamps))
    root = logging.getLogger()
    for previous in tuple(root.handlers):
        root.removeHandler(previous)
    root.addHandler(handler)
    Lines.of_process = handler
    # What libraries have to say below a warning is about themselves, not about a client.
    root.setLevel(logging.WARNING)
    # What no format of ours shows need not be found out for each line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.getLogger(OUR_LOGGER).setLevel(level.upper())


class Lines(logging.Handler):
    """Writes lines to a stream, each at once, so that none is lost however the process ends.

    Libraries' come through `logging`. Ours need neither its records nor its handlers, which take
    two thirds of a line's time: a login writes three, and every rekey two.
    """

    of_process: ClassVar[Lines | None] = None
    """Where `configure` has sent the logs."""

    def __init__(self, stream: TextIO, form: TextFormatter | JsonFormatter) -> None:
        super().__init__()
        self.setFormatter(form)
        self._form = form
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a library."""
        self._put(self.format(record))

    def event(
        self,
        moment: float,
        level: int,
        logger: str,
        client: str,
        event: str,
        values: dict[str, object],
    ) -> None:
        """Write a line of ours."""
        self._put(
            self._form.line(moment, logging.getLevelName(level), logger, client, event, values)
        )

    def _put(self, line: str) -> None:
        try:
            self._stream.write(f"{line}\n")  # one write: no other thread gets between
            self._stream.flush()
        except OSError:  # who reads along has gone, or a disk is full; clients are served
            return


class TextFormatter(logging.Formatter):
    """One line for people: time, level, client, event, then key=value."""

    def __init__(self, timestamps: bool = True) -> None:
        super().__init__()
        self._timestamps = timestamps

    def line(
        self,
        moment: float,
        level: str,
        logger: str,
        client: str,
        event: str,
        values: dict[str, object],
    ) -> str:
        """The line of an event at a `moment`, in seconds since the epoch."""
        line = f"{_time(moment)} {level}" if self._timestamps else level
        if client:
            line += f" client={_quoted(client)}"
        line += f" {printable(event, MAX_EVENT)}"
        for key, value in values.items():
            line += f" {key}={_quoted(_text(value))}"
        return line

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; a traceback follows it on indented lines."""
        line = self.line(*_told(record))
        if not record.exc_info:
            return line
        # Indented, so that an exception's text cannot pass for a line of ours.
        trace = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    {printable(text, MAX_EVENT)}" for text in trace)])


class JsonFormatter(logging.Formatter):
    """One JSON object on one line for programs; the values of an event are under "fields".

    JSON in ASCII escapes all that could end the line or reach a terminal; values are bounded alone.
    """

    def line(
        self,
        moment: float,
        level: str,
        logger: str,
        client: str,
        event: str,
        values: dict[str, object],
        **more: str,
    ) -> str:
        """The line of an event at a `moment`, in seconds since the epoch."""
        document: dict[str, Any] = {
            "time": _time(moment),
            "level": level.lower(),
            "logger": logger,
            "event": event[:MAX_EVENT],
        }
        if client:
            document["client"] = client[:MAX_VALUE]
        if values:
            document["fields"] = {key: _json_value(value) for key, value in values.items()}
        return json.dumps(document | more)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        if not record.exc_info:
            return self.line(*_told(record))
        trace = self.formatException(record.exc_info)[-MAX_TRACEBACK:]
        return self.line(*_told(record), exception=trace)


def _told(record: logging.LogRecord) -> tuple[float, str, str, str, str, dict[str, object]]:
    """What `line` takes of a record; client and values are empty where a library wrote it."""
    client, values = getattr(record, _CLIENT, ""), getattr(record, _FIELDS, {})
    event = record.getMessage()
    return record.created, record.levelname, record.name, client, event, values


def _time(moment: float) -> str:
    second = int(moment)
    return f"{_second(second)}.{int(1000 * (moment - second)):03d}+00:00"


@lru_cache(maxsize=1)
def _second(number: int) -> str:
    """The date and time of a second since the epoch."""
    return datetime.fromtimestamp(number, UTC).replace(tzinfo=None).isoformat()


def _text(value: object) -> str:
    """A value as text: bytes in hex, an enumeration by its own text."""
    if type(value) is str:
        return value
    if isinstance(value, bytes):
        return value[:MAX_VALUE].hex()
    if isinstance(value, Enum) and not isinstance(value, str | int):
        return value.name
    return str(value)


def _quoted(text: str) -> str:
    """`text` as the right side of key=value: in quotes unless it is one plain word."""
    if len(text) <= MAX_VALUE and _PLAIN_WORD.fullmatch(text):
        return text
    shown = printable(text, MAX_VALUE)
    if shown and _SEPARATORS.isdisjoint(shown):
        return shown
    return '"' + shown.replace('"', '\\"') + '"'


def _json_value(value: object) -> str | int | float | bool | None:
    if isinstance(value, bool | float | None) or type(value) is int:
        return value
    return _text(value)[:MAX_VALUE]
