"""Clients with certificates, looked at again when the operator has changed what is trusted."""

from __future__ import annotations

from dataclasses import replace

from ikev1.core.context import Context
from ikev1.core.effects import CheckRevocation
from ikev1.x509.errors import CertificateError


class Rechecks:
    """The questions that are under way."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: dict[int, str] = {}
        """Clients by ticket."""

    def begin(self) -> None:
        """End whom no section lets in any more; ask about the others.

        Only what the files say: for a crowd nothing is fetched, and who is connected stays where
        nothing is known.
        """
        context = self._context
        for client in tuple(context.clients):
            if not client.chain:
                continue
            trust = context.settings.credentials.trust_in(client.connection, client.chain)
            if trust is None:
                cause = "its [[certificate]] was taken out of the configuration"
                context.remove_client(client, cause, tell=True)
            elif trust.revocation != "off":
                ticket = context.ticket()
                self._asked[ticket] = client.id
                known = replace(trust, revocation="lenient", fetch=False)
                context.emit(CheckRevocation(ticket, client.chain, known))

    def complete(self, ticket: int, result: object) -> None:
        """The host's answer, where it is one of these."""
        client = self._context.clients.by_id(self._asked.pop(ticket, ""))
        if client is not None and isinstance(result, CertificateError):
            self._context.remove_client(client, result.cause, tell=True)
