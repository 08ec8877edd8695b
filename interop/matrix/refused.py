"""A client that is refused by design: it is seen to be, with nothing left and the reason told."""

from interop.clients.model import Client
from interop.errors import LabError
from interop.initiator.checks import Cause
from interop.peers.emulated import ClientStoppedError
from interop.stage import Stage

AGGRESSIVE_MODE = (
    "it begins Aggressive Mode, which gives a hash of the preshared key to whoever asks: without"
    " the name that is set for it on the device it is served, and the gateway's log says so"
)
_REFUSED = (Cause.REFUSED, Cause.TIMEOUT)
"""A refusal in one answer, or none at all when there are too many to tell."""


class NotRefusedError(LabError):
    """The gateway did not refuse the client, or did not tell its operator why."""


def see_refused(stage: Stage, client: Client, machine: str) -> str:
    """Let a client dial that has a name set for it, and see that it gets nowhere.

    Returns what the client and the gateway said. Raises `NotRefusedError`.
    """
    logged = len(stage.ikev1d.log())
    dialled = stage.emulated(client, machine)
    try:
        dialled.dial_in()
    except ClientStoppedError as stopped:
        complaint = stopped.complaint
    else:
        raise NotRefusedError("the gateway let it in")
    finally:
        dialled.stop()
    if complaint.rule not in _REFUSED:
        raise NotRefusedError(str(complaint))
    if stage.ikev1d.clients():
        raise NotRefusedError("the gateway keeps something of it")
    gained = stage.ikev1d.log()[logged:]
    name = client.ike.profile.group_name
    if name is None or name.name not in gained:
        raise NotRefusedError(f"the gateway's log does not name what is set on it:\n{gained}")
    return f"{complaint}\n{gained}"
