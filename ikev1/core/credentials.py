"""Preshared keys and certificates: which of them may belong to the client at an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Protocol, TypeVar

from ikev1.wire.enums import AuthMethod
from ikev1.wire.payloads import Identification
from ikev1.x509.certificate import Certificate, make_bundle
from ikev1.x509.identity import of_certificate, of_subject
from ikev1.x509.trust import Trust

MAX_CANDIDATES = 64
"""Keys tried against one message 5. Each costs some 30 microseconds of PRF and one decryption."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ANY = None


class Credential(Protocol):
    """What one entry of the configuration has for the clients it is for."""

    @property
    def connection(self) -> str:
        """Its name for logs and status."""

    @property
    def local(self) -> Network | None:
        """The gateway's address, None for any."""

    @property
    def remote(self) -> Network | None:
        """The client's address as the gateway sees it, None for any."""

    @property
    def is_for_one(self) -> bool:
        """Whether it is for clients of a certain identity."""


@dataclass(frozen=True, slots=True)
class PresharedKey:
    """One preshared key and whom it is for."""

    connection: str
    secret: bytes = field(repr=False)
    local: Network | None = ANY
    remote: Network | None = ANY
    identity: str | None = None
    """The identity the client must show, None for any."""
    one_client: bool = False
    """Whether it was given to one client alone, so that whoever has it is that client."""

    @property
    def is_for_one(self) -> bool:
        """Whether the key is bound to an identity."""
        return self.identity is not None


class SigningKey(Protocol):
    """The gateway's private key, wherever it is kept; the host asks it to sign."""

    def sign(self, hash_algorithm: int, proof: bytes) -> bytes:
        """The signature of HASH_I or HASH_R, as it stands in SIG. May take a while.

        Raises OSError where the key is out of reach.
        """


@dataclass(frozen=True, slots=True)
class CertificateCredential:
    """One certificate of the gateway's, and whom it lets in by theirs."""

    connection: str
    method: AuthMethod
    """What both sides sign with: the kind of the gateway's key."""
    key: SigningKey = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    """In DER: the gateway's certificate, and those that lead to its authority."""
    bundle: bytes = field(repr=False)
    """The same in PKCS #7."""
    issuers: frozenset[bytes]
    """The names, in DER, of all authorities of the chain, the last one's too."""
    subject: Identification
    """The gateway's name as a DN."""
    fqdn: Identification | None
    """The gateway's name in DNS, where it is certified."""
    addresses: frozenset[str]
    """The gateway's addresses, as far as they are certified."""
    identity: Identification | None
    """The identity to show whatever the client is, if the operator has chosen one."""
    trust: Trust
    authorities: tuple[bytes, ...]
    """The names, in DER, of the authorities of clients, which they are asked for."""
    local: Network | None = ANY
    remote: Network | None = ANY

    @classmethod
    def of(
        cls,
        connection: str,
        key: SigningKey,
        chain: Sequence[Certificate],
        trust: Trust,
        *,
        identity: Identification | None = None,
        local: Network | None = ANY,
        remote: Network | None = ANY,
    ) -> CertificateCredential:
        """What `chain`, the gateway's own certificate and its authorities', has in it."""
        own = chain[0]
        # The last authority of all needs no sending: who does not have it trusts nothing it signed.
        sent = [one for one in chain if one is own or one.subject != one.issuer]
        # An address as a DNS name is there for some clients to compare, not to be shown.
        name = next((one for one in own.dns_names if not _is_address(one)), None)
        return cls(
            connection=connection,
            method=own.method,
            key=key,
            chain=tuple(one.der for one in sent),
            bundle=make_bundle(sent),
            issuers=frozenset(one.issuer.public_bytes() for one in chain),
            subject=of_subject(own),
            fqdn=None if name is None else of_certificate(f"@{name}", own),
            addresses=frozenset(map(str, own.addresses)),
            identity=identity,
            trust=trust,
            authorities=tuple(one.subject.public_bytes() for one in trust.anchors),
            local=local,
            remote=remote,
        )

    @property
    def is_for_one(self) -> bool:
        """Whether it is for certain clients."""
        return self.trust.client is not None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


C = TypeVar("C", bound=Credential)


def _fits(credential: Credential, local: str, remote: str) -> bool:
    return (credential.local is None or _address(local) in credential.local) and (
        credential.remote is None or _address(remote) in credential.remote
    )


# Looked at for every credential there is.
_address = lru_cache(maxsize=64)(ipaddress.ip_address)


def _closeness(credential: Credential) -> tuple[int, int, bool]:
    """How exactly the client is named: a pair of hosts before a network before %any.

    Of two for the same addresses the one for a certain identity.
    """
    remote = -1 if credential.remote is None else credential.remote.prefixlen
    local = -1 if credential.local is None else credential.local.prefixlen
    return remote, local, credential.is_for_one


class Credentials:
    """The gateway's preshared keys and certificates, closest first.

    In Main Mode they are needed before the identity is known (RFC 2409 section 5.4), so several
    may be possible; message 5 shows which of them it is.
    """

    def __init__(
        self, keys: Iterable[PresharedKey], certificates: Iterable[CertificateCredential] = ()
    ) -> None:
        self._keys = _sorted(keys)
        self._certificates = _sorted(certificates)
        self._secrets = frozenset(key.secret for key in self._keys)

    def has(self, key: PresharedKey) -> bool:
        """Whether this key is still among them, whoever it is for now."""
        return key.secret in self._secrets

    def keys(self, local: str, remote: str) -> tuple[PresharedKey, ...]:
        """The keys that may be the client's, closest first, `MAX_CANDIDATES` at most."""
        return _fitting(self._keys, local, remote)

    def certificates(self, local: str, remote: str) -> tuple[CertificateCredential, ...]:
        """The certificates that may be for the client, closest first, as many at most."""
        return _fitting(self._certificates, local, remote)

    def trust_in(self, connection: str, chain: Sequence[Certificate]) -> Trust | None:
        """What still lets in a client that was let in by this chain; None if nothing does."""
        return next(
            (
                one.trust
                for one in self._certificates
                if one.connection == connection
                and chain[-1] in one.trust.anchors
                and (one.trust.client is None or one.trust.client.matches(chain[0]))
            ),
            None,
        )


def _sorted(credentials: Iterable[C]) -> tuple[C, ...]:
    return tuple(sorted(credentials, key=_closeness, reverse=True))


def _fitting(credentials: Iterable[C], local: str, remote: str) -> tuple[C, ...]:
    return tuple(islice((one for one in credentials if _fits(one, local, remote)), MAX_CANDIDATES))
