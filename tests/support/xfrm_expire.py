"""Ages an SA: the kernel tells its listeners of a lifetime when it is asked to."""

import asyncio
import errno
import socket

from interop.netns import Host
from xfrm import messages
from xfrm.constants import IPPROTO_ESP, MessageType
from xfrm.netlink import Request, RequestSocket
from xfrm.selectors import pack_address


def tell_that_it_expires(host: Host, inbound_spi: int, address: str) -> bool:
    """Let the kernel of `host` say that the soft lifetime of an inbound SA of `address` is over.

    False if there is no such SA.
    """
    message = messages.user_expire()
    message.update(
        state_id_daddr=pack_address(address),
        state_id_spi=inbound_spi,
        state_id_proto=IPPROTO_ESP,
        state_family=socket.AF_INET,
        hard=0,
    )

    async def tell() -> bool:
        requests = RequestSocket()
        await requests.open()
        (answer,) = requests.exchange([Request(message, MessageType.EXPIRE)])
        requests.close()
        assert answer.errno in (0, errno.ENOENT), answer
        return answer.errno == 0

    with host.entered():
        return asyncio.run(tell())
