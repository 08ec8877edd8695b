"""How much of a message is believed before it is refused.

RFC 2408 bounds most counts by the width of a field only. These limits lie well above what any known
client sends and keep the work spent on one datagram, and the memory its values take, small.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds; more than this is a ProtocolError."""

    # Octets of a message. charon takes 10000 by default; a Windows client that asks for every root
    # certificate it has, or a chain of certificates after fragmentation, needs more.
    message: int = 16_384
    # Payloads of a message. The most come from a list of certificate requests.
    payloads: int = 128
    # Vendor IDs of a message. Apple's racoon sends 12, the longest list seen has about 20.
    vendor_ids: int = 48
    # Octets of one vendor ID. A hash is 16, the longest known (SafeNet's) some 40.
    vendor_id: int = 256
    # Proposals of an SA. Windows sends one for each combination of protocol and algorithms.
    proposals: int = 48
    # Transforms of all proposals of an SA. Apple sends 14 in one proposal; a daemon that is left to
    # its defaults may send every combination it knows.
    transforms: int = 192
    # Attributes of a transform. Phase 1 needs 8, a group that is spelt out 8 more.
    attributes: int = 24
    # Octets of identification data. The longest are distinguished names.
    identification: int = 2_048
    # SPIs of one Delete: one for each rekeyed SA of a client, and then some.
    delete_spis: int = 64


DEFAULT_LIMITS = Limits()
