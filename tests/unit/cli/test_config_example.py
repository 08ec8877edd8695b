"""The example that is shipped: it loads, and tells the truth about names and defaults."""

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

import cli.ikev1d.config
from cli.ikev1d.config import algorithms, load, schema

EXAMPLE = Path(cli.ikev1d.config.__file__).with_name("example.toml")
SECTION = re.compile(r"^(?:# )?\[\[?(\w+)\]\]?")
COMMENTED = re.compile(r"^# (\w+ = .*)$")
NOT_A_DEFAULT = re.compile(r"# (?:.*; )?(?:an example|in place of)\b")
SECTIONS: dict[str, type[schema.Table]] = {
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
COMMENTED_SECTIONS = {"certificate"}
"""It would need files."""


def commented_settings() -> list[tuple[str, str, Any, bool]]:
    """Each `# key = value` of the example: section, key, value, whether it is called an example."""
    found = []
    section = ""
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if header := SECTION.match(line):
            section = header[1]
            if line.startswith("#") and section not in COMMENTED_SECTIONS:
                section = ""
        if section and (setting := COMMENTED.match(line)):
            text = setting[1]
            if text.count("[") > text.count("]"):
                text += lines[number + 1].lstrip("# ")
            ((key, value),) = tomllib.loads(text).items()
            found.append((section, key, value, NOT_A_DEFAULT.search(line) is not None))
    return found


def test_it_loads_without_warnings(tmp_path: Path) -> None:
    copy = tmp_path / "gateway.toml"
    shutil.copyfile(EXAMPLE, copy)
    copy.chmod(0o600)
    config = load(copy)
    assert config.warnings == ()
    assert config.users
    assert config.psks


def test_it_has_every_section_and_every_key() -> None:
    document = tomllib.loads(EXAMPLE.read_text())
    assert set(document) | COMMENTED_SECTIONS == set(SECTIONS)
    shown = {(section, key) for section, key, _, _ in commented_settings()}
    for section, table in document.items():
        entry = table[0] if isinstance(table, list) else table
        shown |= {(section, key) for key in entry}
    known = {(section, key) for section, kind in SECTIONS.items() for key in kind.__struct_fields__}
    assert shown == known


@pytest.mark.parametrize(("section", "key", "value", "example"), commented_settings())
def test_a_commented_setting_is_the_default(
    section: str, key: str, value: Any, example: bool
) -> None:
    kind = SECTIONS[section]
    lists = {
        ("ike", "encryption"): algorithms.DEFAULT.ike_encryption,
        ("ike", "hash"): algorithms.DEFAULT.ike_hashes,
        ("ike", "groups"): algorithms.DEFAULT.ike_groups,
        ("esp", "encryption"): algorithms.DEFAULT.esp_encryption,
        ("esp", "integrity"): algorithms.DEFAULT.esp_integrity,
    }
    optional = kind.__struct_fields__[-len(kind.__struct_defaults__) :]
    default = dict(zip(optional, kind.__struct_defaults__, strict=True))[key]
    default = lists.get((section, key), default)
    if isinstance(default, tuple):
        default = list(default)
    assert (value != default) if example else (value == default)
