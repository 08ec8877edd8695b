"""Packet filters of either kind: what they do to the gateway's packets, and to its marks."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.verify.firewall.check import FirewallFacts, check_firewall
from cli.ikev1d.verify.firewall.iptables import parse_iptables
from cli.ikev1d.verify.firewall.nft import parse_nft
from cli.ikev1d.verify.firewall.rules import Chain
from cli.ikev1d.verify.network import MarkRule, Network
from tests.support.verify_samples import NETWORK, configured, wrong

CHAIN = {"family": "inet", "table": "filter", "name": "input", "handle": 1}
BASE = {"type": "filter", "hook": "input", "prio": 0}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def udp(port: Any) -> dict[str, Any]:
    return match({"payload": {"protocol": "udp", "field": "dport"}}, port)


IPSEC = match({"meta": {"key": "secpath"}}, True)
ESP = match({"meta": {"key": "l4proto"}}, "esp")
ESTABLISHED = match({"ct": {"key": "state"}}, ["established", "related"], "in")
ACCEPT, DROP = {"accept": None}, {"drop": None}


def nft(*rules: list[dict[str, Any]], policy: str = "drop", **chains: list[Any]) -> list[Chain]:
    """A base chain for input with these rules, and chains that it may jump to."""
    objects: list[dict[str, Any]] = [{"metainfo": {"version": "1.0.6"}}]
    objects.append({"chain": CHAIN | BASE | {"policy": policy}})
    objects += [{"chain": CHAIN | {"name": name}} for name in chains]
    for name, content in {"input": rules, **chains}.items():
        objects += [
            {"rule": {"family": "inet", "table": "filter", "chain": name, "expr": expr}}
            for expr in content
        ]
    return parse_nft(json.dumps({"nftables": objects}))


def iptables(*lines: str, table: str = "filter", policy: str = "DROP") -> list[Chain]:
    hooks = [f":INPUT {policy} [0:0]", ":FORWARD ACCEPT [0:0]", ":POSTROUTING ACCEPT [0:0]"]
    return parse_iptables("\n".join([f"*{table}", *hooks, ":own - [0:0]", *lines, "COMMIT"]))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def judged(chains: list[Chain], config: Config, network: Network = NETWORK) -> dict[str, Finding]:
    return wrong(check_firewall(FirewallFacts(tuple(chains)), network, config))


OPEN = [
    [ESTABLISHED, ACCEPT],
    [udp({"set": [500, 4500]}), ACCEPT],
    [ESP, ACCEPT],
    [IPSEC, udp(1701), ACCEPT],
]


@pytest.mark.parametrize(
    "chains",
    [
        pytest.param([], id="no filter"),
        pytest.param(nft(policy="accept"), id="policy accept"),
        pytest.param(nft(*OPEN), id="opened"),
        pytest.param(nft([udp({"range": [500, 4500]}), ACCEPT], *OPEN[2:]), id="range"),
        pytest.param(nft([{"jump": {"target": "own"}}], own=OPEN), id="in a chain of its own"),
        pytest.param(nft([{"jump": {"target": "own"}}], *OPEN, own=[[udp(1), DROP]]), id="returns"),
        pytest.param(nft([{"limit": {}}, ACCEPT]), id="a condition not understood may accept"),
        pytest.param(
            nft([{"limit": {}}, DROP], *OPEN), id="a condition not understood does not drop"
        ),
        pytest.param(nft([{"goto": {"target": "elsewhere"}}]), id="unknown chain"),
        pytest.param(
            nft(
                [{"jump": {"target": "own"}}],
                policy="accept",
                own=[[{"limit": {}}, {"return": None}], [DROP]],
            ),
            id="a condition not understood may return",
        ),
        pytest.param(
            nft(
                [{"limit": {}}, {"goto": {"target": "own"}}],
                [DROP],
                policy="accept",
                own=[[udp(1), DROP]],
            ),
            id="a condition not understood may go elsewhere",
        ),
        pytest.param(
            iptables(
                "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
                "-A INPUT -p udp -m multiport --dports 500,4500 -j ACCEPT",
                "-A INPUT -p esp -j own",
                "-A own -j ACCEPT",
                "-A INPUT -p udp -m policy --dir in --pol ipsec -m udp --dport 1701 -m comment "
                '--comment "out of an SA" -j ACCEPT',
            ),
            id="iptables",
        ),
        pytest.param(iptables("-A INPUT ! -i lo -j ACCEPT"), id="negated interface"),
    ],
)
def test_a_filter_that_lets_the_gateway_work(chains: list[Chain], config: Config) -> None:
    assert judged(chains, config) == {}


def test_everything_is_dropped_by_the_policy(config: Config) -> None:
    found = judged(nft([ESTABLISHED, ACCEPT], [udp(53), ACCEPT]), config)
    checks = ["firewall.esp", "firewall.l2tp", "firewall.udp_4500", "firewall.udp_500"]
    assert sorted(found) == checks
    assert "the policy of nft inet filter input" in found["firewall.udp_500"].what
    remedy = "nft insert rule inet filter input udp dport 500 accept"
    assert found["firewall.udp_500"].remedy == remedy
    assert "meta ipsec exists udp dport 1701" in found["firewall.l2tp"].remedy


def test_l2tp_is_let_in_only_in_clear(config: Config) -> None:
    """What comes out of an SA meets the filter again."""
    found = judged(nft(*OPEN[:3]), config)
    assert list(found) == ["firewall.l2tp"]
    assert judged(nft(*OPEN[:3], [udp(1701), ACCEPT]), config) == {}


def test_whether_it_returns_or_not_it_is_dropped(config: Config) -> None:
    own = [[{"limit": {}}, {"return": None}], [udp(500), DROP]]
    found = judged(nft([{"jump": {"target": "own"}}], [udp(500), DROP], *OPEN, own=own), config)
    assert list(found) == ["firewall.udp_500"]


def test_a_rule_drops_before_another_accepts(config: Config) -> None:
    found = judged(nft([udp(4500), DROP], *OPEN), config)
    assert list(found) == ["firewall.udp_4500"]
    assert "a rule of nft" in found["firewall.udp_4500"].what


def test_a_verdict_map(config: Config) -> None:
    states = {
        "key": {"ct": {"key": "state"}},
        "data": {"set": [["established", ACCEPT], ["invalid", DROP]]},
    }
    ports = {
        "key": {"payload": {"protocol": "udp", "field": "dport"}},
        "data": {"set": [[500, ACCEPT], [4500, DROP]]},
    }
    found = judged(nft([{"vmap": states}], [{"vmap": ports}], *OPEN), config)
    assert list(found) == ["firewall.udp_4500"]


def test_iptables_drops(config: Config) -> None:
    found = judged(iptables("-A INPUT -p udp -m udp --dport 500 -j ACCEPT"), config)
    assert sorted(found) == ["firewall.esp", "firewall.l2tp", "firewall.udp_4500"]
    command = "iptables -I INPUT -p udp --dport 4500 -j ACCEPT"
    assert found["firewall.udp_4500"].remedy == command


def test_forwarding_is_dropped_as_docker_has_it(config: Config) -> None:
    chains = parse_iptables(
        "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n"
        "-A FORWARD -j DOCKER-USER\n-A FORWARD -i docker0 -j ACCEPT\n"
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
        "-A DOCKER-USER -j RETURN\nCOMMIT"
    )
    found = judged(chains, config)
    assert list(found) == ["firewall.forward"]
    assert "-i ppp+" in found["firewall.forward"].remedy


def test_masquerading_is_seen(config: Config) -> None:
    def said(*lines: str) -> str:
        facts = FirewallFacts(tuple(iptables(*lines, table="nat", policy="ACCEPT")))
        found = check_firewall(facts, NETWORK, config)
        return next(one.what for one in found if one.check == "firewall.masquerade")

    assert "are masqueraded" in said("-A POSTROUTING -s 192.168.1.0/24 -o wan0 -j MASQUERADE")
    assert "no rule" in said("-A POSTROUTING -s 10.8.0.0/24 -j MASQUERADE")


@pytest.mark.parametrize(
    "value",
    [
        0x10000,
        {"|": [{"meta": {"key": "mark"}}, 0x10000]},
        {"|": [{"&": [{"meta": {"key": "mark"}}, 0xFF00FFFF]}, 0x10000]},
        {"ct": {"key": "mark"}},
    ],
)
def test_a_rule_that_sets_our_bits(value: Any, config: Config) -> None:
    mangle = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": value}}
    found = judged(nft([udp(53), mangle], policy="accept"), config)
    assert list(found) == ["marks.rules"]
    assert "sets bits" in found["marks.rules"].what


@pytest.mark.parametrize(
    "line",
    [
        "-A own -p tcp -j MARK --set-xmark 0x10000/0xff0000",
        "-A own -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
        "-A own -m mark --mark 0x40000/0xff0000 -j ACCEPT",
    ],
)
def test_iptables_uses_our_bits(line: str, config: Config) -> None:
    assert list(judged(iptables(line, table="mangle", policy="ACCEPT"), config)) == ["marks.rules"]


@pytest.mark.parametrize(
    "line",
    [
        "-A own -j MARK --set-xmark 0x4000/0x4000",
        "-A own -m mark --mark 0x8000/0x8000 -j ACCEPT",
        "-A own -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    ],
)
def test_other_bits_are_the_administrators(line: str, config: Config) -> None:
    assert judged(iptables(line, table="mangle", policy="ACCEPT"), config) == {}


def test_policy_routing_by_our_marks(config: Config) -> None:
    def rules(*mark_rules: MarkRule) -> Network:
        return Network(
            NETWORK.interfaces, NETWORK.routes, mark_rules, NETWORK.ip_forward, NETWORK.settings
        )

    ours = MarkRule(5210, 0x80000, 0xFF0000)
    assert list(judged([], config, rules(ours))) == ["marks.policy_routing"]
    assert judged([], config, rules(MarkRule(100, 0x1, 0xFFFFFFFF))) == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nftables": 1}', "nft: not found"])
def test_what_is_not_nfts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_nft(text)
