"""How far an attempt came, and what the gateway answered on the way."""

import re
from collections.abc import Callable

from interop.emulation.complaints import Step
from interop.replay.transcript import Attempt, Record

ORDER = (
    Step.MESSAGE_2,
    Step.MESSAGE_4,
    Step.MESSAGE_6,
    Step.QUICK_MODE,
    Step.TUNNEL,
    Step.CALL,
    Step.LCP,
    Step.LOGIN,
    Step.IPCP,
    Step.UP,
)
_MAIN_MODE = (Step.MESSAGE_2, Step.MESSAGE_4, Step.MESSAGE_6)
_SUCCESS = {("PAP", 2), ("CHAP", 3)}
"""RFC 1334 section 2.2.2, RFC 1994 section 4.2."""
_SPI = re.compile(r" SPI [0-9a-f]+")
_DRAWN_PORT = re.compile(r" 17/(?!0\b|500\b|1701\b|4500\b)\d+")
"""A UDP port of an identity that is nobody's but this connection's."""
_ADDRESS = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")


def passed(attempt: Attempt) -> list[Step]:
    """The steps that the device has taken the gateway's answer of: it went on, or was told up."""
    went_on: dict[Step, Callable[[], object]] = {
        Step.MESSAGE_2: lambda: len(_main_mode(attempt, "client")) > 1,
        Step.MESSAGE_4: lambda: attempt.of("sealed"),
        Step.MESSAGE_6: lambda: _quick_mode(attempt, "client"),
        Step.QUICK_MODE: lambda: attempt.of("told", what="ChildUp"),
        Step.TUNNEL: lambda: _l2tp(attempt, "client", "SCCCN"),
        Step.CALL: lambda: _l2tp(attempt, "client", "ICCN"),
        Step.LCP: lambda: _open(attempt, "LCP"),
        Step.LOGIN: lambda: _login(attempt),
        Step.IPCP: lambda: _open(attempt, "IPCP"),
        Step.UP: lambda: attempt.of("told", what="SessionUp"),
    }
    steps: list[Step] = []
    for step in ORDER:
        if not went_on[step]():
            break
        steps.append(step)
    return steps


def answers(attempt: Attempt) -> dict[Step, tuple[str, ...]]:
    """What the gateway answered at each step, without what is another each time."""
    found: dict[Step, tuple[str, ...]] = {}
    for step, message in zip(_MAIN_MODE, _main_mode(attempt, "gateway"), strict=False):
        found[step] = _ike(message)
    for message in _quick_mode(attempt, "gateway")[:1]:
        found[Step.QUICK_MODE] = _ike(message)
    for step, kind in ((Step.TUNNEL, "SCCRP"), (Step.CALL, "ICRP")):
        for message in _l2tp(attempt, "gateway", kind)[:1]:
            found[step] = tuple(avp["type"] for avp in message["avps"])
    for message in _configure(attempt, "gateway", "LCP", "CONFIGURE_REQUEST")[:1]:
        found[Step.LCP] = _options(message)
    for message in _login(attempt)[:1]:
        found[Step.LOGIN] = (message["protocol"],)
    for message in _configure(attempt, "gateway", "IPCP", "CONFIGURE_ACK")[:1]:
        found[Step.IPCP] = tuple(option["type"] for option in message.get("options", ()))
    return found


def _main_mode(attempt: Attempt, sender: str) -> list[Record]:
    """The messages of the first Main Mode."""
    messages = attempt.of("ike", exchange="IDENTITY_PROTECTION")
    cookie = messages[0]["cookies"].partition(":")[0] if messages else ""
    return [
        record
        for record in messages
        if record["from"] == sender and record["cookies"].startswith(cookie)
    ]


def _quick_mode(attempt: Attempt, sender: str) -> list[Record]:
    return attempt.of("ike", exchange="QUICK_MODE", **{"from": sender})


def _l2tp(attempt: Attempt, sender: str, kind: str) -> list[Record]:
    return attempt.of("l2tp", message=kind, **{"from": sender})


def _configure(attempt: Attempt, sender: str, protocol: str, code: str) -> list[Record]:
    return attempt.of("ppp", protocol=protocol, code=code, **{"from": sender})


def _open(attempt: Attempt, protocol: str) -> bool:
    """Whether both sides have taken what the other wants."""
    return all(
        _configure(attempt, sender, protocol, "CONFIGURE_ACK") for sender in ("client", "gateway")
    )


def _login(attempt: Attempt) -> list[Record]:
    """The gateway's words that the login is good."""
    return [
        record
        for record in attempt.of("ppp", **{"from": "gateway"})
        if (record.get("protocol"), record.get("code")) in _SUCCESS
    ]


def _ike(message: Record) -> tuple[str, ...]:
    shown: list[str] = []
    for payload in message["payloads"]:
        text = payload.get("text", payload["type"])
        text = _DRAWN_PORT.sub(" 17/drawn", _SPI.sub("", text))
        shown.append(_ADDRESS.sub("address", text))
    return tuple(shown)


def _options(message: Record) -> tuple[str, ...]:
    return tuple(
        option["type"] if option["type"] == "MAGIC" else f"{option['type']} {option['value']}"
        for option in message.get("options", ())
    )
