"""Which clients share a UDP flow: the same addresses and ports at both ends, apart by mark alone.

Behind one NAT all clients have one address, and many send from port 1701. Before Linux 6.10 the
kernel finds a tunnel by its socket, which knows nothing of marks, and so mixes such clients up.
From 6.10 on it finds a tunnel by the numbers in the message, and takes what any client sends with
them. So nothing of a shared flow goes into the kernel's L2TP; in user space the mark is checked.

A client's port is in its phase 2 identity, long before its first L2TP message. 0 there is any
port: L2TP's own, or one that is picked at random (Android), which another client hardly has too.
"""

from collections.abc import Set
from typing import NamedTuple

from l2tp.datapath.udp import L2TP_PORT


class Flow(NamedTuple):
    """A UDP flow between port 1701 of `local` and a client."""

    local: str
    peer: str
    port: int
    """The client's; 0 as announced is any."""


class Flows:
    """The flows that clients have announced, by their marks."""

    def __init__(self) -> None:
        self._announced: dict[int, set[Flow]] = {}
        self._marks: dict[Flow, set[int]] = {}

    def announce(self, mark: int, flow: Flow) -> bool:
        """The client may send in this flow, beside others between the same addresses.

        Says whether that is new, and another client may send in it, too.
        """
        flow = _exact(flow)
        known = self._announced.get(mark, set())
        if flow in known:
            return False
        if any(other[:2] != flow[:2] for other in known):  # it has moved
            self.forget(mark)
            known = set()
        known.add(flow)
        self._announced[mark] = known
        marks = self._marks.setdefault(flow, set())
        marks.add(mark)
        return len(marks) > 1

    def forget(self, mark: int) -> None:
        """The client is gone."""
        for flow in self._announced.pop(mark, ()):
            marks = self._marks[flow]
            marks.remove(mark)
            if not marks:
                del self._marks[flow]

    def marks(self, flow: Flow) -> Set[int]:
        """Of all clients that may send in this flow."""
        return self._marks.get(_exact(flow), frozenset())

    def is_shared(self, mark: int, flow: Flow) -> bool:
        """Whether another client than `mark` may send in this flow, too."""
        marks = self.marks(flow)
        return len(marks) > (mark in marks)


def _exact(flow: Flow) -> Flow:
    """With the port that stands for any."""
    return flow if flow.port else flow._replace(port=L2TP_PORT)
