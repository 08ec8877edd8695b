"""The one exception of this package."""

import errno
import os

_NO_ESP = "load the kernel module esp4 (CONFIG_INET_ESP)"
_NO_CIPHER = "the kernel lacks this algorithm, see /proc/crypto"

_REMEDIES: dict[tuple[str, int], str] = {
    ("open", errno.EPROTONOSUPPORT): "load the kernel module xfrm_user (CONFIG_XFRM_USER)",
    ("add_sa", errno.EPROTONOSUPPORT): _NO_ESP,
    ("update_sa", errno.EPROTONOSUPPORT): _NO_ESP,
    ("add_sa", errno.ENOSYS): _NO_CIPHER,
    ("update_sa", errno.ENOSYS): _NO_CIPHER,
    ("add_sa", errno.ENOENT): _NO_CIPHER,
    ("update_sa", errno.ENOENT): _NO_CIPHER,
    ("add_sa", errno.EEXIST): "an SA with this SPI, destination and mark is installed already",
    ("update_sa", errno.ESRCH): "its SPI was not allocated, or the allocation has expired",
    ("delete_sa", errno.ESRCH): "the SA is gone: it expired, or another program removed it",
    ("get_sa", errno.ESRCH): "the SA is gone: it expired, or another program removed it",
    ("allocate_spi", errno.ENOENT): "every SPI of the range is in use",
    ("add_policy", errno.EEXIST): "a policy with this selector, direction and mark exists; is"
    " another IKE daemon running, or was one killed?",
    ("report_packet_info", errno.ENOPROTOOPT): "SO_RCVMARK needs Linux 5.19",
    ("delete_policy", errno.ENOENT): "the policy is gone: another program removed it",
}

_GENERAL_REMEDIES = {
    errno.EPERM: "CAP_NET_ADMIN is needed in this network namespace",
    errno.EAFNOSUPPORT: "the kernel has no IPsec for this address family",
    errno.ENOBUFS: "the socket's receive buffer is full: raise net.core.rmem_max",
    errno.ENOMEM: "the kernel is out of memory",
}


class KernelError(Exception):
    """The kernel refused an operation, or a socket option.

    `errno` is the kernel's reason, `operation` the name of the method that failed, `what` names the
    SA, policy or socket (never a key), `detail` is the kernel's own explanation or None, `remedy`
    says what to do about it or is None.
    """

    def __init__(
        self, error_number: int, operation: str, what: str, detail: str | None = None
    ) -> None:
        self.errno = error_number
        self.operation = operation
        self.what = what
        self.detail = detail
        self.remedy = _REMEDIES.get((operation, error_number), _GENERAL_REMEDIES.get(error_number))
        name = errno.errorcode.get(error_number, str(error_number))
        text = f"{operation} {what}: {name}, {os.strerror(error_number)}"
        if detail:
            text += f" ({detail})"
        if self.remedy:
            text += f"; {self.remedy}"
        super().__init__(text)
