"""The UDP ports that the workers share: a socket of each worker on each, open as long as any runs.

They are bound before the workers are forked, in the workers' order, which is the kernel's number
for each (`xfrm.steering`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import closing

from cli.ikev1d.config import Config
from cli.ikev1d.udp import ANY_ADDRESS, IkeSockets
from l2tp.datapath.errors import DataPathError
from l2tp.datapath.udp import L2TP_PORT, Address, Datagram, L2tpSocket, bind, new_socket
from xfrm.steering import by_mark, steer


class Ports:
    """The sockets of `count` workers."""

    def __init__(
        self, config: Config, addresses: Sequence[str], count: int, cookie_stamp: int
    ) -> None:
        """Bind them. Raises OSError where another program has a port, DataPathError."""
        with closing(IkeSockets(addresses)):
            pass  # nobody else is there: with `shared` we would not notice
        self.ike = [IkeSockets(addresses, shared=True) for _ in range(count)]
        self.ike[0].share_out(count, cookie_stamp)
        self.l2tp: list[dict[str, socket.socket]] = [{} for _ in range(count)]
        for address in addresses or (ANY_ADDRESS,):
            for sockets in self.l2tp:
                sockets[address] = new_socket()
                bind(sockets[address], Address(address, L2TP_PORT), listens=True)
            program = by_mark(count, config.marks.base, config.marks.mask)
            try:
                steer(self.l2tp[0][address], program)
            except OSError as error:
                raise DataPathError(error.errno or 0, "share out", f"UDP {L2TP_PORT}") from error


class BoundL2tpSocket(L2tpSocket):
    """A listening L2TP socket that has been bound before, one of `bound` by its address."""

    def __init__(
        self, bound: dict[str, socket.socket], on_datagram: Callable[[Datagram], None]
    ) -> None:
        super().__init__(on_datagram)
        self._bound = bound

    def open(self, local: Address, peer: Address | None = None, mark: int = 0) -> None:
        """Begin to read."""
        self._socket.close()
        self._socket = self._bound[local.host]
        self._loop.add_reader(self._socket.fileno(), self._read)
