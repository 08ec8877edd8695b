"""What a transcript tells of a device's L2TP and PPP."""

from interop.clients.facts import Fact, Known
from interop.lac.profiles import L2TP_PORT, AvpLine, Drawn
from interop.ppp.profiles import Asks, Login
from interop.replay.transcript import Attempt, Record
from l2tp.wire.enums import AvpType, Protocol
from l2tp.wire.ppp import Option

SOURCE = "the transcript"
_LOGINS = {"mschapv2": Login.MSCHAPV2, "chap-md5": Login.CHAP_MD5, "pap": Login.PAP}
_DRAWN = {
    AvpType.ASSIGNED_TUNNEL_ID: Drawn.TUNNEL_ID,
    AvpType.ASSIGNED_SESSION_ID: Drawn.SESSION_ID,
}


def l2tp_facts(attempt: Attempt, notes: list[str]) -> dict[str, Fact]:
    """What is told of its L2TP; `notes` gets what cannot be played."""
    facts: dict[str, Fact] = {}
    for kind in ("SCCRQ", "SCCCN", "ICRQ", "ICCN", "CDN", "STOPCCN"):
        message = attempt.first("l2tp", message=kind, **{"from": "client"})
        if message is None:
            continue
        vendors = [avp for avp in message["avps"] if "vendor" in avp]
        if vendors:
            notes.append(f"{kind} is played without its {len(vendors)} AVPs of vendors")
        lines = tuple(_avp(avp) for avp in message["avps"] if "vendor" not in avp)
        facts[kind.lower()] = Known(lines, SOURCE)
        if kind == "SCCRQ":
            port = message["port"]
            facts["port"] = Known(port if port == L2TP_PORT else 0, SOURCE)
            stray = attempt.of("l2tp", message="HELLO", tunnel=0, **{"from": "client"})
            before = [hello for hello in stray if hello["at"] <= message["at"]]
            facts["stray_hellos"] = Known(len(before), SOURCE)
    data = next((one for one in attempt.of("ppp") if one["from"] == "client"), None)
    if data is not None and "has_length" in data:
        facts["length_bit"] = Known(data["has_length"], SOURCE)
    return facts


def _avp(avp: Record) -> AvpLine:
    kind = AvpType(avp["number"])
    return AvpLine(kind, _DRAWN.get(kind, bytes.fromhex(avp["value"])), avp["mandatory"])


def ppp_facts(attempt: Attempt) -> dict[str, Fact]:
    """What is told of its PPP."""
    facts: dict[str, Fact] = {}
    requests = attempt.of("ppp", code="CONFIGURE_REQUEST", **{"from": "client"})
    first: dict[str, Record] = {}
    for request in requests:
        first.setdefault(request["protocol"], request)
    for name, protocol in (("lcp", "LCP"), ("ipcp", "IPCP")):
        if protocol in first:
            facts[name] = Known(_options(first[protocol]), SOURCE)
    if "LCP" in first:
        facts["first_identifier"] = Known(first["LCP"]["identifier"], SOURCE)
    if "IPCP" in first:
        others = [name for name in first if name not in ("LCP", "IPCP")]
        asks_for = tuple(Asks(Protocol[name], _options(first[name])) for name in others)
        facts["asks_for"] = Known(asks_for, SOURCE)
        order = list(first)
        last = bool(others) and order.index("IPCP") > order.index(others[-1])
        facts["ipcp_last"] = Known(last, SOURCE)
    up = attempt.first("told", what="SessionUp")
    if up is not None and up["auth"] != Login.MSCHAPV2.value:
        # The gateway asks for MS-CHAPv2 first: the device has asked for another.
        facts["logins"] = Known((_LOGINS[up["auth"]],), SOURCE)
    return facts


def _options(request: Record) -> tuple[Option, ...]:
    return tuple(
        Option(option["number"], bytes.fromhex(option["value"])) for option in request["options"]
    )
