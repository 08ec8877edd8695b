"""The gateway's private key in a PKCS #11 token: a smart card, an HSM, a TPM's module, SoftHSM."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

from ikev1.crypto.signatures import PublicKey, SignatureError, verify
from ikev1.wire.enums import HashAlgorithm

if TYPE_CHECKING:
    import pkcs11


class TokenError(OSError):
    """The token, or the key in it, is out of reach; the text says why."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What of RFC 7512 names a key: a module, a token in it, an object in that."""

    module: str
    token: str | None
    label: str | None
    key_id: bytes | None

    @classmethod
    def parse(cls, text: str) -> TokenUri:
        """Read "pkcs11:token=vpn;object=gateway?module-path=/usr/lib/x.so". Raises ValueError."""
        scheme, colon, rest = text.partition(":")
        path, _, query = rest.partition("?")
        if scheme.lower() != "pkcs11" or not colon:
            raise ValueError("does not begin with pkcs11:")
        attributes = dict(part.partition("=")[::2] for part in path.split(";") if part)
        unknown = attributes.keys() - {"token", "object", "id", "type"}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not looked at here")
        module = dict(parse_qsl(query)).get("module-path")
        if module is None:
            raise ValueError("has no ?module-path=, the library of the token's maker")
        if "object" not in attributes and "id" not in attributes:
            raise ValueError("names no key, by object= or id=")
        return cls(
            module,
            unquote(attributes["token"]) if "token" in attributes else None,
            unquote(attributes["object"]) if "object" in attributes else None,
            unquote_to_bytes(attributes["id"]) if "id" in attributes else None,
        )


class TokenKey:
    """A key that never leaves its token. One session, opened again when it was lost."""

    def __init__(self, uri: TokenUri, pin: bytes | None, public: PublicKey) -> None:
        """Open it, and see that it is the key of `public`. Raises TokenError."""
        self._uri = uri
        self._pin = pin
        self._lock = threading.Lock()
        """A session does one thing at a time."""
        self._key: Any = None
        self._check(public)

    def sign(self, hash_algorithm: int, proof: bytes) -> bytes:
        """Sign HASH_I or HASH_R. Raises TokenError."""
        del hash_algorithm  # the token is given the digest as it is
        with self._lock:
            for again in (False, True):
                try:
                    if self._key is None or again:
                        self._key = self._open()
                    signature: bytes = self._sign(proof)
                except _pkcs11().PKCS11Error as error:
                    cause = error
                else:
                    return signature
        raise TokenError(f"the token: {_words(cause)}")

    def _sign(self, proof: bytes) -> bytes:
        library = _pkcs11()
        is_rsa = self._key.key_type == library.KeyType.RSA
        mechanism = library.Mechanism.RSA_PKCS if is_rsa else library.Mechanism.ECDSA
        made: bytes = self._key.sign(proof, mechanism=mechanism)
        return made

    def _open(self) -> pkcs11.PrivateKey:
        library = _pkcs11()
        try:
            tokens = list(library.lib(self._uri.module).get_tokens(token_label=self._uri.token))
        except (RuntimeError, OSError) as error:
            raise TokenError(f"cannot load {self._uri.module}: {error}") from None
        if len(tokens) != 1:
            raise TokenError(f"{len(tokens)} tokens fit, not one")
        pin = None if self._pin is None else self._pin.decode(errors="replace")
        try:
            session = tokens[0].open(user_pin=pin)
        except library.UserAlreadyLoggedIn:
            # By another section, or before a reload: the login is the whole program's.
            session = tokens[0].open()
        key: pkcs11.PrivateKey = session.get_key(
            object_class=library.ObjectClass.PRIVATE_KEY,
            label=self._uri.label,
            id=self._uri.key_id,
        )
        return key

    def _check(self, public: PublicKey) -> None:
        """Sign something, and verify it with the certificate's key."""
        hash_algorithm = HashAlgorithm.SHA2_256
        proof = hashlib.sha256(b"is this the key?").digest()
        signature = self.sign(hash_algorithm, proof)
        try:
            verify(public, hash_algorithm, proof, signature)
        except SignatureError as error:
            raise TokenError(f"the key in the token is not the certificate's: {error}") from None


def _pkcs11() -> Any:
    """The library, which is there only if the extra "pkcs11" was installed. Raises TokenError."""
    try:
        import pkcs11
    except ImportError:
        raise TokenError("python-pkcs11 is not installed: pip install 'ikev1d[pkcs11]'") from None
    return pkcs11


def _words(error: Exception) -> str:
    """What a PKCS11Error says, which often is its name alone."""
    return f"{type(error).__name__} {error}".strip()
