"""Logins checked against users."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from l2tp.ppp.auth import (
    AuthAccepted,
    AuthRejected,
    AuthRequest,
    ChapMd5Request,
    MsChapV2Request,
    PapRequest,
)
from l2tp.ppp.chap_md5 import md5_response
from l2tp.ppp.mschapv2 import nt_password_hash, nt_response
from l2tp.ppp.users import User, find_user, verify

CHALLENGE = bytes(range(16))
PEER_CHALLENGE = bytes(range(16, 32))
ADDRESS = IPv4Address("10.0.0.9")
USERS = {
    "alice": User("alice", "geheim", ADDRESS),
    "jürgen": User("jürgen", "straße"),
    "OFFICE\\bob": User("OFFICE\\bob", "full"),
    "bob": User("bob", "bare"),
}


def pap(user: str, password: str) -> AuthRequest:
    return PapRequest(user, password.encode())


def md5(user: str, password: str) -> AuthRequest:
    response = md5_response(3, password.encode(), CHALLENGE)
    return ChapMd5Request(user, 3, CHALLENGE, response)


def mschapv2(user: str, password: str) -> MsChapV2Request:
    response = nt_response(
        nt_password_hash(password), CHALLENGE, PEER_CHALLENGE, user.encode("utf-8")
    )
    return MsChapV2Request(user, CHALLENGE, PEER_CHALLENGE, response)


Method = Callable[[str, str], AuthRequest]
METHODS = pytest.mark.parametrize("method", [pap, md5, mschapv2])


@METHODS
def test_the_right_password(method: Method) -> None:
    answer = verify(method("alice", "geheim"), USERS)
    assert isinstance(answer, AuthAccepted)
    assert (answer.user, answer.address) == ("alice", ADDRESS)
    assert answer.authenticator_response.startswith("S=") == (method.__name__ == "mschapv2")


@METHODS
def test_other_scripts(method: Method) -> None:
    assert isinstance(
        verify(method("jürgen", "straße"), USERS),
        AuthAccepted,
    )


@METHODS
@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("alice", "Geheim", "wrong password"),
        ("alice", "", "wrong password"),
        ("carol", "geheim", "unknown user"),
        ("", "", "unknown user"),
        ("Alice", "geheim", "unknown user"),
    ],
)
def test_refusals(method: Method, user: str, password: str, reason: str) -> None:
    answer = verify(method(user, password), USERS)
    assert isinstance(answer, AuthRejected)
    assert (answer.reason, answer.error) == (reason, 691)
    assert answer.remedy


@METHODS
@pytest.mark.parametrize(
    ("user", "password", "found"),
    [
        ("HOME\\alice", "geheim", "alice"),
        ("OFFICE\\bob", "full", "OFFICE\\bob"),
        ("HOME\\bob", "bare", "bob"),
    ],
)
def test_the_full_name_goes_before_the_bare_one(
    method: Method, user: str, password: str, found: str
) -> None:
    answer = verify(method(user, password), USERS)
    assert isinstance(answer, AuthAccepted)
    assert answer.user == found


def test_flags_are_refused_even_with_the_right_password() -> None:
    answer = verify(replace(mschapv2("alice", "geheim"), flags=1), USERS)
    assert isinstance(answer, AuthRejected)
    assert "flags" in answer.reason


@pytest.mark.parametrize("response", [b"", bytes(16), bytes(15)])
def test_odd_md5_responses(response: bytes) -> None:
    answer = verify(ChapMd5Request("alice", 3, CHALLENGE, response), USERS)
    assert isinstance(answer, AuthRejected)


def test_nobody_is_found_by_an_empty_name() -> None:
    assert find_user(USERS, "OFFICE\\") is None


def test_secrets_stay_out_of_texts() -> None:
    texts = repr(USERS["alice"]) + repr(pap("alice", "geheim")) + repr(mschapv2("alice", "geheim"))
    assert "geheim" not in texts
    assert CHALLENGE.hex() not in texts
    assert repr(CHALLENGE) not in texts
