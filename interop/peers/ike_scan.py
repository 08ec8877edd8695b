"""ike-scan: another program's idea of a first message, and of an answer to it."""

from interop.errors import LabError
from interop.netns import Host

AUTHENTICATION = {"psk": 1, "certificate": 3}
"""Values of the Authentication Method attribute (RFC 2409 appendix A)."""
TRANSFORMS = (
    "(1=7,14=256,2=4,3={auth},4=14,11=1,12=28800)",
    "(1=7,14=256,2=2,3={auth},4=14,11=1,12=28800)",
    "(1=5,2=2,3={auth},4=2,11=1,12=28800)",
)
"""AES-256 with SHA2-256 and with SHA-1, group 14; 3DES with SHA-1, group 2."""
ANSWERED = "Main Mode Handshake returned"
FINISHED_LIMIT = 60.0


REFUSED = "UNSUPPORTED-EXCHANGE-TYPE"
_KEY_ID = 11
"""RFC 2407 section 4.6.2.1."""


class NotAnsweredError(LabError):
    """ike-scan has got no Main Mode handshake; the text is what it printed."""


class NotRefusedError(LabError):
    """ike-scan was not told that Aggressive Mode is not served; the text is what it printed."""


def first_message(host: Host, server: str, auth: str) -> str:
    """Send a first message, and return ike-scan's reading of the answer.

    ``auth`` is a key of `AUTHENTICATION`. Raises `NotAnsweredError`.
    """
    transforms = [f"--trans={text.format(auth=AUTHENTICATION[auth])}" for text in TRANSFORMS]
    printed = host.run(
        *("ike-scan", "--nodns", "--multiline", "--timeout=2000", *transforms, server),
        limit=FINISHED_LIMIT,
    )
    if ANSWERED not in printed:
        raise NotAnsweredError(printed)
    return printed


def aggressive_message(host: Host, server: str) -> str:
    """Send a first message of Aggressive Mode, and return ike-scan's reading of the answer.

    Raises `NotRefusedError`.
    """
    group = TRANSFORMS[0].format(auth=AUTHENTICATION["psk"])
    printed = host.run(
        *("ike-scan", "--nodns", "--multiline", "--timeout=2000", "--aggressive"),
        *(f"--trans={group}", "--dhgroup=14", f"--idtype={_KEY_ID}", "--id=employees", server),
        limit=FINISHED_LIMIT,
    )
    if REFUSED not in printed:
        raise NotRefusedError(printed)
    return printed
