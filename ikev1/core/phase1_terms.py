"""What a client's Phase 1 was agreed on: all that is needed to begin another one like it."""

from __future__ import annotations

from dataclasses import dataclass

from ikev1.core.credentials import CertificateCredential, PresharedKey
from ikev1.core.natt import NatSituation, Variant
from ikev1.core.quirks import Implementation
from ikev1.wire.enums import AuthMethod
from ikev1.wire.sa import Transform


@dataclass(frozen=True, slots=True)
class Phase1Terms:
    """It outlives the SA: children may be left when that has gone."""

    transform: Transform
    """As the client wrote it."""
    method: AuthMethod
    variant: Variant | None
    nat: NatSituation
    implementation: Implementation
    takes_fragments: bool
    credential: PresharedKey | CertificateCredential
    identity: str
    """The client's, as it is shown."""
