"""The one exception of the data paths."""

import errno
import os

_REMEDIES = {
    ("open /dev/ppp", errno.ENOENT): "load the kernel module ppp_generic",
    ("open /dev/ppp", errno.ENXIO): "load the kernel module ppp_generic",
    ("open /dev/ppp", errno.ENODEV): "load the kernel module ppp_generic",
    ("PPPoL2TP socket", errno.EAFNOSUPPORT): "load the kernel module l2tp_ppp",
    ("PPPoL2TP socket", errno.EPROTONOSUPPORT): "load the kernel module l2tp_ppp;"
    " Red Hat's systems have it in the package kernel-modules-extra",
    ("PPPoL2TP tunnel", errno.EEXIST): "the kernel has a tunnel with this ID; tunnel IDs are unique"
    " in a network namespace",
    ("PPPoL2TP tunnel", errno.EADDRINUSE): "before Linux 6.10 the kernel mixes up tunnels with the"
    " same addresses and ports: close the older one",
    ("PPPoL2TP session", errno.EEXIST): "the tunnel has a session with this ID",
    ("open /dev/net/tun", errno.ENOENT): "load the kernel module tun",
    ("open /dev/net/tun", errno.ENODEV): "load the kernel module tun",
    ("set options", errno.ENOPROTOOPT): "SO_RCVMARK needs Linux 5.19",
    ("bind", errno.EADDRINUSE): "another program, such as xl2tpd, uses this UDP port",
    ("bind", errno.EADDRNOTAVAIL): "no interface has this address",
    ("find interface", errno.ENODEV): "no interface has this name",
}


_UNAVAILABLE = {
    "PPPoL2TP socket": {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT},
    # In a container the device is missing, or may not be opened: TUN may all the same.
    "open /dev/ppp": {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EPERM, errno.EACCES},
}


class DataPathError(Exception):
    """The kernel refused a part of a data path.

    `errno` is its reason, `operation` what was tried, `what` the tunnel, session or interface,
    `remedy` what to do about it or None.
    """

    def __init__(self, error_number: int, operation: str, what: str) -> None:
        self.errno = error_number
        self.operation = operation
        self.what = what
        self.remedy = _REMEDIES.get((operation, error_number))
        if error_number in (errno.EPERM, errno.EACCES):
            self.remedy = "CAP_NET_ADMIN is needed in this network namespace"
        name = errno.errorcode.get(error_number, str(error_number))
        text = f"{operation} {what}: {name}, {os.strerror(error_number)}"
        super().__init__(f"{text}; {self.remedy}" if self.remedy else text)

    @property
    def is_unavailable(self) -> bool:
        """Whether there is no L2TP or PPP in this kernel, for this process."""
        return self.errno in _UNAVAILABLE.get(self.operation, ())


class SharedFlowError(DataPathError):
    """Another tunnel, `tunnel_id`, has the same addresses and UDP ports at both ends.

    Either the client has dialled in anew and its old tunnel is still there, or two clients behind
    one NAT use the same L2TP port.
    """

    def __init__(self, what: str, tunnel_id: int) -> None:
        super().__init__(errno.EADDRINUSE, "PPPoL2TP tunnel", what)
        self.tunnel_id = tunnel_id
