"""Whatever is in a name or a key, a device reads back what was meant, and nothing else."""

import plistlib
import shlex
from configparser import RawConfigParser

from hypothesis import given
from hypothesis import strategies as st

from cli.ikectl.profile import apple, linux, windows
from cli.ikectl.profile.settings import PresharedKey, Settings
from tests.support import apple_schema, windows_cmdlets

TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp", "Zs"])
    | st.sampled_from(" '\"\\$`;,=#[]{}()\u2018\u2019\u201a\u201b"),
    min_size=1,
    max_size=40,
).filter(lambda text: text == text.strip())

SETTINGS = st.builds(
    Settings,
    name=TEXT,
    server=st.just("vpn.example.com"),
    user=TEXT,
    machine=TEXT.map(PresharedKey),
)


@given(SETTINGS)
def test_apple(settings: Settings) -> None:
    document = plistlib.loads(apple.build(settings))
    (vpn,) = document["PayloadContent"]
    assert apple_schema.faults(document) == []
    assert isinstance(settings.machine, PresharedKey)
    assert vpn["IPSec"]["SharedSecret"].decode() == settings.machine.key
    assert vpn["PPP"]["AuthName"] == settings.user
    assert vpn["UserDefinedName"] == settings.name


@given(SETTINGS)
def test_windows(settings: Settings) -> None:
    script = windows.build(settings).decode("utf-8-sig")
    found = dict(windows_cmdlets.calls(script))
    assert windows_cmdlets.faults(script) == []
    assert isinstance(settings.machine, PresharedKey)
    assert found["Add-VpnConnection"]["L2tpPsk"] == settings.machine.key
    assert found["Add-VpnConnection"]["Name"] == settings.name


@given(SETTINGS)
def test_linux(settings: Settings) -> None:
    lines = linux.keyfile(settings)
    parser = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    parser.read_string("\n".join(lines))
    assert isinstance(settings.machine, PresharedKey)
    assert parser["vpn-secrets"]["ipsec-psk"].replace("\\\\", "\\") == settings.machine.key
    assert parser["connection"]["id"].replace("\\\\", "\\") == settings.name
    script = linux.build(settings).decode()
    outside = script.split("END_OF_FILE")[0].splitlines()
    # What a shell reads outside of the quoted document is made of nothing that needs quoting.
    assert all(shlex.split(line, comments=True) is not None for line in outside[1:5])
    assert script.count("END_OF_FILE") == 2
