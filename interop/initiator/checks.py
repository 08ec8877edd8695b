"""What an answer must be like so that every known client takes it.

Each check names one rule, and the client that dies of its violation. The rules are those of Apple's
racoon (github.com/apple-oss-distributions/ipsec, ipsec-337), the strictest known, unless said.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from ikev1.wire.enums import EncapsulationMode, IdType, IkeAttribute, IpsecAttribute, PayloadType
from ikev1.wire.header import Header
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Fragment, Identification, NatOa, Nonce, VendorId
from ikev1.wire.sa import Proposal, SaPayload, Transform
from interop.initiator import profiles


class Cause(StrEnum):
    """Why an exchange failed, as counted and reported."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    """A notification instead of an answer."""
    MALFORMED = "malformed"
    UNEXPECTED_EXCHANGE = "unexpected-exchange"
    NOT_ENCRYPTED = "not-encrypted"
    CIPHERTEXT = "ciphertext"
    """The answer does not decrypt to payloads."""

    FRAGMENT = "fragment"

    AGGRESSIVE_MODE = "aggressive-mode"
    """It is served: message 2 gives a hash of the preshared key to whoever asks."""

    MM1_OFFER = "mm1-offer"
    """Of a Main Mode that the server begins: not the transform that the client has offered."""
    MM5_HASH = "mm5-hash"
    MM5_SIGNATURE = "mm5-signature"
    MM2_PAYLOADS = "mm2-payloads"
    MM2_PROPOSALS = "mm2-proposals"
    MM2_TRANSFORM = "mm2-transform"
    MM2_ATTRIBUTES = "mm2-attributes"
    MM2_NAT_T_VENDOR_IDS = "mm2-nat-t-vendor-ids"
    MM2_FRAGMENTATION_VENDOR_ID = "mm2-fragmentation-vendor-id"
    MM4_PAYLOADS = "mm4-payloads"
    MM4_KEY_EXCHANGE = "mm4-key-exchange"
    MM4_NONCE = "mm4-nonce"
    MM4_NAT_D = "mm4-nat-d"
    MM6_PAYLOADS = "mm6-payloads"
    MM6_ID_TYPE = "mm6-id-type"
    MM6_HASH = "mm6-hash"
    MM6_SIGNATURE = "mm6-signature"
    QM2_PAYLOADS = "qm2-payloads"
    QM2_HASH_FIRST = "qm2-hash-first"
    QM2_SA_SECOND = "qm2-sa-second"
    QM2_HASH = "qm2-hash"
    QM2_PROPOSALS = "qm2-proposals"
    QM2_TRANSFORM = "qm2-transform"
    QM2_ATTRIBUTES = "qm2-attributes"
    QM2_SPI = "qm2-spi"
    QM2_NONCE = "qm2-nonce"
    QM2_KEY_EXCHANGE = "qm2-key-exchange"
    QM2_ENCAPSULATION_MODE = "qm2-encapsulation-mode"
    QM2_IDS = "qm2-ids"
    QM2_ID_ADDRESSES = "qm2-id-addresses"
    QM2_NAT_OA = "qm2-nat-oa"
    INFORMATIONAL_HASH = "informational-hash"


Findings = Iterator[tuple[Cause, str]]
"""Violations, each with what was seen."""

WARNINGS = frozenset(
    (
        Cause.MM2_ATTRIBUTES,
        Cause.QM2_SA_SECOND,
        Cause.QM2_ATTRIBUTES,
        Cause.QM2_ID_ADDRESSES,
        Cause.QM2_NAT_OA,
    )
)
"""What racoon only warns of; no client is known to die of it."""

# RFC 2409 section 5.
_NONCE_SIZES = range(8, 257)

_MM2_ALLOWED = frozenset((PayloadType.SA, PayloadType.VID))  # ident_i2recv
_MM4_ALLOWED = frozenset(  # ident_i3recv
    (
        PayloadType.KE,
        PayloadType.NONCE,
        PayloadType.VID,
        PayloadType.CERTREQ,
        PayloadType.NAT_D,
        PayloadType.NAT_D_DRAFT,
        PayloadType.NAT_D_DRAFT_04,
    )
)
_NAT_D = frozenset((PayloadType.NAT_D, PayloadType.NAT_D_DRAFT, PayloadType.NAT_D_DRAFT_04))
_MM6_ALLOWED = frozenset(  # ident_i4recv
    (
        PayloadType.ID,
        PayloadType.HASH,
        PayloadType.CERT,
        PayloadType.SIG,
        PayloadType.VID,
        PayloadType.N,
    )
)
_QM2_ALLOWED = frozenset(  # quick_i2recv
    (
        PayloadType.HASH,
        PayloadType.SA,
        PayloadType.NONCE,
        PayloadType.KE,
        PayloadType.ID,
        PayloadType.N,
        PayloadType.NAT_OA,
        PayloadType.NAT_OA_DRAFT,
        PayloadType.NAT_OA_DRAFT_04,
    )
)

_LIFETIMES: frozenset[int] = frozenset((IkeAttribute.LIFE_TYPE, IkeAttribute.LIFE_DURATION))
_NOT_ESP_ALGORITHMS: frozenset[int] = frozenset(
    (IpsecAttribute.LIFE_TYPE, IpsecAttribute.LIFE_DURATION, IpsecAttribute.ENCAPSULATION_MODE)
)
_PLAIN_MODES = {
    EncapsulationMode.UDP_TRANSPORT: EncapsulationMode.TRANSPORT,
    EncapsulationMode.UDP_TRANSPORT_DRAFT: EncapsulationMode.TRANSPORT,
    EncapsulationMode.UDP_TUNNEL: EncapsulationMode.TUNNEL,
    EncapsulationMode.UDP_TUNNEL_DRAFT: EncapsulationMode.TUNNEL,
}
_LARGEST_FRAGMENT = 1280 - 40 - 8 - 4
"""In an IPv6 packet that every path carries, in UDP, behind the non-ESP marker."""
_LAST_NUMBER_OF_LIBRESWAN = 16  # demux_v1, process_v1_packet
_GOOD_NAT_T = frozenset(
    (profiles.RFC_3947, profiles.DRAFT_02, profiles.DRAFT_02_N, profiles.DRAFT_03)
)
# Those whose numbers collide with others (natt_fill_options).
_POOR_NAT_T = frozenset((profiles.APPLE_NAT_T, *profiles.LATE_DRAFTS))
_NAT_T = _GOOD_NAT_T | _POOR_NAT_T | {profiles.DRAFT_00}


def _only(payloads: Payloads, allowed: frozenset[PayloadType], cause: Cause) -> Findings:
    """Racoon drops a whole message for one payload that it does not expect there."""
    for kind in payloads.types():
        if kind not in allowed:
            yield cause, f"{kind}"


def fragment(header: Header, payloads: Payloads, profile: profiles.Profile) -> Findings:
    """One fragment and nothing else, small enough for any path, for a client that takes it."""
    if not any(data.startswith(profiles.FRAGMENTATION) for data in profile.vendor_ids):
        yield Cause.FRAGMENT, "to a client that has not announced that it takes them"
    if any(data.startswith(profiles.MS_NT5_ISAKMPOAKLEY) for data in profile.vendor_ids):
        # strongSwan, ike_sa.c: not where there are no certificates.
        yield Cause.FRAGMENT, "to Windows with a preshared key"
    if len(payloads.items) != 1:
        yield Cause.FRAGMENT, "with other payloads"  # [MS-IKEE] section 3.3.5.3
    if header.length > _LARGEST_FRAGMENT:
        yield Cause.FRAGMENT, f"of {header.length} octets"
    if header.flags:
        yield Cause.FRAGMENT, f"with flags {header.flags}"  # [MS-IKEE] section 3.3.6.1
    for payload in payloads.all(Fragment):
        if payload.number > _LAST_NUMBER_OF_LIBRESWAN:
            yield Cause.FRAGMENT, f"number {payload.number}"


def fragmented(header: Header, whole: Header) -> Findings:
    """The header of a fragment is that of its message ([MS-IKEE] section 3.3.6.1)."""
    if (header.exchange_type, header.message_id) != (whole.exchange_type, whole.message_id):
        yield Cause.FRAGMENT, f"of {whole.exchange_type} as {header.exchange_type}"


def message_2(payloads: Payloads, offered: Proposal, named: Sequence[bytes]) -> Findings:
    """SA and vendor IDs; one of the offered transforms, as it was offered.

    `named` are the client's vendor IDs.
    """
    yield from _only(payloads, _MM2_ALLOWED, Cause.MM2_PAYLOADS)
    sas = payloads.all(SaPayload)
    if len(sas) != 1 or len(sas[0].proposals) != 1 or len(sas[0].proposals[0].transforms) != 1:
        yield Cause.MM2_PROPOSALS, "not one SA with one proposal with one transform"
        return
    chosen = sas[0].proposals[0].transforms[0]
    matching = [
        transform
        for transform in offered.transforms
        if _algorithms(transform, _LIFETIMES) == _algorithms(chosen, _LIFETIMES)
    ]
    if not matching:
        yield Cause.MM2_TRANSFORM, f"none like {_shown(chosen)} was offered"
    elif chosen not in matching:
        yield Cause.MM2_ATTRIBUTES, f"{_shown(chosen)} instead of {_shown(matching[0])}"
    vendor_ids = [vendor_id.data for vendor_id in payloads.all(VendorId)]
    nat_t = [data for data in vendor_ids if data in _NAT_T]
    usable = (
        _GOOD_NAT_T.intersection(named)
        or _POOR_NAT_T.intersection(named)
        or {profiles.DRAFT_00}.intersection(named)
    )
    if len(nat_t) > 1 or not usable.issuperset(nat_t):
        yield Cause.MM2_NAT_T_VENDOR_IDS, ", ".join(data.hex() for data in nat_t)
    if profiles.FRAGMENTATION in vendor_ids:
        # vendorid_frag_cap reads four octets after these.
        yield Cause.MM2_FRAGMENTATION_VENDOR_ID, "without a capability word"


def message_4(payloads: Payloads, nat_d: PayloadType | None) -> Findings:
    """KE, nonce and, if NAT-T was agreed on, at least two NAT-D of its number."""
    yield from _only(payloads, _MM4_ALLOWED, Cause.MM4_PAYLOADS)
    types = payloads.types()
    if types.count(PayloadType.KE) != 1:
        yield Cause.MM4_KEY_EXCHANGE, f"{types.count(PayloadType.KE)} of them"
    yield from _nonce(payloads, Cause.MM4_NONCE)
    numbers = _NAT_D.intersection(types)
    count = sum(types.count(kind) for kind in numbers)
    if nat_d is None and numbers:
        yield Cause.MM4_NAT_D, "without a vendor ID that announces them"
    if nat_d is not None and (numbers != {nat_d} or count < 2):
        yield Cause.MM4_NAT_D, f"{count} of {sorted(numbers)}"


def message_6(payloads: Payloads, *, server_behind_nat: bool, signed: bool = False) -> Findings:
    """ID and HASH, or ID, CERT and SIG.

    Without a signature the ID is an address: preshared keys can be looked up by nothing else.
    """
    yield from _only(payloads, _MM6_ALLOWED, Cause.MM6_PAYLOADS)
    types = payloads.types()
    if signed:
        counts = [types.count(kind) for kind in (PayloadType.ID, PayloadType.SIG)]
        if counts != [1, 1] or PayloadType.CERT not in types or PayloadType.HASH in types:
            yield Cause.MM6_PAYLOADS, "not one ID, certificates and one SIG"
        return
    if types.count(PayloadType.ID) != 1 or types.count(PayloadType.HASH) != 1:
        yield Cause.MM6_PAYLOADS, "not one ID and one HASH"
        return
    identity = payloads.first(Identification)
    addresses = {IdType.IPV4_ADDR, IdType.IPV6_ADDR}
    if identity is not None and identity.id_type not in addresses and not server_behind_nat:
        # ipsecdoi_checkid1
        yield Cause.MM6_ID_TYPE, f"{identity.id_type}"


def quick_mode_2(
    payloads: Payloads,
    offered: Proposal,
    ids: tuple[Identification, Identification],
    *,
    nat: bool,
    pfs: bool,
) -> Findings:
    """HASH, SA, nonce and IDs; one of the offered transforms under its number."""
    yield from _only(payloads, _QM2_ALLOWED, Cause.QM2_PAYLOADS)
    types = payloads.types()
    if types[:1] != (PayloadType.HASH,):
        yield Cause.QM2_HASH_FIRST, f"{types[:1]}"
    if types[1:2] != (PayloadType.SA,):
        yield Cause.QM2_SA_SECOND, f"{types[1:2]}"
    if types.count(PayloadType.HASH) != 1:
        yield Cause.QM2_HASH, f"{types.count(PayloadType.HASH)} of them"
    yield from _nonce(payloads, Cause.QM2_NONCE)
    if types.count(PayloadType.KE) != pfs:
        yield Cause.QM2_KEY_EXCHANGE, f"{types.count(PayloadType.KE)} of them"
    yield from _esp_choice(payloads, offered, nat=nat)
    yield from _ids(payloads.all(Identification), ids, nat=nat)


def original_addresses(
    payloads: Payloads, number: PayloadType | None, server: bytes | None
) -> Findings:
    """NAT-OA: none, or NAT-OAi and NAT-OAr of the variant's `number` (RFC 3947 section 5.2).

    NAT-OAr is the address of the `server`; None if that is not known to the client, behind a NAT.
    """
    items = payloads.all(NatOa)
    if not items:
        return
    numbers = {item.type for item in items}
    if numbers != {number}:
        yield Cause.QM2_NAT_OA, f"as payload {sorted(numbers)}, not {number}"
    elif len(items) != 2:
        yield Cause.QM2_NAT_OA, f"{len(items)} of them"
    elif server is not None and items[1].address != server:
        yield Cause.QM2_NAT_OA, f"NAT-OAr is {items[1].address.hex('.')}, not {server.hex('.')}"


def _esp_choice(payloads: Payloads, offered: Proposal, *, nat: bool) -> Findings:
    """What cmp_aproppair_i and saprop_adjust_encmode compare."""
    sas = payloads.all(SaPayload)
    if len(sas) != 1 or len(sas[0].proposals) != 1 or len(sas[0].proposals[0].transforms) != 1:
        yield Cause.QM2_PROPOSALS, "not one SA with one proposal with one transform"
        return
    proposal = sas[0].proposals[0]
    chosen = proposal.transforms[0]
    if proposal.protocol_id != offered.protocol_id or proposal.number != offered.number:
        yield Cause.QM2_PROPOSALS, f"{proposal.protocol_id} as number {proposal.number}"
    if len(proposal.spi) != 4 or int.from_bytes(proposal.spi) < 256:
        # RFC 4303 section 2.1 reserves 1 to 255 and makes 0 no SPI.
        yield Cause.QM2_SPI, proposal.spi.hex()
    same = [transform for transform in offered.transforms if transform.number == chosen.number]
    if not same:
        yield Cause.QM2_TRANSFORM, f"number {chosen.number} was not offered"
        return
    if _algorithms(chosen, _NOT_ESP_ALGORITHMS) != _algorithms(same[0], _NOT_ESP_ALGORITHMS):
        yield Cause.QM2_TRANSFORM, f"{_shown(chosen)} under the number of {_shown(same[0])}"
    elif chosen != same[0]:
        yield Cause.QM2_ATTRIBUTES, f"{_shown(chosen)} instead of {_shown(same[0])}"
    mode = mode_of(chosen)
    if (_PLAIN_MODES.get(mode, mode) if nat else mode) != EncapsulationMode.TRANSPORT:
        yield Cause.QM2_ENCAPSULATION_MODE, f"{mode}"


def mode_of(transform: Transform) -> EncapsulationMode:
    """The encapsulation mode, by racoon's default where it is missing."""
    for attribute in transform.attributes:
        if attribute.type == IpsecAttribute.ENCAPSULATION_MODE:
            return EncapsulationMode(attribute.number)
    return EncapsulationMode.TRANSPORT


def _shown(transform: Transform) -> str:
    """A transform in few words: its number, its ID, and attributes as TYPE=VALUE."""
    attributes = " ".join(f"{part.type:d}={part.number:d}" for part in transform.attributes)
    return f"#{transform.number}:{transform.transform_id:d} [{attributes}]"


def _algorithms(transform: Transform, without: frozenset[int]) -> tuple[int, dict[int, int]]:
    """What a transform does, whatever the order and the form of its attributes."""
    values = {
        attribute.type: attribute.number
        for attribute in transform.attributes
        if attribute.type not in without
    }
    return transform.transform_id, values


def _ids(
    returned: tuple[Identification, ...],
    sent: tuple[Identification, Identification],
    *,
    nat: bool,
) -> Findings:
    """Types must match; protocols and ports unless they are 0; addresses unless there is a NAT."""
    if len(returned) != 2:
        yield Cause.QM2_IDS, f"{len(returned)} of them"
        return
    for ours, theirs in zip(sent, returned, strict=True):
        if (
            ours.id_type != theirs.id_type
            or theirs.protocol not in {0, ours.protocol}
            or theirs.port not in {0, ours.port}
        ):
            yield Cause.QM2_IDS, f"{theirs} for {ours}"
        elif ours.data != theirs.data:
            cause = Cause.QM2_ID_ADDRESSES if nat else Cause.QM2_IDS
            yield cause, f"{theirs} for {ours}"


def _nonce(payloads: Payloads, cause: Cause) -> Findings:
    nonces = payloads.all(Nonce)
    if len(nonces) != 1:
        yield cause, f"{len(nonces)} of them"
    elif len(nonces[0].data) not in _NONCE_SIZES:
        yield cause, f"{len(nonces[0].data)} octets"
