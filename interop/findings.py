"""A rule that the server broke: those of L2TP and PPP, beside those of IKE."""

from dataclasses import dataclass
from enum import StrEnum

from interop.initiator.checks import Cause


class Rule(StrEnum):
    """What was broken, as counted and reported."""

    SILENCE = "silence"
    """No answer, after all repetitions."""
    NO_ZLB = "no-zlb"
    """No empty message that acknowledges, for a client that goes on with one alone."""
    MALFORMED = "malformed"
    HEADER = "l2tp-header"
    MISSING_AVP = "l2tp-missing-avp"
    UNKNOWN_AVP = "l2tp-unknown-avp"
    CHALLENGE = "l2tp-challenge"
    SESSION_ID = "l2tp-session-id"
    STOPPED = "l2tp-stopped"
    """StopCCN or CDN."""

    SERVER_NAME = "server-name"
    """The server's certificate is not for the name that was dialled."""

    ACK_DIFFERS = "ppp-ack-differs"
    REJECT_DIFFERS = "ppp-reject-differs"
    DOES_NOT_CONVERGE = "ppp-does-not-converge"
    CODE_REJECT = "ppp-code-reject"
    LOGIN_REFUSED = "ppp-login-refused"
    SERVER_PROOF = "ppp-server-proof"
    """MS-CHAPv2: the server does not show that it knows the password."""
    TOO_EARLY = "ppp-too-early"
    """A protocol before its phase."""
    NO_ADDRESS = "ppp-no-address"
    ECHO = "ppp-echo"
    TERMINATED = "ppp-terminated"
    NO_NAME_SERVERS = "ppp-no-name-servers"
    """None for a client that asks for them."""

    INITIAL_CONTACT = "initial-contact"
    """SAs that INITIAL-CONTACT has ended are still used."""
    ESP = "esp"
    """An ESP packet that no SA of the client's opens."""
    REPLACED_SA = "replaced-sa"
    """ESP still comes under an SA that has been replaced and deleted."""
    NO_SIGN_OF_LIFE = "no-sign-of-life"
    """No answer to R-U-THERE (RFC 3706)."""
    REDIRECTED = "redirected"
    """LOAD-BALANCE: go to another server."""
    LAST_SA_DELETED = "last-sa-deleted"
    ISAKMP_SA_DELETED = "isakmp-sa-deleted"


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule, with what was seen; `fatal` if this client goes no further."""

    rule: Rule | Cause
    detail: str
    fatal: bool = True


class BrokenRuleError(Exception):
    """A rule without which the client cannot go on."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(rule, detail)
        self.finding = Finding(rule, detail)
