"""MD4 against RFC 1320 appendix A.5, MS-CHAPv2 against RFC 2759 section 9.2."""

from __future__ import annotations

import pytest

from l2tp.ppp.chap_md5 import md5_response
from l2tp.ppp.md4 import md4
from l2tp.ppp.mschapv2 import (
    authenticator_response,
    challenge_hash,
    nt_password_hash,
    nt_response,
)

USER = b"User"
PASSWORD = "clientPass"
CHALLENGE = bytes.fromhex("5b5d7c7d7b3f2f3e3c2c602132262628")
PEER_CHALLENGE = bytes.fromhex("21402324255e262a28295f2b3a337c7e")
PASSWORD_HASH = bytes.fromhex("44ebba8d5312b8d611474411f56989ae")
RESPONSE = bytes.fromhex("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df")


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        ("", "31d6cfe0d16ae931b73c59d7e0c089c0"),
        ("a", "bde52cb31de33e46245e05fbdbd6fb24"),
        ("abc", "a448017aaf21d8525fc10ae87aa6729d"),
        ("message digest", "d9130a8164549fe818874806e1c7014b"),
        ("abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "043f8582f241db351ce627e153e7f0e4",
        ),
        ("1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
    ],
)
def test_md4(message: str, digest: str) -> None:
    assert md4(message.encode()).hex() == digest


def test_password_hash() -> None:
    assert nt_password_hash(PASSWORD) == PASSWORD_HASH


def test_challenge_hash() -> None:
    assert challenge_hash(PEER_CHALLENGE, CHALLENGE, USER).hex() == "d02e4386bce91226"


@pytest.mark.parametrize("user", [USER, b"DOMAIN\\User", b"a\\b\\User"])
def test_response_ignores_the_domain(user: bytes) -> None:
    assert nt_response(PASSWORD_HASH, CHALLENGE, PEER_CHALLENGE, user) == RESPONSE


def test_authenticator_response() -> None:
    answer = authenticator_response(PASSWORD_HASH, RESPONSE, PEER_CHALLENGE, CHALLENGE, USER)
    assert answer == "S=407A5589115FD0D6209F510FE9C04566932CDA56"


def test_md5_response() -> None:
    """Worked out with md5sum: printf '\\x07secretchallenge' | md5sum."""
    assert md5_response(7, b"secret", b"challenge").hex() == "35524f3f6d24a5b27d3a2ff77c7c5060"
