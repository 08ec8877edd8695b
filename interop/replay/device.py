"""The recorded device as a client: what the transcript tells, the rest as of its nearest relative.

Keys, cookies and addresses are fresh. How long it waits, what it insists on and when it rekeys no
single recording tells: these are those of the relative, and marked so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from ikev1.errors import ProtocolError as IkeError
from ikev1.wire.enums import (
    AuthAlgorithm,
    AuthMethod,
    EncapsulationMode,
    EncryptionAlgorithm,
    EspTransform,
    Group,
    HashAlgorithm,
    IdType,
    IkeAttribute,
    IpsecAttribute,
    LifeType,
    NotifyType,
    ProtocolId,
)
from ikev1.wire.message import build_body
from ikev1.wire.payloads import Delete, Identification, Notification, Payload, VendorId
from ikev1.wire.sa import Attribute, SaPayload, Transform
from interop.clients import CLIENTS
from interop.clients.facts import Fact, Known
from interop.clients.model import CertificateUse, Client, Requests
from interop.initiator import offers
from interop.initiator.profiles import (
    AttributeOrder,
    EspOffer,
    Goodbye,
    IdciAddress,
    L2tpPort,
    Phase1Offer,
    Profile,
)
from interop.lac.profiles import L2TP_PORT
from interop.replay.deeds import deletes_rekeyed
from interop.replay.inside import SOURCE, l2tp_facts, ppp_facts
from interop.replay.transcript import Attempt, Record, TranscriptError, payloads, size_of

P = TypeVar("P", bound=Payload)

PLAYED = frozenset(
    (
        AuthMethod.PRE_SHARED_KEY,
        AuthMethod.RSA_SIGNATURE,
        AuthMethod.ECDSA_256,
        AuthMethod.ECDSA_384,
        AuthMethod.ECDSA_521,
    )
)
"""Ways of proof that the engine knows."""


@dataclass(frozen=True, slots=True)
class Device:
    """`client` plays it; `notes` say where its octets are not those of the recording."""

    client: Client
    relative: Client
    method: AuthMethod
    """How it proves itself."""
    notes: tuple[str, ...]


def rebuild(attempt: Attempt) -> Device:
    """Make a client of an attempt. Raises TranscriptError."""
    try:
        return _rebuild(attempt)
    except (IkeError, KeyError, ValueError, TypeError) as error:
        raise TranscriptError(f"the transcript makes no sense: {error!r}") from error


def _rebuild(attempt: Attempt) -> Device:
    main_mode = attempt.of("ike", exchange="IDENTITY_PROTECTION", **{"from": "client"})
    if not main_mode:
        raise TranscriptError("no message 1 of Main Mode is in it")
    relative = _relative(payloads(main_mode[0]))
    notes: list[str] = []
    method = _method(payloads(main_mode[0]))
    ike = _phase1(payloads(main_mode[0]), notes)
    if len(main_mode) > 1 and (nonce := size_of(main_mode[1], "NONCE")) is not None:
        ike["nonce_size"] = Known(nonce, SOURCE)
    identity = None
    if len(main_mode) > 2:
        identity = _message_5(attempt, payloads(main_mode[2]), ike)
    quick_mode = attempt.first("ike", exchange="QUICK_MODE", **{"from": "client"})
    if quick_mode is not None:
        ike |= _quick_mode(payloads(quick_mode), identity)
    if (goodbye := _goodbye(attempt)) is not None:
        ike["goodbye"] = Known(goodbye, SOURCE)
    reason = f"as {relative.title}"
    client = Client(
        name="replayed",
        title=f"the recorded device, like {relative.title}",
        programs=relative.programs,
        ike=relative.ike.taken_for(reason).but(**ike),
        l2tp=relative.l2tp.taken_for(reason).but(**l2tp_facts(attempt, notes)),
        ppp=relative.ppp.taken_for(reason).but(**ppp_facts(attempt)),
        conduct=relative.conduct.taken_for(reason).but(
            **_certificate(method, relative, main_mode), **_rekeying(attempt)
        ),
    )
    notes += _other_octets(client.ike.profile, method, main_mode[0], quick_mode)
    return Device(client, relative, method, tuple(notes))


def _relative(first: Sequence[Payload]) -> Client:
    """The client of the field whose message 1 is the most like this one."""
    vendor_ids = tuple(item.data for item in first if isinstance(item, VendorId))
    offered = _phase1_offers(_only(first, SaPayload).proposals[0].transforms)

    def likeness(client: Client) -> tuple[bool, bool, int]:
        profile = client.ike.profile
        common = len(set(profile.vendor_ids).intersection(vendor_ids))
        stray = len(set(profile.vendor_ids).symmetric_difference(vendor_ids))
        return profile.vendor_ids == vendor_ids, profile.phase1 == offered, common - stray

    return max(CLIENTS.values(), key=likeness)


# --- IKE -----------------------------------------------------------------------------------------


def _phase1(first: Sequence[Payload], notes: list[str]) -> dict[str, Fact]:
    sa = _only(first, SaPayload)
    if len(sa.proposals) != 1:
        notes.append(f"message 1 has {len(sa.proposals)} proposals: the first is played")
    transforms = sa.proposals[0].transforms
    life = _values(transforms[0], IkeAttribute.LIFE_DURATION)
    return {
        "name": Known("replayed", "ours"),
        "phase1": Known(_phase1_offers(transforms), SOURCE),
        "phase1_lifetime": Known(life[0].number if life else 0, SOURCE),
        "attribute_order": Known(_order(transforms[0], IkeAttribute.LIFE_TYPE), SOURCE),
        "long_durations": Known(_is_long(life), SOURCE),
        "vendor_ids": Known(
            tuple(item.data for item in first if isinstance(item, VendorId)), SOURCE
        ),
    }


def _method(first: Sequence[Payload]) -> AuthMethod:
    """The one way of proof that all transforms offer."""
    transforms = _only(first, SaPayload).proposals[0].transforms
    methods = {AuthMethod(_number(one, IkeAttribute.AUTH_METHOD)) for one in transforms}
    if len(methods) != 1 or not methods <= PLAYED:
        names = ", ".join(sorted(str(method) for method in methods))
        raise TranscriptError(f"the device offers to prove itself by {names}: not played")
    return methods.pop()


def _rekeying(attempt: Attempt) -> dict[str, Fact]:
    deletes = deletes_rekeyed(attempt)
    return {} if deletes is None else {"deletes_rekeyed": Known(deletes, SOURCE)}


def _certificate(method: AuthMethod, relative: Client, main_mode: list[Record]) -> dict[str, Fact]:
    """What is told of its certificates: whose it sends, and when it asks for the server's."""
    if method == AuthMethod.PRE_SHARED_KEY or len(main_mode) <= 2:
        return {}
    asks = ["CERTREQ" in _types(message) for message in main_mode]
    known = relative.conduct.profile.certificate
    use = CertificateUse(
        Requests.MESSAGE_3 if asks[1] else Requests.MESSAGE_5 if asks[2] else Requests.NEVER,
        # One certificate may be all that there is between it and its authority.
        chain=_types(main_mode[2]).count("CERT") > 1 or (known is not None and known.chain),
        checks_name=known is not None and known.checks_name,
    )
    return {"certificate": Known(use, f"{SOURCE}, but for what it checks")}


def _types(message: Record) -> list[str]:
    return [payload["type"] for payload in message["payloads"]]


def _phase1_offers(transforms: Sequence[Transform]) -> tuple[Phase1Offer, ...]:
    return tuple(
        Phase1Offer(
            EncryptionAlgorithm(_number(transform, IkeAttribute.ENCRYPTION_ALGORITHM)),
            _optional(transform, IkeAttribute.KEY_LENGTH),
            HashAlgorithm(_number(transform, IkeAttribute.HASH_ALGORITHM)),
            Group(_number(transform, IkeAttribute.GROUP_DESCRIPTION)),
        )
        for transform in transforms
    )


def _message_5(
    attempt: Attempt, fifth: Sequence[Payload], ike: dict[str, Fact]
) -> IPv4Address | None:
    """INITIAL-CONTACT, and the identity; its address, if it is one."""
    within = _tells_contact(fifth)
    informational = attempt.of("ike", exchange="INFORMATIONAL", **{"from": "client"})
    apart = any(_tells_contact(payloads(message)) for message in informational)
    ike["initial_contact"] = Known(within or apart, SOURCE)
    ike["initial_contact_apart"] = Known(apart and not within, SOURCE)
    for identity in (item for item in fifth if isinstance(item, Identification)):
        if identity.id_type == IdType.FQDN:
            ike["fqdn"] = Known(identity.data.decode(), f"{SOURCE}, with a placeholder")
        elif identity.id_type == IdType.IPV4_ADDR:
            ike["fqdn"] = Known(None, SOURCE)
            return IPv4Address(identity.data)
    return None


def _tells_contact(items: Sequence[Payload]) -> bool:
    return any(
        isinstance(item, Notification) and item.notify_type == NotifyType.INITIAL_CONTACT
        for item in items
    )


def _quick_mode(first: Sequence[Payload], identity: IPv4Address | None) -> dict[str, Fact]:
    proposals = _only(first, SaPayload).proposals
    apart = len(proposals) > 1 and all(len(proposal.transforms) == 1 for proposal in proposals)
    played = proposals if apart else proposals[:1]
    transforms = [transform for proposal in played for transform in proposal.transforms]
    life = _lifetimes(transforms[0])
    facts: dict[str, Fact] = {
        "esp_apart": Known(apart, SOURCE),
        "esp": Known(tuple(_esp_offer(transform) for transform in transforms), SOURCE),
        "esp_lifetime": Known(life.get(LifeType.SECONDS, 0), SOURCE),
        "esp_lifetime_kilobytes": Known(life.get(LifeType.KILOBYTES), SOURCE),
        "pfs_group": Known(_optional_group(transforms[0]), SOURCE),
    }
    ids = [item for item in first if isinstance(item, Identification)]
    if len(ids) != 2:
        return facts
    own, server = ids
    port = {0: L2tpPort.ANY, L2TP_PORT: L2tpPort.L2TP}.get(own.port, L2tpPort.EPHEMERAL)
    named = own.id_type == IdType.FQDN
    facts["l2tp_port"] = Known(port, SOURCE)
    facts["server_port"] = Known(server.port, SOURCE)
    facts["idci_address"] = Known(IdciAddress.NAME if named else IdciAddress.NUMBER, SOURCE)
    claims = None
    if identity == IPv4Address(0) and own.id_type == IdType.IPV4_ADDR:
        claims = (identity, IPv4Address(own.data))  # on a network with NAT64
    facts["claims"] = Known(claims, SOURCE)
    return facts


def _esp_offer(transform: Transform) -> EspOffer:
    auth = _optional(transform, IpsecAttribute.AUTH_ALGORITHM)
    return EspOffer(
        EspTransform(transform.transform_id),
        _optional(transform, IpsecAttribute.KEY_LENGTH),
        None if auth is None else AuthAlgorithm(auth),
    )


def _optional_group(transform: Transform) -> Group | None:
    number = _optional(transform, IpsecAttribute.GROUP_DESCRIPTION)
    return None if number is None else Group(number)


def _goodbye(attempt: Attempt) -> Goodbye | None:
    """The Deletes of the hang-up, if the device is seen to hang up."""
    ended = attempt.first("told", what="SessionDown")
    if ended is None:
        return None
    deleted = [
        item.protocol_id
        for message in attempt.of("ike", exchange="INFORMATIONAL", **{"from": "client"})
        if message["at"] >= ended["at"]
        for item in payloads(message)
        if isinstance(item, Delete)
    ]
    return Goodbye(ProtocolId.ESP in deleted, ProtocolId.ISAKMP in deleted)


def _other_octets(
    profile: Profile, method: AuthMethod, first: Record, quick_mode: Record | None
) -> list[str]:
    """Where the engine's SA payloads are not those of the recording."""
    notes = []
    recorded = _only(payloads(first), SaPayload)
    if build_body(offers.sa(offers.phase1_proposal(profile, method))) != build_body(recorded):
        notes.append("the SA of message 1 is played with the same offers, but in other octets")
    if quick_mode is not None:
        recorded = _only(payloads(quick_mode), SaPayload)
        proposal = recorded.proposals[0]
        mode = EncapsulationMode(_number(proposal.transforms[0], IpsecAttribute.ENCAPSULATION_MODE))
        made = offers.sa(*offers.esp_proposals(profile, proposal.spi, mode))
        if build_body(made) != build_body(recorded):
            notes.append("the SA of Quick Mode is played with the same offers, in other octets")
    return notes


# --- attributes ----------------------------------------------------------------------------------


def _only(items: Sequence[Payload], kind: type[P]) -> P:
    found = [item for item in items if isinstance(item, kind)]
    if not found:
        raise TranscriptError(f"a message without {kind.__name__}")
    return found[0]


def _values(transform: Transform, kind: int) -> list[Attribute]:
    return [attribute for attribute in transform.attributes if attribute.type == kind]


def _optional(transform: Transform, kind: int) -> int | None:
    values = _values(transform, kind)
    return values[0].number if values else None


def _number(transform: Transform, kind: int) -> int:
    number = _optional(transform, kind)
    if number is None:
        raise TranscriptError(f"a transform without attribute {kind}")
    return number


def _order(transform: Transform, life_type: int) -> AttributeOrder:
    first = transform.attributes[0].type == life_type
    return AttributeOrder.RACOON if first else AttributeOrder.CHARON


def _is_long(durations: Sequence[Attribute]) -> bool:
    """Whether a duration that fits two octets has four."""
    return any(
        isinstance(duration.value, bytes) and duration.number <= 0xFFFF for duration in durations
    )


def _lifetimes(transform: Transform) -> dict[int, int]:
    """The durations of an ESP transform by their unit."""
    found: dict[int, int] = {}
    unit = int(LifeType.SECONDS)
    for attribute in transform.attributes:
        if attribute.type == IpsecAttribute.LIFE_TYPE:
            unit = attribute.number
        elif attribute.type == IpsecAttribute.LIFE_DURATION:
            found[unit] = attribute.number
    return found
