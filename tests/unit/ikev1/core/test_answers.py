"""Our answers, octet by octet: what Apple's racoon, the strictest client known, takes and no more.

Its rules are in github.com/apple-oss-distributions/ipsec, ipsec-337: isakmp_ident.c,
isakmp_quick.c, ipsec_doi.c, proposal.c and vendorid.c.
"""

from dataclasses import dataclass

import pytest
from msgspec import structs

from ikev1.core.ike_sa import open_with
from ikev1.crypto.cipher import block_size
from ikev1.crypto.keymat import phase1_iv
from ikev1.wire.enums import (
    EncapsulationMode,
    Flag,
    IdType,
    IpsecAttribute,
    PayloadType,
)
from ikev1.wire.header import HEADER_LENGTH, Header, parse_header
from ikev1.wire.message import Payloads, build_payloads, parse_message
from ikev1.wire.payloads import (
    Identification,
    KeyExchange,
    NatOa,
    Nonce,
    VendorId,
)
from ikev1.wire.sa import SaPayload, Transform
from interop.clients.ike import PROFILES
from interop.initiator.profiles import (
    DPD,
    DRAFT_02_N,
    FRAGMENTATION,
    FRAGMENTATION_WITH_CAPABILITY,
    RFC_3947,
    Profile,
)
from tests.support.ike_dialin import GATEWAY, NAT, Dialin
from tests.support.ike_host import IkeHost
from tests.support.ike_offers import ANDROID_12, XP

CLIENTS = [*PROFILES.values(), ANDROID_12, XP]
NON_ESP_MARKER = 4
T = PayloadType


@dataclass
class Talk:
    """A dial-in taken apart: the client's four requests and our four answers."""

    client: Dialin
    questions: list[bytes]
    answers: list[bytes]
    headers: list[Header]
    asked: list[Payloads]
    answered: list[Payloads]


def talk(profile: Profile, *, nat: bool) -> Talk:
    """Dial in, and decrypt everything with the gateway's keys."""
    client = (Dialin.behind_nat if nat else Dialin)(IkeHost(), profile).connect()
    pairs = [(question, answers[0]) for question, answers in client.talk if answers]
    assert len(pairs) == 4
    questions, answers = [], []
    for question, answer in pairs:
        marker = NON_ESP_MARKER if question.startswith(bytes(4)) else 0
        questions.append(question[marker:])
        answers.append(answer[marker:])
    asked = [parse_message(datagram)[1] for datagram in questions[:2]]
    answered = [parse_message(datagram)[1] for datagram in answers[:2]]
    sa = client.ike_sa
    assert sa.choice is not None
    assert sa.keys is not None
    g_xi, g_xr = (payloads.all(KeyExchange)[0].data for payloads in (asked[1], answered[1]))
    first_iv = phase1_iv(sa.hash, g_xi, g_xr, block_size(sa.choice.encryption))
    for number in (2, 3):
        message_id = parse_header(questions[number]).message_id
        iv = sa.phase2_iv(message_id) if message_id else first_iv
        for datagrams, found in ((questions, asked), (answers, answered)):
            header = parse_header(datagrams[number])
            body = datagrams[number][HEADER_LENGTH:]
            payloads, iv = open_with(sa.choice.encryption, sa.keys, header, body, iv)
            found.append(payloads)
    headers = [parse_header(datagram) for datagram in answers]
    return Talk(client, questions, answers, headers, asked, answered)


def every_client() -> list[object]:
    return [
        pytest.param(profile, nat, id=f"{profile.name}-{'nat' if nat else 'direct'}")
        for profile in CLIENTS
        for nat in (False, True)
    ]


pytestmark = pytest.mark.parametrize(("profile", "nat"), every_client())


def test_headers_are_plain(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    cookies = said.client.initiator.cookies
    for number, header in enumerate(said.headers):
        assert header.initiator_cookie + header.responder_cookie == cookies
        assert header.flags == (Flag.ENCRYPTION if number >= 2 else 0)
        assert header.length == len(said.answers[number])
        question = parse_header(said.questions[number])
        assert (header.exchange_type, header.message_id) == (
            question.exchange_type,
            question.message_id,
        )


def test_no_answer_is_larger_than_its_question(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    for question, answer in zip(said.questions, said.answers, strict=True):
        assert len(answer) <= len(question)


def test_message_2_has_the_sa_and_vendor_ids_alone(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    types = said.answered[0].types()
    assert types[0] == T.SA
    assert set(types[1:]) <= {T.VID}


def test_message_2_names_one_nat_t_and_nothing_the_client_did_not(
    profile: Profile, nat: bool
) -> None:
    said = talk(profile, nat=nat)
    theirs = {vendor.data for vendor in said.asked[0].all(VendorId)}
    ours = [vendor.data for vendor in said.answered[0].all(VendorId)]
    best = RFC_3947 if RFC_3947 in theirs else DRAFT_02_N
    # Fragmentation with the word that racoon reads, even where the client's has none.
    fragmentation = any(vendor_id.startswith(FRAGMENTATION) for vendor_id in theirs)
    assert ours == [
        best,
        *([DPD] if DPD in theirs else []),
        *([FRAGMENTATION_WITH_CAPABILITY] if fragmentation else []),
    ]


def test_message_2_returns_one_transform_as_it_was_offered(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    check_one_transform(said.asked[0], said.answered[0])


def test_message_4_has_ke_nonce_and_nat_d_alone(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    number = T.NAT_D if RFC_3947 in profile.vendor_ids else T.NAT_D_DRAFT
    assert said.answered[1].types() == (T.KE, T.NONCE, number, number)
    ours, theirs = (payloads.all(Nonce)[0].data for payloads in (said.answered[1], said.asked[1]))
    assert len(ours) == min(32, len(theirs))
    assert ours != theirs


def test_message_6_has_identity_and_hash_alone(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    assert said.answered[2].types() == (T.ID, T.HASH)


def test_our_identity_is_the_address_that_was_dialled(profile: Profile, nat: bool) -> None:
    """ipsecdoi_checkid1 wants an address, and warns of any port but 500 and 0."""
    said = talk(profile, nat=nat)
    (identity,) = said.answered[2].all(Identification)
    octets = bytes(int(part) for part in GATEWAY.split("."))
    assert identity == Identification(IdType.IPV4_ADDR, 0, 0, octets)


def test_quick_mode_2_has_no_vendor_id_and_no_notification(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    number = T.NAT_OA if RFC_3947 in profile.vendor_ids else T.NAT_OA_DRAFT
    original = (number, number) if nat else ()
    assert said.answered[3].types() == (T.HASH, T.SA, T.NONCE, T.ID, T.ID, *original)


def test_quick_mode_2_returns_one_transform_as_it_was_offered(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    chosen = check_one_transform(said.asked[3], said.answered[3])
    (mode,) = (
        attribute.number
        for attribute in chosen.attributes
        if attribute.type == IpsecAttribute.ENCAPSULATION_MODE
    )
    if not nat:
        assert mode == EncapsulationMode.TRANSPORT
    elif RFC_3947 in profile.vendor_ids:
        assert mode == EncapsulationMode.UDP_TRANSPORT
    else:
        assert mode == EncapsulationMode.UDP_TRANSPORT_DRAFT
    (proposal,) = said.answered[3].all(SaPayload)[0].proposals
    assert len(proposal.spi) == 4
    assert int.from_bytes(proposal.spi) >= 0x100


def test_quick_mode_2_returns_the_identities_octet_by_octet(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    theirs, ours = (
        [payloads.body(item) for item in payloads.all(Identification)]
        for payloads in (said.asked[3], said.answered[3])
    )
    assert len(ours) == 2
    assert ours == theirs


def test_nat_oa_tells_what_we_see(profile: Profile, nat: bool) -> None:
    """RFC 3947 section 5.2: the initiator as we see it, then ourselves."""
    said = talk(profile, nat=nat)
    found = [item.address for item in said.answered[3].all(NatOa)]
    seen = [bytes(int(part) for part in text.split(".")) for text in (NAT, GATEWAY)]
    assert found == (seen if nat else [])


def test_the_padding_is_zero(profile: Profile, nat: bool) -> None:
    said = talk(profile, nat=nat)
    for payloads in said.answered[2:]:
        assert not any(payloads.padding)
        assert len(payloads.padding) < 16


def check_one_transform(asked: Payloads, answered: Payloads) -> Transform:
    """One proposal with one transform; both have the numbers, the rest is octets of the offer."""
    (offer,), (reply,) = asked.all(SaPayload), answered.all(SaPayload)
    (proposal,) = reply.proposals
    (transform,) = proposal.transforms
    (offered,) = (item for item in offer.proposals if item.number == proposal.number)
    assert proposal.protocol_id == offered.protocol_id
    assert transform in offered.transforms
    assert (reply.doi, reply.situation) == (offer.doi, offer.situation)
    alone = structs.replace(offered, transforms=(transform,))
    _, octets = build_payloads([structs.replace(offer, proposals=(alone,))])
    transform_octets = octets[4 + 8 + 8 + len(offered.spi) :]
    assert answered.body(reply).endswith(transform_octets)
    return transform
