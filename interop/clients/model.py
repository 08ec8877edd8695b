"""What is told of one client, and how it behaves beyond single messages."""

import enum
from dataclasses import dataclass, fields
from typing import Any

from interop.clients.facts import Fact, Facts, Unknown
from interop.initiator.checks import Cause
from interop.initiator.profiles import Profile
from interop.lac.profiles import L2tpProfile
from interop.ppp.profiles import PppProfile


class Requests(enum.Enum):
    """When a client asks for the server's certificate, by CERTREQ."""

    NEVER = "never"
    MESSAGE_3 = "in message 3"
    MESSAGE_5 = "in message 5"


@dataclass(frozen=True, slots=True)
class CertificateUse:
    """How a client proves itself by a certificate. Its identity is the subject."""

    requests: Requests
    chain: bool
    """Whether it sends the certificates of intermediate authorities."""
    checks_name: bool
    """Whether what was dialled must be in the subjectAltName of the server's."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a client behaves over time, and what it does not survive. Times in seconds."""

    insists_on: frozenset[Cause]
    """The rules whose violation ends it; it is not known to mind the others."""
    phase1_rekey: float | None
    """The part of its lifetime after which it replaces an ISAKMP SA; None if it does not."""
    phase2_rekey: float | None
    """The same of its ESP SAs."""
    phase1_rekey_as_greater: float | None = None
    """Instead of `phase1_rekey`, where its cookie is the greater one."""
    deletes_rekeyed: bool = True
    """Whether it deletes the ESP SAs that it has replaced."""
    renews_on_demand: bool = False
    """Whether its next packet makes new ESP SAs when the server has deleted the last ones."""
    keepalive: float | None = 20.0
    """Between its NAT keepalives (RFC 3948 section 2.3)."""
    needs_phase1: bool = False
    """Whether the connection ends with its ISAKMP SA."""
    certificate: CertificateUse | None = None
    """None if it knows preshared keys alone."""
    follows_load_balance: bool = False
    """Whether the notification LOAD-BALANCE, 40501, makes it dial the server that it names."""
    server_wait: float = 30.0
    """How long it waits for the server to go on."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What takes the server's answers, as complaints name it."""

    ike: str
    l2tp: str
    ppp: str


@dataclass(frozen=True, slots=True)
class Client:
    """One client."""

    name: str
    title: str
    programs: Programs
    ike: Facts[Profile]
    l2tp: Facts[L2tpProfile]
    ppp: Facts[PppProfile]
    conduct: Facts[Conduct]

    def unknown(self) -> dict[str, Unknown]:
        """What nobody has told of it, by part and field."""
        return {name: fact for name, fact in self.facts().items() if isinstance(fact, Unknown)}

    def facts(self) -> dict[str, Fact]:
        """All that is told of it, by part and field."""
        parts: dict[str, Facts[Any]] = {
            "ike": self.ike,
            "l2tp": self.l2tp,
            "ppp": self.ppp,
            "conduct": self.conduct,
        }
        return {
            f"{part}.{field.name}": told.fact(field.name)
            for part, told in parts.items()
            for field in fields(told.profile)
            if field.name != "name"
        }
