"""Whether the packet filter lets the gateway's packets through, and leaves their marks alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cli.control import Finding
from cli.ikev1d.config import Config
from cli.ikev1d.udp import IKE_PORT, NAT_T_PORT
from cli.ikev1d.verify.findings import failure, note, ok, warning
from cli.ikev1d.verify.firewall.iptables import parse_iptables
from cli.ikev1d.verify.firewall.nft import parse_nft
from cli.ikev1d.verify.firewall.rules import (
    Chain,
    Drop,
    Packet,
    Verdict,
    dropped,
    matches,
)
from cli.ikev1d.verify.network import Network
from l2tp.datapath.udp import L2TP_PORT

COMMAND_LIMIT = 10.0
"""Seconds. A set of a million addresses takes nft one or two."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What the readers raise where a tool writes something else than is known of it."""
CLIENT_INTERFACE = "ppp0"
"""What the interface of a client is called, for rules that look at names."""


@dataclass(frozen=True, slots=True)
class FirewallFacts:
    """The chains of every tool that could be read, and why others could not."""

    chains: tuple[Chain, ...]
    unread: tuple[str, ...] = field(default=())


def read_firewall() -> FirewallFacts:
    """Ask nft and iptables; rules of iptables are not all readable by way of nft."""
    chains: list[Chain] = []
    unread: list[str] = []
    for command, parse in (
        (("nft", "--json", "list", "ruleset"), parse_nft),
        (("iptables-save",), parse_iptables),
        (("iptables-legacy-save",), parse_iptables),
    ):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=COMMAND_LIMIT, check=True
            )
            chains += [chain for chain in parse(done.stdout) if chain not in chains]
        except FileNotFoundError:
            continue
        except subprocess.CalledProcessError as error:
            unread.append(f"{command[0]}: {error.stderr.strip()[:200]}")
        except (subprocess.TimeoutExpired, *UNREADABLE) as error:
            unread.append(f"{command[0]}: {type(error).__name__}: {error}"[:200])
    return FirewallFacts(tuple(chains), tuple(unread))


def check_firewall(facts: FirewallFacts, network: Network, config: Config) -> Iterator[Finding]:
    """Judge what was found."""
    for reason in facts.unread:
        yield note("firewall.read", "the packet filter could not be read", reason)
    yield from _check_input(facts.chains)
    yield from _check_forwarding(facts.chains, config)
    yield _check_masquerading(facts.chains, config)
    yield from _check_marks(facts.chains, network, config)


def _check_input(chains: Sequence[Chain]) -> Iterator[Finding]:
    wanted = (
        (
            f"firewall.udp_{IKE_PORT}",
            Packet("udp", IKE_PORT),
            "no client can begin: IKE begins here",
            failure,
        ),
        (
            f"firewall.udp_{NAT_T_PORT}",
            Packet("udp", NAT_T_PORT),
            "clients behind a NAT, which is nearly all, go on here after their second message",
            failure,
        ),
        (
            "firewall.esp",
            Packet("esp"),
            "clients that are behind no NAT send ESP without UDP: they connect, and nothing passes",
            warning,
        ),
        (
            "firewall.l2tp",
            Packet("udp", L2TP_PORT, through_sa=True),
            "what has come out of an SA passes the filter again, as what was in it",
            failure,
        ),
    )
    good = True
    for check, packet, why, judge in wanted:
        drop = dropped(chains, "input", packet)
        if drop is not None:
            good = False
            yield judge(
                check, f"{_shown(packet)} is dropped by {_by(drop)}", why, _accept(drop, packet)
            )
    if good:
        yield ok("firewall.input", "no rule is seen that drops UDP 500, UDP 4500 or ESP")


def _check_forwarding(chains: Sequence[Chain], config: Config) -> Iterator[Finding]:
    source = config.ppp.pool[0].first
    drop = dropped(chains, "forward", Packet("tcp", 443, source, CLIENT_INTERFACE))
    if drop is None:
        yield ok("firewall.forward", "no rule is seen that drops what clients send")
        return
    yield failure(
        "firewall.forward",
        f"what clients send to others is dropped by {_by(drop)}",
        "clients connect, and reach nothing but the gateway itself",
        f"nft insert rule {drop.chain.table} {drop.chain.name} iifname "
        '{ "ppp*", "l2tp*" } accept, and the same with oifname'
        if drop.chain.tool == "nft"
        else f"iptables -I {drop.chain.name} -i ppp+ -j ACCEPT, and the same with -o",
    )


def _check_masquerading(chains: Sequence[Chain], config: Config) -> Finding:
    first = config.ppp.pool[0].first
    packet = Packet("tcp", 443, first)
    found = [
        str(chain)
        for chain in chains
        for rule in chain.rules
        if rule.verdict is Verdict.TRANSLATE and matches(rule, packet) is not False
    ]
    if found:
        return ok("firewall.masquerade", f"clients are masqueraded, in {found[0]}")
    if not first.is_private:
        return ok("firewall.masquerade", "clients have public addresses, and keep them")
    return note(
        "firewall.masquerade",
        "no rule masquerades the addresses of clients",
        "clients that send all their traffic this way reach the internet only if another router "
        "translates their private addresses",
        "nft add rule ip nat postrouting ip saddr "
        f"{config.ppp.pool[0]} oifname WAN masquerade, where that is wanted",
    )


def _check_marks(chains: Sequence[Chain], network: Network, config: Config) -> Iterator[Finding]:
    """The bits of `marks.mask` are the gateway's: nobody else may set or look at them."""
    mask = config.marks.mask
    remedy = f"move marks.mask or the rule to other bits, see {config.where('marks.mask')}"
    good = True
    seen = set()
    for chain in chains:
        for use in (use for rule in chain.rules for use in rule.marks):
            bits = use.bits if use.sets else use.value
            if not bits & mask or (str(chain), use) in seen:
                continue
            seen.add((str(chain), use))
            good = False
            does = "sets" if use.sets else "looks for"
            yield warning(
                "marks.rules",
                f"a rule of {chain} {does} bits {bits & mask:#x} of the packet mark, "
                f"within marks.mask {mask:#x}",
                "a client's packets lose their mark and its SA, or meet a rule not meant for them",
                remedy,
            )
    for rule in network.mark_rules:
        if rule.mark & mask:
            good = False
            yield warning(
                "marks.policy_routing",
                f"rule {rule.priority} of policy routing is for mark {rule.mark:#x}/{rule.mask:#x},"
                f" within marks.mask {mask:#x}",
                "packets of some clients are routed another way",
                remedy,
            )
    if good:
        yield ok("marks.rules", f"nobody else uses the marks of {mask:#x}")


def _shown(packet: Packet) -> str:
    if packet.through_sa:
        return f"UDP {packet.dport} out of an SA"
    return "ESP" if packet.dport is None else f"UDP {packet.dport}"


def _by(drop: Drop) -> str:
    return f"the policy of {drop.chain}" if drop.by_policy else f"a rule of {drop.chain}"


def _accept(drop: Drop, packet: Packet) -> str:
    """The command that lets a packet in."""
    chain = drop.chain
    if "firewalld" in chain.table and not packet.through_sa:
        return "firewall-cmd --permanent --add-service=ipsec && firewall-cmd --reload"
    if chain.tool == "iptables":
        what = f"-p {packet.protocol}"
        if packet.through_sa:
            what += " -m policy --dir in --pol ipsec"
        if packet.dport is not None:
            what += f" --dport {packet.dport}"
        return f"iptables -I {chain.name} {what} -j ACCEPT"
    what = "meta l4proto esp" if packet.dport is None else f"udp dport {packet.dport}"
    if packet.through_sa:
        what = f"meta ipsec exists {what}"
    return f"nft insert rule {chain.table} {chain.name} {what} accept"
