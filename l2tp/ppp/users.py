"""Users known to the gateway itself, and the check of a login against them.

A login under an unknown name does the same work as one with a wrong password, and every comparison
takes the same time, so that neither tells which names exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from l2tp.ppp.auth import (
    AuthAccepted,
    AuthAnswer,
    AuthRejected,
    AuthRequest,
    ChapMd5Request,
    MsChapV2Request,
    PapRequest,
    octets_of,
)
from l2tp.ppp.chap_md5 import md5_response
from l2tp.ppp.mschapv2 import authenticator_response, nt_password_hash, nt_response


@dataclass(frozen=True, slots=True)
class User:
    """One user; ``address`` is the inner address that is this user's alone."""

    name: str
    secret: str = field(repr=False)
    address: IPv4Address | None = None


_NOBODY = User("", "")


def find_user(users: Mapping[str, User], name: str) -> User | None:
    r"""The user as named, else without the "DOMAIN\" in front."""
    return users.get(name) or users.get(name.rpartition("\\")[2])


def verify(request: AuthRequest, users: Mapping[str, User]) -> AuthAnswer:
    """Check a login."""
    found = find_user(users, request.user)
    user = found or _NOBODY
    match request:
        case PapRequest():
            good, response = _verify_pap(request, user), ""
        case ChapMd5Request():
            good, response = _verify_md5(request, user), ""
        case MsChapV2Request():
            good, response = _verify_mschapv2(request, user)
    if isinstance(request, MsChapV2Request) and request.flags:
        return AuthRejected(
            "MS-CHAPv2 flags are not zero", "the client asks for what RFC 2759 does not define"
        )
    if found is None:
        return AuthRejected("unknown user", "add the user, or correct the name on the client")
    if not good:
        return AuthRejected("wrong password", "correct the password on the client or here")
    return AuthAccepted(user.name, user.address, response)


def _verify_pap(request: PapRequest, user: User) -> bool:
    return hmac.compare_digest(request.password, octets_of(user.secret))


def _verify_md5(request: ChapMd5Request, user: User) -> bool:
    expected = md5_response(request.identifier, octets_of(user.secret), request.challenge)
    return hmac.compare_digest(request.response, expected)


def _verify_mschapv2(request: MsChapV2Request, user: User) -> tuple[bool, str]:
    name = octets_of(request.user)
    password_hash = nt_password_hash(user.secret)
    expected = nt_response(password_hash, request.challenge, request.peer_challenge, name)
    answer = authenticator_response(
        password_hash, request.response, request.peer_challenge, request.challenge, name
    )
    return hmac.compare_digest(request.response, expected), answer
