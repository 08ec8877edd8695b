"""Which way of proof a Main Mode goes: what the client offers, of what we have for its address."""

from __future__ import annotations

from ikev1.core import proposals
from ikev1.core.authentication.exchanged import Authentication, Credential
from ikev1.core.authentication.preshared import PresharedKeys
from ikev1.core.authentication.signature import Signatures
from ikev1.core.context import Context
from ikev1.core.credentials import PresharedKey
from ikev1.core.effects import Path
from ikev1.core.errors import ExchangeError
from ikev1.core.ike_sa import IkeSa
from ikev1.crypto.signatures import SIGNATURE_METHODS
from ikev1.wire.enums import AuthMethod, NotifyType
from ikev1.wire.sa import SaPayload


def choose(sa: IkeSa, context: Context, offer: SaPayload, path: Path) -> Authentication:
    """Choose the transform of Phase 1, and with it the method. Raises ExchangeError."""
    credentials = context.settings.credentials
    keys = credentials.keys(path.local, path.remote)
    certificates = credentials.certificates(path.local, path.remote)
    methods = {certificate.method for certificate in certificates}
    if keys:
        methods.add(AuthMethod.PRE_SHARED_KEY)
    try:
        sa.choice = proposals.choose_ike(offer, context.settings.ike, methods)
    except ExchangeError:
        offered = proposals.offered_methods(offer)
        if not methods or (offered & SERVED and offered.isdisjoint(methods)):
            raise _nothing_fits(path, offered, methods) from None
        raise
    if sa.choice.method == AuthMethod.PRE_SHARED_KEY:
        return PresharedKeys(keys)
    fitting = [one for one in certificates if one.method == sa.choice.method]
    return Signatures(context, fitting)


def again(
    context: Context, credential: Credential, path: Path
) -> tuple[Authentication, Credential]:
    """The method of a Phase 1 that we renew, and the credential of ours for it.

    By the configuration of today. Raises ExchangeError where it has none for this client any more.
    """
    credentials = context.settings.credentials
    if isinstance(credential, PresharedKey):
        keys = credentials.keys(path.local, path.remote)
        same_keys = [key for key in keys if key.secret == credential.secret]
        if same_keys:
            return PresharedKeys(same_keys), same_keys[0]
    else:
        certificates = credentials.certificates(path.local, path.remote)
        same = [
            one
            for one in certificates
            if (one.connection, one.method) == (credential.connection, credential.method)
        ]
        if same:
            return Signatures(context, same), same[0]
    setting = "psk" if isinstance(credential, PresharedKey) else "certificate"
    raise ExchangeError(
        f"what the client has proved itself with was taken out of the configuration: {setting}",
        NotifyType.AUTHENTICATION_FAILED,
        setting=setting,
    )


SERVED = SIGNATURE_METHODS | {AuthMethod.PRE_SHARED_KEY}


def _nothing_fits(
    path: Path, offered: frozenset[AuthMethod], methods: set[AuthMethod]
) -> ExchangeError:
    """We have a preshared key and the client wants certificates, or the other way round."""
    where = f"{path.local} and {path.remote}"
    if AuthMethod.PRE_SHARED_KEY in offered or not offered & SERVED:
        return ExchangeError(
            f"no preshared key for {where}",
            NotifyType.NO_PROPOSAL_CHOSEN,
            remedy="add a [[psk]] whose local and remote fit these addresses",
            setting="psk",
        )
    wanted = ", ".join(str(method) for method in sorted(offered & SERVED))
    if methods & SIGNATURE_METHODS:
        have = ", ".join(str(method) for method in sorted(methods))
        return ExchangeError(
            f"the client wants {wanted}, and what there is for {where} is for {have}",
            NotifyType.NO_PROPOSAL_CHOSEN,
            remedy="give the gateway a certificate with the same kind of key as the client's",
            setting="certificate",
        )
    return ExchangeError(
        f"the client wants certificates ({wanted}), and there is none for {where}",
        NotifyType.NO_PROPOSAL_CHOSEN,
        remedy="add a [[certificate]] for these addresses, or set the client to a preshared key",
        setting="certificate",
    )
