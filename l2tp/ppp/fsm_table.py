"""The state transition table of RFC 1661 section 4.1, row by row as printed there.

Each cell holds the actions and, last, the number of the next state; "-" is an event that cannot
happen in that state. The actions: irc and zrc set the restart counter, tlu, tld, tls and tlf tell
the layers above and below, and scr, sca, scn, str, sta and scj send packets.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class State(IntEnum):
    """States of section 4.2, under the numbers of the table."""

    INITIAL = 0
    STARTING = 1
    CLOSED = 2
    STOPPED = 3
    CLOSING = 4
    STOPPING = 5
    REQ_SENT = 6
    ACK_RCVD = 7
    ACK_SENT = 8
    OPENED = 9


class Event(Enum):
    """Events of section 4.3; Receive-Echo-Request is LCP's own business."""

    UP = "Up"
    DOWN = "Down"
    OPEN = "Open"
    CLOSE = "Close"
    TIMEOUT = "TO+"
    TIMEOUT_LAST = "TO-"
    REQUEST_GOOD = "RCR+"
    REQUEST_BAD = "RCR-"
    ACK = "RCA"
    NAK = "RCN"
    TERMINATE = "RTR"
    TERMINATED = "RTA"
    UNKNOWN_CODE = "RUC"
    REJECT_HARMLESS = "RXJ+"
    REJECT_FATAL = "RXJ-"


_ROWS = {
    #                     0        1          2          3               4        5
    Event.UP: ("2", "irc scr 6", "-", "-", "-", "-"),
    Event.DOWN: ("-", "-", "0", "tls 1", "0", "1"),
    Event.OPEN: ("tls 1", "1", "irc scr 6", "3", "5", "5"),
    Event.CLOSE: ("0", "tlf 0", "2", "2", "4", "4"),
    Event.TIMEOUT: ("-", "-", "-", "-", "str 4", "str 5"),
    Event.TIMEOUT_LAST: ("-", "-", "-", "-", "tlf 2", "tlf 3"),
    Event.REQUEST_GOOD: ("-", "-", "sta 2", "irc scr sca 8", "4", "5"),
    Event.REQUEST_BAD: ("-", "-", "sta 2", "irc scr scn 6", "4", "5"),
    Event.ACK: ("-", "-", "sta 2", "sta 3", "4", "5"),
    Event.NAK: ("-", "-", "sta 2", "sta 3", "4", "5"),
    Event.TERMINATE: ("-", "-", "sta 2", "sta 3", "sta 4", "sta 5"),
    Event.TERMINATED: ("-", "-", "2", "3", "tlf 2", "tlf 3"),
    Event.UNKNOWN_CODE: ("-", "-", "scj 2", "scj 3", "scj 4", "scj 5"),
    Event.REJECT_HARMLESS: ("-", "-", "2", "3", "4", "5"),
    Event.REJECT_FATAL: ("-", "-", "tlf 2", "tlf 3", "tlf 2", "tlf 3"),
}
_ROWS_UP = {
    #                     6            7            8            9
    Event.UP: ("-", "-", "-", "-"),
    Event.DOWN: ("1", "1", "1", "tld 1"),
    Event.OPEN: ("6", "7", "8", "9"),
    Event.CLOSE: ("irc str 4", "irc str 4", "irc str 4", "tld irc str 4"),
    Event.TIMEOUT: ("scr 6", "scr 6", "scr 8", "-"),
    Event.TIMEOUT_LAST: ("tlf 3", "tlf 3", "tlf 3", "-"),
    Event.REQUEST_GOOD: ("sca 8", "sca tlu 9", "sca 8", "tld scr sca 8"),
    Event.REQUEST_BAD: ("scn 6", "scn 7", "scn 6", "tld scr scn 6"),
    Event.ACK: ("irc 7", "scr 6", "irc tlu 9", "tld scr 6"),
    Event.NAK: ("irc scr 6", "scr 6", "irc scr 8", "tld scr 6"),
    Event.TERMINATE: ("sta 6", "sta 6", "sta 6", "tld zrc sta 5"),
    Event.TERMINATED: ("6", "6", "8", "tld scr 6"),
    Event.UNKNOWN_CODE: ("scj 6", "scj 7", "scj 8", "scj 9"),
    Event.REJECT_HARMLESS: ("6", "6", "8", "9"),
    Event.REJECT_FATAL: ("tlf 3", "tlf 3", "tlf 3", "tld irc str 5"),
}

TABLE: dict[tuple[State, Event], tuple[tuple[str, ...], State]] = {
    (State(number), event): (tuple(cell.split()[:-1]), State(int(cell.split()[-1])))
    for event in Event
    for number, cell in enumerate(_ROWS[event] + _ROWS_UP[event])
    if cell != "-"
}
