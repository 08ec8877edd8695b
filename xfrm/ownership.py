"""How this gateway's SAs and policies are told from those of others, even after a crash.

The kernel keeps no note of who installed what. A request identifier (reqid) from our own range is
on each of our SAs and templates, and a priority of our own on each of our policies. Marks are not
looked at: an administrator may change them between two starts.
"""

from xfrm.model import Policy, Sa

REQID_BASE = 0x4C320000
"""Our lowest reqid, "L2" in ASCII: far from the small numbers other daemons count from."""

REQID_COUNT = 0x10000
"""How many reqids are ours; clients take turns with them as they do with marks."""

PRIORITY_CLIENT = 0x4C32
"""Priority of the policies of a client."""

PRIORITY_BLOCK = 0x7FFF4C32
"""Priority of the policies that block L2TP in clear: behind every other policy of the machine."""


def ours(thing: Sa | Policy) -> bool:
    """Tell whether this gateway, or an earlier run of it, installed this."""
    if isinstance(thing, Sa):
        return REQID_BASE <= thing.reqid < REQID_BASE + REQID_COUNT
    return thing.priority in (PRIORITY_CLIENT, PRIORITY_BLOCK)
