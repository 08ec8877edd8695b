"""The control protocol under arbitrary bytes and values."""

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cli.control import (
    ClientStatus,
    ControlError,
    DownRequest,
    GatewayStatus,
    StatusResponse,
    build_request,
    build_response,
    parse_request,
    parse_response,
    printable,
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(),
    "int": st.integers(),
    "int | None": st.none() | st.integers(),
    "tuple[str, ...]": st.lists(st.text()).map(tuple),
    "Mapping[str, int]": st.dictionaries(st.text(), st.integers()),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def values_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{item.name: VALUES[str(item.type)] for item in fields(kind)})


CLIENTS = values_of(ClientStatus)
STATUS = st.builds(
    StatusResponse, gateway=values_of(GatewayStatus), clients=st.lists(CLIENTS).map(tuple)
)


def error_of(parse: Callable[[bytes], object], line: bytes) -> str:
    """What `parse` says against a line, "" where it takes it."""
    try:
        parse(line)
    except ControlError as error:
        return str(error)
    return ""


@given(STATUS)
def test_status_survives_the_line(response: StatusResponse) -> None:
    line = build_response(response)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert parse_response(line) == response


@given(st.text(min_size=1, max_size=200))
def test_down_survives_the_line(user: str) -> None:
    assert parse_request(build_request(DownRequest(user=user))) == DownRequest(user=user)


@given(st.binary(max_size=4096))
def test_any_bytes_are_a_request_or_a_control_error(line: bytes) -> None:
    assert error_of(parse_request, line).isprintable()
    assert error_of(parse_response, line).isprintable()


@given(
    st.sampled_from(["ping", "status", "down", "error"]),
    st.dictionaries(
        st.sampled_from(
            ["client", "user", "everyone", "clients", "gateway", "version", "pid", "code", "text"]
        ),
        JSON,
    ),
)
def test_any_json_is_a_line_or_a_control_error(kind: str, document: dict[str, Any]) -> None:
    line = json.dumps({"v": 1, "request": kind, "response": kind} | document).encode()
    assert error_of(parse_request, line).isprintable()
    assert error_of(parse_response, line).isprintable()


@given(st.text(), st.integers(min_value=1, max_value=300))
def test_printable_is_printable_bounded_and_unambiguous(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= 10 * limit + 1
    if len(text) <= limit:
        undone = shown.replace("\\\\", "\\u005c")
        parts = undone.split("\\")
        again = parts[0] + "".join(
            f"\\{part}".encode("ascii", "backslashreplace").decode("unicode_escape")
            if part.isascii()
            else _unescape(part)
            for part in parts[1:]
        )
        assert again == text


def _unescape(part: str) -> str:
    """An escape, and then text that is not ASCII."""
    size = {"x": 3, "u": 5, "U": 9}.get(part[0], 1)
    return f"\\{part[:size]}".encode("ascii").decode("unicode_escape") + part[size:]
