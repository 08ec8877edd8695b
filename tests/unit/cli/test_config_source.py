"""Finding the line of every key of a TOML document."""

from pathlib import Path

import pytest

from cli.ikev1d.config.source import Key, Source, parse_key, show


def lines(text: str) -> dict[str, int]:
    return {show(key): line for key, line in Source(Path("x.toml"), text).lines.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("a = 1", {"a": 1}),
        ("\n\na = 1\nb = 2 # c = 3\n", {"a": 3, "b": 4}),
        ("[t]\na = 1\n[u]\na = 1", {"t": 1, "t.a": 2, "u": 3, "u.a": 4}),
        ("[a.b]\nc = 1", {"a": 1, "a.b": 1, "a.b.c": 2}),
        ("a.b.c = 1\na.d = 2", {"a": 1, "a.b": 1, "a.b.c": 1, "a.d": 2}),
        (
            "[[p]]\nx = 1\n[[p]]\n[p.q]\ny = 2\n[[p]]\nx = 3",
            {
                "p": 1,
                "p[0]": 1,
                "p[0].x": 2,
                "p[1]": 3,
                "p[1].q": 4,
                "p[1].q.y": 5,
                "p[2]": 6,
                "p[2].x": 7,
            },
        ),
        (
            "[[p]]\n[[p.q]]\n[[p.q]]\n[[p]]\n[[p.q]]",
            {
                "p": 1,
                "p[0]": 1,
                "p[0].q": 2,
                "p[0].q[0]": 2,
                "p[0].q[1]": 3,
                "p[1]": 4,
                "p[1].q": 5,
                "p[1].q[0]": 5,
            },
        ),
        (
            'a = [ # one ]\n  1, "]",\n\n  [2, 3], # four\n]\nb = 1',
            {"a": 1, "a[0]": 2, "a[1]": 2, "a[2]": 4, "a[2][0]": 4, "a[2][1]": 4, "b": 6},
        ),
        (
            "a = { b = 1, c = { d = [1] } }\ne = {}",
            {"a": 1, "a.b": 1, "a.c": 1, "a.c.d": 1} | {"a.c.d[0]": 1, "e": 2},
        ),
        ('a = """\n[x]\nb = 1 # """\nc = 2', {"a": 1, "c": 4}),
        ("a = '''\n'quoted''\n'''\nc = 2", {"a": 1, "c": 4}),
        ('a = """x"""""\nb = 1', {"a": 1, "b": 2}),
        ('a = """\\"""\n"""\nb = 1', {"a": 1, "b": 3}),
        ('a = "# \\" ["\nb = 1', {"a": 1, "b": 2}),
        ("a = 1979-05-27 07:32:00 # d\r\nb = 1\r\n", {"a": 1, "b": 2}),
        ('[ "a" . \'b c\' ]\n"d\\u0065" = 1', {"a": 1, "a.b c": 1, "a.b c.de": 2}),
    ],
)
def test_lines(text: str, expected: dict[str, int]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (("ike", "encryption"), "ike.encryption"),
        (("ike", "encryption", 2), "ike.encryption[2]"),
        (("psk", 0, "secret"), "psk[0].secret"),
        (("a", 1, 22), "a[1][22]"),
        ((), ""),
    ],
)
def test_key_paths(key: Key, text: str) -> None:
    assert show(key) == text
    assert parse_key(text) == key
