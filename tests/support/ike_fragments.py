"""Messages cut into fragments as a client might, and as none would."""

from __future__ import annotations

from collections.abc import Sequence

from ikev1.wire.enums import EncryptionAlgorithm, ExchangeType, Group, HashAlgorithm
from ikev1.wire.message import build_message
from ikev1.wire.payloads import Fragment
from interop.clients.ike import IPHONE
from interop.initiator.profiles import Phase1Offer, only
from tests.support.ike_dialin import Dialin
from tests.support.ike_host import IkeHost

FAST = only(
    IPHONE, Phase1Offer(EncryptionAlgorithm.AES_CBC, 256, HashAlgorithm.SHA1, Group.ECP_256)
)


def piece(number: int, data: bytes, *, last: bool = False, fragment_id: int = 1) -> Fragment:
    """One fragment."""
    return Fragment(fragment_id, number, int(last), data)


def pieces(message: bytes, count: int, fragment_id: int = 1) -> list[Fragment]:
    """A message in that many fragments."""
    size = -(-len(message) // count)
    return [
        piece(n, message[(n - 1) * size :][:size], last=n == count, fragment_id=fragment_id)
        for n in range(1, count + 1)
    ]


def fragment_message(fragment: Fragment, cookies: bytes) -> bytes:
    """The datagram of one fragment."""
    return build_message(cookies, ExchangeType.IDENTITY_PROTECTION, 0, [fragment])


def in_fragments(message: bytes, count: int, fragment_id: int = 1) -> list[bytes]:
    """A message as that many datagrams."""
    return [fragment_message(part, message[:16]) for part in pieces(message, count, fragment_id)]


def give_all(client: Dialin, datagrams: Sequence[bytes]) -> list[bytes]:
    """Carry datagrams to the gateway; returns all its answers."""
    return [answer for datagram in datagrams for answer in client.give_bytes(datagram)]


def incomplete(host: IkeHost) -> int:
    """How many messages the gateway has parts of."""
    return len(host.engine._fragments)


def first_message(client: Dialin) -> bytes:
    """Message 1, which stays with us."""
    (send,) = client.note(client.initiator.start(client.host.now))
    return send.datagram


def until_message_3(client: Dialin) -> bytes:
    """Run Main Mode up to message 3, which stays with us."""
    (send,) = client.take(client.give_bytes(first_message(client))[0], floated=False)
    return send.datagram
