"""Ages an SA: the kernel tells its listeners of a lifetime when it is asked to."""

import errno
import socket

from interop.netns import Host
from xfrm import messages
from xfrm.constants import IPPROTO_ESP, MessageType
from xfrm.netlink import Request, RequestSocket
from xfrm.packing import only
from xfrm.selectors import pack_address

_EXPIRE = only(
    messages.user_expire.fields,
    *("state_id_daddr", "state_id_spi", "state_id_proto", "state_family", "hard"),
)


def tell_that_it_expires(host: Host, inbound_spi: int, address: str) -> bool:
    """Let the kernel of `host` say that the soft lifetime of an inbound SA of `address` is over.

    False if there is no such SA.
    """
    body = _EXPIRE.pack(
        pack_address(address), inbound_spi.to_bytes(4, "big"), IPPROTO_ESP, socket.AF_INET, 0
    )
    requests = RequestSocket()
    with host.entered():
        requests.open()
    (answer,) = requests.exchange([Request(body, MessageType.EXPIRE)])
    requests.close()
    assert answer.errno in (0, errno.ENOENT), answer
    return answer.errno == 0
