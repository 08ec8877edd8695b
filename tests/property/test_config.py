"""Loading any document: a configuration, or an error that names a line of it."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import cli.ikev1d.config
from cli.ikev1d.config import Config, ConfigError, load, schema

EXAMPLE = Path(cli.ikev1d.config.__file__).with_name("example.toml").read_text()
SECTIONS: dict[str, type[schema.Table]] = {
    "[gateway]": schema.GatewayTable,
    "[ike]": schema.IkeTable,
    "[esp]": schema.EspTable,
    "[[psk]]": schema.PskTable,
    "[[connection]]": schema.ConnectionTable,
    "[l2tp]": schema.L2tpTable,
    "[ppp]": schema.PppTable,
    "[[user]]": schema.UserTable,
    "[marks]": schema.MarksTable,
    "[metrics]": schema.MetricsTable,
}
TEXTS = (
    st.sampled_from(
        ["%any", "10.0.0.1", "10.0.0.0/24", "10.0.0.1-10.0.0.9", "strict", "@a", "keyid:", "aes256"]
    )
    | st.sampled_from(["sha1", "modp2048", "pap", "", "/", "/dev/null", "2", "::1"])
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)
)
# JSON's scalars and arrays are TOML's, and null is left out.
VALUES = (
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.integers(min_value=0, max_value=5000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.lists(TEXTS | st.integers(min_value=0, max_value=9), max_size=3)
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Sections with known and unknown keys that have values of every kind."""
    text = ""
    for header in draw(st.lists(st.sampled_from(list(SECTIONS)), max_size=6)):
        if header[1] != "[" and header in text:
            continue
        names = (*SECTIONS[header].__struct_fields__, "unknown")
        chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=4))
        text += f"{header}\n" + "".join(f"{name} = {toml(draw(VALUES))}\n" for name in chosen)
    return text


def toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def outcome(text: str) -> Config | ConfigError:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gateway.toml"
        path.write_bytes(text.encode())
        path.chmod(0o600)
        try:
            return load(path)
        except ConfigError as error:
            return error


def check(text: str) -> None:
    result = outcome(text)
    if isinstance(result, ConfigError):
        assert result.place.file.name == "gateway.toml"
        assert result.place.line is None or 1 <= result.place.line <= max(1, text.count("\n") + 1)
        assert result.key or result.problem


@given(documents())
def test_any_document_of_known_sections(text: str) -> None:
    check(text)


@given(st.data())
def test_any_damage_to_the_example(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(start + 40, len(EXAMPLE))))
    patch = data.draw(st.text(alphabet="\n[]{}\"'=,#. a1", max_size=5))
    check(EXAMPLE[:start] + patch + EXAMPLE[end:])


@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_any_text(text: str) -> None:
    check(text)
