"""Both peers' protected messages and the kernel's ESP keys, from exchanges recorded with charon."""

from dataclasses import dataclass

import pytest

from ikev1.crypto import cipher, keymat
from ikev1.crypto.dh import modp_prime
from ikev1.wire.enums import EncryptionAlgorithm, Group, IkeAttribute, ProtocolId
from ikev1.wire.header import HEADER_LENGTH, Header, parse_header
from ikev1.wire.message import Payloads, parse_message, parse_payloads
from ikev1.wire.payloads import Hash, Identification, KeyExchange, Nonce
from ikev1.wire.sa import SaPayload, Transform
from tests.support import charon_recordings
from tests.support.charon_recordings import Recording

RECORDINGS = charon_recordings.load()
PRIMES = {
    Group.MODP_1024: modp_prime(1024, 129093),
    Group.MODP_1536: modp_prime(1536, 741804),
    Group.MODP_2048: modp_prime(2048, 124476),
    Group.MODP_4096: modp_prime(4096, 240904),
}
MARKER = bytes(4)


@dataclass
class Transcript:
    """The messages of one recording without their markers, and what Phase 1 made of them."""

    initiator: list[bytes]
    responder: list[bytes]
    hash: int
    encryption: int
    keys: keymat.Phase1Keys
    block_size: int
    g_xi: bytes
    g_xr: bytes
    sai_b: bytes

    def open(self, message: bytes, iv: bytes) -> tuple[Header, Payloads, bytes]:
        """Decrypt a message; returns the IV that follows as well."""
        header = parse_header(message)
        clear, next_iv = cipher.decrypt(
            self.encryption, self.keys.cipher_key, iv, message[HEADER_LENGTH:]
        )
        return header, parse_payloads(header.next_payload, clear, encrypted=True), next_iv


def bare(message: bytes) -> bytes:
    return message.removeprefix(MARKER)


def body(payloads: Payloads, kind: type[KeyExchange | Nonce]) -> bytes:
    payload = payloads.first(kind)
    assert payload is not None
    return payload.data


def value(transform: Transform, kind: int) -> int | None:
    return next((part.number for part in transform.attributes if part.type == kind), None)


def shared(group: int, public: bytes, exponent: int) -> bytes:
    return pow(int.from_bytes(public), exponent, PRIMES[Group(group)]).to_bytes(len(public))


def transcript(recording: Recording) -> Transcript:
    initiator = [bare(message) for message in recording.sent]
    responder = [bare(message) for message in recording.answers]
    _, offer = parse_message(initiator[0])
    _, answer = parse_message(responder[0])
    header, ours = parse_message(initiator[1])
    _, theirs = parse_message(responder[1])
    sa = answer.first(SaPayload)
    assert sa is not None
    chosen = sa.proposals[0].transforms[0]
    hash_ = value(chosen, IkeAttribute.HASH_ALGORITHM)
    encryption = value(chosen, IkeAttribute.ENCRYPTION_ALGORITHM)
    group = value(chosen, IkeAttribute.GROUP_DESCRIPTION)
    assert hash_ is not None
    assert encryption is not None
    assert group is not None
    g_xi, g_xr = body(ours, KeyExchange), body(theirs, KeyExchange)
    skeyid = keymat.skeyid_psk(hash_, charon_recordings.PSK, body(ours, Nonce), body(theirs, Nonce))
    keys = keymat.phase1_keys(
        hash_,
        skeyid,
        shared(group, g_xr, recording.phase1_exponent),
        cky_i=header.initiator_cookie,
        cky_r=header.responder_cookie,
        cipher_key_size=cipher.key_size(encryption, value(chosen, IkeAttribute.KEY_LENGTH)),
    )
    return Transcript(
        initiator,
        responder,
        hash_,
        encryption,
        keys,
        cipher.block_size(encryption),
        g_xi,
        g_xr,
        offer.body(0),
    )


def test_recordings_have_both_ciphers() -> None:
    ciphers = {transcript(recording).encryption for recording in RECORDINGS}

    assert ciphers == {EncryptionAlgorithm.AES_CBC, EncryptionAlgorithm.TRIPLE_DES_CBC}


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_main_mode_decrypts_and_both_hashes_verify(recording: Recording) -> None:
    script = transcript(recording)
    iv = keymat.phase1_iv(script.hash, script.g_xi, script.g_xr, script.block_size)

    header, message_5, iv = script.open(script.initiator[2], iv)
    _, message_6, _ = script.open(script.responder[2], iv)

    values = {
        "g_xi": script.g_xi,
        "g_xr": script.g_xr,
        "cky_i": header.initiator_cookie,
        "cky_r": header.responder_cookie,
        "sai_b": script.sai_b,
    }
    skeyid = script.keys.skeyid
    hash_i = keymat.hash_i(script.hash, skeyid, **values, idii_b=message_5.body(0))
    hash_r = keymat.hash_r(script.hash, skeyid, **values, idir_b=message_6.body(0))
    assert isinstance(message_5.values[0], Identification)
    assert isinstance(message_6.values[0], Identification)
    assert message_5.first(Hash) == Hash(hash_i)
    assert message_6.first(Hash) == Hash(hash_r)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_quick_mode_hashes_verify_and_keymat_is_the_kernels(recording: Recording) -> None:
    script = transcript(recording)
    header = parse_header(script.initiator[3])
    message_id = header.message_id
    last_block = script.responder[2][-script.block_size :]
    iv = keymat.phase2_iv(script.hash, last_block, message_id, script.block_size)

    _, first, iv = script.open(script.initiator[3], iv)
    _, second, iv = script.open(script.responder[3], iv)
    _, third, _ = script.open(script.initiator[4], iv)

    skeyid_a = script.keys.skeyid_a
    ni, nr = body(first, Nonce), body(second, Nonce)
    hash_1 = keymat.hash_1(script.hash, skeyid_a, message_id, first.raw_after_first())
    hash_2 = keymat.hash_2(script.hash, skeyid_a, message_id, ni, second.raw_after_first())
    hash_3 = keymat.hash_3(script.hash, skeyid_a, message_id, ni, nr)
    assert [first.values[0], second.values[0]] == [Hash(hash_1), Hash(hash_2)]
    assert third.values == (Hash(hash_3),)

    g_qm_xy = b""
    if second.first(KeyExchange) is not None:
        public = body(second, KeyExchange)
        g_qm_xy = shared(Group.MODP_1024, public, recording.pfs_exponent)
    for spi, expected in recording.esp_keys.items():
        material = keymat.keymat(
            script.hash,
            script.keys.skeyid_d,
            protocol=ProtocolId.ESP,
            spi=spi,
            ni_b=ni,
            nr_b=nr,
            size=len(expected),
            g_qm_xy=g_qm_xy,
        )
        assert material == expected
