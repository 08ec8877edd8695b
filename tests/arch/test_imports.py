"""The import rules of docs/design.md, held against every import statement of every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ikev1", "xfrm", "l2tp", "cli", "interop")

NOT_SANS_IO = frozenset({"socket", "asyncio", "time", "random", "os", "secrets"})
"""Clock readings and random bytes are arguments; sockets are the host's."""

AROUND_THE_RULES = frozenset({"importlib", "_socket", "posix", "select", "selectors", "subprocess"})
"""Other ways to the same, which a sans-IO module has no business with either."""


@dataclass(frozen=True)
class Rule:
    """What the modules under `package` may import beside the standard library and themselves."""

    package: str
    may: tuple[str, ...]
    sans_io: bool = False

    def __str__(self) -> str:
        allowed = ", ".join(self.may) or "nothing else"
        stdlib = "stdlib without I/O" if self.sans_io else "stdlib"
        return f"{self.package} may import: {stdlib}, {allowed}"


RULES = (
    # errors: the one exception that a codec raises, for whoever uses the codec.
    Rule("ikev1.errors", ("ikev1.wire.enums",), sans_io=True),
    # discreet: what keeps secrets out of logs, in every layer.
    Rule("ikev1.discreet", ("msgspec",), sans_io=True),
    Rule("ikev1.wire", ("construct", "msgspec", "ikev1.discreet", "ikev1.errors"), sans_io=True),
    Rule(
        "ikev1.crypto",
        ("cryptography", "gmpy2", "ikev1.discreet", "ikev1.wire.enums"),
        sans_io=True,
    ),
    Rule("ikev1.x509", ("cryptography", "ikev1.wire", "ikev1.crypto"), sans_io=True),
    Rule(
        "ikev1.core",
        ("ikev1.wire", "ikev1.crypto", "ikev1.x509", "ikev1.discreet", "ikev1.errors", "msgspec"),
        sans_io=True,
    ),
    Rule("ikev1", (), sans_io=True),
    Rule("xfrm", ("msgspec", "pyroute2")),
    Rule("l2tp.errors", (), sans_io=True),
    Rule("l2tp.pool", (), sans_io=True),
    Rule("l2tp.wire", ("construct", "l2tp.errors"), sans_io=True),
    Rule("l2tp.ppp", ("l2tp.wire", "l2tp.errors", "cryptography"), sans_io=True),
    Rule(
        "l2tp.core",
        ("l2tp.wire", "l2tp.ppp", "l2tp.pool", "l2tp.errors", "cryptography"),
        sans_io=True,
    ),
    Rule("l2tp.datapath", ("pyroute2",)),
    Rule("l2tp", (), sans_io=True),
    Rule("cli.control", ()),
    # Loaded by its own commands alone: see test_ikectl_loads_nothing_heavy.
    Rule(
        "cli.ikectl.pki",
        ("cli.ikectl.errors", "cli.ikectl.files", "cli.ikectl.names", "cryptography"),
    ),
    Rule(
        "cli.ikectl.profile",
        (
            "cli.ikectl.errors",
            "cli.ikectl.files",
            "cli.ikectl.names",
            "cli.ikectl.pki.arguments",
            "cryptography",
            "segno",
        ),
    ),
    Rule(
        "cli.ikectl.lab",
        (
            "cli.control",
            "cli.ikectl.client",
            "cli.ikectl.errors",
            "cli.ikectl.files",
            "cli.ikectl.pki",
            "cli.ikectl.profile",
        ),
    ),
    Rule("cli.ikectl", ("cli.control",)),
    Rule(
        "cli.ikev1d",
        (
            "ikev1",
            "xfrm",
            "l2tp",
            "cli.control",
            # Third parties that the layers themselves use.
            "construct",
            "cryptography",
            "gmpy2",
            "pyroute2",
            "msgspec",
            # An extra.
            "pkcs11",
        ),
    ),
    Rule("cli", ()),
    Rule(
        "interop",
        (
            "ikev1.wire",
            "ikev1.errors",
            "l2tp.wire",
            "l2tp.errors",
            "cli.control",
            "cli.ikectl.client",
            "construct",
            "cryptography",
        ),
    ),
)
"""The first rule whose package a module is in is its rule."""


def rule_of(module: str) -> Rule:
    return next(rule for rule in RULES if is_in(module, rule.package))


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Every imported name with its line, wherever in the module the statement stands.

    `from a.b import c` gives "a.b.c": c may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "__import__"
        ):
            yield node.lineno, "importlib.__import__"


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What a module imports against its rule, as "module:line imports name; the rule"."""
    rule = rule_of(module)
    package = module if is_package else module.rpartition(".")[0]
    return [
        f"{module}:{line} imports {name}; {rule}"
        for line, name in imports(ast.parse(source), package)
        if not permitted(name, rule)
    ]


def permitted(name: str, rule: Rule) -> bool:
    if any(is_in(name, package) for package in (rule.package, *rule.may)):
        return True
    top = name.partition(".")[0]
    forbidden = NOT_SANS_IO | AROUND_THE_RULES if rule.sans_io else frozenset()
    return top in sys.stdlib_module_names and top not in forbidden


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def test_every_package_is_looked_at() -> None:
    assert {module.partition(".")[0] for module in MODULES} == set(PACKAGES)
    assert "ikev1.core" in MODULES
    assert "cli.ikev1d.config.model" in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_the_import_rules(module: str) -> None:
    path = MODULES[module]
    found = violations(module, path.read_text(), is_package=path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ikev1.core.engine", "import time"),
        ("ikev1.core.engine", "from os import urandom"),
        ("ikev1.core.engine", "import asyncio.events"),
        ("ikev1.core.engine", "def now():\n    import time\n    return time.time()"),
        ("ikev1.core.engine", "if TYPE_CHECKING:\n    from cli.control import Request"),
        ("ikev1.core.engine", "from xfrm import model"),
        ("ikev1.core.engine", "import l2tp.wire.avp"),
        ("ikev1.core.engine", "from cryptography.hazmat.primitives import hashes"),
        ("ikev1.core.engine", "import importlib"),
        ("ikev1.core.engine", "random = __import__('random')"),
        ("ikev1.crypto.dh", "from ikev1.wire import sa"),
        ("ikev1.crypto.dh", "from ..wire import sa"),
        ("ikev1.wire.sa", "from ikev1.core import identity"),
        ("ikev1.wire.sa", "from . import x\nfrom .. import core"),
        ("ikev1.wire.sa", "import ikev1"),
        ("l2tp.core.tunnel", "import secrets"),
        ("l2tp.core.tunnel", "from l2tp.datapath import session"),
        ("l2tp.ppp.lcp", "from l2tp.core import tunnel"),
        ("l2tp.datapath.session", "from l2tp.core import tunnel"),
        ("xfrm.netlink", "from ikev1.wire.enums import Group"),
        ("xfrm.netlink", "import xfrmlike"),
        ("cli.control", "from cli.ikev1d import logs"),
        ("cli.ikectl.render", "import msgspec"),
        ("cli.ikectl.render", "from cli.ikev1d.config import load"),
        ("cli.ikectl.client", "from cryptography import x509"),
        ("cli.ikectl.pki.commands", "from cli.ikectl import client"),
        ("cli.ikev1d.service", "import interop"),
        ("cli.ikev1d.service", "from cli.ikectl import render"),
        ("interop.client", "from ikev1.core import main_mode"),
        ("interop.client", "import cli.ikev1d.config"),
    ],
)
def test_the_check_sees_a_forbidden_import(module: str, source: str) -> None:
    found = violations(module, source)
    assert len(found) == 1
    assert found[0].startswith(f"{module}:")
    assert str(rule_of(module)) in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ikev1.core.engine", "from ikev1.wire.sa import SaPayload\nimport hmac, struct"),
        ("ikev1.core.engine", "from . import identity\nfrom .identity import show"),
        ("ikev1.core.engine", "from ..crypto.dh import compute"),
        ("ikev1.crypto.dh", "from ikev1.wire.enums import Group"),
        ("ikev1.crypto.dh", "from ikev1.wire import enums"),
        ("l2tp.ppp.chap", "from cryptography.hazmat.decrepit.ciphers import algorithms"),
        ("xfrm.netlink", "import os, socket, asyncio\nfrom pyroute2.netlink import nlmsg"),
        ("cli.ikev1d.service", "import time\nfrom ikev1.core.responder import Responder"),
        ("cli.ikectl.client", "import socket\nfrom cli.control import Request"),
        ("cli.ikectl.pki.authority", "from cryptography import x509\nfrom cli.ikectl import files"),
        ("interop.client", "from ikev1.wire import message\nfrom l2tp.wire import avp"),
    ],
)
def test_the_check_lets_a_permitted_import_pass(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_ikectl_loads_nothing_heavy() -> None:
    """The operator's tool starts fast because of what it does not import."""
    loaded = modules_loaded_by("cli.ikectl.__main__")
    assert "cli.control" in loaded
    heavy = {"asyncio", "construct", "cryptography", "gmpy2", "http", "logging", "msgspec"}
    heavy |= {"plistlib", "pyroute2", "segno"}
    ours = {"cli.ikev1d", "ikev1", "l2tp", "xfrm", "interop"}
    assert not loaded & (heavy | ours)


def test_ikev1d_loads_only_what_serves_clients() -> None:
    loaded = modules_loaded_by("cli.ikev1d.__main__")
    assert "pyroute2.netlink" in loaded
    unused = {"pyroute2.ndb", "pyroute2.conntrack", "cli.ikev1d.verify.program"}
    assert not loaded & (unused | {"cli.ikev1d.trace.recorder", "cli.ikectl", "interop"})


def modules_loaded_by(module: str) -> set[str]:
    program = f"import {module}, sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())
