"""Reads what iptables-save(8) writes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from ipaddress import IPv4Network

from cli.ikev1d.verify.firewall.rules import (
    OTHER,
    Chain,
    Condition,
    Field,
    MarkUse,
    Rule,
    Verdict,
)

ALL_BITS = 0xFFFFFFFF
HOOKS = {
    "INPUT": "input",
    "FORWARD": "forward",
    "OUTPUT": "output",
    "PREROUTING": "prerouting",
    "POSTROUTING": "postrouting",
}
_VERDICTS = {
    "ACCEPT": Verdict.ACCEPT,
    "DROP": Verdict.DROP,
    "REJECT": Verdict.DROP,
    "RETURN": Verdict.RETURN,
    "MASQUERADE": Verdict.TRANSLATE,
    "SNAT": Verdict.TRANSLATE,
}
_PROTOCOLS = {"17": "udp", "50": "esp", "6": "tcp"}
_GOES_ON = {"MARK", "CONNMARK", "LOG", "NFLOG", "CT", "TCPMSS", "TRACE"}
"""Targets after which the next rule has its turn."""
_NOT_CONDITIONS = {"-m", "--match", "--comment", "--reject-with", "--to-source", "--dir"}
"""Options that say nothing of whether a packet of ours meets the rule."""


def parse_iptables(text: str) -> list[Chain]:
    """The chains of all tables."""
    table = ""
    policies: dict[tuple[str, str], Verdict] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            policies[table, name] = Verdict.DROP if policy == "DROP" else Verdict.ACCEPT
        elif line.startswith("-A "):
            _, name, *words = shlex.split(line)
            rules.setdefault((table, name), []).append(_rule(words))
    return [
        Chain("iptables", table, name, HOOKS.get(name, ""), policy, tuple(rules.get(key, ())))
        for key, policy in policies.items()
        for table, name in (key,)
    ]


def _rule(words: list[str]) -> Rule:
    conditions: list[Condition] = []
    marks: list[MarkUse] = []
    verdict, target = Verdict.NONE, ""
    for option, value, negated in _options(words):
        if option in ("-j", "-g"):
            verdict = _VERDICTS.get(value, Verdict.GOTO if option == "-g" else Verdict.JUMP)
            target = value if verdict in (Verdict.JUMP, Verdict.GOTO) else ""
        elif option in ("--set-xmark", "--set-mark", "--restore-mark", "--nfmask", "--ctmask"):
            marks += _mark_set(option, value)
        elif option == "--mark":
            mark, bits = _value_and_mask(value)
            marks.append(MarkUse(bits, mark, sets=False))
            conditions.append(OTHER)
        elif option not in _NOT_CONDITIONS:
            conditions.append(_condition(option, value, negated=negated))
    if target == "CONNMARK" and "--restore-mark" not in words:
        marks.clear()  # it sets the connection's mark
    if target in _GOES_ON:
        verdict, target = Verdict.NONE, ""
    return Rule(tuple(conditions), verdict, target, tuple(marks))


def _options(words: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Each option with its values in one text, and whether "!" stands before it."""
    negated = False
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "!":
            negated = True
            continue
        values: list[str] = []
        while position < len(words) and not _is_option(words[position]):
            values.append(words[position])
            position += 1
        yield word, " ".join(values), negated
        negated = False


def _is_option(word: str) -> bool:
    return word == "!" or (word.startswith("-") and len(word) > 1 and not word[1:].isdecimal())


def _condition(option: str, value: str, *, negated: bool) -> Condition:
    try:
        match option:
            case "-p":
                return Condition(Field.PROTOCOL, (_PROTOCOLS.get(value, value),), negated)
            case "--dport" | "--dports":
                return Condition(Field.DPORT, tuple(map(_ports, value.split(","))), negated)
            case "-s":
                return Condition(Field.SOURCE, (IPv4Network(value),), negated)
            case "-i":
                return Condition(Field.IIF, (value.replace("+", "*"),), negated)
            case "--ctstate" | "--state":
                return Condition(Field.STATE, tuple(value.lower().split(",")), negated)
            case "--pol":
                return Condition(Field.IPSEC, (value == "ipsec",), negated)
            case _:
                return OTHER
    except ValueError:
        return OTHER


def _ports(text: str) -> range:
    first, _, last = text.partition(":")
    return range(int(first), int(last or first) + 1)


def _value_and_mask(text: str) -> tuple[int, int]:
    value, _, mask = text.partition("/")
    return int(value, 0), int(mask, 0) if mask else ALL_BITS


def _mark_set(option: str, text: str) -> Iterator[MarkUse]:
    if option == "--nfmask":
        yield MarkUse(int(text, 0), 0, sets=True)
    elif option in ("--set-xmark", "--set-mark"):
        value, bits = _value_and_mask(text)
        yield MarkUse(bits | value, value, sets=True)
