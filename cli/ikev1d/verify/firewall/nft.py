"""Reads `nft --json list ruleset` (libnftables-json(5))."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any

from cli.ikev1d.verify.firewall.rules import (
    OTHER,
    Chain,
    Condition,
    Field,
    MarkUse,
    Rule,
    Verdict,
)

FAMILIES = ("ip", "inet")
ALL_BITS = 0xFFFFFFFF
_VERDICTS = {
    "accept": Verdict.ACCEPT,
    "drop": Verdict.DROP,
    "reject": Verdict.DROP,
    "return": Verdict.RETURN,
    "jump": Verdict.JUMP,
    "goto": Verdict.GOTO,
    "masquerade": Verdict.TRANSLATE,
    "snat": Verdict.TRANSLATE,
}
_PROTOCOLS = {"17": "udp", "50": "esp", "6": "tcp"}
_PORTS = {"isakmp": 500, "ipsec-nat-t": 4500, "l2tp": 1701}
"""By name, as `nft --json` writes services where it was not told to print numbers."""
_HARMLESS = {"counter", "log", "comment", "notrack", "ct helper", "flow"}


def parse_nft(text: str) -> list[Chain]:
    """The chains of IPv4. Raises ValueError for what is not nft's output."""
    objects = json.loads(text)
    if not isinstance(objects, dict) or not isinstance(objects.get("nftables"), list):
        raise ValueError("no nftables in it")
    rules: dict[tuple[str, str], list[Rule]] = {}
    chains: list[dict[str, Any]] = []
    for entry in objects["nftables"]:
        if "chain" in entry and entry["chain"]["family"] in FAMILIES:
            chains.append(entry["chain"])
        elif "rule" in entry and entry["rule"]["family"] in FAMILIES:
            rule = entry["rule"]
            rules.setdefault((_table(rule), rule["chain"]), []).extend(_rules(rule["expr"]))
    return [
        Chain(
            tool="nft",
            table=_table(chain),
            name=chain["name"],
            hook=chain.get("hook", ""),
            policy=Verdict.DROP if chain.get("policy") == "drop" else Verdict.ACCEPT,
            rules=tuple(rules.get((_table(chain), chain["name"]), ())),
        )
        for chain in chains
    ]


def _table(entry: Mapping[str, str]) -> str:
    return f"{entry['family']} {entry['table']}"


def _rules(statements: list[dict[str, Any]]) -> Iterator[Rule]:
    """The rules that one rule amounts to: a verdict map is one for each of its elements."""
    conditions: list[Condition] = []
    marks: list[MarkUse] = []
    for statement in statements:
        ((name, value),) = statement.items()
        if name == "match":
            conditions += _conditions(value["left"], value["right"], negated=value["op"] == "!=")
            marks += _mark_match(value["left"], value["right"])
        elif name in _VERDICTS:
            target = value["target"] if name in ("jump", "goto") else ""
            yield Rule(tuple(conditions), _VERDICTS[name], target, tuple(marks))
            return
        elif name == "vmap":
            yield from _verdict_map(value, tuple(conditions))
        elif name == "mangle":
            marks += _mark_set(value)
        elif name == "xt":
            if value.get("name") == "MASQUERADE":
                yield Rule(tuple(conditions), Verdict.TRANSLATE)
                return
            conditions.append(OTHER)
        elif name not in _HARMLESS:
            conditions.append(OTHER)
    if marks:
        yield Rule(tuple(conditions), marks=tuple(marks))


def _verdict_map(value: Mapping[str, Any], before: tuple[Condition, ...]) -> Iterator[Rule]:
    data = value["data"]
    if not isinstance(data, dict) or "set" not in data:
        # A map by name, whose elements are elsewhere: it may accept anything.
        yield Rule((*before, OTHER), Verdict.ACCEPT)
        return
    for key, verdict in data["set"]:
        ((name, target),) = verdict.items()
        conditions = _conditions(value["key"], key, negated=False)
        yield Rule(
            (*before, *conditions),
            _VERDICTS.get(name, Verdict.NONE),
            target["target"] if isinstance(target, dict) and "target" in target else "",
        )


def _conditions(left: Any, right: Any, *, negated: bool) -> Iterator[Condition]:
    if not isinstance(left, dict):
        yield OTHER
        return
    values = _elements(right)
    match left:
        case {"meta": {"key": "l4proto"}} | {"payload": {"protocol": "ip", "field": "protocol"}}:
            yield Condition(Field.PROTOCOL, tuple(map(_protocol, values)), negated)
        case {"payload": {"protocol": ("udp" | "tcp" | "th") as protocol, "field": "dport"}}:
            if protocol != "th":
                yield Condition(Field.PROTOCOL, (protocol,))
            ports = tuple(map(_ports, values))
            yield OTHER if None in ports else Condition(Field.DPORT, ports, negated)
        case {"payload": {"protocol": "esp"}}:
            yield Condition(Field.PROTOCOL, ("esp",))
            yield OTHER
        case {"payload": {"protocol": "ip", "field": "saddr"}}:
            networks = tuple(map(_network, values))
            yield OTHER if None in networks else Condition(Field.SOURCE, networks, negated)
        case {"meta": {"key": "iifname" | "iif"}}:
            yield Condition(Field.IIF, tuple(map(str, values)), negated)
        case {"ct": {"key": "state"}}:
            yield Condition(Field.STATE, tuple(values), negated)
        case {"meta": {"key": "secpath" | "ipsec"}}:
            yield Condition(Field.IPSEC, (True,), negated=(right in (False, 0)) is not negated)
        case {"meta": {"key": "nfproto"}}:
            yield Condition(Field.PROTOCOL, (), negated="ipv4" in values)
        case _:
            yield OTHER


def _elements(right: Any) -> list[Any]:
    if isinstance(right, dict) and isinstance(right.get("set"), list):
        return [
            one.get("elem", {}).get("val", one) if _is_element(one) else one for one in right["set"]
        ]
    return list(right) if isinstance(right, list) else [right]


def _is_element(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("elem"), dict)


def _protocol(value: Any) -> str:
    return _PROTOCOLS.get(str(value), str(value))


def _ports(value: Any) -> range | None:
    if isinstance(value, str):
        value = _PORTS.get(value, int(value) if value.isdecimal() else None)
    match value:
        case int():
            return range(value, value + 1)
        case {"range": [int(first), int(last)]}:
            return range(first, last + 1)
        case _:
            return None


def _network(value: Any) -> IPv4Network | None:
    try:
        match value:
            case str():
                return IPv4Network(value)
            case {"prefix": {"addr": str(address), "len": int(length)}}:
                return IPv4Network(f"{address}/{length}")
            case _:
                return None
    except ValueError:
        return None


def _mark_match(left: Any, right: Any) -> Iterator[MarkUse]:
    values = [value for value in _elements(right) if isinstance(value, int)]
    match left:
        case {"meta": {"key": "mark"}}:
            bits = ALL_BITS
        case {"&": [{"meta": {"key": "mark"}}, int(bits)]}:
            pass
        case _:
            return
    yield from (MarkUse(bits, value, sets=False) for value in values)


def _mark_set(mangle: Mapping[str, Any]) -> Iterator[MarkUse]:
    if mangle.get("key") != {"meta": {"key": "mark"}}:
        return
    match mangle.get("value"):
        case int(value):
            yield MarkUse(ALL_BITS, value, sets=True)
        case {"|": [{"&": [{"meta": {"key": "mark"}}, int(kept)]}, int(value)]}:
            yield MarkUse(~kept & ALL_BITS | value, value, sets=True)
        case {"|": [{"meta": {"key": "mark"}}, int(value)]}:
            yield MarkUse(value, value, sets=True)
        case {"&": [{"meta": {"key": "mark"}}, int(kept)]}:
            yield MarkUse(~kept & ALL_BITS, 0, sets=True)
        case _:
            yield MarkUse(ALL_BITS, 0, sets=True)
