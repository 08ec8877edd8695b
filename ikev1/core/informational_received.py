"""What an Informational exchange of the client changes (RFC 2409 section 5.7)."""

from __future__ import annotations

from ikev1.core import informational
from ikev1.core.clients import Client
from ikev1.core.context import Context
from ikev1.core.ike_sa import IkeSa
from ikev1.wire.enums import ProtocolId
from ikev1.wire.message import Payloads
from ikev1.wire.payloads import Delete, Notification


def act_on(payloads: Payloads, sa: IkeSa, client: Client, context: Context) -> None:
    """Act on an Informational message whose hash has been verified.

    A Delete of the Phase 1 SA comes last, whatever the order of payloads: nothing after it may
    touch what is gone.
    """
    for notification in payloads.all(Notification):
        answer = informational.answer_to_probe(sa, notification)
        if answer is not None:
            context.inform(sa, answer)
            break
    if informational.is_first_contact(payloads):
        context.first_contact(sa, client)
    deletes = payloads.all(Delete)
    for delete in deletes:
        if delete.protocol_id == ProtocolId.ESP:
            for child in tuple(client.children):
                if child.sa.outbound_spi.to_bytes(4, "big") in delete.spis:
                    context.remove_child(client, child, "deleted by the client")
    if any(
        delete.protocol_id == ProtocolId.ISAKMP and sa.cookies in delete.spis for delete in deletes
    ):
        context.remove_ike_sa(sa, "deleted by the client", tell=False)
