"""Hypothesis strategies for everything `ikev1.wire` can say."""

from hypothesis import strategies as st

from ikev1.wire.enums import CertEncoding, IdType, NotifyType, PayloadType, ProtocolId
from ikev1.wire.header import Header
from ikev1.wire.message import Item
from ikev1.wire.payloads import (
    ADDRESS_SIZES,
    LAYOUTS,
    Certificate,
    CertificateRequest,
    Delete,
    Fragment,
    Hash,
    Identification,
    KeyExchange,
    NatD,
    NatOa,
    Nonce,
    Notification,
    Payload,
    RawPayload,
    Signature,
    VendorId,
)
from ikev1.wire.sa import Attribute, Proposal, SaPayload, Transform
from tests.support import ike_samples

octet = st.integers(0, 0xFF)
short = st.integers(0, 0xFFFF)
word = st.integers(0, 0xFFFF_FFFF)
data = st.binary(min_size=1, max_size=40)
reserved = st.just(0) | octet
protocol = octet.map(ProtocolId)

attributes = st.builds(Attribute, st.integers(0, 0x7FFF), short | st.binary(max_size=12))
transforms = st.builds(
    Transform,
    octet,
    octet,
    st.lists(attributes, max_size=8).map(tuple),
    reserved,
    st.just(0) | short,
)


def _spi(protocol_id: int) -> st.SearchStrategy[bytes]:
    if protocol_id in {ProtocolId.AH, ProtocolId.ESP}:
        return st.binary(min_size=4, max_size=4)
    if protocol_id == ProtocolId.IPCOMP:
        return st.binary(min_size=2, max_size=2) | st.binary(min_size=4, max_size=4)
    return st.binary(max_size=16)


@st.composite
def _proposal(draw: st.DrawFn) -> Proposal:
    protocol_id = draw(protocol)
    return Proposal(
        draw(octet),
        protocol_id,
        draw(_spi(protocol_id)),
        tuple(draw(st.lists(transforms, min_size=1, max_size=4))),
        draw(reserved),
    )


sa_payloads = (
    st.builds(
        SaPayload, st.just(1), st.just(1), st.lists(_proposal(), min_size=1, max_size=4).map(tuple)
    )
    | st.builds(SaPayload, st.just(1), word.filter(lambda bits: bits != 1), st.just(()), data)
    | st.builds(SaPayload, word.filter(lambda doi: doi != 1), st.just(0), st.just(()), data)
)


@st.composite
def _identification(draw: st.DrawFn) -> Identification:
    id_type = draw(st.sampled_from(list(IdType)) | octet.map(IdType))
    size = ADDRESS_SIZES.get(id_type)
    body = data | st.just(b"") if size is None else st.binary(min_size=size, max_size=size)
    return Identification(id_type, draw(octet), draw(short), draw(body))


@st.composite
def _delete(draw: st.DrawFn) -> Delete:
    protocol_id = draw(protocol)
    first = draw(
        st.binary(min_size=16, max_size=16)
        if protocol_id == ProtocolId.ISAKMP
        else _spi(protocol_id).filter(len)
    )
    size = len(first)
    more = draw(st.lists(st.binary(min_size=size, max_size=size), max_size=5))
    return Delete(draw(word), protocol_id, (first, *more))


@st.composite
def _nat_oa(draw: st.DrawFn) -> NatOa:
    id_type = draw(st.sampled_from([IdType.IPV4_ADDR, IdType.IPV6_ADDR]))
    size = ADDRESS_SIZES[id_type]
    kind = draw(
        st.sampled_from([PayloadType.NAT_OA, PayloadType.NAT_OA_DRAFT, PayloadType.NAT_OA_DRAFT_04])
    )
    reserved_octets = draw(st.just(bytes(3)) | st.binary(min_size=3, max_size=3))
    return NatOa(id_type, draw(st.binary(min_size=size, max_size=size)), kind, reserved_octets)


_KNOWN = {*range(14), 15, 16, 20, 21, 130, 131, 132}
unknown_types = st.sampled_from(sorted(set(LAYOUTS) - _KNOWN)).map(PayloadType)

payloads: st.SearchStrategy[Payload] = st.one_of(
    sa_payloads,
    st.builds(KeyExchange, data),
    _identification(),
    st.builds(Certificate, octet.map(CertEncoding), data),
    st.builds(CertificateRequest, octet.map(CertEncoding), st.binary(max_size=40)),
    st.builds(Hash, data),
    st.builds(Signature, data),
    st.builds(Nonce, data),
    st.builds(
        Notification,
        word,
        protocol,
        short.map(NotifyType),
        st.binary(max_size=16),
        st.binary(max_size=40),
    ),
    _delete(),
    st.builds(VendorId, data),
    st.builds(
        NatD,
        data,
        st.sampled_from([PayloadType.NAT_D, PayloadType.NAT_D_DRAFT, PayloadType.NAT_D_DRAFT_04]),
    ),
    _nat_oa(),
    st.builds(Fragment, short, st.integers(1, 0xFF), octet, data),
    st.builds(RawPayload, unknown_types, data),
)

items = st.builds(lambda value, octet: Item(value, b"", octet), payloads, reserved)

headers = st.builds(
    Header,
    st.binary(min_size=8, max_size=8).filter(any),
    st.binary(min_size=8, max_size=8),
    octet,
    st.just(0x10),
    st.sampled_from([1, 2, 3, 4, 5, 6, 32, 33, 240]),
    octet,
    word,
    st.just(28),
)


@st.composite
def mutated_chains(draw: st.DrawFn) -> tuple[int, bytes]:
    """The first payload and the octets of a chain that was valid before some octets changed."""
    first, chain = draw(st.sampled_from(ike_samples.CHAINS))
    octets = bytearray(chain)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(octets)))
        match draw(st.sampled_from(["change", "insert", "remove", "cut"])):
            case "change":
                octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                octets[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "remove":
                del octets[at : at + draw(st.integers(1, 8))]
            case "cut":
                del octets[at:]
    return draw(st.just(first) | octet), bytes(octets)
