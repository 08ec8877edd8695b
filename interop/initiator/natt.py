"""The variants of NAT traversal as racoon speaks them (AI, natt_fill_options)."""

from dataclasses import dataclass, replace

from ikev1.wire.enums import EncapsulationMode, PayloadType
from interop.initiator.profiles import (
    APPLE_NAT_T,
    DRAFT_00,
    DRAFT_02,
    DRAFT_02_N,
    DRAFT_03,
    LATE_DRAFTS,
    RFC_3947,
)


@dataclass(frozen=True, slots=True)
class NatT:
    """One variant."""

    nat_d: PayloadType
    nat_oa: PayloadType | None
    """None where the client sends none."""
    mode: EncapsulationMode
    own_end_first: bool = False
    """The order of NAT-D, both ways (AI, ident_ir2mx, natt_compare_addr_hash)."""
    floats: bool = True
    """Whether IKE goes on on port 4500 behind a NAT (AR, natt_float_ports: not with -00)."""


_EARLY = NatT(
    PayloadType.NAT_D_DRAFT, PayloadType.NAT_OA_DRAFT, EncapsulationMode.UDP_TRANSPORT_DRAFT
)
_LATE = NatT(PayloadType.NAT_D_DRAFT_04, None, EncapsulationMode.UDP_TRANSPORT)
_APPLE = NatT(PayloadType.NAT_D_DRAFT_04, None, EncapsulationMode.UDP_TRANSPORT, own_end_first=True)

# Newest first: racoon takes the newest that both sides know (AI, natt_handle_vendorid).
VARIANTS = {
    RFC_3947: NatT(PayloadType.NAT_D, PayloadType.NAT_OA, EncapsulationMode.UDP_TRANSPORT),
    APPLE_NAT_T: _APPLE,
    **dict.fromkeys(LATE_DRAFTS, _LATE),
    DRAFT_03: _EARLY,
    DRAFT_02_N: _EARLY,
    DRAFT_02: _EARLY,
    DRAFT_00: replace(_EARLY, floats=False),
}
